//! Why a request gets no success, and the one place where that becomes a status and a body.
//!
//! Handlers return a [`Refusal`]; it travels inside the response's extensions to the rim's outermost layer, which
//! knows method, path and request id and writes the body. What went wrong inside goes to the log, never to the client.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use pitlane_control::Chain;
use pitlane_wire::control::{ErrorBody, SOURCE_API};

use crate::date;
use crate::metrics;
use crate::request::RequestId;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A refused or failed request.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: Cow<'static, str>,
    cause: Option<Cause>,
}

/// A refusal on its way through a response's extensions.
#[derive(Debug, Clone)]
struct Pending(Arc<Refusal>);

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), cause: None }
    }

    /// The request itself is wrong.
    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Nobody proved who is asking.
    pub(crate) fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// The caller's key may not do this.
    pub(crate) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// There is no such thing, or it belongs to somebody else.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The state of things forbids it for now.
    pub(crate) fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// Something of ours failed. `cause` is for the log alone.
    pub(crate) fn failed(
        status: StatusCode,
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<Cause>,
    ) -> Self {
        Self { status, message: message.into(), cause: Some(cause.into()) }
    }

    /// No such sandbox, in the words of the reference; also for one of another organization.
    pub(crate) fn no_sandbox(id_or_name: &str) -> Self {
        Self::not_found(format!("Sandbox with ID or name {id_or_name} not found"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(Pending(Arc::new(self)));
        response
    }
}

/// Whether `response` is this server's own refusal, and an operator may have to look at it. What was passed on is none,
/// nor is what a sandbox's application alone can be the cause of: it could fill the log with it.
pub(crate) fn concerns_the_operator(response: &Response) -> bool {
    let is_of_an_application = |refusal: &Refusal| {
        let status =
            matches!(refusal.status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT);
        status && refusal.cause.is_none()
    };
    let pending = response.extensions().get::<Pending>();
    pending.is_some_and(|Pending(refusal)| !is_of_an_application(refusal))
}

/// Writes the body of a refusal that `response` carries; other responses pass unchanged.
pub(crate) fn written_out(
    mut response: Response,
    method: &Method,
    path: &str,
    id: RequestId,
) -> Response {
    let Some(Pending(refusal)) = response.extensions_mut().remove::<Pending>() else {
        return response;
    };
    let mut message = refusal.message.to_string();
    if let Some(cause) = &refusal.cause {
        tracing::warn!(request = %id, status = refusal.status.as_u16(), cause = %Chain(&**cause), "failed");
        message = format!("{message} (request {id})");
    }
    metrics::refused(code(refusal.status));
    let body = ErrorBody {
        status_code: refusal.status.as_u16(),
        message,
        error: refusal.status.canonical_reason().map(str::to_owned),
        code: Some(code(refusal.status)),
        source: Some(SOURCE_API.to_owned()),
        path: Some(path.to_owned()),
        method: Some(method.to_string()),
        timestamp: Some(date::now()),
    };
    // Serializing texts and one number cannot fail; were it to, the status alone still tells the truth.
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    *response.body_mut() = Body::from(bytes);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// The word for programs: the status' phrase in capitals.
fn code(status: StatusCode) -> String {
    let phrase = status.canonical_reason().unwrap_or("Error");
    phrase.chars().map(|c| if c == ' ' { '_' } else { c.to_ascii_uppercase() }).collect()
}
