//! What was asked for, understood.

use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::daytona::Tool;
use crate::input::{
    CreateSandbox, DeleteSandbox, ExecSession, ExecuteCode, ExecuteShell, FileAction,
    FileOperation, GetPreviewUrl, GetSandboxInfo, GitAction, GitOperation, ListSandboxes,
};
use crate::{DaytonaCall, Missing, Operation, Permission, Toolset};

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

/// Arguments that fit an operation's schema.
struct Arguments<'a> {
    operation: &'a Operation,
    given: Map<String, Value>,
}

/// Texts that say nothing when they are empty.
const NEVER_EMPTY: [&str; 5] = ["sandbox_id", "file_path", "command", "id", "filePath"];

impl<'a> Arguments<'a> {
    fn read(operation: &'a Operation, params: Value) -> Result<Self, CallError> {
        let given = match params {
            Value::Null => Map::new(),
            Value::Object(given) => given,
            Value::String(text) if text.trim().is_empty() => Map::new(),
            Value::String(text) => match serde_json::from_str(&text) {
                Ok(Value::Object(given)) => given,
                Ok(_) | Err(_) => {
                    return Err(invalid(operation, "params", "is not a JSON object", Vec::new()));
                }
            },
            Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(invalid(operation, "params", "is not a JSON object", Vec::new()));
            }
        };
        let mut arguments = Self { operation, given };
        arguments.given.retain(|_, value| !value.is_null());
        arguments.refuse_misspelt()?;
        arguments.fit()?;
        arguments.demand_required()?;
        Ok(arguments)
    }

    /// Names that are nearly right are mistakes to be told of; what is nothing of ours at all is ignored, as the
    /// contract does it.
    fn refuse_misspelt(&self) -> Result<(), CallError> {
        let known = properties(self.operation);
        for name in self.given.keys().filter(|name| !known.contains_key(*name)) {
            let near = known
                .keys()
                .filter(|known| !self.given.contains_key(*known))
                .map(|known| (strsim::jaro_winkler(name, known), known))
                .filter(|(similarity, _)| *similarity > 0.85)
                .max_by(|(one, _), (other, _)| one.total_cmp(other));
            if let Some((_, meant)) = near {
                let why = format!("is unknown; did you mean '{meant}'?");
                return Err(invalid(self.operation, name, &why, Vec::new()));
            }
        }
        Ok(())
    }

    /// Makes every value the kind that its schema asks for.
    fn fit(&mut self) -> Result<(), CallError> {
        let known = properties(self.operation);
        for (name, value) in &mut self.given {
            if let Some(schema) = known.get(name) {
                fit(value, schema)
                    .map_err(|why| invalid(self.operation, name, &why, Vec::new()))?;
            }
        }
        Ok(())
    }

    fn demand_required(&self) -> Result<(), CallError> {
        let known = properties(self.operation);
        let missing: Vec<Missing> = self
            .operation
            .required()
            .filter(|name| match self.given.get(*name) {
                None => true,
                Some(value) => NEVER_EMPTY.contains(name) && value == "",
            })
            .map(|name| Missing::new(name, known.get(name)))
            .collect();
        let Some(first) = missing.first() else { return Ok(()) };
        Err(invalid(self.operation, first.parameter, "is required", missing))
    }

    fn into_daytona(self) -> Result<DaytonaCall, CallError> {
        let tool = match self.operation.name {
            "create_sandbox" => self.into_type().map(Tool::CreateSandbox),
            "destroy_sandbox" => self.into_type().map(Tool::DestroySandbox),
            "execute_command" => self.into_type().map(Tool::ExecuteCommand),
            "upload_file" => self.into_type().map(Tool::UploadFile),
            "download_file" => self.into_type().map(Tool::DownloadFile),
            "create_folder" => self.into_type().map(Tool::CreateFolder),
            "get_file_info" => self.into_type().map(Tool::GetFileInfo),
            "list_files" => self.into_type().map(Tool::ListFiles),
            "move_file" => self.into_type().map(Tool::MoveFile),
            "delete_file" => self.into_type().map(Tool::DeleteFile),
            "git_clone" => self.into_type().map(Tool::GitClone),
            "preview_link" => self.into_type().map(Tool::PreviewLink),
            other => Err(CallError::UnknownMethod { method: other.to_owned(), known: Vec::new() }),
        };
        tool.map(DaytonaCall)
    }

    fn into_type<T: DeserializeOwned>(self) -> Result<T, CallError> {
        serde_json::from_value(Value::Object(self.given))
            .map_err(|cause| invalid(self.operation, "params", &cause.to_string(), Vec::new()))
    }
}

impl Missing {
    fn new(parameter: &'static str, schema: Option<&Value>) -> Self {
        let schema = schema.cloned().unwrap_or_else(|| json!({ "type": "string" }));
        let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        Self { parameter, description: description.to_owned(), schema }
    }

    /// A parameter of an operation, by name.
    pub(crate) fn of(method: &str, parameter: &'static str) -> Self {
        let operation = crate::operations().iter().find(|operation| operation.name == method);
        Self::new(parameter, operation.and_then(|one| properties(one).get(parameter)))
    }
}

impl Operation {
    /// The arguments that it needs.
    fn required(&self) -> impl Iterator<Item = &'static str> + use<> {
        let names = self.input_schema.get("required").and_then(Value::as_array);
        let names: Vec<&'static str> = names
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter_map(|name| NAMES.iter().find(|known| **known == name).copied())
            .collect();
        names.into_iter()
    }
}

/// Every argument that some operation needs.
const NAMES: &[&str] = &[
    "sandbox_id",
    "code",
    "command",
    "operation",
    "file_path",
    "port",
    "action",
    "id",
    "filePath",
    "content",
    "encoding",
    "overwrite",
    "folderPath",
    "sourcePath",
    "destPath",
    "url",
    "description",
    "checkServer",
];

fn properties(operation: &Operation) -> &Map<String, Value> {
    static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
    operation.input_schema.get("properties").and_then(Value::as_object).unwrap_or_else(|| &*NONE)
}

fn fit(value: &mut Value, schema: &Value) -> Result<(), String> {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    match (kind, &mut *value) {
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => Ok(()),
        ("boolean", Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => {
                *value = Value::Bool(true);
                Ok(())
            }
            "false" | "no" | "0" => {
                *value = Value::Bool(false);
                Ok(())
            }
            _ => Err(String::from("is neither true nor false")),
        },
        ("integer", Value::String(_) | Value::Number(_)) => fit_integer(value, schema),
        ("object", Value::Object(entries)) => match schema.get("additionalProperties") {
            Some(inner) => entries.iter_mut().try_for_each(|(name, value)| match value {
                Value::Number(_) | Value::Bool(_) if inner["type"] == "string" => {
                    *value = Value::String(value.to_string());
                    Ok(())
                }
                _ => fit(value, inner).map_err(|why| format!("{name} {why}")),
            }),
            None => Ok(()),
        },
        ("array", Value::Array(items)) => match schema.get("items") {
            Some(inner) => items.iter_mut().try_for_each(|item| fit(item, inner)),
            None => Ok(()),
        },
        // Models like to send what is structured as a text.
        ("object" | "array", Value::String(text)) => {
            let article = if kind == "object" { "an object" } else { "an array" };
            match serde_json::from_str::<Value>(text) {
                Ok(mut read @ (Value::Object(_) | Value::Array(_))) => {
                    fit(&mut read, schema)?;
                    *value = read;
                    Ok(())
                }
                Ok(_) | Err(_) => Err(format!("is not {article}")),
            }
        }
        ("", _) => Ok(()),
        (kind, _) => Err(format!("is not of type {kind}")),
    }
}

fn fit_integer(value: &mut Value, schema: &Value) -> Result<(), String> {
    let number = match &*value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let Some(number) = number else { return Err(String::from("is not a whole number")) };
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    if let Some(least) = bound("minimum").filter(|least| number < *least) {
        return Err(format!("is less than {least}"));
    }
    if let Some(most) = bound("maximum").filter(|most| number > *most) {
        return Err(format!("is more than {most}"));
    }
    *value = json!(number);
    Ok(())
}

/// A number that JSON wrote with a point and that has nothing behind it.
fn whole(number: f64) -> Option<i64> {
    if number.fract() != 0.0 || number.abs() > 1e15 {
        return None;
    }
    format!("{number:.0}").parse().ok()
}

fn invalid(operation: &Operation, parameter: &str, why: &str, missing: Vec<Missing>) -> CallError {
    let required: Vec<String> = operation.required().map(str::to_owned).collect();
    let optional =
        properties(operation).keys().filter(|name| !required.contains(name)).cloned().collect();
    CallError::InvalidParameter(Box::new(InvalidParameter {
        method: operation.name,
        parameter: parameter.to_owned(),
        why: why.to_owned(),
        missing,
        required,
        optional,
        example: example(operation.name),
    }))
}

fn example(method: &str) -> Value {
    match method {
        "create_sandbox" => json!({ "language": "python", "name": "analysis" }),
        "execute_code" => json!({ "sandbox_id": "analysis", "code": "print(1)" }),
        "execute_shell" => json!({ "sandbox_id": "analysis", "command": "ls -la" }),
        "file_operation" => {
            json!({ "sandbox_id": "analysis", "operation": "read", "file_path": "notes.txt" })
        }
        "git_operation" => {
            json!({ "sandbox_id": "analysis", "operation": "status", "working_directory": "repo" })
        }
        "get_preview_url" => json!({ "sandbox_id": "analysis", "port": 3000 }),
        "exec_session" => {
            json!({ "sandbox_id": "analysis", "action": "start", "command": "npm start" })
        }
        "delete_sandbox" | "get_sandbox_info" => json!({ "sandbox_id": "analysis" }),
        "destroy_sandbox" => json!({ "id": "ID" }),
        "execute_command" => json!({ "id": "ID", "command": "ls -la" }),
        "upload_file" => json!({
            "id": "ID", "filePath": "a.txt", "content": "text", "encoding": "text", "overwrite": true
        }),
        "download_file" | "get_file_info" | "delete_file" => {
            json!({ "id": "ID", "filePath": "a.txt" })
        }
        "create_folder" => json!({ "id": "ID", "folderPath": "src" }),
        "list_files" => json!({ "id": "ID", "path": "." }),
        "move_file" => json!({ "id": "ID", "sourcePath": "a.txt", "destPath": "b.txt" }),
        "git_clone" => json!({ "id": "ID", "url": "https://github.com/user/repo.git" }),
        "preview_link" => json!({
            "id": "ID", "port": 3000, "description": "web page", "checkServer": false
        }),
        _ => json!({}),
    }
}
