//! One context.

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use pitlane_model::Timestamp;

use crate::etag::Etag;
use crate::key::ContextKey;
use crate::room::Reservation;

/// A context that is whole and on disk. Its file stays for as long as somebody has this, whatever becomes of its key.
#[derive(Debug, Clone)]
pub struct Context(pub(crate) Arc<Stored>);

#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) key: ContextKey,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) etag: Etag,
    pub(crate) modified: Timestamp,
    /// In microseconds, as a timestamp has them.
    pub(crate) used: AtomicI64,
    /// What of that is written down.
    pub(crate) noted: AtomicI64,
    pub(crate) _room: Reservation,
}

impl Context {
    /// Whose it is, and what it is called.
    #[must_use]
    pub fn key(&self) -> &ContextKey {
        &self.0.key
    }

    /// The archive, to be opened for reading.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// What tells it from other uploads under its key.
    #[must_use]
    pub fn etag(&self) -> Etag {
        self.0.etag
    }

    /// When it came.
    #[must_use]
    pub fn modified(&self) -> Timestamp {
        self.0.modified
    }
}

impl Stored {
    pub(crate) fn used(&self) -> Timestamp {
        Timestamp::from_micros(self.used.load(Ordering::Relaxed))
    }

    pub(crate) fn has_use_to_note(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.noted.load(Ordering::Relaxed)
    }

    /// Writes down when it was last used, for servers to come: the time of a file's last access is ours to set. Blocks.
    pub(crate) fn note_use(&self) {
        let used = self.used();
        let since_epoch = used.since(Timestamp::from_micros(0));
        let Some(accessed) = SystemTime::UNIX_EPOCH.checked_add(since_epoch) else { return };
        let times = FileTimes::new().set_accessed(accessed);
        match File::open(&self.path).and_then(|file| file.set_times(times)) {
            Ok(()) => self.noted.store(used.as_micros(), Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(%error, key = %self.key, "cannot note that a build context was used");
            }
        }
    }
}

/// A file's time as ours.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_micros(0).after(since_epoch)
}
