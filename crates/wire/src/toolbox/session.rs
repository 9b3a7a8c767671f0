//! Sessions: shells that last, and what was run in them.

use serde::{Deserialize, Serialize};

/// The body of `POST /process/session`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateSessionRequest {
    /// What the session is called from then on.
    pub session_id: String,
}

/// A session: an element of the answer of `GET /process/session`, and the answer of `GET /process/session/{sessionId}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// What it is called.
    pub session_id: String,
    /// What was run in it, in order.
    pub commands: Vec<SessionCommand>,
}

/// A command of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Command"))]
#[serde(rename_all = "camelCase")]
pub struct SessionCommand {
    /// What it is called.
    pub id: String,
    /// What the shell was given.
    pub command: String,
    /// How it ended; absent before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// The body of `POST /process/session/{sessionId}/exec`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionExecuteRequest {
    /// What the session's shell reads.
    pub command: String,
    /// Whether the answer comes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_async: Option<bool>,
    /// The old name of the same.
    #[serde(default, rename = "async", skip_serializing_if = "Option::is_none")]
    pub is_async: Option<bool>,
    /// Whether what is sent to its input stays out of its log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppress_input_echo: Option<bool>,
}

/// The answer of `POST /process/session/{sessionId}/exec`; of a command that was only begun, its name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionExecuteResponse {
    /// What the command is called.
    pub cmd_id: String,
    /// Both outputs, with three bytes wherever one begins: 1 standard output, 2 standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Its standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// Its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// How it ended: its exit code, or 128 plus the number of the signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// The answer of `GET /process/session/{sessionId}/command/{commandId}/logs`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionCommandLogsResponse {
    /// Both outputs, with three bytes wherever one begins: 1 standard output, 2 standard error.
    pub output: String,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A piece of a command's log: what the same address answers with `offset` or `tail`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionLogPiece {
    /// Both outputs in the order in which they came, without marks. It ends with a whole character unless the log does not.
    pub output: String,
    /// How many bytes of the log come before it.
    pub offset: u64,
    /// How many bytes of the log come before what follows it.
    pub next_offset: u64,
    /// How many bytes the log has now.
    pub length: u64,
}

/// The body of `POST /process/session/{sessionId}/command/{commandId}/input`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SessionSendInputRequest {
    /// What its input gets, as a line.
    pub data: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{SessionExecuteRequest, SessionExecuteResponse};

    #[test]
    fn a_command_may_be_asynchronous_by_either_name() {
        for name in ["runAsync", "async"] {
            let body = json!({"command": "ls", name: true, "suppressInputEcho": null});
            let read: SessionExecuteRequest = serde_json::from_value(body).unwrap();
            assert_eq!(
                (read.run_async.or(read.is_async), read.suppress_input_echo),
                (Some(true), None)
            );
        }
    }

    #[test]
    fn a_command_that_was_only_begun_has_no_more_than_a_name() {
        let begun = SessionExecuteResponse { cmd_id: String::from("1"), ..Default::default() };
        assert_eq!(serde_json::to_value(begun).unwrap(), json!({"cmdId": "1"}));
    }
}
