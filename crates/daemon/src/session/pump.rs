//! Moving a command's output from its pipes into its log.
//!
//! It goes on after the command's end, for as long as something that the command started holds the pipes.

use std::future::pending;
use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::io::ioctl_fionread;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

use super::log::{Load, Log, Stream};

/// What a pipe holds at first.
const PIECE: usize = 64 << 10;
/// The least room for a piece.
const LEAST: usize = 4 << 10;
/// What is worth to be kept as it was read; shorter pieces are copied, and their buffer is used again.
const LONG: usize = 48 << 10;
/// How much a pipe holds once it was full. The kernel counts them for each user: many may not be much larger.
const WIDE: usize = 512 << 10;

/// An output that may have ended.
#[derive(Debug)]
struct Source {
    stream: Stream,
    receiver: Option<Arc<Receiver>>,
    is_wide: bool,
}

/// Where output goes.
struct Sink {
    log: Arc<Log>,
    buffer: BytesMut,
    /// What is on its way to the disk, while more is read.
    storing: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Reads both outputs until their ends. When asked, it answers once everything is in the log that was written before.
pub(super) async fn pump(
    [stdout, stderr]: [Receiver; 2],
    log: Arc<Log>,
    asked: oneshot::Receiver<oneshot::Sender<()>>,
) {
    let mut first = Source::new(Stream::Stdout, stdout);
    let mut second = Source::new(Stream::Stderr, stderr);
    let mut asked = Some(asked);
    let mut sink = Sink { log, buffer: BytesMut::new(), storing: None };
    while asked.is_some() || first.receiver.is_some() || second.receiver.is_some() {
        let ready = tokio::select! {
            question = wait(&mut asked) => {
                first.drain(&mut sink).await;
                second.drain(&mut sink).await;
                // Whoever asked may have gone.
                if let Some(question) = question {
                    question.send(()).ok();
                }
                continue;
            }
            () = first.ready() => &mut first,
            () = second.ready() => &mut second,
            () = stored(&mut sink.storing) => {
                sink.store_if_due().await;
                continue;
            }
        };
        ready.read(&mut sink).await;
        // A command that writes without pause does not keep everybody else waiting.
        tokio::task::yield_now().await;
    }
    sink.settle().await;
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
        None => pending().await,
    }
}

/// Waits until what was on its way is on the disk; for ever when there was nothing.
async fn stored(storing: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>) {
    match storing {
        Some(future) => {
            future.as_mut().await;
            *storing = None;
        }
        None => pending().await,
    }
}

impl Sink {
    async fn take(&mut self, stream: Stream, count: usize) {
        let bytes = if count >= LONG {
            self.buffer.split().freeze()
        } else {
            let bytes = Bytes::copy_from_slice(&self.buffer);
            self.buffer.clear();
            bytes
        };
        self.log.push(stream, bytes);
        self.store_if_due().await;
    }

    /// Begins to move what is in memory to the disk when it is much. One at a time; more is read meanwhile.
    async fn store_if_due(&mut self) {
        match self.log.load() {
            Load::Little => return,
            Load::Much if self.storing.is_some() => return,
            Load::Much => {}
            Load::TooMuch => {
                self.settle().await;
                if self.log.load() == Load::Little {
                    return;
                }
            }
        }
        let log = Arc::clone(&self.log);
        self.storing = Some(Box::pin(async move { log.store().await }));
    }

    /// Moves what is in a pipe to the disk at once; how much it was.
    async fn pour(&mut self, stream: Stream, pipe: &Arc<Receiver>) -> usize {
        self.settle().await;
        let poured = self.log.pour(stream, Arc::clone(pipe)).await;
        usize::try_from(poured).unwrap_or(usize::MAX)
    }

    async fn settle(&mut self) {
        if let Some(storing) = self.storing.take() {
            storing.await;
        }
    }
}

impl Source {
    fn new(stream: Stream, receiver: Receiver) -> Self {
        Self { stream, receiver: Some(Arc::new(receiver)), is_wide: false }
    }

    /// Waits until there is something to be read, or the end; for ever after it.
    async fn ready(&self) {
        match &self.receiver {
            // An error is found again by whoever reads.
            Some(receiver) => if receiver.readable().await.is_err() {},
            None => pending().await,
        }
    }

    /// Reads one piece; how long it was.
    async fn read(&mut self, sink: &mut Sink) -> usize {
        let Some(receiver) = &self.receiver else { return 0 };
        // No more than there is: what is kept as it was read takes all of its buffer.
        let waiting = self.waiting();
        if waiting >= PIECE && sink.log.is_long() {
            let poured = sink.pour(self.stream, receiver).await;
            if poured > 0 {
                return poured;
            }
        }
        sink.buffer.reserve(waiting.clamp(LEAST, WIDE));
        let count = match receiver.try_read_buf(&mut sink.buffer) {
            Ok(count) if count > 0 => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return 0,
            // The end. A pipe has no errors to read.
            _ => {
                self.receiver = None;
                return 0;
            }
        };
        if count >= PIECE && !self.is_wide {
            // Where there may be no more large ones, it stays as it is.
            rustix::pipe::fcntl_setpipe_size(receiver.as_fd(), WIDE).ok();
            self.is_wide = true;
        }
        sink.take(self.stream, count).await;
        count
    }

    /// Takes what is in the pipe now. What others still write is not waited for.
    async fn drain(&mut self, sink: &mut Sink) {
        let mut left = self.waiting();
        while left > 0 {
            self.ready().await;
            left = left.saturating_sub(self.read(sink).await);
            // Whoever holds the other end may read it, too.
            left = left.min(self.waiting());
        }
    }

    /// How much is in the pipe.
    fn waiting(&self) -> usize {
        let waiting = self.receiver.as_ref().map(|receiver| ioctl_fionread(receiver.as_fd()));
        let waiting = waiting.and_then(Result::ok).unwrap_or_default();
        usize::try_from(waiting).unwrap_or(usize::MAX)
    }
}
