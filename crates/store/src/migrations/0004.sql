-- What became of each sandbox: the last changes of its state.
CREATE TABLE sandbox_log (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    sandbox BLOB    NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
    at      INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    reason  TEXT
) STRICT;

CREATE INDEX sandbox_log_by_sandbox ON sandbox_log (sandbox, number);
