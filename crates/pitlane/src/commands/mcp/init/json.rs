//! One entry put into a JSON file of somebody else's, of which everything else stays as it is.
//!
//! Comments, order, indentation and unknown keys are kept; a line is broken only where something is put in. A file is
//! refused if its own client would not read it, or if it does not say what we think it says.

use jsonc_parser::ast::{Object, Value};
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstRootNode};
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::super::entry::{EditError, Entry, Field, Question, Wanted};

/// What a client reads beyond JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Dialect {
    /// Nothing.
    Strict,
    /// Comments.
    Comments,
    /// Comments, and commas before a closing bracket.
    Lenient,
}

/// Marks some editors leave at a file's beginning.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The text with the entry in it: the same text, if it was there.
///
/// # Errors
///
/// The file is no JSON that its client reads, or has something else where the entry belongs.
pub(in super::super) fn edit(
    text: &str,
    wanted: &Wanted<'_>,
    dialect: Dialect,
) -> Result<String, EditError> {
    let (mark, body) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(body) => (&text[..BYTE_ORDER_MARK.len_utf8()], body),
        None => ("", text),
    };
    check(body, wanted, dialect)?;
    let unexpected = |_| EditError::at(body, 0, "it is no JSON");
    let root = CstRootNode::parse(body, &options(dialect)).map_err(unexpected)?;
    let was_empty = root.value().is_none();
    let all = root.object_value_or_set();
    let servers = all.object_value_or_set(wanted.section);
    match servers.get(wanted.name).and_then(|there| there.object_value()) {
        Some(there) => merge(&there, wanted.entry, wanted.foreign),
        None => drop(servers.append(wanted.name, object(wanted.entry))),
    }
    if let Some(question) = &wanted.question {
        ask(&all, question);
    }
    let mut edited = format!("{mark}{root}");
    if was_empty && !edited.ends_with('\n') {
        edited.push('\n');
    }
    Ok(edited)
}

/// The entry in a text of its own.
pub(in super::super) fn alone(name: &str, entry: &Entry) -> String {
    let root = CstRootNode::parse("{}", &ParseOptions::default());
    root.map_or_else(
        |_| String::new(),
        |root| {
            root.object_value_or_set().append(name, object(entry));
            format!("{root}\n")
        },
    )
}

const fn options(dialect: Dialect) -> ParseOptions {
    ParseOptions {
        allow_comments: !matches!(dialect, Dialect::Strict),
        allow_trailing_commas: matches!(dialect, Dialect::Lenient),
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    }
}

/// Finds what must not be changed by guessing, and where it is.
fn check(text: &str, wanted: &Wanted<'_>, dialect: Dialect) -> Result<(), EditError> {
    let parsed =
        parse_to_ast(text, &CollectOptions::default(), &options(dialect)).map_err(|cause| {
            let what = cause.kind().to_string();
            // Their first letter is a capital one; the rest is as it is.
            let mut letters = what.chars();
            let first =
                letters.next().map(|letter| letter.to_lowercase().to_string()).unwrap_or_default();
            EditError::at(text, cause.range().start, first + letters.as_str())
        })?;
    let Some(value) = parsed.value else { return Ok(()) };
    let all = expect_object(text, &value, "the file")?;
    if let Some(value) = only(text, all, wanted.section)? {
        let servers = expect_object(text, value, &format!("`{}`", wanted.section))?;
        if let Some(value) = only(text, servers, wanted.name)? {
            let name = format!("`{}.{}`", wanted.section, wanted.name);
            let entry = expect_object(text, value, &name)?;
            for (key, field) in wanted.entry {
                if let (Some(value), Field::Map(_)) = (only(text, entry, key)?, field) {
                    expect_object(text, value, &format!("`{key}`"))?;
                }
            }
        }
    }
    if wanted.question.is_some()
        && let Some(value) = only(text, all, INPUTS)?
        && !matches!(value, Value::Array(_))
    {
        return Err(EditError::at(text, start(value), format!("`{INPUTS}` is no list")));
    }
    Ok(())
}

/// The one value of a key. Readers disagree about which of two they take.
fn only<'v, 'a>(
    text: &str,
    object: &'v Object<'a>,
    key: &str,
) -> Result<Option<&'v Value<'a>>, EditError> {
    let mut found = object.properties.iter().filter(|property| property.name.as_str() == key);
    let first = found.next();
    match found.next() {
        Some(second) => {
            Err(EditError::at(text, second.range.start, format!("`{key}` is there twice")))
        }
        None => Ok(first.map(|property| &property.value)),
    }
}

fn expect_object<'v, 'a>(
    text: &str,
    value: &'v Value<'a>,
    name: &str,
) -> Result<&'v Object<'a>, EditError> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(EditError::at(text, start(other), format!("{name} is no object"))),
    }
}

const fn start(value: &Value<'_>) -> usize {
    match value {
        Value::StringLit(value) => value.range.start,
        Value::NumberLit(value) => value.range.start,
        Value::BooleanLit(value) => value.range.start,
        Value::Object(value) => value.range.start,
        Value::Array(value) => value.range.start,
        Value::NullKeyword(value) => value.range.start,
    }
}

/// Where questions stand.
const INPUTS: &str = "inputs";

/// Adds the question, unless one of its id is there.
fn ask(all: &CstObject, question: &Question) {
    let inputs = all.array_value_or_set(INPUTS);
    let has_id = |element: &CstNode| {
        let id = element.as_object().and_then(|object| object.get("id"))?.value()?;
        Some(id.as_string_lit()?.decoded_value().ok()? == question.id)
    };
    if !inputs.elements().iter().any(|element| has_id(element) == Some(true)) {
        let text = |text: &str| CstInputValue::String(text.to_owned());
        inputs.append(CstInputValue::Object(vec![
            ("type".to_owned(), text("promptString")),
            ("id".to_owned(), text(&question.id)),
            ("description".to_owned(), text(&question.text)),
            ("password".to_owned(), CstInputValue::Bool(true)),
        ]));
    }
}

/// Puts our keys into an entry that is there, and takes those out that belong to another kind of server.
fn merge(there: &CstObject, entry: &Entry, foreign: &[&str]) {
    for key in foreign {
        if let Some(property) = there.get(key) {
            property.remove();
        }
    }
    for (key, field) in entry {
        let Some(property) = there.get(key) else {
            if !matches!(field, Field::Map(pairs) if pairs.is_empty()) {
                there.append(key, value(field));
            }
            continue;
        };
        match field {
            Field::Switch(_) => {}
            Field::Map(pairs) => {
                let map = property.object_value_or_set();
                for (name, text) in pairs {
                    set(&map, name, CstInputValue::String(text.clone()), &text.clone().into());
                }
            }
            Field::Text(text) => set(there, key, value(field), &text.clone().into()),
            Field::List(texts) => set(there, key, value(field), &texts.clone().into()),
        }
    }
}

/// Sets a key, unless it says that already, however it is written.
fn set(object: &CstObject, key: &str, value: CstInputValue, said: &serde_json::Value) {
    match object.get(key) {
        Some(property) => {
            let there = property.value().and_then(|value| value.to_serde_value());
            if there.as_ref() != Some(said) {
                property.set_value(value);
            }
        }
        None => drop(object.append(key, value)),
    }
}

fn object(entry: &Entry) -> CstInputValue {
    let filled =
        entry.iter().filter(|(_, field)| !matches!(field, Field::Map(pairs) if pairs.is_empty()));
    CstInputValue::Object(filled.map(|(key, field)| ((*key).to_owned(), value(field))).collect())
}

fn value(field: &Field) -> CstInputValue {
    match field {
        Field::Text(text) => CstInputValue::String(text.clone()),
        Field::Switch(is_on) => CstInputValue::Bool(*is_on),
        Field::List(texts) => {
            CstInputValue::Array(texts.iter().cloned().map(CstInputValue::String).collect())
        }
        Field::Map(pairs) => {
            let pairs = pairs.iter().cloned();
            CstInputValue::Object(
                pairs.map(|(name, text)| (name, CstInputValue::String(text))).collect(),
            )
        }
    }
}
