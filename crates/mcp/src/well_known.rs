//! What clients are told about where to get tokens (RFC 9728), if there is a place.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::header::{HOST, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::settings::Settings;

/// Where the document is, for clients that look for the server's.
pub(crate) const PATH: &str = "/.well-known/oauth-protected-resource";
/// Where it is for clients that look for the endpoint's, as they should.
pub(crate) const PATH_OF_MCP: &str = "/.well-known/oauth-protected-resource/mcp";

/// The document, if an issuer is configured.
pub(crate) fn document(settings: &Settings, headers: &HeaderMap) -> Response {
    let Some(issuer) = &settings.issuer else { return StatusCode::NOT_FOUND.into_response() };
    let resource = format!("{}/mcp", base(settings, headers));
    Json(json!({
        "resource": resource,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["sandboxes"],
        "resource_name": "Pitlane sandboxes",
    }))
    .into_response()
}

/// A refusal for want of a key, which says how to get one.
pub(crate) fn unauthorized(settings: &Settings, headers: &HeaderMap, why: &str) -> Response {
    let body = Json(json!({"error": "unauthorized", "error_description": why}));
    let mut response = (StatusCode::UNAUTHORIZED, body).into_response();
    let challenge = match settings.issuer {
        Some(_) => format!(
            "Bearer resource_metadata=\"{}{PATH_OF_MCP}\", scope=\"sandboxes\"",
            base(settings, headers)
        ),
        None => String::from("Bearer realm=\"pitlane\""),
    };
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The address by which the client reached us; its `Host` was checked before.
fn base(settings: &Settings, headers: &HeaderMap) -> String {
    if let Some(url) = &settings.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("http://{host}")
}
