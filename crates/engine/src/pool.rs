//! Pools: sandboxes kept waiting, so that a create finds disk, link, file systems and process 1 made.
//!
//! One thread fills all pools, one sandbox of each in turn, so that a large one or one that fails keeps no other empty.
//! It wakes when something is wanted, taken or given up, and otherwise only to try again what has failed. Whoever takes
//! a sandbox never waits for it: what is not there is made by the taker.

mod fill;
mod room;
mod state;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use pitlane_driver::{NoRoomError, PoolKey, PoolReport, WantedPool};
use pitlane_image::Images;
use pitlane_model::ImageName;

use self::room::Demand;
pub(crate) use self::room::PoolRoom;
use self::state::State;
use crate::prepared::{Preparer, Recipe};
use crate::slot::Slots;
use crate::waiting::Waiting;

/// All pools, and the thread that fills them.
#[derive(Debug)]
pub(crate) struct Pools {
    shared: Arc<Shared>,
    filler: Mutex<Option<JoinHandle<()>>>,
}

/// What pools are filled with, and how far.
#[derive(Debug)]
pub(crate) struct Supplies {
    pub(crate) preparer: Arc<Preparer>,
    pub(crate) slots: Slots,
    pub(crate) images: Images,
    pub(crate) room: PoolRoom,
}

#[derive(Debug)]
struct Shared {
    supplies: Supplies,
    state: Mutex<State>,
    changed: Condvar,
}

impl Pools {
    /// Starts with nothing wanted.
    pub(crate) fn start(supplies: Supplies) -> std::io::Result<Self> {
        let state = Mutex::new(State::default());
        let shared = Arc::new(Shared { supplies, state, changed: Condvar::new() });
        let filling = Arc::clone(&shared);
        let filler = std::thread::Builder::new()
            .name(String::from("prepare"))
            .spawn(move || filling.fill())?;
        Ok(Self { shared, filler: Mutex::new(Some(filler)) })
    }

    /// What to keep ready from now on. Waits for nothing: the filling thread frees what is not wanted any more.
    pub(crate) fn keep_ready(&self, wanted: Vec<WantedPool>) {
        self.shared.lock().keep(wanted);
        self.shared.changed.notify_all();
    }

    /// Takes a sandbox of `recipe`, which is `image`'s, from the first of the pools in which one waits. Whoever took it
    /// calls [`Self::refill`] when it has what it needs: until then the processor is its own.
    pub(crate) fn claim(
        &self,
        keys: &[PoolKey],
        image: &ImageName,
        recipe: &Recipe,
    ) -> Option<Waiting> {
        if keys.is_empty() { None } else { self.shared.lock().claim(keys, image, recipe) }
    }

    /// Has the filling thread see what was taken.
    pub(crate) fn refill(&self) {
        self.shared.changed.notify_all();
    }

    /// Whether `more` may wait beside `others`.
    pub(crate) fn room(&self, others: u64, more: u64) -> Result<(), NoRoomError> {
        let ready = self.shared.lock().ready();
        self.shared.supplies.room.check(Demand { others, more, ready })
    }

    /// How they are.
    pub(crate) fn report(&self) -> PoolReport {
        self.shared.lock().report()
    }

    /// Frees everything and waits for the filling thread.
    pub(crate) fn close(&self) {
        self.shared.lock().close();
        self.shared.changed.notify_all();
        let filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner).take();
        if filler.is_some_and(|filler| filler.join().is_err()) {
            tracing::error!("the thread that prepares sandboxes has panicked");
        }
    }
}

impl Drop for Pools {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
