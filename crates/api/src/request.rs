//! What every request gets: an id, a span in the log, a written-out refusal.

use std::fmt;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HeaderName, HeaderValue};

use crate::events;
use crate::refusal;
use crate::toolbox;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request in answers and in the log. Made here; what a client sends is not believed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(u128);

impl RequestId {
    fn new() -> Self {
        let mut bytes = [0u8; 16];
        // Without randomness ids repeat: the log is harder to read, nothing else depends on them.
        if let Err(error) = getrandom::fill(&mut bytes) {
            tracing::warn!(%error, "no randomness for a request id");
        }
        Self(u128::from_ne_bytes(bytes))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whose request it was, for the log. A handler puts it into its response's extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AskedBy(pub(crate) pitlane_model::OrganizationId);

/// The outermost layer: gives the request its id, writes refusals out and logs one line.
///
/// Paths of the control plane are logged as the route that matched, because some operations of the reference carry
/// tokens in theirs; queries are never logged.
pub(crate) async fn rim(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = RequestId::new();
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let response = next.run(request).await;

    let mut response = refusal::written_out(response, &method, &path, id);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), value);
    }
    let route = match response.extensions().get::<Route>() {
        _ if path.starts_with(toolbox::PREFIX) => toolbox::loggable(&path),
        Some(Route(route)) => route.as_str(),
        None if path.starts_with(events::PATH) => events::PATH,
        None => "unmatched",
    };
    tracing::info!(
        request = %id,
        %method,
        route,
        status = response.status().as_u16(),
        took_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        organization = response.extensions().get::<AskedBy>().map(|by| tracing::field::display(by.0)),
        "request"
    );
    response
}

/// The route that answered, for the log.
#[derive(Debug, Clone)]
struct Route(MatchedPath);

/// Tells [`rim`] which route answers; inside the router, where that is known.
pub(crate) async fn note_route(
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(matched) = matched {
        response.extensions_mut().insert(Route(matched));
    }
    response
}
