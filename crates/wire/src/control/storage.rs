//! Access to object storage as it travels.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Answer of `GET /object-storage/push-access`: what an S3 client needs to upload build contexts, for a while.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StorageAccess {
    /// What the key is called.
    pub access_key: String,
    /// What requests are signed with.
    pub secret: String,
    /// What requests show beside their signature.
    pub session_token: String,
    /// Where object storage can be reached, path style.
    pub storage_url: String,
    /// What every object's key begins with, before a slash.
    pub organization_id: String,
    /// The one bucket.
    pub bucket: String,
    /// The region that requests are signed for.
    pub region: String,
}

impl fmt::Debug for StorageAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageAccess")
            .field("access_key", &self.access_key)
            .field("storage_url", &self.storage_url)
            .finish_non_exhaustive()
    }
}
