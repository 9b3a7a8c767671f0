-- Registries that organizations have passwords for. What is sealed is encrypted, and is of no use without the secret that
-- is not in this file.
CREATE TABLE registries (
    id           BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    organization BLOB    NOT NULL REFERENCES organizations (id),
    name         TEXT    NOT NULL,
    url          TEXT    NOT NULL,
    host         TEXT    NOT NULL,
    user         TEXT    NOT NULL,
    project      TEXT    NOT NULL,
    sealed       BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (organization, name)
) STRICT, WITHOUT ROWID;

-- A key that could do everything still can.
UPDATE api_keys SET permissions = permissions || ' write:registries delete:registries'
WHERE permissions LIKE '%manage:organizations%' AND permissions NOT LIKE '%write:registries%';
