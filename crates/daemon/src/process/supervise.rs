//! Watching a command until its end: output as it comes, exit, timeout, cancellation.

use std::future::pending;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use pitlane_sys::ExitStatus;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::TaskTracker;

use super::cancellation::Registration;
use super::processes::Started;

/// How much is read at once: as much as a pipe holds.
const PIECE: usize = 64 * 1024;

/// Which of a command's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stdout,
    Stderr,
}

/// The reading end of an output.
#[derive(Debug)]
pub(crate) struct Source {
    kind: Kind,
    receiver: Option<Receiver>,
    buffer: Vec<u8>,
}

/// Takes output as it comes.
pub(crate) trait Sink {
    /// Takes a piece; may wait.
    async fn take(&mut self, kind: Kind, bytes: &[u8]);
}

/// What may end a command from outside.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) registration: Registration,
    pub(crate) deadline: Option<Instant>,
}

/// Why watching is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ended by itself, and all output before that was taken.
    Exited(ExitStatus),
    /// It runs for too long. Nothing was killed yet.
    TimedOut,
    /// Its client has gone. Nothing was killed yet.
    Cancelled,
    /// How it ended cannot be known any more.
    Lost,
}

impl Source {
    /// Makes a pipe: what reads it, and the end for the command.
    pub(crate) fn pipe(kind: Kind) -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let receiver = Receiver::from_owned_fd(reader)?;
        Ok((Self { kind, receiver: Some(receiver), buffer: vec![0; PIECE] }, writer))
    }

    /// No output: what a command writes goes to the other one.
    pub(crate) const fn none() -> Self {
        Self { kind: Kind::Stderr, receiver: None, buffer: Vec::new() }
    }

    /// The next piece; waits for ever after the end.
    async fn read(&mut self) -> (Kind, &[u8]) {
        loop {
            let Some(receiver) = &mut self.receiver else { return pending().await };
            match receiver.read(&mut self.buffer).await {
                Ok(count) if count > 0 => {
                    return (self.kind, self.buffer.get(..count).unwrap_or_default());
                }
                // The end. A pipe has no errors to read.
                _ => self.receiver = None,
            }
        }
    }

    /// Takes what is in the pipe now. What others still write is not waited for.
    async fn drain(&mut self, sink: &mut impl Sink) {
        let Some(receiver) = &self.receiver else { return };
        let waiting = rustix::io::ioctl_fionread(receiver.as_fd()).unwrap_or(0);
        let mut waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        while waiting > 0 && self.receiver.is_some() {
            let (kind, bytes) = self.read().await;
            sink.take(kind, bytes).await;
            waiting = waiting.saturating_sub(bytes.len());
        }
    }

    /// Keeps reading for the processes that a command left running, which would be killed by a closed pipe.
    pub(crate) fn discard(self, tasks: &TaskTracker) {
        let Some(receiver) = self.receiver else { return };
        // Its buffer is dropped here: most of them only wait for the end.
        tasks.spawn(discard(receiver));
    }
}

async fn discard(receiver: Receiver) {
    let mut piece = [0; 4096];
    while receiver.readable().await.is_ok() {
        match receiver.try_read(&mut piece) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
        // A process that writes without pause does not keep everybody else waiting.
        tokio::task::yield_now().await;
    }
}

/// Watches a command. What is left of its outputs is in `sources` after that.
pub(crate) async fn supervise(
    started: &mut Started,
    sources: &mut [Source; 2],
    sink: &mut impl Sink,
    control: &Control,
) -> Ending {
    let (tell_exit, exited) = oneshot::channel();
    let mut pump = std::pin::pin!(pump(sources, sink, exited));
    let mut stop = std::pin::pin!(stop(control));
    let status = tokio::select! {
        biased;
        ending = &mut stop => return ending,
        status = &mut started.exit => status,
        () = &mut pump => return Ending::Lost,
    };
    let Ok(status) = status else { return Ending::Lost };
    if tell_exit.send(()).is_err() {
        return Ending::Lost;
    }
    tokio::select! {
        biased;
        ending = &mut stop => ending,
        () = &mut pump => Ending::Exited(status),
    }
}

/// Moves output into `sink` until the command has exited, and then what it had written by then.
async fn pump(sources: &mut [Source; 2], sink: &mut impl Sink, mut exited: oneshot::Receiver<()>) {
    let [first, second] = sources;
    loop {
        let (kind, bytes) = tokio::select! {
            _ = &mut exited => break,
            piece = first.read() => piece,
            piece = second.read() => piece,
        };
        sink.take(kind, bytes).await;
    }
    first.drain(sink).await;
    second.drain(sink).await;
}

async fn stop(control: &Control) -> Ending {
    let deadline = async {
        match control.deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = control.registration.cancelled() => Ending::Cancelled,
        () = deadline => Ending::TimedOut,
    }
}
