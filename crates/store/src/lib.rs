//! What survives a restart: SQLite and its migrations.
#![forbid(unsafe_code)]
