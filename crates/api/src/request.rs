//! What every request gets: an id, a span in the log, a written-out refusal.

mod line;

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use pitlane_model::OrganizationId;
use tracing::Instrument as _;

use self::line::{Line, Received, Told};
use crate::bypass::Hold;
use crate::refusal;

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
pub(crate) struct AskedBy(pub(crate) OrganizationId);

/// Which sandbox it was about, for the log, where the path does not say its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About(pub(crate) pitlane_model::SandboxId);

/// What becomes known of a request on its way in, for the log.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<OnceLock<OrganizationId>>);

impl Notes {
    /// Notes for whom a request is made.
    pub(crate) fn asked_by(parts: &Parts, organization: OrganizationId) {
        if let Some(Self(noted)) = parts.extensions.get() {
            // The first word counts: whoever asked did not become somebody else.
            noted.get_or_init(|| organization);
        }
    }

    fn organization(&self) -> Option<OrganizationId> {
        self.0.get().copied()
    }
}

/// The outermost layer: gives the request its id, writes refusals out, and logs and counts it when its answer is
/// complete.
///
/// Paths are logged as the route that matched, because some operations of the reference carry tokens in theirs;
/// queries are never logged.
pub(crate) async fn rim(mut request: Request, next: Next) -> Response {
    let id = RequestId::new();
    request.extensions_mut().insert(id);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let notes = Notes::default();
    request.extensions_mut().insert(notes.clone());
    let mut line = Line::begin(id, &method, &path);
    let received = line.received();
    if let Some(hold) = request.extensions().get::<Hold>() {
        hold.count_in(&received);
    }
    let request = request.map(|body| Received::count(body, received));
    let span = line.span();

    let response = next.run(request).instrument(span.clone()).await;

    if refusal::concerns_the_operator(&response) {
        line.refused();
    }
    let mut response = span.in_scope(|| refusal::written_out(response, &method, &path, id));
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), value);
    }
    line.answered(&response, &notes);
    response.map(|body| Told::tell(body, line))
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
