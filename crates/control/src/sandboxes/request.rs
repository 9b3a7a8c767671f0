//! What a caller can ask of sandboxes.

use pitlane_model::{Environment, ImageReference, Labels, Lifecycle, NetworkPolicy, SandboxName};
use pitlane_store::{Cursor, SandboxFilter, SandboxOrder};

/// A sandbox as a caller asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSandbox {
    /// Its name; its id becomes its name if there is none.
    pub name: Option<SandboxName>,
    /// Name or id of a snapshot; the default one if there is none.
    pub snapshot: Option<String>,
    /// An image to start from in place of a snapshot.
    pub image: Option<ImageReference>,
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
    /// The region the caller named; the machine's own if there is none.
    pub target: Option<String>,
}

impl CreateSandbox {
    /// A sandbox from the default snapshot, with nothing of its own.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            name: None,
            snapshot: None,
            image: None,
            user: None,
            environment: Environment::default(),
            labels: Labels::new(),
            limits: RequestedLimits::default(),
            lifecycle: Lifecycle::DEFAULT,
            network: NetworkPolicy::Open,
            is_public: false,
            target: None,
        }
    }
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
