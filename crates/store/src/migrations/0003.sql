-- What the tokens of a sandbox's previews are made with, since its last start. Whoever reads it can make them.
CREATE TABLE preview_secrets (
    sandbox BLOB NOT NULL PRIMARY KEY REFERENCES sandboxes (id) ON DELETE CASCADE,
    secret  BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT, WITHOUT ROWID;

-- Tokens for one port and for a while. Of each only the hash is kept.
CREATE TABLE preview_tokens (
    sandbox    BLOB    NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    port       INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (sandbox, hash)
) STRICT, WITHOUT ROWID;
