//! What a driver is told to make, and what it tells back.

use std::collections::BTreeMap;

use pitlane_model::{ImageConfig, ImageName, Limits, NetworkPolicy, SandboxId, VolumeMount};

use crate::PoolKey;

/// One sandbox as a driver needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchSpec {
    /// Its id: names its folder, its groups and its host name.
    pub id: SandboxId,
    /// The root filesystem it starts from.
    pub image: ImageName,
    /// What it may use at most.
    pub limits: Limits,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// The user its processes run as, as the image's `/etc/passwd` names it.
    pub user: String,
    /// Variables of every process in it; they come before the image's own.
    pub environment: BTreeMap<String, String>,
    /// A program, with its arguments, that runs beside everything else; empty for none.
    pub entrypoint: Vec<String>,
    /// The pools that it may come from, the best one first. Only a create looks here.
    pub pools: Vec<PoolKey>,
    /// The volumes mounted in it; none is in another's way.
    pub volumes: Vec<VolumeMount>,
}

/// What a sandbox's daemon said when it was ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The daemon's version, `MAJOR.MINOR.PATCH`.
    pub daemon_version: String,
}

/// How far the preparation of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageProgress {
    /// What is being done, for a person: `installing packages`.
    pub step: String,
    /// Parts of it that are done.
    pub done: u64,
    /// Parts in all; 0 while unknown.
    pub total: u64,
}

/// An image that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedImage {
    /// What it is called on this machine from now on.
    pub image: ImageName,
    /// Bytes of its root filesystem.
    pub size_bytes: u64,
    /// What it says of itself.
    pub config: ImageConfig,
}
