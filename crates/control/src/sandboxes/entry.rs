//! One sandbox in memory: what it is, what is to be done with it, when it was last used.
//!
//! Its desk is held for a few instructions at a time, never across a wait. Every change of state goes through
//! [`Desk::advance`], which asks the state machine, counts the revision and tells the listeners, in this order and
//! under the lock, so that events arrive in the order of the changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane_driver::{Exit, PreparedImage};
use pitlane_model::{
    Actor, ImageName, Limits, OrganizationId, Sandbox, SandboxId, SandboxName, SandboxState,
    Snapshot, StoryLine, Timestamp, Transition, TransitionError,
};
use pitlane_store::StoredSandbox;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::activity::Usage;
use super::story::Because;
use super::{ChangeError, CreateError, Platform, SnapshotSandboxError};
use crate::images::{Awaited, Need};
use crate::{Clock, Event};

/// Where the outcome of a change goes. Whoever asked may have gone away.
pub(super) type Reply<E> = oneshot::Sender<Result<Arc<Sandbox>, E>>;

/// A change that was asked for.
#[derive(Debug)]
pub(super) enum Change {
    /// An image that is not here is waited for; whoever asked is answered before.
    Create {
        awaited: Option<Awaited>,
        reply: Reply<CreateError>,
    },
    /// What an earlier server had begun.
    GoOn,
    Start {
        reply: Reply<ChangeError>,
    },
    Stop {
        force: bool,
        reply: Reply<ChangeError>,
    },
    Archive {
        reply: Reply<ChangeError>,
    },
    /// To the limits that it has already; `before` were those it had.
    Resize {
        before: Limits,
        is_running: bool,
        reply: Reply<ChangeError>,
    },
    /// `is_running` is what the sandbox was and is to be again.
    Snapshot {
        snapshot: Box<Snapshot>,
        is_running: bool,
        reply: Reply<SnapshotSandboxError>,
    },
    Recover {
        is_to_run: bool,
        reply: Reply<ChangeError>,
    },
}

/// What a sandbox's owner is to do next.
#[derive(Debug)]
pub(super) enum Task {
    Change(Change),
    Destroy,
    LookAfterExit,
}

/// One sandbox.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: SandboxId,
    pub(super) organization: OrganizationId,
    pub(super) name: SandboxName,
    pub(super) used: Arc<Usage>,
    /// Cancelled as soon as it is on its way out.
    pub(super) condemned: CancellationToken,
    desk: Mutex<Desk>,
}

/// What a sandbox is, and what is to be done with it. The state machine lets at most one change wait.
#[derive(Debug)]
pub(super) struct Desk {
    sandbox: Arc<Sandbox>,
    used: Arc<Usage>,
    row: StoredSandboxRest,
    /// Whether the present revision could not be written.
    pub(super) is_unsaved: bool,
    pub(super) change: Option<Change>,
    pub(super) is_to_go: bool,
    pub(super) has_exited: bool,
    /// How it exited, if that was reported.
    pub(super) exit: Option<Exit>,
    /// Who changes it now, and why.
    pub(super) because: Because,
    /// Keeps the name of its image, if that was built for it.
    pub(super) need: Option<Need>,
    /// Whether a task works on it.
    pub(super) is_owned: bool,
}

/// What a row has beside the sandbox itself.
#[derive(Debug)]
struct StoredSandboxRest {
    image: Option<ImageName>,
    entrypoint: Vec<String>,
    is_told: bool,
    revision: u64,
}

impl Entry {
    pub(super) fn new(row: StoredSandbox, clock: &Clock) -> Self {
        let StoredSandbox { sandbox, image, entrypoint, is_told, revision } = row;
        let used = Arc::new(Usage::new(sandbox.last_activity_at, clock.clone()));
        Self {
            id: sandbox.spec.id,
            organization: sandbox.spec.organization,
            name: sandbox.spec.name.clone(),
            used: Arc::clone(&used),
            condemned: CancellationToken::new(),
            desk: Mutex::new(Desk {
                sandbox: Arc::new(sandbox),
                used,
                row: StoredSandboxRest { image, entrypoint, is_told, revision },
                is_unsaved: false,
                change: None,
                is_to_go: false,
                has_exited: false,
                exit: None,
                because: Because::of(Actor::Server),
                need: None,
                is_owned: false,
            }),
        }
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> SandboxState {
        self.desk().sandbox.state
    }

    /// The sandbox as a caller sees it.
    pub(super) fn view(&self) -> Arc<Sandbox> {
        Arc::clone(self.desk().current())
    }
}

impl Desk {
    pub(super) fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// The sandbox, with its last use up to date.
    pub(super) fn current(&mut self) -> &Arc<Sandbox> {
        let last = self.used.last();
        if self.sandbox.last_activity_at != last {
            Arc::make_mut(&mut self.sandbox).last_activity_at = last;
        }
        &self.sandbox
    }

    /// The row to write.
    pub(super) fn row(&self) -> StoredSandbox {
        StoredSandbox {
            sandbox: Sandbox::clone(&self.sandbox),
            image: self.row.image.clone(),
            entrypoint: self.row.entrypoint.clone(),
            is_told: self.row.is_told,
            revision: self.row.revision,
        }
    }

    /// Lays it over an image that has come, and answers the row to write.
    pub(super) fn furnish(&mut self, platform: &Platform, image: PreparedImage) -> StoredSandbox {
        self.row.entrypoint = image.config.program();
        self.row.image = Some(image.image);
        let default = &platform.policy.default_user;
        self.edit(platform, |sandbox| {
            if sandbox.spec.user.is_empty() {
                sandbox.spec.user = image.config.user.unwrap_or_else(|| default.clone());
            }
        })
    }

    /// Takes the next piece of work, or says that there is none and that nobody works on it any more.
    pub(super) fn next_task(&mut self) -> Option<Task> {
        if let Some(change) = self.change.take() {
            return Some(Task::Change(change));
        }
        if std::mem::take(&mut self.is_to_go) {
            return Some(Task::Destroy);
        }
        if std::mem::take(&mut self.has_exited) {
            return Some(Task::LookAfterExit);
        }
        self.is_owned = false;
        None
    }

    /// Changes the state, and whatever else `edit` changes with it, and answers the row to write.
    pub(super) fn advance(
        &mut self,
        platform: &Platform,
        transition: Transition,
        edit: impl FnOnce(&mut Sandbox),
    ) -> Result<StoredSandbox, TransitionError> {
        let old = self.sandbox.state;
        let new = old.after(transition)?;
        if new != old && matches!(new, SandboxState::Started | SandboxState::Stopped) {
            self.used.touch();
        }
        let row = self.edit(platform, |sandbox| {
            sandbox.state = new;
            sandbox.desired = transition.desired().unwrap_or(sandbox.desired);
            edit(sandbox);
        });
        if new != old {
            let told = self.because.told(old, new, self.sandbox.error_reason.as_deref());
            self.tell(platform, self.sandbox.updated_at, told);
            let sandbox = Arc::clone(&self.sandbox);
            // Nobody listening is no failure.
            drop(platform.events.send(Event::SandboxStateUpdated { sandbox, old, new }));
        }
        Ok(row)
    }

    /// Adds a line about the state it has now to what is told of the sandbox.
    pub(super) fn tell(&self, platform: &Platform, at: Timestamp, because: Because) {
        platform.story.add(StoryLine {
            sandbox: self.sandbox.spec.id,
            at,
            state: self.sandbox.state,
            actor: because.actor,
            reason: because.reason,
        });
    }

    /// Tells that processes of it were killed for want of memory.
    pub(super) fn tell_kills(&mut self, platform: &Platform, killed: u64) {
        let sandbox = Arc::clone(self.current());
        let processes = if killed == 1 { "process was" } else { "processes were" };
        let reason = format!(
            "its memory of {} GiB was used up: {killed} {processes} killed",
            sandbox.spec.limits.memory_gib()
        );
        let because = Because::of(Actor::Sandbox).reason(reason);
        self.tell(platform, platform.clock.now(), because);
        // Nobody listening is no failure.
        drop(platform.events.send(Event::MemoryRanOut { sandbox, killed }));
    }

    /// Changes something other than the state, and answers the row to write.
    pub(super) fn edit(
        &mut self,
        platform: &Platform,
        edit: impl FnOnce(&mut Sandbox),
    ) -> StoredSandbox {
        self.current();
        let sandbox = Arc::make_mut(&mut self.sandbox);
        edit(sandbox);
        sandbox.updated_at = platform.clock.now();
        self.row.revision += 1;
        platform.timers.watch(&self.sandbox);
        self.row()
    }
}
