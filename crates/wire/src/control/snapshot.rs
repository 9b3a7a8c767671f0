//! Snapshots as they travel.

use serde::{Deserialize, Serialize};

/// What a snapshot is to be: the body of `POST /snapshots`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateSnapshot {
    /// Its name.
    pub name: String,
    /// The image it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// What its sandboxes run beside everything else; the image's own program if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// CPUs of a sandbox that asks for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u32>,
    /// Graphics cards of such a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<u32>,
    /// Kinds of graphics cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_type: Option<Vec<String>>,
    /// Memory of such a sandbox, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u32>,
    /// Disk of such a sandbox, in GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<u32>,
    /// How its image is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_info: Option<super::CreateBuildInfo>,
    /// The region that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_id: Option<String>,
    /// The kind of sandbox it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_class: Option<String>,
}

/// Something a sandbox starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Its owner; absent for one that everybody may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Whether everybody may use it.
    pub general: bool,
    /// Its name.
    pub name: String,
    /// The image it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_name: Option<String>,
    /// Where it stands: `active`, `building`, `error`, …
    pub state: String,
    /// Its size in whole GiB, rounded up; `null` while unknown.
    pub size: Option<u64>,
    /// The command an image starts by itself.
    pub entrypoint: Option<Vec<String>>,
    /// CPUs of a sandbox that asks for none.
    pub cpu: u64,
    /// Graphics cards of such a sandbox.
    pub gpu: u64,
    /// Memory of such a sandbox, in GiB.
    pub mem: u64,
    /// Disk of such a sandbox, in GiB.
    pub disk: u64,
    /// Why its state is an error.
    pub error_reason: Option<String>,
    /// When it was added.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When a sandbox last started from it.
    pub last_used_at: Option<String>,
    /// The sandbox it was taken of.
    pub source_sandbox_id: Option<String>,
    /// What its image was built from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_info: Option<super::BuildInfo>,
    /// The kind of sandbox it makes: `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_class: Option<String>,
}
