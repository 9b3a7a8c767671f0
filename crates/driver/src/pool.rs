//! Sandboxes that wait for their owners.

use pitlane_model::{ImageName, Limits, WarmPoolId};

/// Which pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolKey {
    /// The one that everybody's sandboxes may come from.
    General,
    /// Somebody's own.
    Own(WarmPoolId),
}

/// A pool as it is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedPool {
    /// Which one.
    pub key: PoolKey,
    /// What its sandboxes start from.
    pub image: ImageName,
    /// What they may use until their owner says otherwise. A disk's size cannot be changed on the way.
    pub limits: Limits,
    /// How many are to wait.
    pub count: u32,
}

/// A pool as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    /// Which one.
    pub key: PoolKey,
    /// How many are to wait.
    pub wanted: u32,
    /// How many wait.
    pub ready: u32,
    /// Why there are not more, if the last try failed.
    pub trouble: Option<PoolTrouble>,
}

/// Why a pool is not full.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolTrouble {
    /// The image is not on this machine, or not any more.
    #[error("its image is not on this machine")]
    NoImage,
    /// The machine has no room for more.
    #[error(transparent)]
    Room(#[from] NoRoomError),
    /// The machine failed; it is tried again.
    #[error("the machine could not prepare a sandbox; this is tried again")]
    Host,
}

/// Why no more sandboxes can wait on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoomError {
    /// There cannot be so many sandboxes.
    #[error("{more} more sandboxes cannot wait: this server has room for {left}")]
    Count {
        /// How many more were to wait.
        more: u64,
        /// How many more can.
        left: u64,
    },
    /// They would take too much memory.
    #[error(
        "{more} more sandboxes that wait need {needed_mib} MiB of memory, and this server has {left_mib} MiB left for them"
    )]
    Memory {
        /// How many more were to wait.
        more: u64,
        /// What they need.
        needed_mib: u64,
        /// What is left.
        left_mib: u64,
    },
    /// They would take too much of the disk.
    #[error(
        "{more} more sandboxes that wait need {needed_mib} MiB of disk, and this server has {left_mib} MiB left for them"
    )]
    Disk {
        /// How many more were to wait.
        more: u64,
        /// What they need.
        needed_mib: u64,
        /// What is left.
        left_mib: u64,
    },
}

/// How often a sandbox that could have come from a pool did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Claims {
    /// It did.
    pub hits: u64,
    /// None waited, and it was made from nothing.
    pub misses: u64,
}

/// All pools, and what came of them since the driver started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolReport {
    /// Those there are, in the order of their keys.
    pub pools: Vec<PoolStatus>,
    /// Claims of the general pool.
    pub general: Claims,
    /// Claims of all others together, those that are gone included.
    pub own: Claims,
}
