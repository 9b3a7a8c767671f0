//! What every handler shares.

use std::sync::Arc;

use pitlane_control::Control;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::PublicUrl;

/// What the operator decides about the rim.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// The server's version, as `GET /config` tells it.
    pub version: String,
    /// Under which address clients reach the server; their own `Host` header if `None`.
    pub public_url: Option<PublicUrl>,
    /// Connections served at the same time; more wait to be accepted.
    pub max_connections: usize,
}

/// The rim's parts, shared by every request.
#[derive(Debug, Clone)]
pub(crate) struct State(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    control: Control,
    settings: ApiSettings,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl State {
    pub(crate) fn new(control: Control, settings: ApiSettings) -> Self {
        let (tasks, ending) = (TaskTracker::new(), CancellationToken::new());
        Self(Arc::new(Parts { control, settings, tasks, ending }))
    }

    pub(crate) fn control(&self) -> &Control {
        &self.0.control
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.0.settings
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
