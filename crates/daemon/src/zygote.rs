//! Fresh Python interpreters without the wait for one: forked from one that has started.
//!
//! An interpreter starts as it would for any program, up to where it would read that program, and forks there. Each fork
//! gets the program as its standard input, with folder, arguments, variables and descriptors of its own, and goes on as
//! if it had started just now: nothing is emulated, and nothing of a run is left for the next one. Forks share what the
//! start has decided at random, which is the seed of hashes.
//!
//! The first run of Python in a sandbox starts plainly. When it is over, an interpreter is started for those to come, and
//! one fork of it waits in a session and a control group of its own; the daemon is its parent. When no run has come for a
//! while, both end.
//!
//! All of that is only worth what a plain start would do. Whoever wants other variables at the start, whoever finds that
//! interpreter or packages have changed, and whoever finds the interpreter dead, stopped or lying, starts plainly.

mod archive;
mod keeper;
mod line;
mod suitable;
mod waiting;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::fcntl_dupfd_cloexec;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use self::archive::Errand;
use self::keeper::{Ask, Facts};
use crate::process::{Launch, StartError, Started};
use crate::toolbox::Toolbox;

/// How long a run waits for an interpreter before it starts one itself.
const DEADLINE: Duration = Duration::from_secs(2);
/// Runs that may wait for an interpreter at once; more start plainly.
const MOST_WAITING: usize = 64;
/// After how many interpreters that served nobody there is none for a while, and for how long.
const USELESS: u32 = 3;
const REST: Duration = Duration::from_secs(60);

/// The interpreter of a sandbox that forks, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Zygotes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: Option<Kept>,
    /// How many in a row have served nobody.
    useless: u32,
    rests_until: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Kept {
    asks: mpsc::Sender<Ask>,
    facts: Arc<Facts>,
}

/// Starts a program in a session and a control group of its own; where it is Python and an interpreter waits for work,
/// that one becomes the program.
pub(crate) async fn start(
    toolbox: &Arc<Toolbox>,
    launch: &mut Launch,
    outputs: [&OwnedFd; 2],
) -> Result<Started, StartError> {
    if !launch.is_python {
        let [stdout, stderr] = outputs;
        return toolbox.processes().start(launch, stdout, stderr);
    }
    if let Some(kept) = toolbox.zygotes().suitable(toolbox, launch)
        && let Some(started) = fork(toolbox, &kept, launch, outputs).await
    {
        return Ok(started);
    }
    let (lease, over) = oneshot::channel();
    let mut started = start_plainly(toolbox, launch, outputs)?;
    toolbox.processes().begin(&mut started, lease);
    toolbox.zygotes().begin(toolbox, over);
    Ok(started)
}

/// Has the interpreter that waits become the program.
async fn fork(
    toolbox: &Toolbox,
    kept: &Kept,
    launch: &Launch,
    outputs: [&OwnedFd; 2],
) -> Option<Started> {
    let (ask, answer) = oneshot::channel();
    kept.asks.try_send(ask).ok()?;
    let Ok(answered) = timeout(DEADLINE, answer).await else {
        toolbox.zygotes().forget(&kept.facts);
        return None;
    };
    // Without an answer the interpreter has not started yet, or has ended.
    let started = answered.ok()?.run(launch, outputs).await;
    match started {
        Some(_) => {
            kept.facts.runs.fetch_add(1, Ordering::Relaxed);
        }
        None => toolbox.zygotes().forget(&kept.facts),
    }
    started
}

fn start_plainly(
    toolbox: &Toolbox,
    launch: &mut Launch,
    [stdout, stderr]: [&OwnedFd; 2],
) -> Result<Started, StartError> {
    if let Some(charts) = launch.charts.take() {
        let environment = launch.environment.clone();
        let is_added = fcntl_dupfd_cloexec(&charts, 0).is_ok_and(|copy| {
            launch.spare.insert(0, copy);
            keeper::add_archive(launch, Errand::Plot).is_ok()
        });
        if !is_added {
            launch.spare.clear();
            launch.environment = environment;
        }
    }
    toolbox.processes().start(launch, stdout, stderr)
}

impl Zygotes {
    /// The interpreter, if a fork of it would be what a new start is.
    fn suitable(&self, toolbox: &Toolbox, launch: &Launch) -> Option<Kept> {
        let kept = self.lock().kept.clone()?;
        let is_sensitive = kept.facts.is_sensitive.load(Ordering::Relaxed);
        let is_alike =
            |other: &[_]| suitable::start_alike(&kept.facts.environment, other, is_sensitive);
        if !is_alike(&launch.environment) {
            if !is_alike(&toolbox.environment().texts()) {
                // The sandbox's own variables have changed.
                self.forget(&kept.facts);
            }
            return None;
        }
        let fits = suitable::fit(launch.environment.iter().chain(&launch.arguments));
        (fits && waiting::can_be_told(launch)).then_some(kept)
    }

    /// Has an interpreter start for the runs to come, when the one before `over` is.
    fn begin(&self, toolbox: &Arc<Toolbox>, over: oneshot::Receiver<()>) {
        let environment = toolbox.environment().texts();
        let mut state = self.lock();
        let rests = state.rests_until.is_some_and(|until| Instant::now() < until);
        if state.kept.is_some() || rests || !suitable::can_be_forked(&environment) {
            return;
        }
        let (asks, asked) = mpsc::channel(MOST_WAITING);
        let is_sensitive = AtomicBool::new(true);
        let facts = Arc::new(Facts { environment, is_sensitive, runs: AtomicU64::new(0) });
        state.kept = Some(Kept { asks, facts: Arc::clone(&facts) });
        drop(state);
        let own = Arc::clone(&facts);
        let ended = move |toolbox: &Toolbox| toolbox.zygotes().forget(&own);
        keeper::spawn(toolbox, facts, asked, over, ended);
    }

    /// Asks nothing of this interpreter any more; it ends when nobody does.
    fn forget(&self, facts: &Arc<Facts>) {
        let mut state = self.lock();
        if !state.kept.as_ref().is_some_and(|kept| Arc::ptr_eq(&kept.facts, facts)) {
            return;
        }
        state.kept = None;
        let was_useful = facts.runs.load(Ordering::Relaxed) > 0;
        state.useless = if was_useful { 0 } else { state.useless.saturating_add(1) };
        if state.useless >= USELESS {
            state.useless = 0;
            state.rests_until = Instant::now().checked_add(REST);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
