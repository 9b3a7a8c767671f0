//! Snapshots of a server.

use pitlane_wire::control::{PaginatedSnapshots, Snapshot};

use crate::{Client, RequestError};

impl Client {
    /// Lists snapshots, all pages of them.
    ///
    /// # Errors
    ///
    /// [`RequestError`]: the list is not complete.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, RequestError> {
        let mut snapshots = Vec::new();
        for page in 1u64.. {
            let answer: PaginatedSnapshots =
                self.get(&format!("/snapshots?page={page}&limit=100")).await?;
            let is_last = answer.items.is_empty() || page >= answer.total_pages;
            snapshots.extend(answer.items);
            if is_last {
                break;
            }
        }
        Ok(snapshots)
    }
}
