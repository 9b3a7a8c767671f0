//! What every handler shares.

use std::sync::Arc;

use pitlane_control::Control;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::PublicUrl;
use crate::health::{Probe, Readiness};
use crate::rate_limit::{Gate, RateLimits};

/// What the operator decides about the rim.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The server's version, as `GET /config` tells it.
    pub version: String,
    /// Under which address clients reach the server; their own `Host` header if `None`.
    pub public_url: Option<PublicUrl>,
    /// Where clients upload build contexts.
    pub storage: ObjectStorage,
    /// How many requests keys and organizations may make.
    pub rate_limits: RateLimits,
    /// What the server needs to be ready beside its database.
    pub probes: Vec<Probe>,
}

/// Where clients upload build contexts: another rim, of which they are told here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectStorage {
    /// Its address, which has no path, as the operator gave it.
    pub url: Option<PublicUrl>,
    /// Where it is over https on the host that a client reaches; beside the API if `None`.
    pub https_port: Option<u16>,
    /// What the one bucket is called.
    pub bucket: &'static str,
    /// The region that requests are signed for.
    pub region: &'static str,
}

/// The rim's parts, shared by every request.
#[derive(Debug, Clone)]
pub(crate) struct State(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    control: Control,
    settings: ApiSettings,
    readiness: Readiness,
    gate: Option<Gate>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl State {
    pub(crate) fn new(
        control: Control,
        settings: ApiSettings,
        tasks: TaskTracker,
        ending: CancellationToken,
    ) -> Self {
        Self(Arc::new(Parts {
            readiness: Readiness::new(control.clone(), settings.probes.clone()),
            gate: Gate::new(settings.rate_limits),
            control,
            settings,
            tasks,
            ending,
        }))
    }

    pub(crate) fn control(&self) -> &Control {
        &self.0.control
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.0.settings
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// What counts requests, if any are limited.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.0.gate.as_ref()
    }

    /// Owns every task of the rim.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// Cancelled when the server's tasks must end at once.
    pub(crate) fn ending(&self) -> &CancellationToken {
        &self.0.ending
    }
}
