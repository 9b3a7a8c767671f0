//! The list of settings, a module for each family.

mod builds;
mod deadlines;
mod log;
mod mcp;
mod network;
mod object_storage;
mod rate_limits;
mod registries;
mod sandboxes;
mod server;
mod values;
mod volumes;

use std::net::SocketAddr;
use std::path::PathBuf;

use pitlane_api::RateLimits;
use pitlane_build::BuildSettings;
use pitlane_control::Patience;
use pitlane_image::RegistryRules;
use pitlane_model::{ImageName, Limits};
use pitlane_network::{Subnet, Upstreams};
use pitlane_storage::ContextLimits;

use super::{LogFormat, ObjectStorageSettings, Setting, Settings, UplinkSetting};
use crate::failure::Failure;

/// The families, in the order in which they are shown.
static FAMILIES: [&[Setting]; 13] = [
    &server::SETTINGS,
    &object_storage::SETTINGS,
    &builds::SETTINGS,
    &server::WATCHING,
    &rate_limits::SETTINGS,
    &mcp::SETTINGS,
    &log::SETTINGS,
    &registries::SETTINGS,
    &network::SETTINGS,
    &sandboxes::WAITING,
    &volumes::SETTINGS,
    &sandboxes::SETTINGS,
    &deadlines::SETTINGS,
];

/// Every setting, in the order in which they are shown.
pub(super) fn all() -> impl Iterator<Item = &'static Setting> {
    FAMILIES.into_iter().flatten()
}

impl Settings {
    /// Values that the defaults replace, or that stand for "not given".
    pub(super) fn before_defaults() -> Result<Self, Failure> {
        Ok(Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: PathBuf::new(),
            run: None,
            image_cache: PathBuf::new(),
            image: ImageName::new("default")?,
            registries: RegistryRules::default(),
            daemon: None,
            public_url: None,
            storage_url: None,
            storage_listen: None,
            storage_certificate: None,
            storage_private_key: None,
            contexts: ContextLimits::STANDARD,
            builds: BuildSettings::default(),
            max_connections: 0,
            metrics: None,
            rate_limits: RateLimits::default(),
            mcp: pitlane_mcp::Settings::default(),
            log: String::new(),
            log_format: LogFormat::Auto,
            uplink: UplinkSetting::None,
            subnet: Subnet::standard(),
            allow_private: Vec::new(),
            resolvers: Upstreams::File(PathBuf::from("/etc/resolv.conf")),
            prepared: 0,
            pool_memory_mib: None,
            volume_gib: 0,
            object_storage: ObjectStorageSettings::default(),
            disk_overcommit: 0,
            first_id: 0,
            maximum: Limits::MAXIMUM,
            target: String::new(),
            patience: Patience::STANDARD,
        })
    }
}
