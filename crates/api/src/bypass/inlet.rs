//! The client's connection.

use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// The body that waits to be the one who reads.
    body: Option<Waker>,
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
}

/// Keeps whoever serves a connection from reading it until this is dropped, all clones of it; and after that as well if
/// the body was read past it.
#[derive(Debug, Clone)]
pub(crate) struct Hold(Arc<Held>);

#[derive(Debug)]
struct Held(Gate);

impl Inlet {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let (half, writing) = stream.into_split();
        let reading = Reading { half, by: Reader::Server, server: None, body: None };
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
        Hold(Arc::new(Held(self.clone())))
    }
}

impl Hold {
    /// Whether whoever serves the connection has nothing left of what it has read. If not, `context` is woken then.
    pub(super) fn is_asked(&self, context: &Context<'_>) -> bool {
        let mut reading = self.0.0.lock();
        if reading.by == (Reader::Nobody { is_asked: true }) {
            return true;
        }
        reading.body = Some(context.waker().clone());
        false
    }

    /// Lets the body read from now on.
    pub(super) fn hand_over(&self) {
        self.0.0.lock().by = Reader::Body;
    }

    /// Moves what has come into `pipe`, which must be empty, up to `most` bytes; none is the connection's end.
    pub(super) fn poll_move(
        &self,
        context: &mut Context<'_>,
        pipe: &Pipe,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let mut reading = self.0.0.lock();
        if reading.by != Reader::Body {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        reading.body = Some(context.waker().clone());
        let stream: &TcpStream = reading.half.as_ref();
        loop {
            ready!(stream.poll_read_ready(context))?;
            let moved = stream.try_io(Interest::READABLE, || pipe.fill(stream.as_fd(), most));
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                moved => return Poll::Ready(moved),
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut reading = self.0.lock();
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
            Reader::Body => {}
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
