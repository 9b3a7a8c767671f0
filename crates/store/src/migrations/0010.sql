-- Warm pools. The snapshot is meant by its name: one that is deleted and added again is the same to its pool.
CREATE TABLE warm_pools (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organization BLOB    NOT NULL REFERENCES organizations (id),
    snapshot     TEXT    NOT NULL,
    target       TEXT    NOT NULL,
    size         INTEGER NOT NULL CHECK (size >= 0),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (organization, snapshot, target)
) STRICT, WITHOUT ROWID;
