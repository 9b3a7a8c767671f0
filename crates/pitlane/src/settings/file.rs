//! The file of settings, in TOML.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::list;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};

/// A value's text and where it stood, by key.
pub(super) type Found = BTreeMap<String, (String, String)>;

/// Reads the file at `path`; one that is not there counts as empty unless it was named.
pub(super) fn read(path: &Path, is_named: bool) -> Result<Found, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => understand(&text, &path.display().to_string()),
        Err(absent) if absent.kind() == std::io::ErrorKind::NotFound && !is_named => {
            Ok(Found::new())
        }
        Err(cause) => {
            let read = Err(cause).doing(format!("cannot read {}", path.display()));
            read.map_err(|failure| failure.exit(Exit::Usage))
        }
    }
}

/// Understands the text of a file that is called `name`.
pub(super) fn understand(text: &str, name: &str) -> Result<Found, Failure> {
    let table: Table = toml::from_str(text)
        .doing(format!("cannot understand {name}"))
        .map_err(|failure| failure.exit(Exit::Usage))?;
    let mut found = Found::new();
    flatten(&table, "", name, &mut found)?;
    Ok(found)
}

fn flatten(table: &Table, prefix: &str, name: &str, found: &mut Found) -> Result<(), Failure> {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        if let Value::Table(inner) = value {
            flatten(inner, &format!("{key}."), name, found)?;
            continue;
        }
        if !list::all().any(|setting| setting.key == key) {
            return Err(Failure::new(format!("{name} has {key}, which is no setting"))
                .hint("docs/configuration.md lists the settings")
                .exit(Exit::Usage));
        }
        let place = format!("{key} in {name}");
        let text = text(value).ok_or_else(|| {
            Failure::new(format!("{place} is neither a text, a number nor a list of texts"))
                .exit(Exit::Usage)
        })?;
        found.insert(key, (text, place));
    }
    Ok(())
}

/// A value as a flag would give it: lists have commas.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(boolean) => Some(boolean.to_string()),
        Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        Value::Float(_) | Value::Datetime(_) | Value::Table(_) => None,
    }
}
