//! JSON in and out, and what a path names.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use http_body::Body as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::authentication::Validity;
use crate::refusal::Refusal;

/// The largest body of a control plane request, in bytes. No body of the API comes near it.
pub(crate) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How deep lists and objects may be in each other. What no operation reads would otherwise be skipped at any depth.
const MAX_DEPTH: usize = 64;

/// How long a control plane request's body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// A body that is a JSON object, whatever content type it claims; or a JSON answer.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = read(request, state, BODY_DEADLINE).await?;
        // A list would be taken for an object's fields in their order of declaration.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Refusal::bad_request("the body must be a JSON object"));
        }
        if is_deep(&bytes) {
            let message = format!("the body is nested more than {MAX_DEPTH} levels deep");
            return Err(Refusal::bad_request(message));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Refusal::bad_request(format!("the body is not valid: {error}")))
    }
}

/// A body of any kind.
#[derive(Debug)]
pub(crate) struct Whole(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        read(request, state, BODY_DEADLINE).await.map(Self)
    }
}

/// Reads a body that is small enough and comes soon enough, while the caller's key works.
async fn read<S: Send + Sync>(
    request: Request,
    state: &S,
    deadline: Duration,
) -> Result<Bytes, Refusal> {
    // Whoever announces too much is told so before it sends anything.
    let announced = usize::try_from(request.body().size_hint().lower()).unwrap_or(usize::MAX);
    if announced > MAX_BODY_BYTES {
        return Err(too_large());
    }
    let validity = request.extensions().get().cloned().unwrap_or_else(Validity::endless);
    let whole =
        async { Ok(tokio::time::timeout(deadline, Bytes::from_request(request, state)).await) };
    match validity.hold(whole).await? {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(BytesRejection::FailedToBufferBody(rejection)))
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            Err(too_large())
        }
        Ok(Err(_)) => Err(Refusal::bad_request("the body could not be read")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
    }
}

/// Whether brackets outside of texts are nested too deep.
fn is_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'[' | b'{' if !in_text => depth += 1,
            b']' | b'}' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

fn too_large() -> Refusal {
    let message = format!("the body is larger than {MAX_BODY_BYTES} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => {
                let json = HeaderValue::from_static("application/json; charset=utf-8");
                ([(header::CONTENT_TYPE, json)], bytes).into_response()
            }
            Err(error) => Refusal::failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the answer could not be written",
                error,
            )
            .into_response(),
        }
    }
}

/// What the variable parts of a path hold, percent-decoded.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(rejection) => Err(Refusal::bad_request(format!(
                "the path is not valid: {}",
                rejection.body_text()
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn depth_is_that_of_brackets_outside_of_texts() {
        let nested = |depth: usize| format!("{}{}", "[{\"a\":".repeat(depth), "1");
        for (json, wanted) in [
            (nested(32), false),
            (nested(33), true),
            (format!(r#"{{"a":"{}"}}"#, "[".repeat(100)), false),
            (format!(r#"{{"a\"{}":1}}"#, "[".repeat(100)), false),
            (format!(r#"{{"a\\":{}1}}"#, "[".repeat(100)), true),
            ("[]".repeat(100), false),
        ] {
            assert_eq!(is_deep(json.as_bytes()), wanted, "{json}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_not_waited_for() {
        let endless =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>());
        let read = read(Request::new(endless), &(), Duration::from_millis(1)).await;
        let status = read.map_err(|refusal| refusal.into_response().status());
        assert_eq!(status, Err(StatusCode::REQUEST_TIMEOUT));
    }
}
