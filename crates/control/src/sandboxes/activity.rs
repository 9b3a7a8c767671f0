//! When a sandbox was last used, and whether somebody uses it right now.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::task::{Context, Poll};

use pitlane_driver::{ByteStream, Connection};
use pitlane_model::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use crate::Clock;

/// The use of one sandbox.
#[derive(Debug)]
pub(super) struct Usage {
    last: AtomicI64,
    saved: AtomicI64,
    in_flight: AtomicU32,
    /// Whether its daemon is being asked what it does.
    is_asked: AtomicBool,
    clock: Clock,
}

impl Usage {
    pub(super) fn new(last: Timestamp, clock: Clock) -> Self {
        let (last, saved) = (AtomicI64::new(last.as_micros()), AtomicI64::new(last.as_micros()));
        let (in_flight, is_asked) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { last, saved, in_flight, is_asked, clock }
    }

    /// Somebody uses it.
    pub(super) fn touch(&self) {
        self.last.fetch_max(self.clock.now().as_micros(), Ordering::Relaxed);
    }

    /// When it was last used: now, while somebody does.
    pub(super) fn last(&self) -> Timestamp {
        if self.is_in_use() {
            self.touch();
        }
        Timestamp::from_micros(self.last.load(Ordering::Relaxed))
    }

    /// Whether a request is under way or a stream is open.
    pub(super) fn is_in_use(&self) -> bool {
        self.in_flight.load(Ordering::SeqCst) > 0
    }

    /// Whether this caller is the one who asks its daemon, until [`Self::end_asking`].
    pub(super) fn begin_asking(&self) -> bool {
        !self.is_asked.swap(true, Ordering::SeqCst)
    }

    pub(super) fn end_asking(&self) {
        self.is_asked.store(false, Ordering::SeqCst);
    }

    /// The last use, if it is not written down yet.
    pub(super) fn unsaved(&self) -> Option<Timestamp> {
        let last = self.last();
        (last.as_micros() > self.saved.load(Ordering::Relaxed)).then_some(last)
    }

    pub(super) fn note_saved(&self, at: Timestamp) {
        self.saved.fetch_max(at.as_micros(), Ordering::Relaxed);
    }

    /// The clock was set by so many microseconds: what was a while ago still is.
    pub(super) fn shift(&self, micros: i64) {
        self.last.fetch_add(micros, Ordering::Relaxed);
    }
}

/// Holds a sandbox in use. Its idle time begins when the last of these is dropped.
#[derive(Debug)]
pub(super) struct Activity(Arc<Usage>);

impl Activity {
    pub(super) fn begin(usage: &Arc<Usage>) -> Self {
        usage.in_flight.fetch_add(1, Ordering::SeqCst);
        usage.touch();
        Self(Arc::clone(usage))
    }

    /// A connection that keeps its sandbox in use for as long as it is open.
    pub(super) fn over(self, connection: Connection) -> Connection {
        Box::new(InUse { connection, _activity: self })
    }
}

impl Drop for Activity {
    fn drop(&mut self) {
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

struct InUse {
    connection: Connection,
    _activity: Activity,
}

impl ByteStream for InUse {
    fn socket(&self) -> Option<&UnixStream> {
        self.connection.socket()
    }
}

impl AsyncRead for InUse {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for InUse {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
