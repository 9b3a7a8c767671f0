//! Pages of things.

use serde::{Deserialize, Serialize};

use super::{Sandbox, SandboxListItem, Snapshot};

/// Answer of `GET /sandbox`: one page of a list that a cursor walks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SandboxPage<Items = Vec<SandboxListItem>> {
    /// The sandboxes of this page.
    pub items: Items,
    /// What to send as `cursor` for the next page; `null` after the last.
    pub next_cursor: Option<String>,
}

/// Answer of `GET /sandbox/paginated`, which clients before 0.180 ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaginatedSandboxes {
    /// The sandboxes of this page.
    pub items: Vec<Sandbox>,
    /// How many there are in all.
    pub total: u64,
    /// This page's number, from 1.
    pub page: u64,
    /// How many pages there are.
    pub total_pages: u64,
}

/// Answer of `GET /snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PaginatedSnapshots {
    /// The snapshots of this page.
    pub items: Vec<Snapshot>,
    /// How many there are in all.
    pub total: u64,
    /// This page's number, from 1.
    pub page: u64,
    /// How many pages there are.
    pub total_pages: u64,
}
