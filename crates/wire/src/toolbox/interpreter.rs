//! Interpreters: contexts in which code runs one piece after the other, and what is said over their WebSocket.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of `POST /process/interpreter/context`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CreateContextRequest {
    /// Where the context starts; a relative folder is in the work folder, which is also what stands in for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// `python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// A context: a namespace that lasts, in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InterpreterContext {
    /// What it is called in requests.
    pub id: String,
    /// Where it started.
    pub cwd: String,
    /// `python`.
    pub language: String,
    /// Whether its process runs. The next run starts one that does not.
    pub active: bool,
    /// When it was made, by RFC 3339.
    pub created_at: String,
}

/// The answer of `GET /process/interpreter/context`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListContextsResponse {
    /// The contexts that were made by request, the oldest first.
    pub contexts: Vec<InterpreterContext>,
}

/// The answer of `DELETE /process/interpreter/context/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ContextDeleted {
    /// A sentence.
    pub message: String,
}

/// The first message on the WebSocket of `GET /process/interpreter/execute`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterpreterRequest {
    /// The code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Where it runs; none is the default context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// Variables for this run alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envs: Option<BTreeMap<String, String>>,
    /// How many seconds it may run; 0 is without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
}

/// A message to the client of a run. Output is written without this type, piece by piece.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum InterpreterMessage {
    /// A piece of standard output.
    Stdout {
        /// The piece.
        text: String,
    },
    /// A piece of standard error.
    Stderr {
        /// The piece.
        text: String,
    },
    /// An exception that nobody caught.
    Error {
        /// Its type.
        name: String,
        /// Its text.
        value: String,
        /// Where it came from.
        traceback: String,
    },
    /// The run is over.
    Control {
        /// `completed` or `interrupted`.
        text: String,
    },
}
