//! Volumes as they travel.

use serde::{Deserialize, Serialize};

/// Body of `POST /volumes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateVolume {
    /// Its name, unique in the organization; its id if it is empty.
    pub name: String,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct VolumeDto {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub organization_id: String,
    /// Where it stands: `ready`, `pending_create`, `pending_delete`, `deleting`, `deleted`, `error`, …
    pub state: String,
    /// When it was accepted.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When a sandbox was last made with it; `null` before that.
    pub last_used_at: Option<String>,
    /// Why its state is an error; `null` otherwise.
    pub error_reason: Option<String>,
}

/// The event `volume.state.updated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStateUpdated {
    /// The volume as it is now.
    pub volume: VolumeDto,
    /// What it was.
    pub old_state: String,
    /// What it is.
    pub new_state: String,
}
