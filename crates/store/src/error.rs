//! What can go wrong in the store, by operation.

use std::path::{Path, PathBuf};

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is no database, or a damaged one: restore it from a backup.
    #[error("{path:?} is damaged or no database")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        #[source]
        cause: rusqlite::Error,
    },
    /// A newer version of the program wrote the file: run that one.
    #[error("{path:?} has schema version {found}, newer than {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        found: u32,
        /// The newest version this program knows.
        known: u32,
    },
    /// The file cannot be made or reached.
    #[error("cannot open {path:?}")]
    File {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        cause: std::io::Error,
    },
    /// The database cannot be used: no room on the disk, no rights, locked by another program.
    #[error("cannot open the database {path:?}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What failed.
        #[source]
        cause: rusqlite::Error,
    },
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another row has this name, hash or id: choose another.
    #[error("another row has the same unique value")]
    Taken,
    /// Other rows belong to this one: remove them first. Or the row that this one belongs to is gone.
    #[error("rows that belong together would come apart")]
    InUse,
    /// The disk is full: free some room, then try again.
    #[error("the disk of the database is full")]
    Full,
    /// The file is damaged: restore it from a backup.
    #[error("the database is damaged")]
    Corrupt {
        /// What SQLite found.
        #[source]
        cause: rusqlite::Error,
    },
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
    /// SQLite failed otherwise.
    #[error("cannot write to the database")]
    Database {
        /// What failed.
        #[source]
        cause: rusqlite::Error,
    },
}

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file is damaged: restore it from a backup.
    #[error("the database is damaged")]
    Corrupt {
        /// What SQLite found.
        #[source]
        cause: rusqlite::Error,
    },
    /// A row holds a value that this program never writes.
    #[error("column {column} holds a value that is none")]
    Value {
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store has been closed.
    #[error("the database is closed")]
    Closed,
    /// SQLite failed otherwise.
    #[error("cannot read from the database")]
    Database {
        /// What failed.
        #[source]
        cause: rusqlite::Error,
    },
}

fn is_corrupt(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
    )
}

impl OpenError {
    pub(crate) fn database(path: &Path, cause: rusqlite::Error) -> Self {
        let path = path.to_owned();
        if is_corrupt(&cause) {
            Self::Corrupt { path, cause }
        } else {
            Self::Database { path, cause }
        }
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(cause: rusqlite::Error) -> Self {
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) if is_unique_violation(&cause) => {
                Self::Taken
            }
            Some(rusqlite::ErrorCode::ConstraintViolation) if is_foreign_key_violation(&cause) => {
                Self::InUse
            }
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full,
            _ if is_corrupt(&cause) => Self::Corrupt { cause },
            _ => Self::Database { cause },
        }
    }
}

impl ReadError {
    /// Turns what is wrong with the value of `column` into the error of the read.
    pub(crate) fn value<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        column: &'static str,
    ) -> impl FnOnce(E) -> Self {
        move |cause| Self::Value { column, cause: cause.into() }
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(cause: rusqlite::Error) -> Self {
        if is_corrupt(&cause) { Self::Corrupt { cause } } else { Self::Database { cause } }
    }
}

fn is_foreign_key_violation(cause: &rusqlite::Error) -> bool {
    use rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY;
    cause.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_FOREIGNKEY)
}

fn is_unique_violation(cause: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    cause.sqlite_error().is_some_and(|error| {
        matches!(error.extended_code, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE)
    })
}
