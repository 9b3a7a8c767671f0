//! What became of each sandbox, kept for whoever asks: who changed its state, when and why.
//!
//! Lines are written down by a task of their own, some at a time and a moment later, so that nothing waits for them, not
//! even for the processor. Those of the last moment before this process is killed are lost; the state itself is not.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pitlane_model::{Actor, SandboxState, StoryLine};
use pitlane_store::ReadError;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::owner::Owner;
use super::{FindError, Principal, Sandboxes};
use crate::chain::Chain;

/// How many lines may wait to be written; when the disk takes none, the oldest are given up.
const MOST_WAITING: usize = 10_000;

/// How long lines gather. Whoever reads them has them written at once.
const GATHERING: Duration = Duration::from_millis(20);

/// Lines that are not written yet.
#[derive(Debug, Default)]
pub(crate) struct Story {
    waiting: Mutex<VecDeque<StoryLine>>,
    changed: Notify,
    /// Held while lines are written: whoever reads then waits until they are there.
    writing: tokio::sync::Mutex<()>,
}

/// Who is changing a sandbox, and why.
#[derive(Debug, Clone)]
pub(super) struct Because {
    pub(super) actor: Actor,
    pub(super) reason: Option<String>,
}

/// Why the story of a sandbox was not told.
#[derive(Debug, thiserror::Error)]
pub enum StoryError {
    /// There is no such sandbox.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The database did not answer.
    #[error("cannot read what became of the sandbox")]
    Store {
        /// Why.
        #[source]
        cause: ReadError,
    },
}

impl Because {
    pub(super) const fn of(actor: Actor) -> Self {
        Self { actor, reason: None }
    }

    pub(super) fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// What is said of a change of state: a failure is nobody's wish, whatever led to it.
    pub(super) fn told(&self, old: SandboxState, new: SandboxState, error: Option<&str>) -> Self {
        match (old, new) {
            (_, SandboxState::Error) => {
                Self { actor: Actor::Server, reason: error.map(str::to_owned) }
            }
            (SandboxState::Starting, SandboxState::Stopped) => {
                Self::of(Actor::Server).reason("it could not be started")
            }
            _ => self.clone(),
        }
    }
}

impl Story {
    /// Adds a line, without waiting for anything.
    pub(super) fn add(&self, line: StoryLine) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MOST_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(line);
        drop(waiting);
        self.changed.notify_one();
    }

    fn take(&self) -> Vec<StoryLine> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// Writes lines down until the server ends.
pub(super) async fn keep_writing(owner: Owner) {
    loop {
        let is_ending = tokio::select! {
            () = owner.platform.ending.cancelled() => true,
            () = gathered(&owner.platform.story) => false,
        };
        write(&owner).await;
        if is_ending {
            return;
        }
    }
}

async fn gathered(story: &Story) {
    story.changed.notified().await;
    sleep(GATHERING).await;
}

async fn write(owner: &Owner) {
    let _writing = owner.platform.story.writing.lock().await;
    let lines = owner.platform.story.take();
    if !lines.is_empty()
        && let Err(error) = owner.platform.store.append_story(lines).await
    {
        tracing::warn!(error = %Chain(&error), "what became of sandboxes not written");
    }
}

impl Sandboxes {
    /// Tells what became of a sandbox, the oldest line first: those after the one of this number, each with its own.
    ///
    /// # Errors
    ///
    /// See [`StoryError`].
    pub async fn story(
        &self,
        principal: &Principal,
        id_or_name: &str,
        after: u64,
    ) -> Result<Vec<(u64, StoryLine)>, StoryError> {
        let sandbox = self.find(principal, id_or_name)?;
        // Whoever just did something finds it told.
        write(&self.owner).await;
        let told = self.owner.platform.store.story(sandbox.spec.id, after).await;
        told.map_err(|cause| StoryError::Store { cause })
    }
}
