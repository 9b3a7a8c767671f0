//! API keys as they travel.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Body of `POST /api-keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateApiKey {
    /// What the key is called, unique in its organization.
    pub name: String,
    /// What it may do, in the API's words: `write:sandboxes`.
    pub permissions: Vec<String>,
    /// When it stops working, RFC 3339; never if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// Answer of `POST /api-keys`: the only time the key's text travels from the server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreatedApiKey {
    /// What it is called.
    pub name: String,
    /// The key itself.
    pub value: String,
    /// When it was made.
    pub created_at: String,
    /// What it may do.
    pub permissions: Vec<String>,
    /// When it stops working; `null` for never.
    pub expires_at: Option<String>,
}

impl fmt::Debug for CreatedApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A key in lists: recognizable, and useless to a thief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyItem {
    /// What it is called.
    pub name: String,
    /// Its first and last characters.
    pub value: String,
    /// When it was made.
    pub created_at: String,
    /// What it may do.
    pub permissions: Vec<String>,
    /// When it was last used; `null` while unknown.
    pub last_used_at: Option<String>,
    /// When it stops working; `null` for never.
    pub expires_at: Option<String>,
    /// Who made it.
    pub user_id: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
}
