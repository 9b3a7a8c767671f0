//! Arguments held against an operation's schema, and made right where what is meant is plain.

use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{CallError, InvalidParameter};
use crate::daytona::Tool;
use crate::{DaytonaCall, Missing, Operation};

/// Arguments that fit an operation's schema.
pub(super) struct Arguments<'a> {
    operation: &'a Operation,
    given: Map<String, Value>,
}

/// Texts that say nothing when they are empty.
const NEVER_EMPTY: [&str; 5] = ["sandbox_id", "file_path", "command", "id", "filePath"];

impl<'a> Arguments<'a> {
    pub(super) fn read(operation: &'a Operation, params: Value) -> Result<Self, CallError> {
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
        // Far longer than any name, something is no misspelt one.
        const LONGEST: usize = 64;
        let known = properties(self.operation);
        let is_unknown = |name: &&String| name.len() <= LONGEST && !known.contains_key(*name);
        for name in self.given.keys().filter(is_unknown) {
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

    pub(super) fn into_daytona(self) -> Result<DaytonaCall, CallError> {
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

    pub(super) fn into_type<T: DeserializeOwned>(self) -> Result<T, CallError> {
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
