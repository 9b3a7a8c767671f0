-- Snapshots that were taken of sandboxes, which may be gone by now.
ALTER TABLE snapshots ADD COLUMN source_sandbox BLOB;
CREATE INDEX snapshots_of_sandboxes ON snapshots (organization, source_sandbox) WHERE source_sandbox IS NOT NULL;
