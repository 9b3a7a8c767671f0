//! What a caller can ask of sandboxes.

use pitlane_model::{
    Build, Environment, ImageReference, Labels, Lifecycle, NetworkPolicy, SandboxName,
};
use pitlane_store::{Cursor, SandboxFilter, SandboxOrder};

use crate::RequestedMount;

/// A sandbox as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSandbox {
    /// Its name; its id becomes its name if there is none.
    pub name: Option<SandboxName>,
    /// What it starts from.
    pub source: Source,
    /// The user its processes run as; the default one if there is none.
    pub user: Option<String>,
    /// Variables of every process in it.
    pub environment: Environment,
    /// Labels for the caller's own use.
    pub labels: Labels,
    /// Limits other than the snapshot's.
    pub limits: RequestedLimits,
    /// Its timers.
    pub lifecycle: Lifecycle,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// Whether its previews are open to anyone.
    pub is_public: bool,
    /// The volumes mounted in it.
    pub volumes: Vec<RequestedMount>,
    /// The region the caller named; the machine's own if there is none.
    pub target: Option<String>,
}

impl CreateSandbox {
    /// A sandbox from the default snapshot, with nothing of its own.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            name: None,
            source: Source::DefaultSnapshot,
            user: None,
            environment: Environment::default(),
            labels: Labels::new(),
            limits: RequestedLimits::default(),
            lifecycle: Lifecycle::DEFAULT,
            network: NetworkPolicy::Open,
            is_public: false,
            volumes: Vec::new(),
            target: None,
        }
    }
}

/// What a sandbox starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The snapshot that the operator chose.
    DefaultSnapshot,
    /// The snapshot of this name or id.
    Snapshot(String),
    /// An image by its name.
    Image(ImageReference),
    /// An image that is built.
    Build(Build),
}

/// Limits as a caller asks for them: those not given are the snapshot's. Not to be mixed with a named snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestedLimits {
    /// CPUs.
    pub cpu_count: Option<u32>,
    /// Memory, in GiB.
    pub memory_gib: Option<u32>,
    /// Disk, in GiB.
    pub disk_gib: Option<u32>,
}

/// A list that is read from one place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSandboxes {
    /// Which ones.
    pub filter: SandboxFilter,
    /// In which order.
    pub order: SandboxOrder,
    /// How many at most, up to [`ListSandboxes::MAX_LIMIT`].
    pub limit: u32,
    /// Where an earlier answer ended; the beginning if there is none.
    pub cursor: Option<Cursor>,
}

impl ListSandboxes {
    /// How many items one answer has at most, whatever was asked for.
    pub const MAX_LIMIT: u32 = 200;
}

/// A list that is read by numbered pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageSandboxes {
    /// Which ones.
    pub filter: SandboxFilter,
    /// In which order.
    pub order: SandboxOrder,
    /// How many per page, up to [`ListSandboxes::MAX_LIMIT`].
    pub limit: u32,
    /// Which page; the first is 1.
    pub page: u32,
}
