//! What happens to keys without anybody asking: their time ends, and when they were used is written down.

use std::sync::Arc;
use std::time::Duration;

use pitlane_store::Store;
use tokio_util::sync::CancellationToken;

use super::ring::Ring;
use crate::{Chain, Clock};

/// How far behind the rows may be, and how late an ending may be noticed after the clock was set.
const PERIOD: Duration = Duration::from_secs(5);

/// Ends what was opened with keys when their time is over, and writes uses down every few seconds, until `ending`.
pub(super) async fn keep(ring: Arc<Ring>, store: Store, clock: Clock, ending: CancellationToken) {
    let mut endings = ring.endings();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        endings.mark_unchanged();
        let next = ring.end_expired(clock.now()).unwrap_or(PERIOD);
        tokio::select! {
            () = ending.cancelled() => return,
            _ = ticks.tick() => flush(&ring, &store).await,
            () = tokio::time::sleep(next) => {}
            // A key came in whose end may be the next.
            Ok(()) = endings.changed() => {}
        }
    }
}

/// Writes down when keys were last used.
pub(super) async fn flush(ring: &Ring, store: &Store) {
    let uses = ring.unsaved_uses();
    if uses.is_empty() {
        return;
    }
    match store.save_key_uses(uses.clone()).await {
        Ok(()) => ring.saved_uses(&uses),
        Err(error) => tracing::warn!(error = %Chain(&error), "use of keys not kept yet"),
    }
}
