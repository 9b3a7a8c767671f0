//! Bodies of requests: JSON of a bounded size and depth, and nothing else.

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::intake::{Intake, IntakeError, Taken};

/// A body that was understood; it holds its place among long ones as long as it lives.
#[derive(Debug)]
pub(super) struct Read {
    /// `None` if it is empty.
    pub(super) value: Option<Value>,
    pub(super) place: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// Why a body is none of ours.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// It is not said to be JSON. A page of the web can send such a request to this machine without asking.
    #[error("the body must be application/json")]
    Kind,
    /// It was not read.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// It is not JSON, or nested too deep.
    #[error("Invalid JSON input")]
    Json(#[source] serde_json::Error),
}

impl BodyError {
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Kind => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Intake(IntakeError::Long) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Intake(IntakeError::Late) => StatusCode::REQUEST_TIMEOUT,
            // LangSwarm's clients wait after this and ask again.
            Self::Intake(IntakeError::Full) => StatusCode::TOO_MANY_REQUESTS,
            Self::Intake(IntakeError::Broken(_)) | Self::Json(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// All there is to say about it in one line.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Json(cause) => format!("{self}: {cause}"),
            Self::Kind | Self::Intake(_) => self.to_string(),
        }
    }
}

/// Reads a body.
pub(super) async fn read(
    intake: &Intake,
    headers: &HeaderMap,
    body: Body,
) -> Result<Read, BodyError> {
    if !is_json(headers) {
        return Err(BodyError::Kind);
    }
    let Taken { bytes, place } = intake.read(body).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Read { value: None, place });
    }
    // The parser itself bounds the depth.
    let value = serde_json::from_slice(&bytes).map(Some).map_err(BodyError::Json)?;
    Ok(Read { value, place })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
