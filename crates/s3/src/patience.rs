//! A request's body as the library gets it: watched, and not waited for for ever.

use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::chunks::{ChunkError, Chunks};

/// How long a client may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("nothing of the body came for {} seconds", SILENCE.as_secs())]
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
    silence: Duration,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    pub(crate) fn new(body: Body, is_chunked: bool) -> Self {
        let chunks = is_chunked.then(Chunks::default);
        Self::patient_for(SILENCE, body, chunks)
    }

    fn patient_for(silence: Duration, body: Body, chunks: Option<Chunks>) -> Self {
        Self { body: Mutex::new(body), chunks, silence, deadline: None }
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
            let silence = this.silence;
            let deadline = this.deadline.get_or_insert_with(|| Box::pin(sleep(silence)));
            ready!(deadline.as_mut().poll(context));
            return Poll::Ready(Some(Err(BodyError::Silence)));
        };
        // The next piece has as long as this one had.
        this.deadline = None;
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

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn read(mut body: Watched) -> Result<usize, BodyError> {
        let mut read = 0_usize;
        while let Some(frame) =
            std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            read = frame?.into_data().map_or(read, |bytes| bytes.len().saturating_add(read));
        }
        Ok(read)
    }

    /// A body whose pieces come after so many milliseconds each; then nothing, not even its end, if it is endless.
    fn slow(pieces: &'static [u64], is_endless: bool) -> Body {
        let steps = stream::unfold(0_usize, move |step| async move {
            match pieces.get(step) {
                Some(pause) => sleep(Duration::from_millis(*pause)).await,
                None if is_endless => std::future::pending().await,
                None => return None,
            }
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"piece")), step.saturating_add(1)))
        });
        Body::from_stream(steps)
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_not_waited_for() {
        let patience = Duration::from_millis(400);
        let slowly = slow(&[150, 150, 150, 150], false);
        assert_eq!(read(Watched::patient_for(patience, slowly, None)).await.unwrap(), 20);
        for body in [slow(&[], true), slow(&[10, 10], true)] {
            let refused = read(Watched::patient_for(patience, body, None)).await;
            assert!(matches!(refused, Err(BodyError::Silence)), "{refused:?}");
        }
    }

    #[tokio::test]
    async fn nothing_of_a_chunk_that_is_too_large_is_passed_on() {
        let body = Body::from("fffffff;chunk-signature=x\r\nbytes");
        let refused = read(Watched::new(body, true)).await;
        assert!(matches!(refused, Err(BodyError::Chunks(ChunkError::TooLarge))), "{refused:?}");
    }
}
