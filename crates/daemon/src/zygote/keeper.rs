//! Whoever keeps an interpreter that forks, and one fork that waits.
//!
//!     begins when a run is over ──► one waits ──► is given away ──► the next waits
//!
//! It ends, with both, when nobody wants it any more, after a while without any run, and when either process does not do
//! what it should. There is no second attempt here: the next run starts plainly, and begins anew after that.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::archive::{Errand, archive};
use super::line::Line;
use super::waiting::Waiting;
use crate::process::{Launch, Started, Surroundings};
use crate::toolbox::Toolbox;

/// How long an interpreter may take to start.
const START_DEADLINE: Duration = Duration::from_secs(10);
/// How long a first run may go on before an interpreter starts beside it, and a later one before the next fork.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(1));
/// After how long without a run the memory is given back.
const IDLE: Duration = Duration::from_secs(300);
/// What a started interpreter says: that its start depended on no variables but the known ones, or that it may have.
const READY: u8 = b'R';
const SENSITIVE: u8 = b'S';

/// Asks for the interpreter that waits; it is dropped when there is none.
pub(super) type Ask = oneshot::Sender<Waiting>;

/// What is known of the interpreter from outside.
#[derive(Debug)]
pub(super) struct Facts {
    /// The variables with which it started.
    pub(super) environment: Vec<CString>,
    /// Whether its start may have depended on any of them.
    pub(super) is_sensitive: AtomicBool,
    /// How many programs forks of it have run.
    pub(super) runs: AtomicU64,
}

/// An interpreter that has started and forks.
struct Zygote {
    started: Started,
    line: Line,
}

/// Keeps an interpreter until nobody asks any more. `first` is closed when the run that made it worth while is over.
pub(super) async fn keep(
    toolbox: &Toolbox,
    facts: &Facts,
    mut asks: mpsc::Receiver<Ask>,
    mut first: oneshot::Receiver<()>,
) {
    let mut late = std::pin::pin!(sleep(PATIENCE.0));
    loop {
        tokio::select! {
            _ = &mut first => break,
            () = &mut late => break,
            ask = asks.recv() => match ask {
                // Sooner than a new interpreter could be there.
                Some(ask) => drop(ask),
                None => return,
            },
        }
    }
    // The answer of that run goes first.
    tokio::task::yield_now().await;
    let Some(mut zygote) = begin(toolbox, facts).await else { return };
    let mut waiting = None;
    serve(toolbox, &mut zygote, &mut asks, &mut waiting).await;
    if let Some(waiting) = waiting {
        waiting.end().await;
    }
    zygote.started.kill().await.ok();
}

async fn serve(
    toolbox: &Toolbox,
    zygote: &mut Zygote,
    asks: &mut mpsc::Receiver<Ask>,
    kept: &mut Option<Waiting>,
) {
    let mut idle = idle_end();
    let mut asked: Option<Ask> = None;
    loop {
        let mut waiting = match kept.take() {
            Some(waiting) => waiting,
            None => match Waiting::fork(toolbox.processes(), &zygote.line).await {
                Ok(waiting) => waiting,
                Err(_fails) => return,
            },
        };
        let ask = match asked.take() {
            Some(ask) => Some(ask),
            None => tokio::select! {
                ask = asks.recv() => ask,
                () = waiting.gone() => None,
                _ = &mut zygote.started.exit => None,
                () = sleep_until(idle) => None,
            },
        };
        let Some(ask) = ask else {
            *kept = Some(waiting);
            return;
        };
        idle = idle_end();
        let (lease, over) = oneshot::channel();
        waiting.lease(toolbox.processes(), lease);
        // Who asked may have given up.
        *kept = ask.send(waiting).err();
        if kept.is_none() {
            // The run begins first, unless somebody else asks.
            tokio::select! {
                _ = over => {}
                () = sleep(PATIENCE.1) => {}
                ask = asks.recv() => match ask {
                    Some(ask) => asked = Some(ask),
                    None => return,
                },
            }
            tokio::task::yield_now().await;
        }
    }
}

fn idle_end() -> Instant {
    let now = Instant::now();
    now.checked_add(IDLE).unwrap_or(now)
}

/// Starts an interpreter; `None` when it cannot be forked.
async fn begin(toolbox: &Toolbox, facts: &Facts) -> Option<Zygote> {
    let (line, control) = Line::new().ok()?;
    let surroundings = Surroundings::new(toolbox, None, None).ok()?;
    let mut launch = surroundings.python([], b"").ok()?;
    launch.environment.clone_from(&facts.environment);
    add_archive(&mut launch, Errand::Fork).ok()?;
    launch.spare.push(control);
    let flags = PipeFlags::CLOEXEC;
    let (said, output) = pipe_with(flags).ok()?;
    let started = toolbox.processes().start(&launch, &output, &output).ok()?;
    drop((launch, output));
    let zygote = Zygote { started, line };
    let heard = timeout(START_DEADLINE, zygote.line.hear()).await;
    let byte = heard.ok().and_then(Result::ok).flatten().map(|heard| heard.byte);
    if !matches!(byte, Some(READY | SENSITIVE)) || has_said(&said) {
        zygote.started.kill().await.ok();
        return None;
    }
    facts.is_sensitive.store(byte != Some(READY), Ordering::Relaxed);
    Some(zygote)
}

/// Whether start-up code has written something: a fork would not repeat it.
fn has_said(output: &OwnedFd) -> bool {
    let is_ready = rustix::io::ioctl_fionread(output);
    is_ready.unwrap_or(1) > 0
}

/// Puts an archive before everything else that the interpreter looks for modules in, as its descriptor 3.
pub(super) fn add_archive(
    launch: &mut Launch,
    errand: Errand,
) -> Result<(), pitlane_sys::SyscallError> {
    const NAME: &[u8] = b"PYTHONPATH=";
    const FIRST: &[u8] = b"PYTHONPATH=/proc/self/fd/3";
    let mut first = FIRST.to_vec();
    launch.environment.retain(|variable| {
        let is_path = variable.as_bytes().strip_prefix(NAME);
        if let Some(path) = is_path {
            first.push(b':');
            first.extend_from_slice(path);
        }
        is_path.is_none()
    });
    launch.environment.extend(CString::new(first));
    launch.spare.insert(0, archive(errand)?);
    Ok(())
}

/// Starts a keeper that owns what it needs.
pub(super) fn spawn(
    toolbox: &Arc<Toolbox>,
    facts: Arc<Facts>,
    asks: mpsc::Receiver<Ask>,
    first: oneshot::Receiver<()>,
    ended: impl FnOnce(&Toolbox) + Send + 'static,
) {
    let shared = Arc::clone(toolbox);
    toolbox.tasks().spawn(async move {
        keep(&shared, &facts, asks, first).await;
        ended(&shared);
    });
}
