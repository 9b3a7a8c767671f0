//! Bodies of requests: JSON of a bounded size and depth, and nothing else.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use crate::metrics;

/// The largest body, in bytes: files go in it as text. As at `/mcp`.
pub(super) const MAX_BYTES: usize = 4 << 20;
/// How long a body may take to arrive.
const DEADLINE: Duration = Duration::from_secs(30);

/// Why a body is none of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is not said to be JSON. A page of the web can send such a request to this machine without asking.
    #[error("the body must be application/json")]
    Kind,
    /// It is too long.
    #[error("the body is longer than {MAX_BYTES} bytes")]
    Long,
    /// It did not arrive in time.
    #[error("the body did not come within {} s", DEADLINE.as_secs())]
    Late,
    /// It did not arrive.
    #[error("the body did not arrive as a whole")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is not JSON, or nested too deep.
    #[error("Invalid JSON input")]
    Json(#[source] serde_json::Error),
}

impl BodyError {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Kind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Long => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken(_) | Self::Json(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// All there is to say about it in one line.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Json(cause) => format!("{self}: {cause}"),
            Self::Kind | Self::Long | Self::Late | Self::Broken(_) => self.to_string(),
        }
    }
}

/// Reads a body; `None` if it is empty.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Option<Value>, BodyError> {
    let read = whole(headers, body).await;
    if matches!(read, Err(BodyError::Long | BodyError::Late | BodyError::Broken(_))) {
        metrics::refused("body");
    }
    read
}

async fn whole(headers: &HeaderMap, body: Body) -> Result<Option<Value>, BodyError> {
    if !is_json(headers) {
        return Err(BodyError::Kind);
    }
    let reading = tokio::time::timeout(DEADLINE, Limited::new(body, MAX_BYTES).collect());
    let bytes = match reading.await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => return Err(BodyError::Long),
        Ok(Err(cause)) => return Err(BodyError::Broken(cause)),
        Err(_) => return Err(BodyError::Late),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // The parser itself bounds the depth.
    serde_json::from_slice(&bytes).map(Some).map_err(BodyError::Json)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
