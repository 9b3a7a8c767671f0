//! What could not be written down when it happened: tried again until it is, so that a full disk needs nobody's hand.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use pitlane_model::{Snapshot, SnapshotId};

use super::Snapshots;
use crate::chain::Chain;

/// What is still to be done.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    /// Those whose rows are behind what is in memory.
    rows: BTreeSet<SnapshotId>,
    /// Those that were not taken, of which something remains.
    abandoned: Vec<Snapshot>,
}

impl Snapshots {
    /// Lets a changed snapshot be seen though its row could not be written; that follows.
    pub(super) async fn write_later(&self, snapshot: Snapshot) {
        let id = snapshot.id;
        self.write().insert(id, snapshot);
        self.tell_needs().await;
        self.unfinished().rows.insert(id);
    }

    /// Removes later what remains of a snapshot that was not taken.
    pub(super) fn abandon_later(&self, snapshot: Snapshot) {
        self.unfinished().abandoned.push(snapshot);
    }

    /// Tries everything once more that failed before.
    pub(crate) async fn catch_up(&self) {
        let Unfinished { rows, abandoned } = std::mem::take(&mut *self.unfinished());
        if rows.is_empty() && abandoned.is_empty() {
            return;
        }
        let _turn = self.turn.lock().await;
        for id in rows {
            // Gone meanwhile, or the row as it is by now.
            let present = self.read().get(&id).cloned();
            let Some(snapshot) = present else { continue };
            if let Err(error) = self.change(snapshot).await {
                tracing::warn!(snapshot = %id, error = %Chain(&error), "snapshot not written yet");
                self.unfinished().rows.insert(id);
            }
        }
        for snapshot in abandoned {
            let is_there = self.read().contains_key(&snapshot.id);
            if is_there && let Err(error) = self.remove_taken(snapshot.clone()).await {
                tracing::warn!(snapshot = %snapshot.id, error = %Chain(&error), "remains yet");
                self.abandon_later(snapshot);
            }
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, Unfinished> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
