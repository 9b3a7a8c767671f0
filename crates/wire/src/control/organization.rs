//! Organizations as they travel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Body of `POST /organizations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateOrganization {
    /// What it is called, unique on this server.
    pub name: String,
    /// The region of its sandboxes. One machine has one region, whatever is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region_id: Option<String>,
}

/// An organization. Clients require every field; those of the hosted service's own are empty, zero or false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// Its id, a UUID.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Who made it. Servers without people say its own id.
    pub created_by: String,
    /// Whether it is one person's own.
    pub personal: bool,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
    /// Whether it is barred from making sandboxes. The next three mean something only then.
    pub suspended: bool,
    /// Since when.
    pub suspended_at: String,
    /// Why.
    pub suspension_reason: String,
    /// Until when.
    pub suspended_until: String,
    /// How long its sandboxes are kept then.
    pub suspension_cleanup_grace_period_hours: u64,
    /// CPUs that one of its sandboxes may have.
    pub max_cpu_per_sandbox: u64,
    /// Memory that one of its sandboxes may have, in GiB.
    pub max_memory_per_sandbox: u64,
    /// Disk that one of its sandboxes may have, in GiB.
    pub max_disk_per_sandbox: u64,
    /// How many secrets it may have.
    pub secret_quota: u64,
    /// How many of them one sandbox may have.
    pub max_secrets_per_sandbox: u64,
    /// After how long a snapshot that nobody uses is put away; 0 for never.
    pub snapshot_deactivation_timeout_minutes: u64,
    /// How long a creation may wait for room; `null` for the client's own choice.
    pub default_queue_timeout: Option<u64>,
    /// Whether its sandboxes reach nothing outside unless they say so.
    pub sandbox_limited_network_egress: bool,
    /// Whether previews begin with a warning to people.
    pub preview_warning_enabled: bool,
    /// Whether its people sign in at an identity provider of its own.
    pub sso_enabled: bool,
    /// Whether its people come from a directory of its own.
    pub scim_enabled: bool,
    /// The region of its sandboxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region_id: Option<String>,
    /// Requests that it may make; `null` for the server's own limit.
    pub authenticated_rate_limit: Option<u64>,
    /// Sandboxes that it may make; `null` for the server's own limit.
    pub sandbox_create_rate_limit: Option<u64>,
    /// Sandboxes that it may change; `null` for the server's own limit.
    pub sandbox_lifecycle_rate_limit: Option<u64>,
    /// What is being tried out.
    pub experimental_config: BTreeMap<String, String>,
    /// Where its traces go; `null` for nowhere.
    pub otel_config: Option<BTreeMap<String, String>>,
    /// The time that the first limit is for, in seconds.
    pub authenticated_rate_limit_ttl_seconds: Option<u64>,
    /// The time that the second limit is for, in seconds.
    pub sandbox_create_rate_limit_ttl_seconds: Option<u64>,
    /// The time that the third limit is for, in seconds.
    pub sandbox_lifecycle_rate_limit_ttl_seconds: Option<u64>,
}
