//! What became of a sandbox, as it travels. Not of the reference.

use serde::{Deserialize, Serialize};

/// Answer of `GET /sandbox/{id}/log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxLog {
    /// The changes of its state and what else happened to it, the oldest first.
    pub items: Vec<SandboxLogLine>,
}

/// A change of a sandbox's state, or something that happened to it in a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SandboxLogLine {
    /// Greater than that of every line before.
    pub number: u64,
    /// When it happened, RFC 3339.
    pub at: String,
    /// Its state since then.
    pub state: String,
    /// Whose doing it was: `caller`, `timer`, `sandbox` (it ended, or ran out of memory) or `server`.
    pub by: String,
    /// Why, for a person; `null` if there is no more to say.
    pub reason: Option<String>,
}
