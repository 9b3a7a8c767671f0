//! Moving a command's output from its pipes into its log.
//!
//! It goes on after the command's end, for as long as something that the command started holds the pipes.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

use super::log::{Log, Stream};

/// How much is read at once: as much as a pipe holds.
const PIECE: usize = 64 << 10;
/// What is worth to be kept as it was read; shorter pieces are copied, and their buffer is used again.
const LONG: usize = 48 << 10;

/// An output that may have ended.
#[derive(Debug)]
struct Source {
    stream: Stream,
    receiver: Option<Receiver>,
}

/// Reads both outputs until their ends. When asked, it answers once everything is in the log that was written before.
pub(super) async fn pump(
    [stdout, stderr]: [Receiver; 2],
    log: Arc<Log>,
    asked: oneshot::Receiver<oneshot::Sender<()>>,
) {
    let mut first = Source { stream: Stream::Stdout, receiver: Some(stdout) };
    let mut second = Source { stream: Stream::Stderr, receiver: Some(stderr) };
    let mut asked = Some(asked);
    let mut buffer = BytesMut::new();
    while asked.is_some() || first.receiver.is_some() || second.receiver.is_some() {
        let ready = tokio::select! {
            question = wait(&mut asked) => {
                first.drain(&log, &mut buffer).await;
                second.drain(&log, &mut buffer).await;
                // Whoever asked may have gone.
                if let Some(question) = question {
                    question.send(()).ok();
                }
                continue;
            }
            () = first.ready() => &mut first,
            () = second.ready() => &mut second,
        };
        ready.read(&log, &mut buffer).await;
        // A command that writes without pause does not keep everybody else waiting.
        tokio::task::yield_now().await;
    }
}

/// The question, once.
async fn wait(
    asked: &mut Option<oneshot::Receiver<oneshot::Sender<()>>>,
) -> Option<oneshot::Sender<()>> {
    match asked {
        Some(receiver) => {
            let question = receiver.await.ok();
            *asked = None;
            question
        }
        None => std::future::pending().await,
    }
}

impl Source {
    /// Waits until there is something to be read, or the end; for ever after it.
    async fn ready(&self) {
        match &self.receiver {
            Some(receiver) if receiver.readable().await.is_ok() => {}
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    /// Reads one piece; how long it was.
    async fn read(&mut self, log: &Log, buffer: &mut BytesMut) -> usize {
        let Some(receiver) = &self.receiver else { return 0 };
        buffer.reserve(PIECE);
        let count = match receiver.try_read_buf(buffer) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            // The end. A pipe has no errors to read.
            _ => {
                self.receiver = None;
                return 0;
            }
        };
        let is_much = if count >= LONG {
            log.push(self.stream, buffer.split().freeze())
        } else {
            let is_much = log.push(self.stream, bytes::Bytes::copy_from_slice(buffer));
            buffer.clear();
            is_much
        };
        if is_much {
            log.store().await;
        }
        count
    }

    /// Takes what is in the pipe now. What others still write is not waited for.
    async fn drain(&mut self, log: &Log, buffer: &mut BytesMut) {
        let Some(receiver) = &self.receiver else { return };
        let waiting = rustix::io::ioctl_fionread(receiver.as_fd()).unwrap_or(0);
        let mut waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        while waiting > 0 && self.receiver.is_some() {
            self.ready().await;
            waiting = waiting.saturating_sub(self.read(log, buffer).await);
        }
    }
}
