//! Addresses of previews as they travel.

use serde::{Deserialize, Serialize};

/// Answer of `GET /sandbox/{id}/ports/{port}/preview-url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PortPreviewUrl {
    /// The sandbox's id.
    pub sandbox_id: String,
    /// Where the port can be reached.
    pub url: String,
    /// What opens it, in the header `x-daytona-preview-token`.
    pub token: String,
}

/// Answer of `GET /sandbox/{id}/ports/{port}/signed-preview-url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignedPortPreviewUrl {
    /// The sandbox's id.
    pub sandbox_id: String,
    /// The port.
    pub port: u16,
    /// What opens it.
    pub token: String,
    /// Where the port can be reached, with the token in it.
    pub url: String,
}
