//! Commands and code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of `POST /process/execute`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecuteRequest {
    /// What a shell reads as its input.
    pub command: String,
    /// Where it starts; the work folder without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Variables beside those of the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envs: Option<BTreeMap<String, String>>,
    /// After how many seconds it is killed; never without it, or with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// The body of `POST /process/code-run`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CodeRunRequest {
    /// The source text.
    pub code: String,
    /// `python`, `javascript` or `typescript`.
    pub language: String,
    /// Arguments of the program, after its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Variables beside those of the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envs: Option<BTreeMap<String, String>>,
    /// After how many seconds it is killed; never without it, or with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// The body of `POST /process/execute/stream`: code when it says a language, a command otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum StreamRequest {
    /// Code in a language.
    Code(CodeRunRequest),
    /// A command for a shell.
    Command(ExecuteRequest),
}

/// The answer of a command or of code that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExecuteResponse {
    /// How it ended: its exit code, 128 plus the signal's number when a signal ended it, -1 when it could not start.
    pub exit_code: i32,
    /// Standard output and standard error as one text, in the order in which they were written.
    pub result: String,
}

/// The answer of `GET /work-dir`, `/user-home-dir` and `/project-dir`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Directory {
    /// An absolute path.
    pub dir: String,
}

/// The answer of `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Version {
    /// The daemon's version, `MAJOR.MINOR.PATCH`.
    pub version: String,
}

/// The body of `POST /env`: changes the variables of processes that start from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UpdateEnvironment {
    /// Variables to set.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
    /// Names of variables to forget, before any is set.
    #[serde(default)]
    pub unset: Vec<String>,
    /// Forgets those whose value begins with this, before any is set; nothing when empty.
    #[serde(default)]
    pub unset_value_prefix: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{CodeRunRequest, ExecuteRequest, StreamRequest};

    #[test]
    fn a_command_needs_nothing_but_itself() {
        let read: ExecuteRequest =
            serde_json::from_value(json!({"command": "ls", "cwd": null, "later": true})).unwrap();
        let wanted = ExecuteRequest { command: String::from("ls"), ..ExecuteRequest::default() };
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_stream_is_of_code_when_it_says_a_language() {
        let code = json!({"code": "1", "language": "python"});
        let command = json!({"command": "ls", "timeout": 3});
        let read: [StreamRequest; 2] =
            [code, command].map(|body| serde_json::from_value(body).unwrap());
        let wanted = [
            StreamRequest::Code(CodeRunRequest {
                code: String::from("1"),
                language: String::from("python"),
                ..CodeRunRequest::default()
            }),
            StreamRequest::Command(ExecuteRequest {
                command: String::from("ls"),
                timeout: Some(3),
                ..ExecuteRequest::default()
            }),
        ];
        assert_eq!(read, wanted);
    }
}
