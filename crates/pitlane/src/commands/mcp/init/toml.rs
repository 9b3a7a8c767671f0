//! One entry put into a TOML file of somebody else's, of which everything else stays as it is.

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use super::super::entry::{EditError, Entry, Field, Wanted};

/// The text with the entry in it: the same text, if it was there.
///
/// # Errors
///
/// The file is no TOML, or has something else where the entry belongs.
pub(in super::super) fn edit(text: &str, wanted: &Wanted<'_>) -> Result<String, EditError> {
    let parsed = toml_edit::Document::parse(text).map_err(|cause| {
        let what = cause.message().replace('\n', ", ");
        EditError::at(text, cause.span().map_or(0, |span| span.start), what)
    })?;
    check(text, &parsed, wanted)?;
    let mut document: DocumentMut = parsed.into_mut();
    let servers = document.entry(wanted.section).or_insert_with(|| {
        // `[mcp_servers]` alone says nothing: its tables do.
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let is_inline = servers.is_inline_table();
    let refused = || EditError::at(text, 0, format!("`{}` is no table", wanted.section));
    let servers = servers.as_table_like_mut().ok_or_else(refused)?;
    match servers.get_mut(wanted.name).and_then(Item::as_table_like_mut) {
        Some(there) => merge(there, wanted.entry, wanted.foreign),
        None => {
            let mut table = Table::new();
            merge(&mut table, wanted.entry, &[]);
            let item = if is_inline {
                Item::Value(table.into_inline_table().into())
            } else {
                Item::Table(table)
            };
            servers.insert(wanted.name, item);
        }
    }
    Ok(document.to_string())
}

/// Finds what must not be changed by guessing, and where it is.
fn check(
    text: &str,
    document: &toml_edit::Document<&str>,
    wanted: &Wanted<'_>,
) -> Result<(), EditError> {
    let refuse = |item: &Item, name: &str| {
        EditError::at(
            text,
            item.span().map_or(0, |span| span.start),
            format!("`{name}` is no table"),
        )
    };
    let Some(servers) = document.get(wanted.section) else { return Ok(()) };
    let table = servers.as_table_like().ok_or_else(|| refuse(servers, wanted.section))?;
    let Some(entry) = table.get(wanted.name) else { return Ok(()) };
    let name = format!("{}.{}", wanted.section, wanted.name);
    let table = entry.as_table_like().ok_or_else(|| refuse(entry, &name))?;
    for (key, field) in wanted.entry {
        if let (Some(there), Field::Map(_)) = (table.get(key), field)
            && there.as_table_like().is_none()
        {
            return Err(refuse(there, &format!("{name}.{key}")));
        }
    }
    Ok(())
}

/// Puts our keys into an entry, and takes those out that belong to another kind of server.
fn merge(there: &mut dyn TableLike, entry: &Entry, foreign: &[&str]) {
    for key in foreign {
        there.remove(key);
    }
    for (key, field) in entry {
        match (field, there.get_mut(key)) {
            (Field::Map(pairs), _) if pairs.is_empty() => {}
            (Field::Map(pairs), Some(map)) => {
                if let Some(map) = map.as_table_like_mut() {
                    for (name, text) in pairs {
                        set(map, name, Value::from(text.as_str()));
                    }
                }
            }
            (Field::Switch(_), Some(_)) => {}
            (field, _) => set(there, key, value(field)),
        }
    }
}

/// Sets a key, unless it says that already, however it is written.
fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    match table.get_mut(key) {
        Some(there) if there.as_value().is_some_and(|there| says(there) == says(&value)) => {}
        Some(Item::Value(there)) => {
            // Comments and spaces around the value belong to whoever wrote them.
            let decor = there.decor().clone();
            *there = value;
            *there.decor_mut() = decor;
        }
        Some(there) => *there = Item::Value(value),
        None => drop(table.insert(key, Item::Value(value))),
    }
}

/// What a value says, without the way it is written.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    List(Vec<Option<String>>),
    Other(String),
}

fn says(value: &Value) -> Said {
    match value {
        Value::String(text) => Said::Text(text.value().clone()),
        Value::Array(list) => {
            Said::List(list.iter().map(|text| text.as_str().map(str::to_owned)).collect())
        }
        other => Said::Other(other.to_string().trim().to_owned()),
    }
}

fn value(field: &Field) -> Value {
    match field {
        Field::Text(text) => text.as_str().into(),
        Field::Switch(is_on) => (*is_on).into(),
        Field::List(texts) => texts.iter().map(String::as_str).collect::<Array>().into(),
        Field::Map(pairs) => {
            let pairs =
                pairs.iter().map(|(name, text)| (name.as_str(), Value::from(text.as_str())));
            pairs.collect::<InlineTable>().into()
        }
    }
}
