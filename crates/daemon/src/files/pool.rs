//! The threads that touch files, as the rest of the daemon waits for them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;
use pitlane_sys::{Identity, UserThreads};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::http::Refusal;

/// Threads: more would only wait for the same disk.
const THREADS: usize = 4;
/// Tasks that are given to them at once; others wait outside.
const TASKS: usize = 64;
/// Room for removals, which nobody waits for.
const REMOVALS: usize = 256;
/// Walks that may hold the names of a large folder at the same time.
const LARGE_WALKS: usize = 2;
/// How long another one waits.
const LARGE_WALK_DEADLINE: Duration = Duration::from_secs(30);

/// Runs file operations with the user's rights. Clones share the threads, which begin with the first operation.
#[derive(Debug, Clone)]
pub(crate) struct Files(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    identity: Option<Identity>,
    threads: OnceLock<Result<UserThreads, String>>,
    permits: Arc<Semaphore>,
    large_walks: Arc<Semaphore>,
    transfers: AtomicU64,
}

/// One of the files that are being sent at this moment.
#[derive(Debug)]
pub(super) struct Transfer(Files);

/// The threads cannot work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("file operations are not possible: {0}")]
pub(crate) struct FilesError(String);

impl Files {
    pub(crate) fn new(identity: Option<Identity>) -> Self {
        let permits = Arc::new(Semaphore::new(TASKS));
        let large_walks = Arc::new(Semaphore::new(LARGE_WALKS));
        let (threads, transfers) = (OnceLock::new(), AtomicU64::new(0));
        Self(Arc::new(Shared { identity, threads, permits, large_walks, transfers }))
    }

    /// Runs `task` on one of the threads. It runs to its end even if the future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, FilesError> {
        self.begin(task).await?.end().await
    }

    /// Gives `task` to one of the threads and does not wait for its end.
    pub(super) async fn begin<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Running<T>, FilesError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned().await;
        let permit = permit.map_err(|closed| FilesError(closed.to_string()))?;
        let (result, done) = oneshot::channel();
        let task = move || {
            // Who asked may have lost interest.
            result.send(task()).ok();
        };
        self.threads()?.run(task).map_err(|error| FilesError(error.to_string()))?;
        Ok(Running { done, _permit: permit })
    }

    /// Counts a file that is being sent for as long as the value lives.
    pub(super) fn begin_transfer(&self) -> Transfer {
        self.0.transfers.fetch_add(1, Ordering::Relaxed);
        Transfer(self.clone())
    }

    /// Lets a walk hold many names at once, as long as the permit lives.
    pub(super) async fn allow_many(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let permit = Arc::clone(&self.0.large_walks).acquire_owned();
        match timeout(LARGE_WALK_DEADLINE, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "BUSY",
                "other large folders are being read: try again later",
            )),
        }
    }

    /// Runs `task` on one of the threads some time, without telling anybody.
    pub(crate) fn run_later(&self, task: impl FnOnce() + Send + 'static) {
        // What cannot be queued stays on the disk; there is nobody to tell.
        if let Ok(threads) = self.threads() {
            threads.run(task).ok();
        }
    }

    fn threads(&self) -> Result<&UserThreads, FilesError> {
        let start = || {
            let waiting = TASKS.saturating_add(REMOVALS);
            UserThreads::start(self.0.identity.as_ref(), THREADS, waiting)
                .map_err(|error| format!("{error}: {}", error.errno))
        };
        self.0.threads.get_or_init(start).as_ref().map_err(|reason| FilesError(reason.clone()))
    }
}

/// A task on one of the threads. It runs to its end even if this is dropped.
#[derive(Debug)]
pub(super) struct Running<T> {
    done: oneshot::Receiver<T>,
    _permit: OwnedSemaphorePermit,
}

impl<T> Running<T> {
    /// Waits for its end. Dropping the future loses nothing: it can be asked for again, until it was told once.
    pub(super) async fn end(&mut self) -> Result<T, FilesError> {
        let failed = |_panicked| FilesError(String::from("the operation failed"));
        (&mut self.done).await.map_err(failed)
    }

    /// Whether its end need not be waited for.
    pub(super) fn has_ended(&self) -> bool {
        !self.done.is_empty() || self.done.is_terminated()
    }

    /// Waits for its end where waiting holds nobody up: on another of the threads.
    pub(super) fn end_here(self) -> Option<T> {
        self.done.blocking_recv().ok()
    }
}

impl Transfer {
    /// What is one file's of something that all files share.
    pub(super) fn share_of(&self, whole: u64) -> u64 {
        let count = self.0.0.transfers.load(Ordering::Relaxed);
        whole.checked_div(count).unwrap_or(whole)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.0.0.transfers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl From<FilesError> for Refusal {
    fn from(error: FilesError) -> Self {
        Self::internal(error.to_string())
    }
}
