//! Places for connections, so that no crowd of clients takes more than the operator allows.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics;

/// The places there are at one door. A place is taken before a connection is accepted.
#[derive(Debug)]
pub(super) struct Places {
    door: &'static str,
    free: Arc<Semaphore>,
}

/// A place that no connection has yet.
#[derive(Debug)]
pub(super) struct Free {
    door: &'static str,
    permit: Option<OwnedSemaphorePermit>,
}

/// One connection's place. It goes wherever the connection's bytes go, so that a connection that became a stream of
/// another protocol still counts.
#[derive(Debug)]
pub(super) struct Place {
    door: &'static str,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(super) fn new(door: &'static str, count: usize) -> Self {
        let count = count.min(Semaphore::MAX_PERMITS);
        Self { door, free: Arc::new(Semaphore::new(count)) }
    }

    /// Waits until a place is free.
    pub(super) async fn take(&self) -> Free {
        // The semaphore is never closed.
        Free { door: self.door, permit: Arc::clone(&self.free).acquire_owned().await.ok() }
    }
}

impl Free {
    /// Gives the place to a connection.
    pub(super) fn occupy(self) -> Place {
        metrics::connection_opened(self.door);
        Place { door: self.door, _permit: self.permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::connection_closed(self.door);
    }
}
