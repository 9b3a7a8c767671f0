//! Who may come in: the checks before anything is done for a request.

use axum::body::Body;
use axum::response::Response;
use http::header::{HeaderValue, ORIGIN};
use http::{HeaderMap, StatusCode, Uri};
use pitlane_tools::Tools;
use serde_json::json;

use super::{LangSwarm, busy, refusal};
use crate::access::AccessError;
use crate::places::Place;
use crate::{metrics, well_known};

/// What a caller without a key is told.
pub(super) const NO_KEY: &str = "Daytona API key is required. Set DAYTONA_API_KEY environment variable or pass api_key parameter.";

impl LangSwarm {
    /// Refuses what was sent to a name that is not ours, or by a page of another site.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        if !self.gate.knows(headers) {
            metrics::refused("host");
            let why = "this name is not one of this server's; the operator can add it";
            return Err(Box::new(refusal(StatusCode::FORBIDDEN, why)));
        }
        let origins = &self.server.settings().origins;
        if headers.get_all(ORIGIN).iter().any(|origin| !is_known(origin, origins)) {
            metrics::refused("origin");
            let why = "pages of this origin may not call; the operator can add it";
            return Err(Box::new(refusal(StatusCode::FORBIDDEN, why)));
        }
        Ok(())
    }

    /// The tools that a request may use, and its caller's place for it.
    pub(super) async fn tools(
        &self,
        headers: &HeaderMap,
    ) -> Result<(Tools, Option<Place>), Box<Response>> {
        self.admit(headers)?;
        let why = match self.keys.access(headers).await {
            Ok(access) => {
                let place = self.keys.place(access.caller).map_err(|crowd| {
                    metrics::refused("many");
                    Box::new(busy(&crowd.to_string()))
                })?;
                return Ok((access.tools, place));
            }
            Err(AccessError::Backend(why)) => {
                return Err(Box::new(refusal(StatusCode::BAD_GATEWAY, &why)));
            }
            Err(AccessError::NoKey) => String::from(NO_KEY),
            Err(unknown @ AccessError::Unknown(_)) => unknown.to_string(),
        };
        metrics::refused("key");
        let challenge = well_known::unauthorized(self.server.settings(), headers, &why);
        let (parts, _) = challenge.into_parts();
        let body = Body::from(json!({ "detail": why }).to_string());
        Err(Box::new(Response::from_parts(parts, body)))
    }
}

/// Whether pages of an origin may call: those of this machine, and those that the operator named.
fn is_known(origin: &HeaderValue, named: &[String]) -> bool {
    let Some(origin) = origin.to_str().ok().and_then(parts) else { return false };
    let is_local = matches!(origin.1.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    is_local || named.iter().filter_map(|named| parts(named)).any(|named| named == origin)
}

/// Scheme, host and port of an origin.
fn parts(origin: &str) -> Option<(String, String, u16)> {
    let uri: Uri = origin.trim_end_matches('/').parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = match (uri.port_u16(), scheme.as_str()) {
        (Some(port), "http" | "https") => port,
        (None, "http") => 80,
        (None, "https") => 443,
        (_, _) => return None,
    };
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine_and_named_ones_may_call() {
        let named = ["https://app.example".to_owned(), "http://h:8080/".to_owned()];
        let known = |origin: &'static str| is_known(&HeaderValue::from_static(origin), &named);
        for origin in [
            "http://localhost:5173",
            "https://127.0.0.1",
            "http://[::1]:1",
            "https://app.example:443",
            "https://APP.example",
            "http://h:8080",
        ] {
            assert!(known(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://app.example:8443",
            "http://app.example",
            "https://app.example.evil",
            "http://localhost.evil",
            "file://localhost",
            "localhost",
        ] {
            assert!(!known(origin), "{origin}");
        }
    }
}
