//! Sandboxes kept waiting, so that a create finds disk, link, file systems and process 1 made.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pitlane_model::Limits;

use crate::prepared::{Preparer, Recipe};
use crate::slot::Slots;
use crate::waiting::Waiting;

/// Waiting sandboxes of one recipe, filled up by a thread of its own.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
    filler: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    preparer: Arc<Preparer>,
    slots: Slots,
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    recipe: Option<Recipe>,
    ready: VecDeque<Waiting>,
    is_closed: bool,
}

/// How long nobody has asked for a sandbox before more are prepared than are needed at once.
const QUIET: Duration = Duration::from_millis(100);
/// After a failure, so that a full disk or a missing program is not asked for in a loop.
const RETRY: Duration = Duration::from_secs(2);

impl Pool {
    /// Starts with nothing to prepare.
    pub(crate) fn start(
        preparer: Arc<Preparer>,
        slots: Slots,
        size: usize,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            preparer,
            slots,
            size,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let filling = Arc::clone(&shared);
        let filler = std::thread::Builder::new()
            .name(String::from("prepare"))
            .spawn(move || filling.fill())?;
        Ok(Self { shared, filler: Mutex::new(Some(filler)) })
    }

    /// What to keep ready from now on; what was ready for another recipe is freed.
    pub(crate) fn keep_ready(&self, recipe: Recipe) {
        let mut state = self.shared.lock();
        if state.recipe.as_ref() == Some(&recipe) {
            return;
        }
        state.recipe = Some(recipe);
        let stale = std::mem::take(&mut state.ready);
        drop(state);
        drop(stale);
        self.shared.changed.notify_all();
    }

    /// Takes a sandbox of `recipe`, if one waits.
    pub(crate) fn claim(&self, recipe: &Recipe) -> Option<Waiting> {
        let mut state = self.shared.lock();
        let prepared =
            (state.recipe.as_ref() == Some(recipe)).then(|| state.ready.pop_front()).flatten();
        drop(state);
        self.shared.changed.notify_all();
        prepared
    }

    /// Frees everything and waits for the filling thread.
    pub(crate) fn close(&self) {
        let mut state = self.shared.lock();
        state.is_closed = true;
        let ready = std::mem::take(&mut state.ready);
        drop(state);
        drop(ready);
        self.shared.changed.notify_all();
        let filler = self.filler.lock().unwrap_or_else(PoisonError::into_inner).take();
        if filler.is_some_and(|filler| filler.join().is_err()) {
            tracing::error!("the thread that prepares sandboxes has panicked");
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill(&self) {
        // Once begun, all that is missing is prepared in one go: spread out, each preparation would take processor time
        // from somebody who has just got a sandbox.
        let mut is_filling = false;
        loop {
            let mut state = self.lock();
            let recipe = loop {
                if state.is_closed {
                    return;
                }
                let missing = self.size.saturating_sub(state.ready.len());
                let Some(recipe) = state.recipe.clone().filter(|_| missing > 0) else {
                    is_filling = false;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                };
                is_filling |= missing > self.size / 2;
                if is_filling {
                    break recipe;
                }
                // With enough left, whoever has just got a sandbox is using it: preparing can wait.
                let waited = self.changed.wait_timeout(state, QUIET);
                let (next, elapsed) = waited.unwrap_or_else(PoisonError::into_inner);
                state = next;
                is_filling = elapsed.timed_out();
            };
            drop(state);
            // With every slot in use there is nothing to prepare until one is free.
            let prepared = self.slots.take();
            // Whoever takes it for other limits sets them.
            let prepared = prepared.map(|slot| self.preparer.fresh(slot, &recipe, Limits::DEFAULT));
            let mut state = self.lock();
            match prepared {
                Some(Ok(prepared))
                    if state.recipe.as_ref() == Some(&recipe) && !state.is_closed =>
                {
                    state.ready.push_back(prepared);
                }
                Some(Ok(stale)) => {
                    drop(state);
                    drop(stale);
                }
                failed => {
                    if let Some(Err(failure)) = failed {
                        tracing::warn!(
                            failure = &failure as &dyn std::error::Error,
                            "cannot prepare a sandbox"
                        );
                    }
                    let waited =
                        self.changed.wait_timeout_while(state, RETRY, |state| !state.is_closed);
                    drop(waited.unwrap_or_else(PoisonError::into_inner));
                }
            }
        }
    }
}
