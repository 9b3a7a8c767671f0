//! What a server says of itself, to anyone.

use std::collections::BTreeMap;

use axum::extract::State as FromState;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use pitlane_wire::control as wire;

use crate::address::Origin;
use crate::body::Json;
use crate::state::State;

/// The longest time between a stop and archiving: 30 days, in minutes.
const MAX_AUTO_ARCHIVE_MINUTES: u64 = 43_200;

/// `GET /config`.
pub(crate) async fn read(
    FromState(state): FromState<State>,
    origin: Origin,
) -> Json<wire::Configuration> {
    let base = &origin.0;
    Json(wire::Configuration {
        version: state.settings().version.clone(),
        oidc: wire::OidcConfiguration::default(),
        linked_accounts_enabled: false,
        announcements: BTreeMap::new(),
        proxy_template_url: format!("{base}/toolbox/{{{{sandboxId}}}}/proxy/{{{{PORT}}}}"),
        proxy_toolbox_url: origin.toolbox(),
        default_snapshot: state.control().policy().default_snapshot.clone(),
        dashboard_url: base.clone(),
        max_auto_archive_interval: MAX_AUTO_ARCHIVE_MINUTES,
        maintanance_mode: false,
        environment: "self-hosted".to_owned(),
    })
}

/// `GET /health`: the process answers.
pub(crate) async fn live() -> Json<wire::Health> {
    Json(wire::Health { status: "ok".to_owned() })
}

/// `GET /health/ready`: the database answers; 503 with what does not.
pub(crate) async fn ready(FromState(state): FromState<State>) -> Response {
    let (part, status) = match state.control().check().await {
        Ok(()) => (wire::HealthDetail { status: "up".to_owned(), message: None }, StatusCode::OK),
        Err(error) => {
            tracing::warn!(%error, "the database does not answer");
            let message = Some("does not answer".to_owned());
            let part = wire::HealthDetail { status: "down".to_owned(), message };
            (part, StatusCode::SERVICE_UNAVAILABLE)
        }
    };
    let parts = BTreeMap::from([("database".to_owned(), part)]);
    let (info, error, word) = if status == StatusCode::OK {
        (parts.clone(), BTreeMap::new(), "ok")
    } else {
        (BTreeMap::new(), parts.clone(), "error")
    };
    let body = wire::Readiness { status: word.to_owned(), info, error, details: parts };
    (status, Json(body)).into_response()
}
