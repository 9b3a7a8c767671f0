-- Volumes. Those that are deleted stay for a while, for whoever lists them.
CREATE TABLE volumes (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organization BLOB    NOT NULL REFERENCES organizations (id),
    name         TEXT    NOT NULL,
    state        TEXT    NOT NULL,
    error_reason TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX volume_names ON volumes (organization, name) WHERE state <> 'deleted';

-- What is mounted where: a JSON list of lists of an id, a path and a path inside the volume or nothing.
ALTER TABLE sandboxes ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]';
