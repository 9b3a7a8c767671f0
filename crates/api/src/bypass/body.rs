//! The body, as whoever passes it on sees it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};

use super::pipe::MOST;
use super::{Hold, LEAST, Pipe};

/// What hyper gets instead of what is in the pipe. Nobody reads it, so it takes no memory.
static PLACEHOLDERS: LazyLock<Bytes> = LazyLock::new(|| vec![0; MOST].into());

/// A body whose beginning comes the usual way, and the rest through a pipe.
#[derive(Debug)]
pub(crate) struct Bypassed {
    body: Body,
    whole: u64,
    left: u64,
    hold: Option<Hold>,
    pipe: Arc<Pipe>,
    is_past: bool,
}

impl Bypassed {
    /// A body of `whole` bytes of a client's connection.
    pub(crate) const fn new(body: Body, whole: u64, hold: Hold, pipe: Arc<Pipe>) -> Self {
        Self { body, whole, left: whole, hold: Some(hold), pipe, is_past: false }
    }

    /// The next bytes of what hyper has read.
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &next
            && let Some(bytes) = frame.data_ref()
        {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.left = self.left.saturating_sub(length);
        }
        Poll::Ready(next)
    }

    /// Moves the next bytes of what has come since.
    fn poll_move(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(hold) = self.hold.as_ref().filter(|_| self.left > 0) else {
            return Poll::Ready(None);
        };
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let moved = match ready!(hold.poll_move(context, &self.pipe, most)) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            moved => moved,
        };
        Poll::Ready(Some(match moved {
            Ok(moved) => {
                self.left = self.left.saturating_sub(u64::try_from(moved).unwrap_or(u64::MAX));
                if self.left == 0 {
                    hold.end();
                }
                Ok(Frame::data(PLACEHOLDERS.slice(..moved)))
            }
            Err(error) => Err(axum::Error::new(error)),
        }))
    }
}

impl http_body::Body for Bypassed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_past {
            return self.poll_move(context);
        }
        if let Poll::Ready(next) = self.poll_read(context) {
            return Poll::Ready(next);
        }
        match &self.hold {
            // As long as it may have something left of what it has read.
            Some(hold) if !hold.is_asked(context) => Poll::Pending,
            Some(hold) if self.left >= LEAST / 2 => {
                if !hold.hand_over() {
                    // The connection is closed: the end of what hyper had of it comes.
                    return Poll::Pending;
                }
                self.pipe.begin(self.whole.saturating_sub(self.left));
                self.is_past = true;
                self.poll_move(context)
            }
            // Too much has come already for the rest to be worth it.
            _ => {
                self.hold = None;
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        if self.is_past { self.left == 0 } else { self.body.is_end_stream() }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
