//! How long a caller's key works: what goes on for the caller goes on no longer.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody as _};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use crate::refusal::Refusal;

/// Ends when the key is revoked or its time is over.
#[derive(Debug, Clone)]
pub(crate) struct Validity {
    token: CancellationToken,
    /// Tells by its drop that nobody cares any more.
    #[expect(dead_code, reason = "its drop is what it is for")]
    interest: Option<Arc<DropGuard>>,
}

impl Validity {
    pub(super) const fn new(token: CancellationToken) -> Self {
        Self { token, interest: None }
    }

    /// Of what was allowed without a key: never ends.
    pub(crate) fn endless() -> Self {
        Self { token: CancellationToken::new(), interest: None }
    }

    /// Of what was allowed without a key until something happens, and the token that is cancelled when nobody has it
    /// any more. Whoever waits for the end cancels the first one.
    pub(crate) fn until(ended: CancellationToken) -> (Self, CancellationToken) {
        let unused = CancellationToken::new();
        let interest = Some(Arc::new(unused.clone().drop_guard()));
        (Self { token: ended, interest }, unused)
    }

    /// Waits until the key works no more.
    pub(crate) async fn ended(&self) {
        self.token.cancelled().await;
    }

    /// Does a caller's work as long as its key works; drops it then.
    ///
    /// # Errors
    ///
    /// The work's own, and 401 when the key worked no more before it was done.
    pub(crate) async fn hold<T>(
        &self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        tokio::select! {
            biased;
            () = self.ended() => Err(Refusal::unauthorized("the API key is not valid any more")),
            done = work => done,
        }
    }

    /// Lets an answer's body run as long as the key works, then breaks it off: never does it look complete.
    pub(crate) fn hold_body(&self, response: Response) -> Response {
        response.map(|body| {
            if body.is_end_stream() {
                return body;
            }
            let ended = Box::pin(self.token.clone().cancelled_owned());
            Body::new(Held { body: Some(body), ended })
        })
    }
}

/// A body that breaks off when a key ends.
struct Held {
    body: Option<Body>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("body", &self.body).finish_non_exhaustive()
    }
}

/// A key ended in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the API key is not valid any more")]
struct KeyEnded;

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            // The daemon is told by the drop, as when the client goes away.
            let broken = self.body.take().map(|_| Err(axum::Error::new(KeyEnded)));
            return Poll::Ready(broken);
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test]
    async fn work_and_answers_end_with_the_key() {
        let token = CancellationToken::new();
        let validity = Validity::new(token.clone());
        assert_eq!(validity.hold(async { Ok(7) }).await.ok(), Some(7));

        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(b"more")))
        });
        let response = validity.hold_body(Body::new(StreamBody::new(endless)).into_response());
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "more");

        token.cancel();
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
        let work = validity.hold(std::future::pending::<Result<(), Refusal>>());
        assert!(work.await.is_err());
    }

    #[tokio::test]
    async fn a_whole_answer_is_left_as_it_is() {
        let validity = Validity::new(CancellationToken::new());
        let response = validity.hold_body("whole".into_response());
        assert_eq!(response.body().size_hint().exact(), Some(5));
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
    }
}
