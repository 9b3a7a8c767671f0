//! The daemon's connection.

use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pitlane_control::Connection;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::Pipe;

/// What ends a message's head (RFC 9112, 2.1). hyper writes nothing else that contains it.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection on which one request is written, parts of whose body may come through a pipe.
#[derive(Debug)]
pub(crate) struct Outlet {
    connection: Connection,
    body: Option<PipedBody>,
}

#[derive(Debug)]
struct PipedBody {
    pipe: Arc<Pipe>,
    written: Written,
}

/// How far the one request is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// The head is not, and this much of its end is.
    Head { matched: usize },
    /// So many bytes of the body.
    Body(u64),
}

impl Written {
    /// The same after some more.
    fn after(self, bytes: &[u8]) -> Self {
        match self {
            Self::Body(count) => {
                let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Self::Body(count.saturating_add(more))
            }
            Self::Head { mut matched } => {
                for (place, byte) in bytes.iter().enumerate() {
                    matched = match HEAD_END.get(matched) {
                        Some(wanted) if wanted == byte => matched.saturating_add(1),
                        _ => usize::from(*byte == b'\r'),
                    };
                    if matched == HEAD_END.len() {
                        let rest = bytes.get(place.saturating_add(1)..).unwrap_or_default();
                        return Self::Body(0).after(rest);
                    }
                }
                Self::Head { matched }
            }
        }
    }
}

impl Outlet {
    /// `pipe` is where the body of the one request may come from.
    pub(crate) fn new(connection: Connection, pipe: Option<Arc<Pipe>>) -> Self {
        let body = pipe.map(|pipe| PipedBody { pipe, written: Written::Head { matched: 0 } });
        Self { connection, body }
    }
}

impl PipedBody {
    /// How much of `bytes`, which come next, is meant as it is; the rest stands for what is in the pipe.
    fn meant(&self, bytes: &[u8]) -> usize {
        let Some(begin) = self.pipe.begins_at() else { return bytes.len() };
        let beyond = match self.written.after(bytes) {
            Written::Head { .. } => 0,
            Written::Body(count) => {
                usize::try_from(count.saturating_sub(begin)).unwrap_or(usize::MAX)
            }
        };
        bytes.len().saturating_sub(beyond)
    }

    /// Writes what is next: from `slices` what is meant as it is, or else from the pipe.
    fn poll_write(
        &mut self,
        connection: &mut Connection,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut next = slices.iter().filter(|slice| !slice.is_empty());
        let Some(first) = next.next() else { return Poll::Ready(Ok(0)) };
        let is_beginning = self.pipe.begins_at().is_none();
        if is_beginning {
            let written = ready!(Pin::new(connection).poll_write_vectored(context, slices));
            let count = written.inspect_err(|_error| self.pipe.break_off())?;
            let mut left = count;
            for slice in slices {
                let written = slice.get(..left).unwrap_or(slice);
                self.written = self.written.after(written);
                left = left.saturating_sub(written.len());
            }
            return Poll::Ready(Ok(count));
        }
        let meant = first.get(..self.meant(first)).unwrap_or_default();
        if !meant.is_empty() {
            let written = ready!(Pin::new(connection).poll_write(context, meant));
            let count = written.inspect_err(|_error| self.pipe.break_off())?;
            self.written = self.written.after(meant.get(..count).unwrap_or_default());
            return Poll::Ready(Ok(count));
        }
        let placeholders = slices.iter().map(|slice| slice.len()).sum();
        let Some(socket) = connection.socket() else {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        };
        loop {
            ready!(socket.poll_write_ready(context))?;
            let drain = || self.pipe.drain(socket.as_fd(), placeholders);
            match socket.try_io(Interest::WRITABLE, drain) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                drained => {
                    if drained.is_err() {
                        self.pipe.break_off();
                    }
                    return Poll::Ready(drained);
                }
            }
        }
    }
}

impl AsyncRead for Outlet {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl AsyncWrite for Outlet {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { connection, body } = &mut *self;
        match body {
            Some(body) => body.poll_write(connection, context, &[io::IoSlice::new(bytes)]),
            None => Pin::new(connection).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { connection, body } = &mut *self;
        match body {
            Some(body) => body.poll_write(connection, context, slices),
            None => Pin::new(connection).poll_write_vectored(context, slices),
        }
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
