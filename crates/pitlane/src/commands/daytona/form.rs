//! Output in the forms that `--format` names.

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::output;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Json,
    Yaml,
}

/// Writes `data` in a form for programs, or as `text` says it.
pub(super) fn write<T: Serialize>(
    form: Option<Form>,
    data: &T,
    text: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    let text = match form {
        Some(Form::Json) => format!("{}\n", serde_json::to_string_pretty(data)?),
        Some(Form::Yaml) => yaml(&serde_json::to_value(data)?),
        None => text(data),
    };
    output::write(text.as_bytes())
}

/// A name as one word, or the id where the name is more than that or would be taken for something else.
pub(super) fn word<'a>(name: &'a str, id: &'a str) -> &'a str {
    let is_word = name.chars().all(|c| c.is_ascii_graphic()) && !name.is_empty();
    if is_word && !name.starts_with("NAME") && !name.starts_with('-') { name } else { id }
}

/// JSON's values in YAML's block style. Texts are written as JSON writes them, which YAML reads alike.
pub(super) fn yaml(value: &Value) -> String {
    let mut lines = String::new();
    match value {
        Value::Object(_) | Value::Array(_) if !is_flat(value) => block(value, 0, &mut lines),
        flat => lines.push_str(&format!("{flat}\n")),
    }
    lines
}

fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

fn block(value: &Value, depth: usize, lines: &mut String) {
    let indent = " ".repeat(2 * depth);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                entry(&format!("{indent}{}:", Value::from(name.as_str())), value, depth, lines);
            }
        }
        Value::Array(items) => {
            for value in items {
                entry(&format!("{indent}-"), value, depth, lines);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn entry(before: &str, value: &Value, depth: usize, lines: &mut String) {
    if is_flat(value) {
        lines.push_str(&format!("{before} {value}\n"));
    } else {
        lines.push_str(&format!("{before}\n"));
        block(value, depth + 1, lines);
    }
}
