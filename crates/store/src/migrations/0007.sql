-- How images of sandboxes and snapshots are built: a JSON list of Dockerfile, contexts, arguments and stage.
ALTER TABLE sandboxes ADD COLUMN build TEXT;
ALTER TABLE sandboxes ADD COLUMN is_told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE snapshots ADD COLUMN build TEXT;
