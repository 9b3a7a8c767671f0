//! Finding out whether the database takes what is given to it.

use crate::store::Survives;
use crate::{Store, WriteError};

/// SQLite writes it whether it changes or not, and nothing else has to exist for that.
const FIELD: &str = "user_version";

impl Store {
    /// Writes something that changes nothing.
    ///
    /// # Errors
    ///
    /// [`WriteError`]: what any other write would meet.
    pub async fn probe(&self) -> Result<(), WriteError> {
        self.write(Survives::ProcessEnd, |transaction| {
            let version: u32 = transaction.pragma_query_value(None, FIELD, |row| row.get(0))?;
            transaction.pragma_update(None, FIELD, version)?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_probe_tells_whether_the_file_takes_writes_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let store = Store::open(&path).unwrap();
        store.probe().await.unwrap();
        store.clone().close().await;
        assert!(matches!(store.probe().await, Err(WriteError::Closed)));
        Store::open(&path).unwrap().probe().await.unwrap();
    }
}
