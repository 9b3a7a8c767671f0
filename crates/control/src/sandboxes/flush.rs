//! Writes down, every few seconds and all at once, what is only in memory: when sandboxes were last used, when
//! snapshots were, and rows that could not be written before.

use std::time::Duration;

use super::owner::Owner;
use crate::chain::Chain;

/// How far behind the rows may be.
const PERIOD: Duration = Duration::from_secs(5);

pub(super) async fn keep_flushing(owner: Owner) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = owner.platform.ending.cancelled() => return,
            _ = ticks.tick() => flush(&owner).await,
        }
    }
}

pub(super) async fn flush(owner: &Owner) {
    let store = &owner.platform.store;
    let entries = owner.directory.all();
    for entry in &entries {
        let row = {
            let desk = entry.desk();
            desk.is_unsaved.then(|| desk.row())
        };
        if let Some(row) = row {
            // Says by itself when it fails again.
            drop(owner.save(entry, row).await);
        }
    }
    let activity: Vec<_> =
        entries.iter().filter_map(|entry| Some((entry.id, entry.used.unsaved()?))).collect();
    if !activity.is_empty() {
        match store.save_activity(activity.clone()).await {
            Ok(()) => {
                for (id, at) in activity {
                    if let Some(entry) = owner.directory.any(id) {
                        entry.used.note_saved(at);
                    }
                }
            }
            Err(error) => tracing::warn!(error = %Chain(&error), "last activity not kept yet"),
        }
    }
    let uses = owner.platform.volumes.unsaved_uses();
    if !uses.is_empty()
        && let Err(error) = store.save_volume_uses(uses).await
    {
        tracing::warn!(error = %Chain(&error), "use of volumes not kept");
    }
    let uses = owner.platform.snapshots.unsaved_uses();
    if !uses.is_empty()
        && let Err(error) = store.save_snapshot_uses(uses).await
    {
        tracing::warn!(error = %Chain(&error), "use of snapshots not kept");
    }
    owner.platform.snapshots.catch_up().await;
}
