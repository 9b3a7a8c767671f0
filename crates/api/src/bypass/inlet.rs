//! The client's connection.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::Pipe;

/// A client's connection, which a [`Hold`] keeps from being read.
#[derive(Debug)]
pub(crate) struct Inlet {
    gate: Gate,
    writing: OwnedWriteHalf,
}

/// Where a connection can be held.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Mutex<Reading>>);

#[derive(Debug)]
struct Reading {
    half: OwnedReadHalf,
    by: Reader,
    /// Whoever serves the connection and has asked in vain.
    server: Option<Waker>,
    /// The body that waits to be the one who reads, or for more.
    body: Option<Waker>,
    /// Whoever waits for the client to go.
    watch: Option<Waker>,
}

/// Who reads a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// Whoever serves it.
    Server,
    /// Nobody.
    Nobody { is_asked: bool },
    /// A body, until the connection is closed.
    Body,
    /// Nobody any more: the body has come.
    Over,
}

/// Keeps whoever serves a connection from reading it until this is dropped, all clones of it; and after that as well if
/// the body was read past it.
#[derive(Debug, Clone)]
pub(crate) struct Hold(Arc<Held>);

#[derive(Debug)]
struct Held {
    gate: Gate,
    received: OnceLock<Arc<AtomicU64>>,
}

/// Notices that a client goes whose body came past whoever serves its connection.
#[derive(Debug)]
pub(crate) struct Watch(Gate);

impl Inlet {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (half, writing) = stream.into_split();
        let reading = Reading { half, by: Reader::Server, server: None, body: None, watch: None };
        Self { gate: Gate(Arc::new(Mutex::new(reading))), writing }
    }

    pub(crate) fn gate(&self) -> Gate {
        self.gate.clone()
    }
}

impl Reading {
    /// From now on no body reads.
    fn end_body(&mut self) {
        self.by = Reader::Server;
        if let Some(body) = self.body.take() {
            body.wake();
        }
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the connection. Whoever serves it must call this from the service itself, before it reads on.
    pub(crate) fn hold(&self) -> Hold {
        self.lock().by = Reader::Nobody { is_asked: false };
        Hold(Arc::new(Held { gate: self.clone(), received: OnceLock::new() }))
    }
}

impl Hold {
    /// Counts in `received` what does not come through whoever serves the connection.
    pub(crate) fn count_in(&self, received: &Arc<AtomicU64>) {
        self.0.received.get_or_init(|| Arc::clone(received));
    }

    /// What notices that the client goes before it is answered.
    pub(crate) fn watch(&self) -> Watch {
        Watch(self.0.gate.clone())
    }

    /// Whether whoever serves the connection has nothing left of what it has read. If not, `context` is woken then.
    pub(super) fn is_asked(&self, context: &Context<'_>) -> bool {
        let mut reading = self.0.gate.lock();
        if reading.by == (Reader::Nobody { is_asked: true }) {
            return true;
        }
        reading.body = Some(context.waker().clone());
        false
    }

    /// Lets the body read from now on, unless the connection has been closed.
    pub(super) fn hand_over(&self) -> bool {
        let mut reading = self.0.gate.lock();
        let may_read = reading.by == (Reader::Nobody { is_asked: true });
        if may_read {
            reading.by = Reader::Body;
        }
        may_read
    }

    /// Says that all of the body has come.
    pub(super) fn end(&self) {
        let mut reading = self.0.gate.lock();
        if reading.by == Reader::Body {
            reading.by = Reader::Over;
        }
        if let Some(watch) = reading.watch.take() {
            watch.wake();
        }
    }

    /// Moves what has come into `pipe` once that is empty, up to `most` bytes; none is the connection's end.
    pub(super) fn poll_move(
        &self,
        context: &mut Context<'_>,
        pipe: &Pipe,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut reading = self.0.gate.lock();
        if reading.by != Reader::Body {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        reading.body = Some(context.waker().clone());
        if !pipe.is_empty(context) {
            return Poll::Pending;
        }
        let stream: &TcpStream = reading.half.as_ref();
        loop {
            ready!(stream.poll_read_ready(context))?;
            let moved = stream.try_io(Interest::READABLE, || pipe.fill(stream.as_fd(), most));
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => {
                    let count = moved.as_ref().map_or(0, |moved| *moved);
                    if let Some(received) = self.0.received.get() {
                        let count = u64::try_from(count).unwrap_or(u64::MAX);
                        received.fetch_add(count, Ordering::Relaxed);
                    }
                    return Poll::Ready(moved);
                }
            }
        }
    }
}

impl Watch {
    /// Waits until the client has closed its connection, or its sending half, when its body has come. For ever when it
    /// says something more instead: that is not for us, and its end is behind it.
    pub(crate) async fn gone(&self) {
        poll_fn(|context| {
            let mut reading = self.0.lock();
            reading.watch = Some(context.waker().clone());
            if reading.by != Reader::Over {
                return Poll::Pending;
            }
            let mut next = [0; 1];
            let stream: &TcpStream = reading.half.as_ref();
            match ready!(stream.poll_peek(context, &mut ReadBuf::new(&mut next))) {
                Ok(1..) => Poll::Pending,
                Ok(0) | Err(_) => Poll::Ready(()),
            }
        })
        .await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut reading = self.gate.lock();
        if let Reader::Nobody { .. } = reading.by {
            reading.by = Reader::Server;
            if let Some(server) = reading.server.take() {
                server.wake();
            }
        }
    }
}

impl Drop for Inlet {
    /// A body that is not complete breaks off with its connection.
    fn drop(&mut self) {
        self.gate.lock().end_body();
    }
}

impl AsyncRead for Inlet {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut reading = self.gate.lock();
        match reading.by {
            Reader::Server => return Pin::new(&mut reading.half).poll_read(context, buffer),
            Reader::Nobody { .. } => {
                reading.by = Reader::Nobody { is_asked: true };
                if let Some(body) = reading.body.take() {
                    body.wake();
                }
            }
            Reader::Body | Reader::Over => {}
        }
        reading.server = Some(context.waker().clone());
        Poll::Pending
    }
}

impl AsyncWrite for Inlet {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writing).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writing).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.writing.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writing).poll_flush(context)
    }

    /// What is still read afterwards comes from the connection whoever has held it: the answer is out.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.writing).poll_shutdown(context))?;
        self.gate.lock().end_body();
        Poll::Ready(Ok(()))
    }
}
