//! What a sandbox uses, and which ports its programs listen on.

use serde::{Deserialize, Serialize};

/// The answer of `GET /system/metrics`: what the sandbox uses now, of what it may use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SystemMetrics {
    /// How many CPUs it may use.
    pub cpu_count: u32,
    /// How much of them it has used since it was last asked, in percent.
    pub cpu_used_pct: f64,
    /// Memory it may use, in bytes.
    pub mem_total: u64,
    /// Memory it uses, without what the kernel would give back when needed, in bytes.
    pub mem_used: u64,
    /// Contents of files that the kernel keeps in memory for it, in bytes.
    pub mem_cache: u64,
    /// The size of its disk, in bytes.
    pub disk_total: u64,
    /// What is taken of it, in bytes.
    pub disk_used: u64,
    /// What its user may still write, in bytes.
    pub disk_free: u64,
    /// When this was so.
    pub timestamp: String,
    /// When this was so, in seconds since 1970.
    pub timestamp_unix: i64,
}

/// The answer of `GET /port`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PortList {
    /// Ports from 3000 to 9999 on which something listens, in order.
    pub ports: Vec<u16>,
}

/// The answer of `GET /port/{port}/in-use`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PortInUse {
    /// Whether something listens on it.
    pub is_in_use: bool,
}

/// The body of `POST /init`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InitializeRequest {
    /// A credential for the daemon's own calls; Pitlane's daemon makes none, and forgets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}
