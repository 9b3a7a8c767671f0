//! The body of an answer: nothing, bytes, or what somebody else still writes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Pieces that may wait for a slow client before their writer has to.
const WAITING: usize = 1;

/// A body.
#[derive(Debug)]
pub(crate) enum Body {
    /// All of it, or nothing any more.
    Whole(Option<Bytes>),
    /// Pieces as they come; an error cuts the body off, so that it cannot be taken for complete.
    Piped(Receiver<io::Result<Bytes>>),
}

/// The writing end of a piped body.
#[derive(Debug)]
pub(crate) struct Pipe(Sender<io::Result<Bytes>>);

/// Makes a body and the end to write it with. It is complete when that end is dropped.
pub(crate) fn pipe() -> (Pipe, Body) {
    let (sender, receiver) = channel(WAITING);
    (Pipe(sender), Body::Piped(receiver))
}

impl Pipe {
    /// Waits for room and adds a piece; false when nobody reads any more.
    pub(crate) async fn write(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Ok(piece.into())).await.is_ok()
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Cuts the body off.
    pub(crate) async fn fail(self, error: io::Error) {
        // Without a reader there is nobody to mislead.
        self.0.send(Err(error)).await.ok();
    }
}

/// A request's body as a stream of its pieces; trailers mean nothing here.
pub(crate) fn pieces(body: Incoming) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    let pieces = BodyExt::into_data_stream(body);
    pieces.map(|piece| piece.map_err(io::Error::other))
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Piped(receiver) => {
                receiver.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Self::Piped(_) => SizeHint::default(),
        }
    }
}
