//! What happens to sandboxes by itself: one queue of deadlines, and one task that waits for the first.
//!
//! A use of a sandbox touches no queue. When a deadline comes, the sandbox's true one is looked at, and if it has moved
//! the sandbox is put back. So a deadline in the queue is the true one or earlier, never later.
//!
//! Deadlines are computed from rows, so they survive a restart; one that passed meanwhile is acted on, but callers of a
//! running sandbox first get [`RECONNECT`] to come back. A clock that is set moves nothing but times to live, which are
//! dates: idle and stopped sandboxes go on counting where they were.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pitlane_model::{
    Actor, Deadlines, DesiredState, Sandbox, SandboxId, SandboxState, Timestamp, Transition,
};
use tokio::sync::{Notify, oneshot};

use super::entry::{Change, Desk, Entry, Reply};
use super::owner::Owner;
use super::story::Because;
use crate::{ChangeError, Clock};

/// How long the callers of running sandboxes have after a start of the server.
const RECONNECT: Duration = Duration::from_secs(60);
/// How often it is looked whether the clock was set, while anything waits for a deadline.
const CLOCK_CHECK: Duration = Duration::from_secs(60);
/// By how much a clock runs wrong at most without having been set.
const LARGEST_DRIFT: Duration = Duration::from_secs(10);
/// How long after a destruction was given up it is tried again.
const DESTROY_AGAIN: Duration = Duration::from_secs(600);

/// The deadlines of all sandboxes.
#[derive(Debug)]
pub(crate) struct Timers {
    /// When the server started, in microseconds of the clock as it is set now.
    begun: AtomicI64,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    by_time: BTreeSet<(Timestamp, SandboxId)>,
    by_id: HashMap<SandboxId, Timestamp>,
}

impl Timers {
    /// Timers of a server that starts now.
    pub(crate) fn new(begun: Timestamp) -> Self {
        Self {
            begun: AtomicI64::new(begun.as_micros()),
            queue: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Sees to it that a sandbox is looked at when its first deadline comes, as it is now.
    pub(super) fn watch(&self, sandbox: &Sandbox) {
        self.set(sandbox.spec.id, self.first_of(sandbox));
    }

    /// Looks at a sandbox no more.
    pub(super) fn forget(&self, id: SandboxId) {
        self.set(id, None);
    }

    fn set(&self, id: SandboxId, at: Option<Timestamp>) {
        let mut queue = self.queue();
        if let Some(before) = queue.by_id.remove(&id) {
            queue.by_time.remove(&(before, id));
        }
        let Some(at) = at else { return };
        queue.by_id.insert(id, at);
        queue.by_time.insert((at, id));
        let is_first = queue.by_time.first() == Some(&(at, id));
        drop(queue);
        if is_first {
            self.changed.notify_one();
        }
    }

    fn deadlines_of(&self, sandbox: &Sandbox) -> Deadlines {
        let deadlines = sandbox.deadlines();
        let begun = Timestamp::from_micros(self.begun.load(Ordering::Relaxed));
        let earliest = begun.after(RECONNECT);
        Deadlines { stop: deadlines.stop.map(|stop| stop.max(earliest)), ..deadlines }
    }

    fn first_of(&self, sandbox: &Sandbox) -> Option<Timestamp> {
        match sandbox.state {
            SandboxState::Destroying | SandboxState::Destroyed => None,
            _ if is_to_be_destroyed_again(sandbox) => Some(sandbox.updated_at.after(DESTROY_AGAIN)),
            _ => self.deadlines_of(sandbox).first(),
        }
    }

    fn take_due(&self, now: Timestamp) -> Vec<SandboxId> {
        let mut queue = self.queue();
        let mut due = Vec::new();
        while let Some((at, id)) = queue.by_time.first().copied().filter(|(at, _)| *at <= now) {
            queue.by_time.remove(&(at, id));
            queue.by_id.remove(&id);
            due.push(id);
        }
        due
    }

    fn first(&self) -> Option<Timestamp> {
        self.queue().by_time.first().map(|(at, _)| *at)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A destruction that was given up.
fn is_to_be_destroyed_again(sandbox: &Sandbox) -> bool {
    sandbox.state == SandboxState::Error && sandbox.desired == DesiredState::Destroyed
}

/// Acts on deadlines until the server ends.
pub(super) async fn act_on_deadlines(owner: Owner) {
    let (clock, timers) = (&owner.platform.clock, &owner.platform.timers);
    let mut settings = Settings::new(clock);
    loop {
        if let Some(micros) = settings.look(clock) {
            tracing::warn!(micros, "the clock was set");
            timers.begun.fetch_add(micros, Ordering::Relaxed);
            for entry in owner.directory.all() {
                entry.used.shift(micros);
                timers.watch(entry.desk().current());
            }
        }
        for id in timers.take_due(clock.now()) {
            if let Some(entry) = owner.directory.any(id) {
                owner.act(&entry);
            }
        }
        let first = timers.first();
        let waiting = async {
            match first {
                Some(at) => clock.sleep(at.since(clock.now()).min(CLOCK_CHECK)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = owner.platform.ending.cancelled() => return,
            () = timers.changed.notified() => {}
            () = waiting => {}
        }
    }
}

/// Notices that a clock was set.
struct Settings {
    now: Timestamp,
    uptime: Duration,
}

impl Settings {
    fn new(clock: &Clock) -> Self {
        Self { now: clock.now(), uptime: clock.uptime() }
    }

    /// By how many microseconds the clock was set since the last look.
    fn look(&mut self, clock: &Clock) -> Option<i64> {
        let (now, uptime) = (clock.now(), clock.uptime());
        let passed =
            i64::try_from(uptime.saturating_sub(self.uptime).as_micros()).unwrap_or(i64::MAX);
        let set_by = now.as_micros() - self.now.as_micros() - passed;
        *self = Self { now, uptime };
        (set_by.unsigned_abs() > u64::try_from(LARGEST_DRIFT.as_micros()).unwrap_or(u64::MAX))
            .then_some(set_by)
    }
}

impl Owner {
    /// Does what is due with a sandbox, or puts it back.
    fn act(&self, entry: &Arc<Entry>) {
        let now = self.platform.clock.now();
        let mut desk = entry.desk();
        let deadlines = self.platform.timers.deadlines_of(desk.current());
        let is_due = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        let is_again = is_to_be_destroyed_again(desk.current());
        let timer = |reason: &str| Because::of(Actor::Timer).reason(reason);
        if is_again || is_due(deadlines.destroy) || is_due(deadlines.delete) {
            desk.because = timer(match is_due(deadlines.destroy) {
                true => "its time to live is over",
                false => "it was stopped for as long as it may be",
            });
            if self.condemn_at(entry, &mut desk).is_some() {
                tracing::info!(sandbox = %entry.id, is_again, "deleted by its timer");
            }
            return;
        }
        if is_due(deadlines.stop) && !entry.used.is_in_use() {
            self.ask_before_stop(entry);
        } else if is_due(deadlines.archive) {
            desk.because = timer("it was stopped for as long as it may be before that");
            self.begin(entry, &mut desk, Transition::Archive, |reply| Change::Archive { reply });
        } else {
            self.platform.timers.watch(desk.current());
        }
    }

    /// Stops a sandbox whose daemon does nothing, if nobody has come to use it since that was asked.
    pub(super) fn stop_if_unused(&self, entry: &Arc<Entry>) {
        let now = self.platform.clock.now();
        let mut desk = entry.desk();
        let deadline = self.platform.timers.deadlines_of(desk.current()).stop;
        // Whoever begins to use it counts before asking for its state, which changes under this lock.
        if deadline.is_some_and(|at| at <= now) && !entry.used.is_in_use() {
            let reason = "nobody used it for as long as it may run unused";
            desk.because = Because::of(Actor::Timer).reason(reason);
            self.begin(entry, &mut desk, Transition::Stop, |reply| Change::Stop {
                force: false,
                reply,
            });
        } else {
            self.platform.timers.watch(desk.current());
        }
    }

    fn begin(
        &self,
        entry: &Arc<Entry>,
        desk: &mut Desk,
        transition: Transition,
        change: impl FnOnce(Reply<ChangeError>) -> Change,
    ) {
        match desk.advance(&self.platform, transition, |_| {}) {
            Ok(_) => {
                tracing::info!(sandbox = %entry.id, ?transition, "changed by its timer");
                // Nobody waits for the outcome.
                let (reply, _) = oneshot::channel();
                desk.change = Some(change(reply));
                self.hire(entry, desk);
            }
            Err(error) => tracing::error!(sandbox = %entry.id, %error, "its timer came to nothing"),
        }
    }
}
