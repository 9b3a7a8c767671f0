//! Warm pools as they travel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Body of `POST /warm-pools`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateWarmPool {
    /// The snapshot, by id or name.
    pub snapshot: String,
    /// How many sandboxes are to wait.
    pub pool: u32,
    /// The region of the sandboxes that take from it; the server's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// Body of `PATCH /warm-pools/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateWarmPool {
    /// How many sandboxes are to wait; 0 keeps the pool and lets none wait.
    pub pool: u32,
}

/// A warm pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WarmPool {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub organization_id: String,
    /// The name of the snapshot.
    pub snapshot: String,
    /// The region.
    pub target: String,
    /// How many sandboxes are to wait.
    pub pool: u32,
    /// How many wait.
    pub current_size: u32,
    /// Processors of the snapshot's sandboxes; 0 while there is no such snapshot.
    pub cpu: u64,
    /// Memory of the snapshot's sandboxes in GiB; 0 while there is no such snapshot.
    pub mem: u64,
    /// Disk of the snapshot's sandboxes in GiB; 0 while there is no such snapshot.
    pub disk: u64,
    /// The user of the snapshot's sandboxes.
    pub os_user: String,
    /// Variables that its sandboxes have before they are taken: none.
    pub env: BTreeMap<String, String>,
    /// Why not all of them wait; `null` while nothing is in the way.
    pub error_reason: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When its size last changed.
    pub updated_at: String,
}
