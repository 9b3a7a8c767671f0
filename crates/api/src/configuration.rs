//! What a server says of itself, to anyone.

use std::collections::BTreeMap;

use axum::extract::State as FromState;
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
