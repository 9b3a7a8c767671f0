//! MCP over HTTP, at `/mcp`.
//!
//! A request is turned away before anything is done for it if it was made to a name that is not ours, has no key, or has a
//! body that is too large or does not come. What is left is the protocol's: of both eras, and its own check of origins.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use http::header::{HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body_util::Full;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;

use crate::access::{AccessError, Keys, TooMany};
use crate::gate::{self, Gate};
use crate::intake::{IntakeError, Taken};
use crate::langswarm::{self, LangSwarm};
use crate::metrics;
use crate::places::hold_for;
use crate::server::{Server, UnderWay};
use crate::sessions::{CALLER, Sessions};
use crate::settings::Settings;
use crate::well_known;

#[derive(Clone)]
struct Rim {
    server: Server,
    keys: Arc<Keys>,
    gate: Gate,
    service: StreamableHttpService<Server, Sessions>,
}

/// The routes: `/mcp` and what tells clients where to get tokens.
pub fn router(server: &Server, keys: Arc<Keys>) -> Router {
    router_over(server, keys, Sessions::new())
}

fn router_over(server: &Server, keys: Arc<Keys>, sessions: Sessions) -> Router {
    let settings = server.settings();
    let config = StreamableHttpServerConfig::default()
        .with_json_response(true)
        .with_cancellation_token(server.ending().clone())
        // The gate knows of names what a list cannot say.
        .disable_allowed_hosts()
        .with_allowed_origins(gate::origins(settings))
        .enforce_origin_validation();
    let handler = server.clone();
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(sessions), config);
    let rim = Rim { gate: Gate::new(settings), server: server.clone(), keys, service };
    Router::new()
        .route("/mcp", any(serve))
        .route(well_known::PATH, get(tell))
        .route(well_known::PATH_OF_MCP, get(tell))
        .with_state(rim)
}

/// Why a request may use nothing.
fn no_access(settings: &Settings, headers: &HeaderMap, error: &AccessError) -> Response {
    match error {
        AccessError::NoKey | AccessError::Unknown(_) => {
            metrics::refused("key");
            well_known::unauthorized(settings, headers, &error.to_string())
        }
        AccessError::Backend(_) => {
            refusal(StatusCode::BAD_GATEWAY, "backend_unreachable", &error.to_string())
        }
    }
}

async fn tell(State(rim): State<Rim>, headers: HeaderMap) -> Response {
    if !rim.gate.knows(&headers) {
        return foreign();
    }
    well_known::document(rim.server.settings(), &headers)
}

async fn serve(State(rim): State<Rim>, request: Request) -> Response {
    if langswarm::is_lenient(&request) {
        return LangSwarm::new(&rim.server, rim.keys).answer(request).await;
    }
    if !rim.gate.knows(request.headers()) {
        return foreign();
    }
    let access = match rim.keys.access(request.headers()).await {
        Ok(access) => access,
        Err(error) => return no_access(rim.server.settings(), request.headers(), &error),
    };
    let place = match rim.keys.place(access.caller) {
        Ok(place) => place,
        Err(crowd) => return too_many(crowd),
    };
    let (mut parts, body) = request.into_parts();
    let Taken { bytes, place: _long } = match rim.server.intake().read(body).await {
        Ok(taken) => taken,
        Err(error) => return not_read(&error),
    };
    let caller = access.caller;
    parts.extensions.insert(access);
    let underway = UnderWay::default();
    parts.extensions.insert(underway.clone());
    let request = Request::from_parts(parts, Full::new(bytes));
    let response = CALLER.scope(caller, Box::pin(rim.service.handle(request))).await;
    if response.status() == StatusCode::FORBIDDEN {
        metrics::refused("origin");
    }
    hold_for((place, underway), response.map(Body::new))
}

fn not_read(error: &IntakeError) -> Response {
    let (status, word) = match error {
        IntakeError::Long => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        IntakeError::Late => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
        IntakeError::Full => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
        IntakeError::Broken(_) => (StatusCode::BAD_REQUEST, "broken"),
    };
    refusal(status, word, &error.to_string())
}

fn too_many(crowd: TooMany) -> Response {
    metrics::refused("many");
    let mut response =
        refusal(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", &crowd.to_string());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn foreign() -> Response {
    metrics::refused("host");
    let why = "this name is not one of this server's; the operator can add it (--mcp-hosts)";
    refusal(StatusCode::FORBIDDEN, "unknown_host", why)
}

fn refusal(status: StatusCode, error: &str, why: &str) -> Response {
    (status, Json(json!({"error": error, "error_description": why}))).into_response()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower_service::Service as _;

    use super::*;
    use crate::access::{Access, OpenWith};

    /// The rim for callers that all have the same key, with sessions that end soon.
    fn rim(idle: Duration) -> Router {
        let key = pitlane_client::Key::new("dtn_a").unwrap();
        let endpoint = pitlane_client::Endpoint::new("http://127.0.0.1:9/api", key).unwrap();
        let client = pitlane_client::Client::new(endpoint);
        let tools = pitlane_tools::Tools::new(client, pitlane_tools::Settings::default());
        let nobody: OpenWith =
            Arc::new(|_| Box::pin(async { Err(AccessError::Unknown("no".to_owned())) }));
        let keys = Arc::new(Keys::new(nobody, Some(Access::new("own", tools))));
        let server = Server::new(Settings::default(), None).unwrap();
        router_over(&server, keys, Sessions::ending_after(idle))
    }

    async fn post(rim: &mut Router, session: Option<&str>, body: &str) -> Response {
        let mut request = Request::post("/mcp")
            .header("host", "localhost")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .header("mcp-protocol-version", "2025-11-25");
        if let Some(session) = session {
            request = request.header("mcp-session-id", session);
        }
        rim.call(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_session_that_is_not_used_ends_by_itself() {
        let mut rim = rim(Duration::from_millis(200));
        let begin = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",
            "capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        let began = post(&mut rim, None, begin).await;
        assert_eq!(began.status(), StatusCode::OK);
        let session = began.headers()["mcp-session-id"].to_str().unwrap().to_owned();
        let ping = r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#;
        assert_eq!(post(&mut rim, Some(&session), ping).await.status(), StatusCode::OK);
        // Each question keeps it for as long again, so the pauses between them are longer than that.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let status = post(&mut rim, Some(&session), ping).await.status();
            if status == StatusCode::NOT_FOUND {
                break;
            }
            assert!(tokio::time::Instant::now() < deadline, "{status}");
        }
    }
}
