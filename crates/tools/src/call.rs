//! What was asked for, understood.

mod arguments;

use serde_json::{Value, json};

use self::arguments::Arguments;
use crate::daytona::Tool;
use crate::input::{
    CreateSandbox, DeleteSandbox, ExecSession, ExecuteCode, ExecuteShell, FileAction,
    FileOperation, GetPreviewUrl, GetSandboxInfo, GitAction, GitOperation, ListSandboxes,
};
use crate::{DaytonaCall, Missing, Permission, Toolset};

/// An operation with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// `create_sandbox`
    CreateSandbox(CreateSandbox),
    /// `execute_code`
    ExecuteCode(ExecuteCode),
    /// `execute_shell`
    ExecuteShell(ExecuteShell),
    /// `file_operation`
    FileOperation(FileOperation),
    /// `git_operation`
    GitOperation(GitOperation),
    /// `list_sandboxes`
    ListSandboxes(ListSandboxes),
    /// `delete_sandbox`
    DeleteSandbox(DeleteSandbox),
    /// `get_sandbox_info`
    GetSandboxInfo(GetSandboxInfo),
    /// `get_preview_url`
    GetPreviewUrl(GetPreviewUrl),
    /// `exec_session`
    ExecSession(ExecSession),
    /// One of Daytona's own twelve.
    Daytona(DaytonaCall),
}

/// Why something is no call.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// Nothing was sent.
    #[error("No input data provided")]
    NoInput,
    /// It is not JSON, or not a JSON object.
    #[error("Invalid JSON input")]
    InvalidJson,
    /// It does not say what is wanted.
    #[error("No method specified")]
    NoMethod,
    /// There is no such operation.
    #[error("Unknown method: {method}")]
    UnknownMethod {
        /// What was asked for.
        method: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// An argument is missing or makes no sense.
    #[error("{}", .0.sentence())]
    InvalidParameter(Box<InvalidParameter>),
}

/// An argument that is missing or makes no sense.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidParameter {
    /// The operation.
    pub method: &'static str,
    /// The argument; the first one of several that are missing.
    pub parameter: String,
    /// What is wrong with it.
    pub why: String,
    /// All arguments that are needed and were not given.
    pub missing: Vec<Missing>,
    /// What the operation needs.
    pub required: Vec<String>,
    /// What it may be given.
    pub optional: Vec<String>,
    /// Arguments that would do.
    pub example: Value,
}

impl InvalidParameter {
    /// What is wrong, in the words of the set of tools that the operation is of.
    fn sentence(&self) -> String {
        let is_daytona = Toolset::Daytona
            .operations()
            .iter()
            .any(|operation| operation.name == self.method && operation.name != "create_sandbox");
        match self.parameter.as_str() {
            "id" if is_daytona && !self.missing.is_empty() => {
                String::from("sandbox ID is required")
            }
            parameter if is_daytona && !self.missing.is_empty() => {
                format!("{parameter} parameter is required")
            }
            parameter => format!("Invalid parameter '{parameter}': {}", self.why),
        }
    }
}

impl Call {
    /// Understands a call of an operation of the default set. A `null` is an absent argument; numbers and truth values
    /// may be written as texts; the arguments may be a JSON text.
    ///
    /// # Errors
    ///
    /// [`CallError`]: says which argument to change, and how.
    pub fn parse(method: &str, params: Value) -> Result<Self, CallError> {
        Toolset::Default.parse(method, params)
    }

    /// Understands `{"method": …, "params": …}`, as an object or as a JSON text.
    ///
    /// # Errors
    ///
    /// [`CallError`], with the contract's messages.
    pub fn parse_envelope(input: Value) -> Result<Self, CallError> {
        let mut envelope = match input {
            Value::Null => return Err(CallError::NoInput),
            Value::String(text) if text.trim().is_empty() => return Err(CallError::NoInput),
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Object(envelope)) => envelope,
                Ok(_) | Err(_) => return Err(CallError::InvalidJson),
            },
            Value::Object(envelope) if envelope.is_empty() => return Err(CallError::NoInput),
            Value::Object(envelope) => envelope,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(CallError::InvalidJson);
            }
        };
        let method = match envelope.remove("method") {
            Some(Value::String(method)) if !method.is_empty() => method,
            Some(_) | None => return Err(CallError::NoMethod),
        };
        Self::parse(&method, envelope.remove("params").unwrap_or_default())
    }

    /// Its arguments, as they are sent on; those that are absent are left out.
    pub(crate) fn arguments(&self) -> Option<Value> {
        let arguments = match self {
            Self::CreateSandbox(asked) => serde_json::to_value(asked),
            Self::ExecuteCode(asked) => serde_json::to_value(asked),
            Self::ExecuteShell(asked) => serde_json::to_value(asked),
            Self::FileOperation(asked) => serde_json::to_value(asked),
            Self::GitOperation(asked) => serde_json::to_value(asked),
            Self::ListSandboxes(asked) => serde_json::to_value(asked),
            Self::DeleteSandbox(asked) => serde_json::to_value(asked),
            Self::GetSandboxInfo(asked) => serde_json::to_value(asked),
            Self::GetPreviewUrl(asked) => serde_json::to_value(asked),
            Self::ExecSession(asked) => serde_json::to_value(asked),
            Self::Daytona(_) => return None,
        };
        let mut arguments = arguments.ok()?;
        arguments.as_object_mut()?.retain(|_, value| !value.is_null());
        Some(arguments)
    }

    /// The name of its operation.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateSandbox(_) => "create_sandbox",
            Self::ExecuteCode(_) => "execute_code",
            Self::ExecuteShell(_) => "execute_shell",
            Self::FileOperation(_) => "file_operation",
            Self::GitOperation(_) => "git_operation",
            Self::ListSandboxes(_) => "list_sandboxes",
            Self::DeleteSandbox(_) => "delete_sandbox",
            Self::GetSandboxInfo(_) => "get_sandbox_info",
            Self::GetPreviewUrl(_) => "get_preview_url",
            Self::ExecSession(_) => "exec_session",
            Self::Daytona(call) => call.name(),
        }
    }

    /// What a caller must be allowed.
    pub(crate) fn permission(&self) -> Permission {
        let needed = |reads: bool, leaves: bool| match (reads, leaves) {
            (true, _) => Permission::Anonymous,
            (false, false) => Permission::Authenticated,
            (false, true) => Permission::Developer,
        };
        match self {
            Self::ListSandboxes(_) | Self::GetSandboxInfo(_) => Permission::Anonymous,
            Self::CreateSandbox(_)
            | Self::ExecuteCode(_)
            | Self::ExecuteShell(_)
            | Self::DeleteSandbox(_)
            | Self::GetPreviewUrl(_)
            | Self::ExecSession(_) => Permission::Authenticated,
            Self::FileOperation(asked) => needed(
                matches!(
                    asked.operation,
                    FileAction::Read | FileAction::List | FileAction::Other(_)
                ),
                matches!(asked.operation, FileAction::Upload | FileAction::Download),
            ),
            Self::GitOperation(asked) => needed(
                matches!(asked.operation, GitAction::Status | GitAction::Other(_)),
                asked.operation == GitAction::Push,
            ),
            Self::Daytona(DaytonaCall(
                Tool::DownloadFile(_) | Tool::GetFileInfo(_) | Tool::ListFiles(_),
            )) => Permission::Anonymous,
            Self::Daytona(_) => Permission::Authenticated,
        }
    }
}

impl CallError {
    /// What must be asked for, if that would do.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::InvalidParameter(invalid) => &invalid.missing,
            Self::NoInput | Self::InvalidJson | Self::NoMethod | Self::UnknownMethod { .. } => &[],
        }
    }

    /// What to do about it, for a model.
    #[must_use]
    pub fn guidance(&self) -> String {
        match self {
            Self::UnknownMethod { known, .. } => format!("Use one of: {}.", known.join(", ")),
            Self::InvalidParameter(invalid) => {
                let optional = match invalid.optional.as_slice() {
                    [] => String::new(),
                    names => format!(" Optional: {}.", names.join(", ")),
                };
                let required = match invalid.required.as_slice() {
                    [] => String::from("nothing"),
                    names => names.join(", "),
                };
                format!(
                    "{} needs {required}.{optional} Example: {}",
                    invalid.method, invalid.example
                )
            }
            Self::NoInput | Self::InvalidJson | Self::NoMethod => {
                String::from(r#"Send {"method": "list_sandboxes", "params": {}} or the like."#)
            }
        }
    }

    /// The contract's form of it: what LangSwarm's rims answer.
    #[must_use]
    pub fn to_json(&self, tool_name: &str) -> Value {
        match self {
            Self::NoInput | Self::InvalidJson | Self::NoMethod | Self::UnknownMethod { .. } => {
                json!({ "error": self.to_string() })
            }
            Self::InvalidParameter(invalid) => json!({
                "success": false,
                "error": self.to_string(),
                "error_type": "parameter_validation_error",
                "tool_name": tool_name,
                "method": invalid.method,
                "validation_details": invalid.why,
                "actionable_feedback": {
                    "guidance": self.guidance(),
                    "required_fields": invalid.required,
                    "optional_fields": invalid.optional,
                    "example": invalid.example,
                },
                "retry_enabled": true,
                "guidance": self.guidance(),
            }),
        }
    }
}

impl Toolset {
    /// Understands a call of one of its operations.
    ///
    /// # Errors
    ///
    /// As [`Call::parse`].
    pub fn parse(self, method: &str, params: Value) -> Result<Call, CallError> {
        let operations = self.operations();
        let Some(operation) = operations.iter().find(|operation| operation.name == method) else {
            let known = operations.iter().map(|operation| operation.name).collect();
            return Err(CallError::UnknownMethod { method: method.to_owned(), known });
        };
        let arguments = Arguments::read(operation, params)?;
        if self == Self::Daytona {
            return arguments.into_daytona().map(Call::Daytona);
        }
        match operation.name {
            "create_sandbox" => arguments.into_type().map(Call::CreateSandbox),
            "execute_code" => arguments.into_type().map(Call::ExecuteCode),
            "execute_shell" => arguments.into_type().map(Call::ExecuteShell),
            "file_operation" => arguments.into_type().map(Call::FileOperation),
            "git_operation" => arguments.into_type().map(Call::GitOperation),
            "list_sandboxes" => arguments.into_type().map(Call::ListSandboxes),
            "delete_sandbox" => arguments.into_type().map(Call::DeleteSandbox),
            "get_sandbox_info" => arguments.into_type().map(Call::GetSandboxInfo),
            "get_preview_url" => arguments.into_type().map(Call::GetPreviewUrl),
            "exec_session" => arguments.into_type().map(Call::ExecSession),
            other => Err(CallError::UnknownMethod { method: other.to_owned(), known: Vec::new() }),
        }
    }
}
