//! Terminals: what is asked of them, and what is said of them beside their bytes.
//!
//! A terminal's own bytes travel in binary messages of a WebSocket, both ways. Between them the daemon says in text
//! messages what became of it: [`PtyControl`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The subprotocol of a client that is told in a message how its terminal ended, and not only when it is closed.
pub const PTY_EXIT_CONTROL: &str = "X-Daytona-Pty-Exit-Control";
/// What the subprotocol with a new terminal's variables begins with: a JSON object in URL-safe base64 follows.
pub const PTY_ENVIRONMENT_PREFIX: &str = "X-Daytona-Pty-Envs~";
/// Pitlane's own: the subprotocol of a client that would rather have the program wait than lose its connection when it
/// reads too slowly.
pub const PTY_PATIENCE: &str = "X-Pitlane-Pty-Patience";

/// The most columns, and the most rows.
pub const MAX_PTY_SIDE: u16 = 1000;

/// The body of `POST /process/pty`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PtyCreateRequest {
    /// What the terminal will be called; no other one of the sandbox may have the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How wide it is, in characters; 80 without it, and at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cols: Option<u32>,
    /// How high it is, in lines; 24 without it, and at most 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u32>,
    /// Where the shell starts; the work folder without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables of the shell, beside those of the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envs: Option<BTreeMap<String, String>>,
    /// Whether the shell starts when the first client connects, and not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lazy_start: Option<bool>,
}

/// The answer of `POST /process/pty`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PtyCreateResponse {
    /// What the terminal is called.
    pub session_id: String,
}

/// A terminal: the answer of `GET /process/pty/{sessionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PtySessionInfo {
    /// What it is called.
    pub id: String,
    /// Whether its shell runs; one that was made to start late may not yet.
    pub active: bool,
    /// How wide it is, in characters.
    pub cols: u16,
    /// How high it is, in lines.
    pub rows: u16,
    /// When it was made.
    pub created_at: String,
    /// Where its shell started.
    pub cwd: String,
    /// The variables that were asked for.
    pub envs: BTreeMap<String, String>,
    /// Whether its shell starts when the first client connects.
    pub lazy_start: bool,
}

/// The answer of `GET /process/pty`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PtyListResponse {
    /// The terminals, by name.
    pub sessions: Vec<PtySessionInfo>,
}

/// The body of `POST /process/pty/{sessionId}/resize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PtyResizeRequest {
    /// How wide it becomes, in characters; from 1 to 1000.
    pub cols: u32,
    /// How high it becomes, in lines; from 1 to 1000.
    pub rows: u32,
}

/// The answer of `DELETE /process/pty/{sessionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PtyKilled {
    /// What was done.
    pub message: String,
}

/// How a terminal's shell ended; the reason of a close holds it as well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PtyExit {
    /// Its exit code; 128 and the number for a signal.
    pub exit_code: i32,
    /// What the code means, unless it is 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<String>,
}

impl PtyExit {
    /// What is said of an exit code.
    #[must_use]
    pub fn of(exit_code: i32) -> Self {
        let exit_reason = match exit_code {
            0 => None,
            130 => Some(String::from("Ctrl+C")),
            137 => Some(String::from("SIGKILL")),
            143 => Some(String::from("SIGTERM")),
            129.. => Some(format!("signal {}", exit_code.saturating_sub(128))),
            _ => Some(String::from("non-zero exit")),
        };
        Self { exit_code, exit_reason }
    }
}

/// A text message from a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtyControl {
    /// What tells it from output.
    #[serde(rename = "type")]
    kind: Kind,
    /// What became of it.
    #[serde(flatten)]
    pub status: PtyStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Control,
}

/// What became of a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum PtyStatus {
    /// The client is connected to it: output follows, and input is taken.
    Connected,
    /// Its shell ended, and all output was sent.
    Exited(PtyExit),
    /// It is of no use any more to this client.
    Error {
        /// Why.
        error: String,
    },
}

impl PtyControl {
    /// The message as text.
    #[must_use]
    pub fn text(status: PtyStatus) -> String {
        // Nothing in it can fail to be written.
        serde_json::to_string(&Self { kind: Kind::Control, status }).unwrap_or_default()
    }

    /// Reads a message; `None` for what is none, which is output.
    #[must_use]
    pub fn read(text: &str) -> Option<PtyStatus> {
        serde_json::from_str::<Self>(text).ok().map(|control| control.status)
    }
}

#[cfg(test)]
mod tests {
    use super::{PtyControl, PtyExit, PtyStatus};

    #[test]
    fn messages_are_those_that_clients_know() {
        let error = PtyStatus::Error { error: "no".into() };
        for (status, text) in [
            (PtyStatus::Connected, r#"{"type":"control","status":"connected"}"#),
            (
                PtyStatus::Exited(PtyExit::of(0)),
                r#"{"type":"control","status":"exited","exitCode":0}"#,
            ),
            (
                PtyStatus::Exited(PtyExit::of(130)),
                r#"{"type":"control","status":"exited","exitCode":130,"exitReason":"Ctrl+C"}"#,
            ),
            (error, r#"{"type":"control","status":"error","error":"no"}"#),
        ] {
            assert_eq!(PtyControl::text(status.clone()), text);
            assert_eq!(PtyControl::read(text), Some(status));
        }
    }

    #[test]
    fn what_is_no_message_is_output() {
        for text in ["", "{", "{}", "[]", r#"{"type":"other","status":"connected"}"#, "1"] {
            assert_eq!(PtyControl::read(text), None, "{text}");
        }
    }

    #[test]
    fn an_exit_code_has_a_reason_unless_it_is_a_success() {
        for (code, reason) in [
            (0, None),
            (1, Some("non-zero exit")),
            (128, Some("non-zero exit")),
            (129, Some("signal 1")),
            (130, Some("Ctrl+C")),
            (137, Some("SIGKILL")),
            (143, Some("SIGTERM")),
            (255, Some("signal 127")),
            (-1, Some("non-zero exit")),
        ] {
            assert_eq!(PtyExit::of(code).exit_reason.as_deref(), reason, "{code}");
        }
    }
}
