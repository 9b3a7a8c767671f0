//! Warm pools: how many sandboxes of a snapshot are to wait for their owners.

use crate::{OrganizationId, Timestamp, WarmPoolId};

/// A pool as its organization asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmPool {
    /// Its id.
    pub id: WarmPoolId,
    /// Whose creates take from it.
    pub organization: OrganizationId,
    /// The name of the snapshot. Whatever has that name is what waits: also another one, added after the first was
    /// deleted.
    pub snapshot: String,
    /// The region of the sandboxes that take from it.
    pub target: String,
    /// How many are to wait; 0 keeps the pool and lets none wait.
    pub size: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its size last changed.
    pub updated_at: Timestamp,
}

impl WarmPool {
    /// How many may wait in one pool, whatever the machine has room for.
    pub const MAX_SIZE: u32 = 1000;
}
