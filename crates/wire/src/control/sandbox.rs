//! Sandboxes as they travel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Body of `POST /sandbox`. A `null` is the same as an absent field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateSandbox {
    /// Its name; its id's text if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name or id of the snapshot it starts from; the server's default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The user its processes run as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Variables of every process in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// Labels for the caller's own use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether its previews are open to anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    /// Whether it may reach nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_block_all: Option<bool>,
    /// Whether it needs hardware virtualization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kvm: Option<bool>,
    /// Ranges it may reach, comma separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_allow_list: Option<String>,
    /// Names it may reach, comma separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_allow_list: Option<String>,
    /// A proxy that its traffic goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound_proxy_url: Option<String>,
    /// Where its telemetry goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otel_endpoint_override: Option<String>,
    /// The region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// CPUs' worth of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Graphics cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
    /// Kinds of graphics cards that will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_type: Option<Vec<String>>,
    /// Whether it may be taken away for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot: Option<bool>,
    /// Memory, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// Minutes without activity until it stops; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_stop_interval: Option<i64>,
    /// Minutes without activity until it pauses; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_pause_interval: Option<i64>,
    /// Minutes after its stop until it is archived; 0 for the maximum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_archive_interval: Option<i64>,
    /// Minutes after its stop until it is deleted; 0 deletes on stop, a negative number never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_delete_interval: Option<i64>,
    /// Minutes it lives at most; 0 for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_minutes: Option<i64>,
    /// Seconds it may wait for room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<i64>,
    /// Volumes mounted into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<SandboxVolume>>,
    /// An image to build for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_info: Option<CreateBuildInfo>,
    /// A sandbox it lives and dies with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked_sandbox: Option<String>,
    /// Secrets it gets, each a variable's name and a secret's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<BTreeMap<String, String>>>,
}

/// A volume in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SandboxVolume {
    /// The volume's id or name.
    pub volume_id: String,
    /// Where it is mounted.
    pub mount_path: String,
    /// The folder of the volume that is mounted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<String>,
}

/// What to build an image from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateBuildInfo {
    /// A Dockerfile's text.
    pub dockerfile_content: String,
    /// Names of the archives that hold the files it copies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_hashes: Option<Vec<String>>,
    /// Values of `ARG` by name. Not of the reference, like the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_args: Option<BTreeMap<String, String>>,
    /// The stage that is wanted; the last one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether every step is done anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_cache: Option<bool>,
}

/// What a sandbox's image was built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// The Dockerfile's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile_content: Option<String>,
    /// Names of the archives that hold the files it copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_hashes: Option<Vec<String>>,
    /// When the build began.
    pub created_at: String,
    /// When it last moved.
    pub updated_at: String,
    /// The image that came out.
    pub snapshot_ref: String,
}

/// What a single sandbox and a line of a list have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SandboxCore {
    /// Its id.
    pub id: String,
    /// Its owner.
    pub organization_id: String,
    /// Its name.
    pub name: String,
    /// The snapshot it started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// The user its processes run as.
    pub user: String,
    /// Labels of the caller's own.
    pub labels: BTreeMap<String, String>,
    /// Whether its previews are open to anyone.
    pub public: bool,
    /// Whether it may reach nothing.
    pub network_block_all: bool,
    /// Ranges it may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_allow_list: Option<String>,
    /// Names it may reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_allow_list: Option<String>,
    /// The region.
    pub target: String,
    /// CPUs' worth of time.
    pub cpu: u64,
    /// Graphics cards.
    pub gpu: u64,
    /// Memory, in GiB.
    pub memory: u64,
    /// Disk, in GiB.
    pub disk: u64,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// What it is on its way to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// Whether the failure can be mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recoverable: Option<bool>,
    /// Minutes without activity until it stops; 0 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_stop_interval: Option<i64>,
    /// Minutes after its stop until it is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_archive_interval: Option<i64>,
    /// Minutes after its stop until it is deleted; -1 for never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_delete_interval: Option<i64>,
    /// When it stops, if nobody uses it until then. Not of the reference, like the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_stop_at: Option<String>,
    /// When it is archived, if nobody uses it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_archive_at: Option<String>,
    /// When it is deleted, if nobody uses it until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_delete_at: Option<String>,
    /// When it is deleted whatever happens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_destroy_at: Option<String>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When it last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// When it was last used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<String>,
    /// The kind of sandbox: `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_class: Option<String>,
    /// The version of the daemon in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_version: Option<String>,
    /// Where its toolbox lives: `{toolboxProxyUrl}/{id}/…`.
    pub toolbox_proxy_url: String,
}

/// A sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Sandbox {
    /// What a line of a list says too.
    #[serde(flatten)]
    pub core: SandboxCore,
    /// Variables of every process in it.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether it has hardware virtualization.
    #[serde(default)]
    pub kvm: bool,
    /// Volumes mounted into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<SandboxVolume>>,
    /// What its image was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_info: Option<BuildInfo>,
}

/// A line of `GET /sandbox`.
pub type SandboxListItem = SandboxCore;

/// The event `sandbox.state.updated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StateUpdated {
    /// The sandbox as it is now.
    pub sandbox: Sandbox,
    /// What it was.
    pub old_state: String,
    /// What it is.
    pub new_state: String,
}

/// What `sandbox.memory.exhausted` tells on the event channel. Not of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MemoryExhausted {
    /// The sandbox as it is now.
    pub sandbox: Sandbox,
    /// How many of its processes the kernel killed for want of memory since this was last told.
    pub killed: u64,
}

/// Answer of `GET /sandbox/{id}/build-logs-url` and its like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Url {
    /// The address.
    pub url: String,
}

/// Answer of `GET /sandbox/{id}/toolbox-proxy-url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolboxProxyUrl {
    /// Where toolboxes live: `{url}/{id}/…`.
    pub url: String,
}

/// Body and answer of `PUT /sandbox/{id}/labels`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxLabels {
    /// All of the sandbox's labels.
    pub labels: BTreeMap<String, String>,
}

/// Body of `POST /sandbox/{id}/resize`. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResizeSandbox {
    /// CPUs' worth of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Memory, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
}

/// Body of `POST /sandbox/{id}/snapshot`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateSandboxSnapshot {
    /// The snapshot's name.
    pub name: String,
    /// Whether the sandbox's memory is kept as well; it never is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_memory: Option<bool>,
}

/// Body of `POST /sandbox/{id}/last-activity`, which may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateLastActivity {
    /// What kind of use it was; every kind counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity_type: Option<String>,
}
