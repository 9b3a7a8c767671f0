//! One context: whoever waits for it, and the process it has.
//!
//!     made ──► waits ◄──► runs code ──► deleted
//!                │            │
//!                └── its process ends: the next run starts another one, and says so
//!
//! A task of its own owns the process. Runs come one after the other, in the order of their requests. A run ends by
//! itself, at its deadline, when its client has gone, or with the context.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pitlane_daemon::input::RunOutcome;
use pitlane_wire::toolbox::{InterpreterContext, InterpreterMessage};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::output::Sink;
use super::worker::{Death, Outcome, Worker};
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// How many runs may wait in a context.
pub(super) const MOST_WAITING: usize = 64;
/// How the daemon says that a run took too long.
const TIMED_OUT: CloseCode = CloseCode::Library(4008);

/// A context that there is.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) id: String,
    folder: String,
    created_at: String,
    is_active: Arc<AtomicBool>,
    runs: mpsc::Sender<Run>,
    deleted: CancellationToken,
    gone: CancellationToken,
}

/// Code that a client wants to have run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) code: String,
    pub(super) variables: BTreeMap<String, String>,
    /// Counted from its start.
    pub(super) timeout: Option<Duration>,
    /// Where its messages go; closed when its client has gone.
    pub(super) messages: mpsc::Sender<String>,
    pub(super) end: oneshot::Sender<End>,
}

/// How the conversation about a run ends. Without any, the context was deleted.
#[derive(Debug)]
pub(super) struct End {
    pub(super) code: CloseCode,
    pub(super) reason: String,
    /// Whether it comes before the messages that the client has not read yet.
    pub(super) cuts: bool,
}

/// Why no more is heard of a run.
enum Halt {
    Deleted,
    TimedOut,
    ClientGone,
}

/// The task's side of a context.
struct Keeper {
    toolbox: Arc<Toolbox>,
    folder: String,
    is_active: Arc<AtomicBool>,
    deleted: CancellationToken,
    worker: Option<Worker>,
    /// Why the state of the runs before is lost, until somebody was told.
    loss: Option<String>,
}

impl Context {
    /// Makes one. Its first process is started when `is_eager`, or else by its first run; how that went is told.
    pub(super) fn new(
        toolbox: &Arc<Toolbox>,
        id: String,
        folder: String,
        created_at: String,
        ready: Option<oneshot::Sender<Result<(), Refusal>>>,
    ) -> Arc<Self> {
        let (runs, waiting) = mpsc::channel(MOST_WAITING);
        let is_active = Arc::new(AtomicBool::new(false));
        let (deleted, gone) = (CancellationToken::new(), CancellationToken::new());
        let keeper = Keeper {
            toolbox: Arc::clone(toolbox),
            folder: folder.clone(),
            is_active: Arc::clone(&is_active),
            deleted: deleted.clone(),
            worker: None,
            loss: None,
        };
        toolbox.tasks().spawn(keeper.keep(waiting, ready, gone.clone().drop_guard()));
        Arc::new(Self { id, folder, created_at, is_active, runs, deleted, gone })
    }

    /// As clients are shown it.
    pub(super) fn shown(&self) -> InterpreterContext {
        InterpreterContext {
            id: self.id.clone(),
            cwd: self.folder.clone(),
            language: String::from("python"),
            active: self.is_active.load(Ordering::Relaxed),
            created_at: self.created_at.clone(),
        }
    }

    /// Has code run after what waits already; false when too much does.
    pub(super) fn ask(&self, run: Run) -> Result<(), mpsc::error::TrySendError<Run>> {
        self.runs.try_send(run)
    }

    /// Ends it with everything it started, and waits for that.
    pub(super) async fn delete(&self) {
        self.deleted.cancel();
        self.gone.cancelled().await;
    }
}

impl Run {
    fn end(self, code: CloseCode, reason: impl Into<String>) {
        let cuts = code != CloseCode::Normal;
        // Nobody may be there any more.
        self.end.send(End { code, reason: reason.into(), cuts }).ok();
    }

    async fn say(&self, message: InterpreterMessage) {
        let text = serde_json::to_string(&message);
        // It may be long, and so may the wait.
        drop(message);
        if let Ok(message) = text {
            // A client that has gone is noticed elsewhere.
            self.messages.send(message).await.ok();
        }
    }
}

impl Keeper {
    async fn keep(
        mut self,
        mut waiting: mpsc::Receiver<Run>,
        ready: Option<oneshot::Sender<Result<(), Refusal>>>,
        _gone_at_the_end: DropGuard,
    ) {
        if let Some(ready) = ready {
            let started = self.start().await;
            // Whoever asked may have gone.
            ready.send(started).ok();
        }
        let deleted = self.deleted.clone();
        loop {
            let run = tokio::select! {
                biased;
                () = deleted.cancelled() => break,
                death = idle(&mut self.worker) => {
                    self.lose(death).await;
                    continue;
                }
                run = waiting.recv() => run,
            };
            let Some(run) = run else { break };
            // A client that has gone wants nothing any more.
            if !run.messages.is_closed() && !self.serve(run).await {
                break;
            }
            self.toolbox.processes().tidy();
        }
        if let Some(worker) = self.worker.take() {
            worker.kill().await;
        }
        self.is_active.store(false, Ordering::Relaxed);
    }

    async fn start(&mut self) -> Result<(), Refusal> {
        self.worker = Some(Worker::start(&self.toolbox, &self.folder).await?);
        self.is_active.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the process, which is of no use any more.
    async fn lose(&mut self, death: Death) {
        self.is_active.store(false, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            worker.kill().await;
        }
        self.loss = Some(death.to_string());
    }

    /// Runs code; false when the context was deleted.
    async fn serve(&mut self, mut run: Run) -> bool {
        let code = std::mem::take(&mut run.code);
        let deleted = self.deleted.clone();
        if self.worker.is_none() {
            let started = tokio::select! {
                () = deleted.cancelled() => return false,
                started = self.start() => started,
            };
            if let Err(refusal) = started {
                run.end(CloseCode::Error, refusal.message());
                return true;
            }
        }
        let halted = async {
            let deadline = async {
                match run.timeout {
                    Some(timeout) => sleep(timeout).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = deleted.cancelled() => Halt::Deleted,
                () = run.messages.closed() => Halt::ClientGone,
                () = deadline => Halt::TimedOut,
            }
        };
        let halt = tokio::select! {
            biased;
            halt = halted => Some(halt),
            () = self.conduct(&run, code) => None,
        };
        match halt {
            None => run.end(CloseCode::Normal, ""),
            Some(Halt::Deleted) => return false,
            Some(Halt::ClientGone) => {
                self.interrupt().await;
            }
            Some(Halt::TimedOut) => {
                let fate = if self.interrupt().await { "is kept" } else { "is lost" };
                run.end(TIMED_OUT, format!("execution timed out: the context's state {fate}"));
            }
        }
        true
    }

    /// From the first message of a run to its last.
    async fn conduct(&mut self, run: &Run, code: String) {
        if let Some(loss) = self.loss.take() {
            let text =
                format!("[pitlane: this context was started anew, its state is lost: {loss}]\n");
            run.say(InterpreterMessage::Stderr { text }).await;
        }
        let Some(worker) = &mut self.worker else { return };
        let outcome = worker.run(code, &run.variables, Sink::Client(&run.messages)).await;
        let (error, end) = match outcome {
            Outcome::Over(RunOutcome::Completed) => (None, "completed"),
            Outcome::Over(RunOutcome::Failed(error)) => (Some(error), "completed"),
            Outcome::Over(RunOutcome::Interrupted(error)) => (Some(error), "interrupted"),
            Outcome::Died(death) => {
                self.lose(death).await;
                let value =
                    format!("{death}; the context's state is lost, its next run starts anew");
                let name = String::from("InterpreterDied");
                run.say(InterpreterMessage::Error { name, value, traceback: String::new() }).await;
                run.say(InterpreterMessage::Control { text: String::from("completed") }).await;
                return;
            }
        };
        if let Some(error) = error {
            let pitlane_daemon::input::RunError { name, value, traceback } = error;
            run.say(InterpreterMessage::Error { name, value, traceback }).await;
        }
        run.say(InterpreterMessage::Control { text: String::from(end) }).await;
    }

    /// Ends what runs, the process along with it where it must be; answers whether its state is still there.
    async fn interrupt(&mut self) -> bool {
        let death = match &mut self.worker {
            Some(worker) => worker.interrupt().await,
            None => return self.loss.is_none(),
        };
        if let Some(death) = death {
            self.lose(death).await;
        }
        death.is_none()
    }
}

async fn idle(worker: &mut Option<Worker>) -> Death {
    match worker {
        Some(worker) => worker.idle().await,
        None => std::future::pending().await,
    }
}
