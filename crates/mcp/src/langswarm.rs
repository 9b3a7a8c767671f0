//! LangSwarm's surface: REST under the names of the operations, and JSON-RPC as its clients write it.
//!
//! `POST /` takes what LangSwarm sends: JSON-RPC without `jsonrpc`, sessions or an `Accept` that promises anything, a
//! bare `{name, arguments}`, or an envelope `{method, params}`. `GET /schema`, `GET /NAME/schema` and `POST /NAME` are
//! its HTTP server's. All of it is one [`pitlane_tools::Call`] in the end.
//!
//! Names, origins and keys are checked as at `/mcp`, before anything is done. Nothing here is kept from one request to the
//! next.

mod body;
pub mod configuration;
mod door;
mod rest;
mod rpc;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode, header};
use pitlane_tools::{Answer, Call, CallError, Tools, Unmade, count_unmade};
use serde_json::{Value, json};

use crate::access::Keys;
use crate::gate::Gate;
use crate::server::{Server, TOO_MANY};

/// The port that LangSwarm's clients expect.
pub const PORT: u16 = 8001;

/// What the surface calls itself.
const NAME: &str = "pitlane";

/// LangSwarm's surface over a server's tools. Clones are cheap.
#[derive(Debug, Clone)]
pub(crate) struct LangSwarm {
    server: Server,
    keys: Arc<Keys>,
    gate: Gate,
}

/// The routes `/`, `/health`, `/schema`, `/NAME` and `/NAME/schema`, to stand beside those of MCP.
pub fn router(server: &Server, keys: Arc<Keys>) -> Router {
    Router::new()
        .route("/", post(answer).get(rest::overview))
        .route("/health", get(rest::health))
        .route("/schema", get(rest::overview))
        .route("/{task}/schema", get(rest::schema))
        .route("/{task}", post(rest::call))
        .fallback(rest::not_found)
        .method_not_allowed_fallback(rest::method_not_allowed)
        .with_state(LangSwarm::new(server, keys))
}

async fn answer(State(surface): State<LangSwarm>, request: Request) -> Response {
    surface.answer(request).await
}

impl LangSwarm {
    pub(crate) fn new(server: &Server, keys: Arc<Keys>) -> Self {
        Self { gate: Gate::new(server.settings()), server: server.clone(), keys }
    }

    /// Answers JSON-RPC as LangSwarm writes it, wherever it was sent to.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        rpc::answer(self, request).await
    }

    /// Understands a call of one of the operations that there are here.
    fn parse(&self, name: &str, arguments: Value) -> Result<Call, CallError> {
        let Some(operation) = self.server.operation(name) else {
            let known = self.server.operations().map(|operation| operation.name).collect();
            return Err(CallError::UnknownMethod { method: name.to_owned(), known });
        };
        let parsed = self.server.settings().toolset.parse(operation.name, arguments);
        if matches!(parsed, Err(CallError::InvalidParameter(_))) {
            count_unmade(operation, Unmade::Invalid);
        }
        parsed
    }

    /// Does what was asked for, as long as the server lets it. Dropping the future ends the command that it runs.
    async fn run(&self, tools: &Tools, call: Call) -> Answer {
        tools.call_until(call, &(), self.server.closing().cancelled()).await
    }
}

/// Whether a request to an MCP address is LangSwarm's and would be refused by the protocol: it does not take a stream of
/// events, and has no header of MCP.
pub(crate) fn is_lenient(request: &Request) -> bool {
    let headers = request.headers();
    let has_header = ["mcp-protocol-version", "mcp-session-id", "mcp-method", "mcp-name"]
        .into_iter()
        .any(|name| headers.contains_key(name));
    request.method() == http::Method::POST && !has_header && !takes_events(headers)
}

fn takes_events(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|accept| {
        accept
            .as_bytes()
            .split(|byte| *byte == b',')
            .any(|kind| kind.trim_ascii().to_ascii_lowercase().starts_with(b"text/event-stream"))
    })
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// What HTTP's own refusals say, as LangSwarm's HTTP server writes them.
fn refusal(status: StatusCode, why: &str) -> Response {
    reply(status, &json!({ "detail": why }))
}

/// What a request is told for which there is no room; LangSwarm's clients wait and try again.
fn busy(why: &str) -> Response {
    let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, why);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    response
}

/// A text that a caller chose, as it is said back to it: not longer than a name can be.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
