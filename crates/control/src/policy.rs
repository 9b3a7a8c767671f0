//! What the operator decided for all callers.

use pitlane_model::Limits;

/// The operator's choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What one sandbox may have at most.
    pub maximum: Limits,
    /// The name of the snapshot of a sandbox that names none.
    pub default_snapshot: String,
    /// The user of a sandbox that names none.
    pub default_user: String,
    /// The region this machine is.
    pub target: String,
}

impl Policy {
    /// 4 CPUs, 8 GiB and 10 GiB of disk at most; snapshot `default`, user `daytona`, region `local`.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            maximum: Limits::MAXIMUM,
            default_snapshot: "default".to_owned(),
            default_user: "daytona".to_owned(),
            target: "local".to_owned(),
        }
    }
}
