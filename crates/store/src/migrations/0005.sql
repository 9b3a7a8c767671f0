-- With what the signing keys of files were made anew. Only sandboxes whose key was rotated have a row, and nobody can
-- make a key from it who has not the server's own secret, which is not in this file.
CREATE TABLE signing_salts (
    sandbox  BLOB    NOT NULL PRIMARY KEY REFERENCES sandboxes (id) ON DELETE CASCADE,
    rotation INTEGER NOT NULL CHECK (rotation > 0),
    salt     BLOB    NOT NULL CHECK (length(salt) = 32)
) STRICT, WITHOUT ROWID;
