//! What a server says of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `GET /config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The server's version.
    pub version: String,
    /// Where people sign in. Clients require the object; empty texts mean that only API keys are accepted.
    pub oidc: OidcConfiguration,
    /// Whether one person may link several accounts.
    pub linked_accounts_enabled: bool,
    /// Messages to people, by name.
    pub announcements: BTreeMap<String, Announcement>,
    /// Where previews live, with `{{PORT}}` and `{{sandboxId}}` in it.
    pub proxy_template_url: String,
    /// Where toolboxes live.
    pub proxy_toolbox_url: String,
    /// The snapshot of a sandbox that asks for none.
    pub default_snapshot: String,
    /// Where people look at sandboxes.
    pub dashboard_url: String,
    /// The longest time between a stop and archiving, in minutes.
    pub max_auto_archive_interval: u64,
    /// Whether the server refuses work. The API spells it so.
    pub maintanance_mode: bool,
    /// A word for the deployment: `production`.
    pub environment: String,
}

/// A message to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// The message.
    pub text: String,
    /// Where more is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn_more_url: Option<String>,
}

/// Where people sign in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OidcConfiguration {
    /// The identity provider's address.
    pub issuer: String,
    /// The dashboard's name there.
    pub client_id: String,
    /// Whom its tokens are for.
    pub audience: String,
    /// Which product the provider is.
    pub provider: String,
}

/// Answer of `GET /health`: the process answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// `ok`.
    pub status: String,
}

/// Answer of `GET /health/ready`: the server can do its work, or what keeps it from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Readiness {
    /// `ok` or `error`.
    pub status: String,
    /// The parts that work.
    pub info: BTreeMap<String, HealthDetail>,
    /// The parts that do not.
    pub error: BTreeMap<String, HealthDetail>,
    /// All parts.
    pub details: BTreeMap<String, HealthDetail>,
}

/// One part of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HealthDetail {
    /// `up` or `down`.
    pub status: String,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
