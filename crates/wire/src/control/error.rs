//! The body of every answer that is no success.

use serde::{Deserialize, Serialize};

/// [`ErrorBody::source`] of an error of the control plane and its proxy.
pub const SOURCE_API: &str = "DAYTONA_API";

/// [`ErrorBody::source`] of an error of the daemon inside a sandbox. Clients choose special classes only for it.
pub const SOURCE_DAEMON: &str = "DAYTONA_DAEMON";

/// Why a request failed, in the superset of fields that every client version reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// The HTTP status again.
    pub status_code: u16,
    /// A sentence for a person.
    pub message: String,
    /// The status' standard phrase: `Not Found`.
    #[serde(default)]
    pub error: Option<String>,
    /// A word for programs: `NOT_FOUND`.
    #[serde(default)]
    pub code: Option<String>,
    /// Who refused: [`SOURCE_API`] or [`SOURCE_DAEMON`].
    #[serde(default)]
    pub source: Option<String>,
    /// The path that was asked for, without its query.
    #[serde(default)]
    pub path: Option<String>,
    /// The method that was used.
    #[serde(default)]
    pub method: Option<String>,
    /// When it happened, RFC 3339.
    #[serde(default)]
    pub timestamp: Option<String>,
}
