//! Reading requests and writing answers.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::body::Body;
use super::intake::{Held, INTAKE};
use super::refusal::Refusal;

/// What every route gives back.
pub(crate) type Answer = Result<Response<Body>, Refusal>;

/// The largest JSON body: a command or source text has no other limit.
const MAX_JSON: usize = 64 << 20;

/// Reads a body that is a JSON object.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Incoming) -> Result<T, Refusal> {
    read_json_within(body, MAX_JSON).await
}

/// Reads a body of at most `limit` bytes that is a JSON object.
pub(crate) async fn read_json_within<T: DeserializeOwned>(
    body: Incoming,
    limit: usize,
) -> Result<T, Refusal> {
    read(body, limit).await.map(|(value, _held)| value)
}

/// The same of any length, for what waits in memory after that: it counts until what is given with it is dropped.
pub(crate) async fn read_json_held<T: DeserializeOwned>(
    body: Incoming,
) -> Result<(T, Held), Refusal> {
    read(body, MAX_JSON).await
}

async fn read<T: DeserializeOwned>(body: Incoming, limit: usize) -> Result<(T, Held), Refusal> {
    let (mut bytes, mut held) = (Vec::new(), INTAKE.hold());
    let mut body = Limited::new(body, limit);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "BAD_REQUEST",
                    format!("the body is larger than {limit} bytes"),
                )
            } else {
                Refusal::bad_body(format!("the body was cut off: {error}"))
            }
        })?;
        // Trailers mean nothing here.
        let Ok(piece) = frame.into_data() else { continue };
        held.grow(piece.len()).map_err(|error| {
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MUCH_INPUT", error.to_string())
        })?;
        bytes.extend_from_slice(&piece);
    }
    // A list would be taken for an object's fields in their order of declaration.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::bad_body("invalid request body: it must be a JSON object"));
    }
    serde_json::from_slice(&bytes)
        .map(|value| (value, held))
        .map_err(|error| Refusal::bad_body(format!("invalid request body: {error}")))
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value)
        .map_err(|error| Refusal::internal(format!("the answer cannot be written: {error}")))?;
    Ok(with_body(status, "application/json; charset=utf-8", Body::from(body)))
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = status;
    Ok(response)
}

/// An answer with any body.
pub(crate) fn with_body(
    status: StatusCode,
    media_type: &'static str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}
