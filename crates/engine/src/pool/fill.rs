//! The thread that fills pools.

use std::sync::PoisonError;
use std::time::Instant;

use pitlane_driver::{NoRoomError, PoolTrouble, WantedPool};
use pitlane_model::NetworkPolicy;

use super::Shared;
use super::room::Demand;
use super::state::Next;
use crate::prepared::Recipe;
use crate::waiting::Waiting;

impl Shared {
    /// Fills until the pools are closed.
    pub(super) fn fill(&self) {
        loop {
            let mut state = self.lock();
            match state.next(Instant::now()) {
                Next::End(stale) => {
                    drop(state);
                    return free(stale);
                }
                Next::Free(stale) => {
                    drop(state);
                    free(stale);
                }
                Next::Prepare(wanted) => {
                    drop(state);
                    self.prepare(&wanted);
                }
                Next::Wait(None) => {
                    drop(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
                }
                Next::Wait(Some(limit)) => {
                    let waited = self.changed.wait_timeout(state, limit);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }

    /// Prepares one more sandbox of a pool.
    fn prepare(&self, wanted: &WantedPool) {
        let trouble = match self.try_to_prepare(wanted) {
            Ok(()) => return,
            Err(trouble) => trouble,
        };
        let cause = &trouble as &dyn std::error::Error;
        tracing::warn!(pool = ?wanted.key, image = %wanted.image, cause, "a pool is not full");
        self.lock().fail(wanted, trouble, Instant::now());
    }

    fn try_to_prepare(&self, wanted: &WantedPool) -> Result<(), PoolTrouble> {
        let supplies = &self.supplies;
        // Until process 1 has its root, nobody may take the image away.
        let _held = supplies.images.hold().map_err(|cause| {
            tracing::warn!(%cause, "cannot hold images");
            PoolTrouble::Host
        })?;
        let image = supplies.images.find(&wanted.image).ok_or(PoolTrouble::NoImage)?;
        let recipe = Recipe::of(image, wanted.limits, NetworkPolicy::Open);
        let ready = {
            let mut state = self.lock();
            state.resolve(wanted, &recipe);
            state.ready()
        };
        supplies.room.check(Demand { others: ready, more: 1, ready })?;
        let slot = supplies.slots.take().ok_or(NoRoomError::Count { more: 1, left: 0 })?;
        match supplies.preparer.fresh(slot, &recipe, wanted.limits) {
            Ok(prepared) => {
                self.lock().put(wanted, &recipe, prepared);
                Ok(())
            }
            Err(failure) => {
                let failure = &failure as &dyn std::error::Error;
                tracing::warn!(failure, "cannot prepare a sandbox");
                Err(PoolTrouble::Host)
            }
        }
    }
}

/// Ends what waits in vain: all at once, since each takes its time to end.
fn free(stale: Vec<Waiting>) {
    for waiting in &stale {
        waiting.begin_to_end();
    }
    drop(stale);
}
