//! What of a request nobody read, when it is answered.
//!
//! A refusal often comes before the body was read, and HTTP/1.1 can go on behind it only when the body is out of the way.
//! A small rest is read and dropped, so that the connection lives; of a large one the answer says that the connection
//! ends with it, and the client does not send its next request into the void.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONNECTION, EXPECT, HeaderValue};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// The largest rest that is read, in bytes.
const MAX_REST_BYTES: u64 = 64 * 1024;

/// How long a rest may take to arrive.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a body goes that was dropped before its end.
#[derive(Debug, Clone, Default)]
struct Rest(Arc<Mutex<Option<Body>>>);

/// A body that comes back when it is dropped before its end.
#[derive(Debug)]
struct Kept {
    body: Option<Body>,
    rest: Rest,
}

/// Answers a request, and sees to what is left of it.
pub(crate) async fn read(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    // Such a client waits for a word before it sends anything, and is better told to go elsewhere.
    let waits = request.headers().contains_key(EXPECT);
    let rest = Rest::default();
    let request = request.map(|body| Body::new(Kept { body: Some(body), rest: rest.clone() }));
    let mut response = next.run(request).await;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS
        && let Some(body) = rest.take()
        && (waits || !is_soon_over(body).await)
    {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads a body to its end, if that is near.
async fn is_soon_over(mut body: Body) -> bool {
    if body.size_hint().lower() > MAX_REST_BYTES {
        return false;
    }
    let reading = async {
        let mut read = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            read +=
                frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
            if read > MAX_REST_BYTES {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or(false)
}

impl Rest {
    fn take(&self) -> Option<Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream());
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = left;
    }
}

impl http_body::Body for Kept {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
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
