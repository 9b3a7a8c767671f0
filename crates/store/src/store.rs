//! The database file and its connections: one writes, one reads, one moves what was written into the file proper.
//!
//! That last step (SQLite's checkpoint) syncs the disk. Done by the writer, as SQLite does by itself, it would hold up
//! every hundredth caller for milliseconds.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::migrations::{MigrateError, migrate};
use crate::worker::{Gone, StartWorkerError, Worker};
use crate::{OpenError, ReadError, WriteError};

/// The file must be there. Each connection belongs to one thread: SQLite need not lock it for every column that is read,
/// which takes as long as the reading.
const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// How long a statement waits for another program that holds the file, such as a backup.
const BUSY_DEADLINE: Duration = Duration::from_secs(5);

/// After how many writes the write-ahead log is moved into the file: a few megabytes.
const WRITES_PER_CHECKPOINT: u32 = 500;

/// The write-ahead log, in pages of 4 KiB, from which on the writer moves it itself: under unceasing writes the other
/// connection never reaches its end, and it would grow for ever.
const LONGEST_LOG_PAGES: u32 = 2048;

/// What survives a restart. Cheap to clone; all clones are one store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Workers>);

#[derive(Debug)]
struct Workers {
    writer: Worker,
    reader: Worker,
    checkpointer: Worker,
    writes: AtomicU32,
}

/// What a write must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survives {
    /// The end of this process.
    ProcessEnd,
    /// A power cut: synced before it is acknowledged.
    PowerCut,
}

impl Store {
    /// Opens the database at `path`, makes it if there is none, and brings its schema up to date.
    ///
    /// The file is readable for its owner only. Blocks: call it before anything else waits.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what an operator can do.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        // SQLite gives its other files the rights of this one.
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|cause| OpenError::File { path: path.to_owned(), cause })?;
        let writer = start("pitlane-write", path, open_writer)?;
        let reader = start("pitlane-read", path, open_reader)?;
        let checkpointer = start("pitlane-sync", path, open_checkpointer)?;
        let writes = AtomicU32::new(0);
        Ok(Self(Arc::new(Workers { writer, reader, checkpointer, writes })))
    }

    /// Finishes what is queued and closes the file. Later calls on any clone answer that it is closed.
    pub async fn close(self) {
        let workers = [&self.0.checkpointer, &self.0.reader, &self.0.writer];
        let threads: Vec<_> = workers.into_iter().filter_map(Worker::end).collect();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a database thread ended badly");
                }
            }
        });
        if let Err(error) = joined.await {
            tracing::error!(%error, "closing the database was interrupted");
        }
    }

    /// Runs one transaction on the writer.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        survives: Survives,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let run = move |connection: &mut Connection| match survives {
            Survives::ProcessEnd => transact(connection, change),
            Survives::PowerCut => {
                connection.pragma_update(None, "synchronous", "FULL")?;
                let answer = transact(connection, change);
                connection.pragma_update(None, "synchronous", "NORMAL")?;
                answer
            }
        };
        let answer = match self.0.writer.run(run).await {
            Ok(answer) => answer,
            Err(Gone) => return Err(WriteError::Closed),
        };
        if self.0.writes.fetch_add(1, Ordering::Relaxed) % WRITES_PER_CHECKPOINT
            == WRITES_PER_CHECKPOINT - 1
        {
            self.0.checkpointer.offer(checkpoint);
        }
        answer
    }

    /// Runs one transaction on the reader, so that all it reads is of one moment.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Transaction<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let run = move |connection: &mut Connection| query(&connection.transaction()?);
        match self.0.reader.run(run).await {
            Ok(answer) => answer,
            Err(Gone) => Err(ReadError::Closed),
        }
    }

    /// Lets the file grow no further, as a full disk would.
    #[cfg(test)]
    pub(crate) async fn fill_disk(&self) {
        let run = |connection: &mut Connection| {
            let pages: u32 =
                connection.pragma_query_value(None, "page_count", |row| row.get(0)).expect("open");
            connection.pragma_update(None, "max_page_count", pages).expect("open");
        };
        self.0.writer.run(run).await.expect("the store is open");
    }
}

fn start(
    name: &str,
    path: &Path,
    open: fn(&Path) -> Result<Connection, OpenError>,
) -> Result<Worker, OpenError> {
    Worker::start(name, path.to_owned(), open).map_err(|error| match error {
        StartWorkerError::Open(error) => error,
        StartWorkerError::Thread(cause) => OpenError::File { path: path.to_owned(), cause },
    })
}

fn transact<T>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, WriteError>,
) -> Result<T, WriteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let answer = change(&transaction)?;
    transaction.commit()?;
    Ok(answer)
}

/// Moves what was written into the file, without making a reader or the writer wait.
fn checkpoint(connection: &mut Connection) {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = moved {
        tracing::warn!(%error, "the write-ahead log stays long; tried again later");
    }
}

fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let prepared = || -> Result<Connection, MigrateError> {
        let mut connection = Connection::open_with_flags(path, FLAGS)?;
        connection.busy_timeout(BUSY_DEADLINE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG_PAGES)?;
        connection.set_prepared_statement_cache_capacity(64);
        migrate(&mut connection)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    };
    prepared().map_err(|error| match error {
        MigrateError::Newer { found, known } => {
            OpenError::Newer { path: path.to_owned(), found, known }
        }
        MigrateError::Database(cause) => OpenError::database(path, cause),
    })
}

fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let opened = Connection::open_with_flags(path, FLAGS).and_then(|connection| {
        connection.busy_timeout(BUSY_DEADLINE)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    });
    opened.map_err(|cause| OpenError::database(path, cause))
}

fn open_checkpointer(path: &Path) -> Result<Connection, OpenError> {
    let opened = Connection::open_with_flags(path, FLAGS).and_then(|connection| {
        connection.busy_timeout(BUSY_DEADLINE)?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    });
    opened.map_err(|cause| OpenError::database(path, cause))
}

#[cfg(test)]
mod tests;
