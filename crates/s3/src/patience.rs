//! A request's body as the library gets it: watched, and not waited for for ever.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use crate::chunks::{ChunkError, Chunks};

/// How long a client may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body did not come for {} seconds", SILENCE.as_secs())]
    Silence,
    #[error("the body broke off")]
    Broken(#[source] axum::Error),
    #[error(transparent)]
    Chunks(#[from] ChunkError),
}

/// A body with a deadline for each piece, and an eye on its chunks if it has any.
pub(crate) struct Watched {
    /// Only one thread ever has it; the library asks for a type that several might.
    body: Mutex<Body>,
    chunks: Option<Chunks>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(crate) fn new(body: Body, is_chunked: bool) -> Self {
        let chunks = is_chunked.then(Chunks::default);
        Self { body: Mutex::new(body), chunks, deadline: None }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let body = this.body.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Poll::Ready(frame) = Pin::new(body).poll_frame(context) else {
            let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(SILENCE)));
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Some(Err(BodyError::Silence)));
        };
        if let Some(deadline) = &mut this.deadline {
            deadline
                .as_mut()
                .reset(Instant::now().checked_add(SILENCE).unwrap_or_else(Instant::now));
        }
        let Some(frame) = frame else { return Poll::Ready(None) };
        let frame = frame.map_err(BodyError::Broken)?;
        if let (Some(chunks), Some(bytes)) = (&mut this.chunks, frame.data_ref()) {
            chunks.observe(bytes)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.lock().is_ok_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.lock().map_or_else(|_| SizeHint::default(), |body| body.size_hint())
    }
}
