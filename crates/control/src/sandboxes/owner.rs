//! Does what was decided about sandboxes: one task per sandbox at a time, and only while there is something to do.
//!
//! Whatever a sandbox needs is written on its desk; [`Owner::hire`] starts a task that works it off, piece by piece,
//! and ends. Two pieces for one sandbox therefore never overlap, and none depends on the caller that asked for it.
//! Every piece writes the row before it asks the driver, or while it waits for it, and after the driver answered.

mod changes;
mod images;
mod rest;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use pitlane_driver::{ConnectError, DriverEvent, Existing, Exit, Liveness};
use pitlane_model::{
    Actor, Sandbox, SandboxId, SandboxName, SandboxState, Transition, TransitionError,
};
use pitlane_store::{StoredSandbox, WriteError};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::behind::Behind;
use super::directory::Directory;
use super::entry::{Change, Desk, Entry, Reply, Task};
use super::story::Because;
use super::{CreateError, Platform};
use crate::Event;
use crate::chain::Chain;
use crate::images::Awaited;

/// How long one try to destroy a sandbox may take before the next.
const DESTROY_DEADLINE: Duration = Duration::from_secs(60);
/// How long after a failed destruction the next is tried; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long a connection that only shows whether a sandbox runs may take.
const LOOK_DEADLINE: Duration = Duration::from_secs(5);

/// What an owner needs. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) platform: Arc<Platform>,
    pub(super) directory: Arc<Directory>,
    pub(super) behind: Behind,
}

/// A state that has been decided, and the task that writes it down.
pub(super) type Condemned = (Arc<Sandbox>, JoinHandle<Result<(), WriteError>>);

impl Owner {
    /// Lets a new sandbox be found and has it made, or gives back the name that another one has.
    pub(super) fn admit(
        &self,
        entry: &Arc<Entry>,
        awaited: Option<Awaited>,
        reply: Reply<CreateError>,
    ) -> Result<(), SandboxName> {
        // Whoever finds it waits here, so that nothing is told of it before this.
        let mut desk = entry.desk();
        desk.because = Because::of(Actor::Caller);
        self.directory.insert(entry)?;
        let sandbox = Arc::clone(desk.sandbox());
        // Nobody listening is no failure.
        drop(self.platform.events.send(Event::SandboxCreated { sandbox }));
        self.platform.timers.watch(desk.sandbox());
        desk.change = Some(Change::Create { awaited, reply });
        self.hire(entry, &mut desk);
        Ok(())
    }

    /// Takes back a sandbox of which nothing exists yet.
    pub(super) fn withdraw(&self, entry: &Entry) {
        let mut desk = entry.desk();
        desk.is_to_go = false;
        for transition in [Transition::Destroy, Transition::Freed] {
            if let Err(error) = desk.advance(&self.platform, transition, |_| {}) {
                tracing::error!(sandbox = %entry.id, %error, "withdrawn in an unexpected state");
            }
        }
        drop(desk);
        self.forget(entry);
    }

    fn forget(&self, entry: &Entry) {
        self.directory.remove(entry);
        self.platform.timers.forget(entry.id);
        self.platform.volumes.release(entry.id);
    }

    /// Decides a change, if the state allows it, and hands it over.
    pub(super) fn claim(
        &self,
        entry: &Arc<Entry>,
        transition: Transition,
        change: impl FnOnce() -> Change,
    ) -> Result<(), TransitionError> {
        let mut desk = entry.desk();
        desk.sandbox().state.after(transition)?;
        entry.used.touch();
        desk.because = Because::of(Actor::Caller);
        desk.advance(&self.platform, transition, |_| {})?;
        desk.change = Some(change());
        self.hire(entry, &mut desk);
        Ok(())
    }

    /// Decides that a sandbox goes, unless that is decided already, and has it destroyed.
    pub(super) fn condemn(&self, entry: &Arc<Entry>) -> Option<Condemned> {
        self.condemn_at(entry, &mut entry.desk())
    }

    /// The same, for whoever has the desk.
    pub(super) fn condemn_at(&self, entry: &Arc<Entry>, desk: &mut Desk) -> Option<Condemned> {
        if desk.sandbox().state == SandboxState::Destroying {
            return None;
        }
        let row = desk.advance(&self.platform, Transition::Destroy, |_| {}).ok()?;
        let sandbox = Arc::clone(desk.sandbox());
        entry.condemned.cancel();
        desk.is_to_go = true;
        self.hire(entry, desk);
        self.directory.free_name(entry);
        self.platform.volumes.release(entry.id);
        let (saver, entry) = (self.clone(), Arc::clone(entry));
        let saved = self.platform.tasks.spawn(async move { saver.save(&entry, row).await });
        Some((sandbox, saved))
    }

    /// Sees to it that a task works off what is on the desk.
    pub(super) fn hire(&self, entry: &Arc<Entry>, desk: &mut Desk) {
        if !std::mem::replace(&mut desk.is_owned, true) {
            let (owner, entry) = (self.clone(), Arc::clone(entry));
            self.platform.tasks.spawn(async move { owner.work(&entry).await });
        }
    }

    async fn work(&self, entry: &Arc<Entry>) {
        loop {
            let task = entry.desk().next_task();
            match task {
                Some(Task::Change(Change::Create { awaited: None, reply })) => {
                    self.create(entry, reply).await;
                }
                Some(Task::Change(Change::Create { awaited: Some(awaited), reply })) => {
                    self.create_later(entry, awaited, reply).await;
                }
                Some(Task::Change(Change::GoOn)) => self.go_on(entry).await,
                Some(Task::Change(Change::Start { reply })) => {
                    drop(reply.send(self.start(entry).await));
                }
                Some(Task::Change(Change::Stop { force, reply })) => {
                    drop(reply.send(self.stop(entry, force).await));
                }
                Some(Task::Change(Change::Archive { reply })) => {
                    drop(reply.send(self.archive(entry).await));
                }
                Some(Task::Change(Change::Resize { before, is_running, reply })) => {
                    drop(reply.send(self.resize(entry, before, is_running).await));
                }
                Some(Task::Change(Change::Snapshot { snapshot, is_running, reply })) => {
                    drop(reply.send(self.snapshot(entry, &snapshot, is_running).await));
                }
                Some(Task::Change(Change::Recover { is_to_run, reply })) => {
                    drop(reply.send(self.recover(entry, is_to_run).await));
                }
                Some(Task::Destroy) => self.destroy(entry).await,
                Some(Task::LookAfterExit) => self.look_after_exit(entry).await,
                None => return,
            }
        }
    }

    /// Frees everything, then forgets the sandbox. Gives up when the server ends, and then the next one goes on; or when
    /// it takes too long, and then the sandbox is in state error until its timer or a caller asks again.
    async fn destroy(&self, entry: &Entry) {
        // Whoever condemned it writes this too, but perhaps not yet: what is half gone must not look whole to the
        // next server. A row that cannot be written keeps nothing from going.
        let row = entry.desk().row();
        drop(self.save(entry, row).await);
        pitlane_fault::point("destroy.row-written");
        let patience = self.platform.policy.patience.destroy;
        match timeout(patience, self.release(entry.id)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_elapsed) => return self.give_up_destroying(entry).await,
        }
        pitlane_fault::point("destroy.freed");
        let need = entry.desk().need.take();
        if let Some(need) = need {
            self.platform.images.let_go(need).await;
        }
        if let Err(error) = self.platform.store.delete_sandbox(entry.id).await {
            tracing::error!(
                sandbox = %entry.id, error = %Chain(&error),
                "row of a destroyed sandbox not removed; the next start does"
            );
        }
        pitlane_fault::point("destroy.row-deleted");
        let freed = entry.desk().advance(&self.platform, Transition::Freed, |_| {});
        if let Err(error) = freed {
            tracing::error!(sandbox = %entry.id, %error, "destroyed in an unexpected state");
        }
        self.forget(entry);
        tracing::info!(sandbox = %entry.id, "destroyed");
    }

    async fn give_up_destroying(&self, entry: &Entry) {
        tracing::error!(sandbox = %entry.id, "not destroyed in time; tried again later");
        let failed = entry.desk().advance(&self.platform, Transition::Fail, |sandbox| {
            let reason = "the machine could not free what it holds; this is tried again";
            sandbox.error_reason = Some(reason.to_owned());
            // Another one may have its name by now.
            sandbox.spec.name = SandboxName::from(entry.id);
        });
        if let Ok(row) = failed {
            drop(self.save(entry, row).await);
        }
    }

    /// Has the driver free everything of this id, until it succeeds or the server ends.
    pub(super) async fn release(&self, id: SandboxId) -> bool {
        let mut pause = FIRST_PAUSE;
        loop {
            match timeout(DESTROY_DEADLINE, self.platform.driver.destroy(id)).await {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => {
                    tracing::warn!(sandbox = %id, error = %Chain(&error), "not destroyed yet");
                }
                Err(_elapsed) => tracing::warn!(sandbox = %id, "destruction takes too long"),
            }
            tokio::select! {
                () = self.platform.ending.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Has somebody find out whether a sandbox still runs.
    pub(super) fn suspect_exit(&self, entry: &Arc<Entry>, exit: Option<Exit>) {
        let mut desk = entry.desk();
        desk.exit = exit.or(desk.exit);
        desk.has_exited = true;
        self.hire(entry, &mut desk);
    }

    /// Finds out what became of a sandbox whose end was reported.
    ///
    /// The report may be of an earlier run, so it is believed only if the driver agrees. A sandbox that ended by
    /// itself is stopped and can be started again, whatever its exit was; an ephemeral one is destroyed.
    async fn look_after_exit(&self, entry: &Arc<Entry>) {
        // What was reported of an earlier run is not said of a later one.
        let exit = entry.desk().exit.take();
        if entry.state() != SandboxState::Started || !self.has_ended(entry.id).await {
            return;
        }
        let claimed = {
            let mut desk = entry.desk();
            let because = Because::of(Actor::Sandbox).reason(how(exit));
            let before = std::mem::replace(&mut desk.because, because);
            let claimed = desk.advance(&self.platform, Transition::Stop, |_| {});
            if claimed.is_err() {
                desk.because = before;
            }
            claimed
        };
        // Somebody else decided what becomes of it.
        if claimed.is_ok()
            && let Err(error) = self.stop(entry, true).await
        {
            tracing::error!(sandbox = %entry.id, error = %Chain(&error), "ended and not cleaned up");
        }
    }

    /// Whether a sandbox surely does not run. In doubt it does: the next connection to it asks again.
    async fn has_ended(&self, id: SandboxId) -> bool {
        match timeout(LOOK_DEADLINE, self.platform.driver.connect(id)).await {
            Ok(Ok(_)) => return false,
            Ok(Err(ConnectError::NotRunning { .. })) => return true,
            Ok(Err(ConnectError::Host { .. })) | Err(_) => {}
        }
        match timeout(LOOK_DEADLINE, self.platform.driver.inventory()).await {
            Ok(Ok(existing)) => !existing.contains(&Existing { id, liveness: Liveness::Running }),
            Ok(Err(error)) => {
                tracing::warn!(sandbox = %id, error = %Chain(&error), "reported to have ended");
                false
            }
            Err(_elapsed) => {
                tracing::warn!(sandbox = %id, "reported to have ended; the driver does not say");
                false
            }
        }
    }

    /// Writes a row down. One that could not be written is written later, if nothing newer is.
    pub(super) async fn save(&self, entry: &Entry, row: StoredSandbox) -> Result<(), WriteError> {
        let revision = row.revision;
        let saved = self.platform.store.update_sandbox(row).await;
        let mut desk = entry.desk();
        match &saved {
            Ok(()) => desk.is_unsaved &= desk.row().revision > revision,
            Err(error) => {
                desk.is_unsaved = true;
                tracing::error!(sandbox = %entry.id, error = %Chain(error), "row not written yet");
            }
        }
        saved
    }
}

/// What is said of a sandbox that ended by itself.
fn how(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!("its process 1 exited with code {code}"),
        Some(Exit::Signal(signal)) => format!("signal {signal} ended its process 1"),
        Some(Exit::Unknown) | None => "its process 1 ended, nobody knows how".to_owned(),
    }
}

/// Writes what the driver reports on the desks of the sandboxes.
pub(super) async fn watch_reports(owner: Owner) {
    loop {
        let event = tokio::select! {
            () = owner.platform.ending.cancelled() => return,
            event = owner.platform.driver.next_event() => event,
        };
        match event {
            Some(DriverEvent::Exited { id, exit }) => {
                tracing::info!(sandbox = %id, ?exit, "exited");
                if let Some(entry) = owner.directory.any(id) {
                    owner.suspect_exit(&entry, Some(exit));
                }
            }
            Some(DriverEvent::MemoryRanOut { id, killed }) => {
                tracing::warn!(sandbox = %id, killed, "memory used up");
                if let Some(entry) = owner.directory.any(id) {
                    entry.desk().tell_kills(&owner.platform, killed);
                }
            }
            None => return,
        }
    }
}
