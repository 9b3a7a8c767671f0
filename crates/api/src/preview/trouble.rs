//! Why a visitor gets no answer of the application: as JSON for programs, as a small page for people.

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS,
};
use pitlane_control::{AdmitError, ConnectError, VisitError};

use crate::refusal::Refusal;

/// A visit that came to nothing.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    /// What to say on a page.
    text: String,
    refusal: Refusal,
}

impl Trouble {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { status, refusal: Refusal::new(status, text.clone()), text }
    }

    /// Something failed whose cause is for the log alone.
    pub(super) fn failed(
        status: StatusCode,
        text: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let text = text.into();
        Self { status, refusal: Refusal::failed(status, text.clone(), cause), text }
    }

    /// Nobody showed anything that opens it.
    pub(super) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "this preview needs a valid token or API key: ask its owner for a new link",
        )
    }

    pub(super) fn answer(self, is_page: bool) -> Response {
        let mut response = if is_page {
            tracing::debug!(refusal = ?self.refusal, "told on a page");
            let mut response = Response::new(Body::from(page(self.status, &self.text)));
            *response.status_mut() = self.status;
            let headers = response.headers_mut();
            let media_type = HeaderValue::from_static("text/html; charset=utf-8");
            headers.insert(CONTENT_TYPE, media_type);
            let policy = HeaderValue::from_static("sandbox; default-src 'none'");
            headers.insert(CONTENT_SECURITY_POLICY, policy);
            response
        } else {
            self.refusal.into_response()
        };
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Texts are ours, except for ids and numbers; they are escaped all the same.
fn page(status: StatusCode, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let reason = status.canonical_reason().unwrap_or("Error");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{reason}</title></head>\n\
         <body><h1>{reason}</h1><p>{text}</p></body></html>\n"
    )
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        let text = "the request is not valid".to_owned();
        Self { status: StatusCode::BAD_REQUEST, text, refusal }
    }
}

impl From<AdmitError> for Trouble {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Refused => Self::unauthorized(),
            AdmitError::NotFound { id } => {
                let text = format!("Sandbox with ID or name {id} not found");
                Self::new(StatusCode::NOT_FOUND, text)
            }
            AdmitError::Forbidden(error) => Self::new(StatusCode::FORBIDDEN, error.to_string()),
        }
    }
}

impl From<VisitError> for Trouble {
    fn from(error: VisitError) -> Self {
        match error {
            VisitError::Full { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many connections to this sandbox's ports are open; try again",
            ),
            VisitError::Connect(error) => Self::from(error),
        }
    }
}

impl From<ConnectError> for Trouble {
    fn from(error: ConnectError) -> Self {
        let (status, text) = match &error {
            ConnectError::NotFound { .. } => {
                (StatusCode::NOT_FOUND, "there is no such sandbox".to_owned())
            }
            ConnectError::NotRunning { id, state } => {
                let text = format!("sandbox {id} is {}: its owner has to start it", state.as_str());
                (StatusCode::BAD_REQUEST, text)
            }
            ConnectError::Host { .. } => {
                (StatusCode::BAD_GATEWAY, "the sandbox cannot be reached".to_owned())
            }
        };
        Self { status, text, refusal: error.into() }
    }
}
