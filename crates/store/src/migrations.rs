//! The schema, as the numbered steps that lead to it.
//!
//! A step that has been released is never changed. The number of the last step is the file's `user_version`.

use rusqlite::Connection;

/// Step `n` leads from version `n` to `n + 1`.
const STEPS: [&str; 11] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0011.sql"),
];

/// Why a schema was not brought up to date.
#[derive(Debug)]
pub(crate) enum MigrateError {
    Newer { found: u32, known: u32 },
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Database(cause)
    }
}

/// Brings the schema up to date, each step in a transaction of its own.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), MigrateError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    for (version, step) in (1u32..).zip(STEPS).skip_while(|(version, _)| *version <= found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        pitlane_fault::point("store.migrating");
        transaction.commit()?;
    }
    Ok(())
}
