//! What the operator decided for all callers.

use std::time::Duration;

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
    /// How many sandboxes of the default snapshot wait for whoever comes.
    pub prepared: u32,
    /// How many images are built at the same time.
    pub builds: usize,
    /// The region this machine is.
    pub target: String,
    /// How long changes may take.
    pub patience: Patience,
}

/// How long a sandbox may be on its way at most. What takes longer has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until its image has been pulled, from the moment when its turn came.
    pub pull: Duration,
    /// Until its image has been built, from the moment when its turn came.
    pub build: Duration,
    /// Until it is usable.
    pub start: Duration,
    /// Until its processes have ended; then as long again by force.
    pub stop: Duration,
    /// Until its disk is packed away, or back.
    pub archive: Duration,
    /// Until its limits are others.
    pub resize: Duration,
    /// Until everything it held is free, with as many tries as fit.
    pub destroy: Duration,
}

impl Patience {
    /// An hour for its image, 2 minutes to start, 1 to stop, 30 to archive or restore, 10 to resize, 5 to destroy.
    pub const STANDARD: Self = Self {
        pull: Duration::from_secs(3600),
        build: Duration::from_secs(3600),
        start: Duration::from_secs(120),
        stop: Duration::from_secs(60),
        archive: Duration::from_secs(1800),
        resize: Duration::from_secs(600),
        destroy: Duration::from_secs(300),
    };
}

impl Policy {
    /// 4 CPUs, 8 GiB and 10 GiB of disk at most; snapshot `default`, user `daytona`, 8 prepared, region `local`.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            maximum: Limits::MAXIMUM,
            default_snapshot: "default".to_owned(),
            default_user: "daytona".to_owned(),
            prepared: 8,
            builds: 4,
            target: "local".to_owned(),
            patience: Patience::STANDARD,
        }
    }
}
