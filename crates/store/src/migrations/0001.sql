CREATE TABLE organizations (
    id         BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL -- microseconds since the epoch, like every time here
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organization BLOB    NOT NULL REFERENCES organizations (id),
    name         TEXT    NOT NULL,
    hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint         TEXT    NOT NULL,
    permissions  TEXT    NOT NULL, -- words, separated by spaces
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    UNIQUE (organization, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organization  BLOB    REFERENCES organizations (id),
    name          TEXT    NOT NULL,
    image         TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    cpu_count     INTEGER NOT NULL,
    memory_gib    INTEGER NOT NULL,
    disk_gib      INTEGER NOT NULL,
    process_count INTEGER NOT NULL,
    size_bytes    INTEGER,
    error_reason  TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    last_used_at  INTEGER
) STRICT, WITHOUT ROWID;

-- NULL differs from NULL in an index, and there is one snapshot of a name for everybody.
CREATE UNIQUE INDEX snapshot_names ON snapshots (coalesce(organization, x''), name);

CREATE TABLE sandboxes (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organization     BLOB    NOT NULL REFERENCES organizations (id),
    name             TEXT    NOT NULL,
    snapshot         TEXT    NOT NULL,
    image            TEXT    NOT NULL,
    user             TEXT    NOT NULL,
    environment      TEXT    NOT NULL, -- a JSON object of texts
    labels           TEXT    NOT NULL, -- a JSON object of texts
    cpu_count        INTEGER NOT NULL,
    memory_gib       INTEGER NOT NULL,
    disk_gib         INTEGER NOT NULL,
    process_count    INTEGER NOT NULL,
    auto_stop        INTEGER NOT NULL, -- minutes, like all of these
    auto_archive     INTEGER NOT NULL,
    auto_delete      INTEGER,
    ttl              INTEGER NOT NULL,
    network          TEXT    NOT NULL,
    is_public        INTEGER NOT NULL,
    target           TEXT    NOT NULL,
    state            TEXT    NOT NULL,
    desired          TEXT    NOT NULL,
    error_reason     TEXT,
    daemon_version   TEXT,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    last_activity_at INTEGER NOT NULL,
    revision         INTEGER NOT NULL  -- a write with a smaller one comes too late
) STRICT;

-- One that is on its way out has given its name back.
CREATE UNIQUE INDEX sandbox_names ON sandboxes (organization, name) WHERE state <> 'destroying';

CREATE INDEX sandboxes_by_activity ON sandboxes (organization, last_activity_at, id);
CREATE INDEX sandboxes_by_creation ON sandboxes (organization, created_at, id);
