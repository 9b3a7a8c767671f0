//! The owner of a session's shell: gives it one command after the other, until one of them ends it.
//!
//! Nothing here looks twice: reports, exits and deletion arrive, and output is in the log before its command's exit code
//! is told.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use pitlane_daemon::input::{Garbled, Report, Reports};
use pitlane_sys::ExitStatus;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;

use super::channel::Channel;
use super::command::{Command, Stage};
use super::pump::pump;
use super::shell::Shell;
use super::state::Session;
use crate::http::Refusal;
use crate::process::exit_code;
use crate::toolbox::Toolbox;

/// How long a deleted session's processes have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long what a command has said may be on its way into its log once its session is deleted.
const DRAIN_GRACE: Duration = Duration::from_secs(1);

/// A text that is not left in memory after its command, in bytes.
const MUCH_TEXT: usize = 64 << 10;

/// What a shell does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Report(Report),
    Garbled,
    /// Nobody will hear of it any more; it may still run.
    Silent,
    Exited(ExitStatus),
    /// How it ended cannot be known.
    Lost,
    Deleted,
}

/// A shell, and what it has said.
struct Running<'a> {
    toolbox: &'a Arc<Toolbox>,
    session: &'a Session,
    shell: Shell,
    reports: Reports,
    /// What was read of its socket and is not understood yet.
    unread: Vec<u8>,
    is_silent: bool,
    exit: Option<ExitStatus>,
}

/// Runs the commands of a session until it is deleted.
pub(super) async fn run(toolbox: Arc<Toolbox>, session: Arc<Session>, shell: Shell) {
    let mut running = Running {
        toolbox: &toolbox,
        session: &session,
        shell,
        reports: Reports::default(),
        unread: Vec::new(),
        is_silent: false,
        exit: None,
    };
    let reason = running.commands().await;
    session.end(&reason);
    // What it left in the background lives on as long as the session is there.
    session.deletion.cancelled().await;
    let Running { shell, .. } = running;
    // What cannot be killed now ends with the sandbox.
    shell.started.end(GRACE).await.ok();
    drop(shell);
    session.gone.cancel();
    toolbox.processes().tidy();
}

impl Running<'_> {
    /// Runs commands until the shell has ended or the session is deleted; answers why there will be no others.
    async fn commands(&mut self) -> Refusal {
        loop {
            let session = self.session;
            let command = tokio::select! {
                biased;
                event = self.event() => match event {
                    // It ran nothing.
                    Event::Report(_) | Event::Garbled => return garbled(),
                    Event::Silent => continue,
                    Event::Exited(status) => return ended(status),
                    Event::Lost => return lost(),
                    Event::Deleted => return deleted(),
                },
                command = session.next() => command,
            };
            if let Err(reason) = self.command(&command).await {
                return reason;
            }
        }
    }

    /// Runs one command. An error is the end of the session.
    async fn command(&mut self, command: &Arc<Command>) -> Result<(), Refusal> {
        let _occupied = self.toolbox.occupation().begin();
        let order = command.order();
        let made = Channel::make(self.toolbox.files(), order.has_input).await;
        let mut channel = match made {
            Ok(channel) => channel,
            Err(error) => {
                // The next one may find better times.
                command.finish(Stage::Lost(Refusal::internal(error.to_string())));
                return Ok(());
            }
        };
        if let Err(errno) = self.shell.set_text(&order.text) {
            let message = format!("cannot hand the command over: {errno}");
            command.finish(Stage::Lost(Refusal::internal(message)));
            return Ok(());
        }
        let begun = self.begin(&channel).await;
        if begun != Event::Report(Report::Begun) {
            let (reason, is_end) = match begun {
                // It could not open the pipes, and goes on.
                Event::Report(Report::Ended(_)) => (
                    Refusal::internal("the session's shell cannot open the command's pipes"),
                    false,
                ),
                Event::Exited(status) => (ended(status), true),
                Event::Deleted => (deleted(), true),
                Event::Garbled => (garbled(), true),
                Event::Report(Report::Begun) | Event::Silent | Event::Lost => (lost(), true),
            };
            command.finish(Stage::Lost(reason.clone()));
            return if is_end { Err(reason) } else { Ok(()) };
        }
        channel.is_open();
        let (stdout, stderr, input) = channel.into_ends();
        let (ask, asked) = oneshot::channel();
        self.toolbox.tasks().spawn(pump([stdout, stderr], Arc::clone(&command.log), asked));
        command.begin(input).await;
        let (stage, end) = self.outcome().await;
        let (stage, end) = tokio::select! {
            () = drain(ask) => (stage, end),
            // A program that reads its own pipe can make it last.
            () = self.deleted_for(DRAIN_GRACE) => (Stage::Lost(deleted()), Err(deleted())),
        };
        command.finish(stage);
        if order.text.len() > MUCH_TEXT {
            // It takes memory until the next one; a failure leaves it there.
            self.shell.set_text("").ok();
        }
        command.log.settle().await;
        end
    }

    /// Waits until the session has been deleted for so long.
    async fn deleted_for(&self, grace: Duration) {
        self.session.deletion.cancelled().await;
        tokio::time::sleep(grace).await;
    }

    /// Tells the shell of a command and waits for its answer.
    async fn begin(&mut self, channel: &Channel) -> Event {
        let lines = channel.lines();
        // Two short lines always fit: the shell has read all before.
        if self.shell.control.write_all(lines.as_bytes()).await.is_err() {
            self.is_silent = true;
        }
        loop {
            match self.event().await {
                Event::Silent => {}
                event => return event,
            }
        }
    }

    /// Waits until the command is over; the error is the end of the session.
    async fn outcome(&mut self) -> (Stage, Result<(), Refusal>) {
        loop {
            return match self.event().await {
                Event::Report(Report::Ended(code)) => (Stage::Ended(code.into()), Ok(())),
                Event::Report(Report::Begun) | Event::Garbled => {
                    (Stage::Lost(garbled()), Err(garbled()))
                }
                // The command took the shell's place, or closed what it could not see.
                Event::Silent => continue,
                Event::Exited(status) => (Stage::Ended(exit_code(status)), Err(ended(status))),
                Event::Lost => (Stage::Lost(lost()), Err(lost())),
                Event::Deleted => (Stage::Lost(deleted()), Err(deleted())),
            };
        }
    }

    /// What happens next. Reports come before the exit: a shell can end right after it has told how a command ended.
    async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.understand() {
                return event;
            }
            if let Some(status) = self.exit {
                // Nothing is written to the socket after that, but something may be in it.
                match self.shell.control.try_read_buf(&mut self.unread) {
                    Ok(count) if count > 0 => continue,
                    _ => return Event::Exited(status),
                }
            }
            let exited = &mut self.shell.started.exit;
            tokio::select! {
                biased;
                () = self.session.deletion.cancelled() => return Event::Deleted,
                read = read(&self.shell.control, self.is_silent, &mut self.unread) => {
                    if !read {
                        self.is_silent = true;
                        return Event::Silent;
                    }
                }
                status = exited => match status {
                    Ok(status) => self.exit = Some(status),
                    Err(RecvError { .. }) => return Event::Lost,
                },
            }
        }
    }

    fn understand(&mut self) -> Option<Event> {
        let mut bytes = self.unread.as_slice();
        let report = self.reports.next_report(&mut bytes);
        let left = bytes.len();
        self.unread.drain(..self.unread.len().saturating_sub(left));
        match report {
            Ok(report) => report.map(Event::Report),
            Err(Garbled) => Some(Event::Garbled),
        }
    }
}

/// Reads what the shell says; false when it says nothing more.
async fn read(control: &UnixStream, is_silent: bool, bytes: &mut Vec<u8>) -> bool {
    if is_silent {
        return std::future::pending().await;
    }
    loop {
        if control.readable().await.is_err() {
            return false;
        }
        // Something else may be writing without end; a little at a time is enough.
        let mut piece = [0; 64];
        match control.try_read(&mut piece) {
            Ok(0) => return false,
            Ok(count) => {
                bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
                return true;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}

/// Waits until everything is in the log that was written before.
async fn drain(ask: oneshot::Sender<oneshot::Sender<()>>) {
    let (done, is_done) = oneshot::channel();
    if ask.send(done).is_ok() {
        is_done.await.ok();
    }
}

fn ended(status: ExitStatus) -> Refusal {
    let how = match status {
        ExitStatus::Code(code) => format!("its shell exited with {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal} ended its shell"),
    };
    gone(format!("the session has ended: {how}"))
}

fn garbled() -> Refusal {
    gone(format!("the session has ended: {Garbled}"))
}

fn lost() -> Refusal {
    gone(String::from("the session has ended: how is not known"))
}

fn deleted() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "SESSION_ENDED", "session cancelled")
}

fn gone(message: String) -> Refusal {
    Refusal::new(StatusCode::GONE, "SESSION_ENDED", message)
}
