//! The process of a context.
//!
//! It runs whatever its callers want, so it may say anything, close anything and end at any time. Whatever is wrong with
//! it is the end of it, and of nothing else.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use pitlane_daemon::input::{ContextMessage, ContextMessages, RunOutcome};
use pitlane_sys::{ExitStatus, SpawnError};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::output::{Output, Sink};
use crate::http::Refusal;
use crate::process::{StartError, Started, Surroundings, exit_code};
use crate::toolbox::Toolbox;
use crate::zygote;

/// What runs in it.
const PROGRAM: &str = include_str!("worker.py");
/// How long Python may take to start.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long an interrupted run may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// How long a process that has closed its socket may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How much is read of its messages at once.
const PIECE: usize = 16 << 10;

/// A process that waits for code, or runs some.
#[derive(Debug)]
pub(super) struct Worker {
    started: Started,
    exited: Option<ExitStatus>,
    socket: UnixStream,
    messages: ContextMessages,
    outputs: [Output; 2],
    /// The number of the last run.
    run: u64,
    is_busy: bool,
}

/// What became of a run.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is over.
    Over(RunOutcome),
    /// So is the process.
    Died(Death),
}

/// Why a process is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// It ended.
    Exited(ExitStatus),
    /// The kernel ended it, because the memory was used up.
    OutOfMemory,
    /// How is not known.
    Lost,
    /// It spoke nonsense over its socket, or closed it.
    Garbled,
    /// An interruption did not end its run.
    Deaf,
}

impl Worker {
    /// Starts one in a folder, and waits until it is ready.
    pub(super) async fn start(toolbox: &Arc<Toolbox>, folder: &str) -> Result<Self, Refusal> {
        let failed = |error| Refusal::internal(format!("cannot connect an interpreter: {error}"));
        let surroundings = Surroundings::new(toolbox, Some(folder), None)?;
        let mut launch = surroundings.python([], PROGRAM.as_bytes())?;
        let (socket, other) = pair().map_err(failed)?;
        launch.spare.push(other);
        let (output, stdout) = Output::new("stdout").map_err(failed)?;
        let (errors, stderr) = Output::new("stderr").map_err(failed)?;
        let started = zygote::start(toolbox, &mut launch, [&stdout, &stderr]).await;
        let started = started.map_err(|error| not_started(folder, &error))?;
        drop((launch, stdout, stderr));
        let messages = ContextMessages::default();
        let outputs = [output, errors];
        let mut worker =
            Self { started, exited: None, socket, messages, outputs, run: 0, is_busy: false };
        let hello = timeout(START_DEADLINE, worker.hear(Sink::Nowhere)).await;
        let reason = match hello {
            Ok(Ok(ContextMessage::Ready)) => return Ok(worker),
            Ok(Ok(ContextMessage::Over { .. })) => Death::Garbled.to_string(),
            Ok(Err(death)) => death.to_string(),
            Err(_elapsed) => format!("it was not ready within {} s", START_DEADLINE.as_secs()),
        };
        worker.kill().await;
        let message = format!("cannot start the Python of an interpreter (3.8 or later): {reason}");
        Err(Refusal::internal(message))
    }

    /// Does what there is to do without a run: drops output. Returns when the process is of no use any more.
    pub(super) async fn idle(&mut self) -> Death {
        match self.hear(Sink::Nowhere).await {
            // Nothing was asked.
            Ok(_) => Death::Garbled,
            Err(death) => death,
        }
    }

    /// Has it run code, and passes on what that prints. Dropping the future leaves the run as it is.
    pub(super) async fn run(
        &mut self,
        code: String,
        variables: &BTreeMap<String, String>,
        sink: Sink<'_>,
    ) -> Outcome {
        // What was printed before is no part of it.
        for output in &mut self.outputs {
            output.drain(Sink::Nowhere).await;
            output.finish(Sink::Nowhere).await;
        }
        self.run = self.run.wrapping_add(1);
        self.is_busy = true;
        let variables: Vec<_> =
            variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let variables = variables.join("\0");
        let length = |text: &str| u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        let mut request = self.run.to_le_bytes().to_vec();
        request.extend(length(&code));
        request.extend(length(&variables));
        // When it does not read any more, it is heard below.
        for part in [&request, code.as_bytes(), variables.as_bytes()] {
            self.socket.write_all(part).await.ok();
        }
        drop((request, code, variables));
        self.settle(sink).await
    }

    /// Waits for the end of the run, and passes on what it prints.
    async fn settle(&mut self, sink: Sink<'_>) -> Outcome {
        let outcome = match self.hear(sink).await {
            Ok(ContextMessage::Over { run, outcome }) if run == self.run => {
                self.is_busy = false;
                Outcome::Over(outcome)
            }
            Ok(_) => Outcome::Died(Death::Garbled),
            Err(death) => Outcome::Died(death),
        };
        for output in &mut self.outputs {
            output.drain(sink).await;
            output.finish(sink).await;
        }
        outcome
    }

    /// Interrupts the run; answers why the process is of no use any more, if it is not.
    pub(super) async fn interrupt(&mut self) -> Option<Death> {
        if !self.is_busy {
            return None;
        }
        if self.exited.is_none() {
            self.started.interrupt();
        }
        match timeout(GRACE, self.settle(Sink::Nowhere)).await {
            Ok(Outcome::Over(_)) => None,
            Ok(Outcome::Died(death)) => Some(death),
            Err(_elapsed) => Some(Death::Deaf),
        }
    }

    /// Ends it with everything it started; false when something may be left.
    pub(super) async fn kill(&self) -> bool {
        self.started.kill().await.is_ok()
    }

    /// Its next message, or why there is none.
    async fn hear(&mut self, sink: Sink<'_>) -> Result<ContextMessage, Death> {
        let [first, second] = &mut self.outputs;
        loop {
            match self.messages.take() {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(_garbled) => return Err(Death::Garbled),
            }
            if let Some(status) = self.exited {
                // It may have said something before. What it has left behind may go on without end: a piece, and a look.
                if matches!(read(&self.socket, &mut self.messages), Ok(true)) {
                    yield_now().await;
                    continue;
                }
                return Err(death(&self.started, status));
            }
            let ready = tokio::select! {
                status = &mut self.started.exit => {
                    let Ok(status) = status else { return Err(Death::Lost) };
                    self.exited = Some(status);
                    continue;
                }
                readable = self.socket.readable() => {
                    let is_open = match readable {
                        Ok(()) => read(&self.socket, &mut self.messages),
                        Err(error) => Err(error),
                    };
                    if is_open.is_err() {
                        let status = timeout(LAST_WORDS, &mut self.started.exit).await;
                        return Err(match status {
                            Ok(Ok(status)) => {
                                self.exited = Some(status);
                                death(&self.started, status)
                            }
                            Ok(Err(_lost)) => Death::Lost,
                            Err(_elapsed) => Death::Garbled,
                        });
                    }
                    continue;
                }
                () = first.ready() => &mut *first,
                () = second.ready() => &mut *second,
            };
            ready.step(sink).await;
            // A process that writes without pause does not keep everybody else waiting.
            yield_now().await;
        }
    }
}

/// Reads what is there, a piece at most; answers whether there was something, and fails at the end.
fn read(socket: &UnixStream, messages: &mut ContextMessages) -> io::Result<bool> {
    let mut piece = [0; PIECE];
    match socket.try_read(&mut piece) {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => {
            messages.push(piece.get(..count).unwrap_or_default());
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

fn death(started: &Started, status: ExitStatus) -> Death {
    const KILLED: i32 = 137;
    if exit_code(status) == KILLED && started.saw_memory_run_out() {
        return Death::OutOfMemory;
    }
    Death::Exited(status)
}

fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (own, other) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let own = std::os::unix::net::UnixStream::from(own);
    own.set_nonblocking(true)?;
    Ok((UnixStream::from_std(own)?, other))
}

fn not_started(folder: &str, error: &StartError) -> Refusal {
    match error {
        StartError::Spawn(SpawnError::Folder(errno)) => {
            Refusal::bad_request(format!("cwd cannot be entered: {folder}: {errno}"))
        }
        StartError::Spawn(SpawnError::Execute(Errno::NOENT | Errno::ACCESS)) => {
            Refusal::bad_request("there is no python3 in this sandbox, and no python")
        }
        StartError::Spawn(error) => {
            Refusal::internal(format!("cannot start python3: {error}: {}", error.errno()))
        }
        StartError::Group(error) => {
            Refusal::internal(format!("cannot start python3: {error}: {}", error.errno))
        }
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(ExitStatus::Code(code)) => {
                write!(formatter, "its process ended with exit code {code}")
            }
            Self::Exited(ExitStatus::Signal(signal)) => {
                write!(formatter, "its process was ended by signal {signal}")
            }
            Self::OutOfMemory => {
                formatter.write_str("its process was killed: the sandbox's memory was used up")
            }
            Self::Lost => formatter.write_str("how its process ended is not known"),
            Self::Garbled => {
                formatter.write_str("its process was killed: it used or closed the daemon's socket")
            }
            Self::Deaf => {
                formatter.write_str("its process was killed: an interruption did not end its run")
            }
        }
    }
}
