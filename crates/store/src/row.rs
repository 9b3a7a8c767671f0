//! Values as columns hold them. Every conversion of more than one table is here.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use pitlane_model::{
    Build, DesiredState, ImageName, Limits, NetworkPolicy, Permission, SandboxState, SnapshotState,
    Timestamp,
};
use rusqlite::types::FromSql;
use rusqlite::{Row, Statement};

use crate::ReadError;

/// A row, whose columns are known by their names.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    row: &'a Row<'a>,
    names: &'a [String],
    /// Where the next column is likely to be: columns are mostly asked for in their order.
    next: Cell<usize>,
}

impl Fields<'_> {
    pub(crate) fn get<T: FromSql>(&self, column: &str) -> rusqlite::Result<T> {
        let (before, after) = self.names.split_at_checked(self.next.get()).unwrap_or_default();
        let found = after.iter().position(|name| name == column);
        let found = found.map(|place| place.saturating_add(before.len()));
        let found = found.or_else(|| before.iter().position(|name| name == column));
        match found {
            Some(place) => {
                self.next.set(place.saturating_add(1));
                self.row.get(place)
            }
            None => Err(rusqlite::Error::InvalidColumnName(column.to_owned())),
        }
    }
}

pub(crate) fn text(row: &Fields<'_>, column: &'static str) -> Result<String, ReadError> {
    Ok(row.get(column)?)
}

pub(crate) fn id(row: &Fields<'_>, column: &'static str) -> Result<[u8; 16], ReadError> {
    Ok(row.get(column)?)
}

pub(crate) fn time(row: &Fields<'_>, column: &'static str) -> Result<Timestamp, ReadError> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

pub(crate) fn optional_time(
    row: &Fields<'_>,
    column: &'static str,
) -> Result<Option<Timestamp>, ReadError> {
    Ok(row.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
}

pub(crate) fn limits(row: &Fields<'_>) -> Result<Limits, ReadError> {
    Limits::new(
        row.get("cpu_count")?,
        row.get("memory_gib")?,
        row.get("disk_gib")?,
        row.get("process_count")?,
    )
    .map_err(ReadError::value("cpu_count, memory_gib, disk_gib, process_count"))
}

/// An image, or none where the text is empty: it has not been here yet.
pub(crate) fn image(row: &Fields<'_>) -> Result<Option<ImageName>, ReadError> {
    match text(row, "image")? {
        name if name.is_empty() => Ok(None),
        name => ImageName::new(name).map(Some).map_err(ReadError::value("image")),
    }
}

/// What an image is built from.
pub(crate) fn build(row: &Fields<'_>) -> Result<Option<Arc<Build>>, ReadError> {
    const COLUMN: &str = "build";
    let Some(text) = row.get::<Option<String>>(COLUMN)? else { return Ok(None) };
    let (dockerfile, contexts, arguments, target, no_cache) =
        serde_json::from_str(&text).map_err(ReadError::value(COLUMN))?;
    Ok(Some(Arc::new(Build { dockerfile, contexts, arguments, target, no_cache })))
}

/// The same as text: a JSON list, which texts cannot fail to become.
pub(crate) fn build_text(build: Option<&Build>) -> Option<String> {
    let Build { dockerfile, contexts, arguments, target, no_cache } = build?;
    Some(serde_json::json!([dockerfile, contexts, arguments, target, no_cache]).to_string())
}

pub(crate) fn texts(
    row: &Fields<'_>,
    column: &'static str,
) -> Result<BTreeMap<String, String>, ReadError> {
    serde_json::from_str(&text(row, column)?).map_err(ReadError::value(column))
}

/// A JSON object. Texts by text cannot fail to become one.
pub(crate) fn json(texts: &BTreeMap<String, String>) -> String {
    let object = texts.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    serde_json::Value::Object(object).to_string()
}

pub(crate) fn text_list(row: &Fields<'_>, column: &'static str) -> Result<Vec<String>, ReadError> {
    serde_json::from_str(&text(row, column)?).map_err(ReadError::value(column))
}

/// A JSON list. Texts cannot fail to become one.
pub(crate) fn json_list(texts: &[String]) -> String {
    serde_json::Value::Array(texts.iter().map(|text| text.as_str().into()).collect()).to_string()
}

/// The value of `all` whose word is in `column`.
pub(crate) fn word<T: Copy>(
    row: &Fields<'_>,
    column: &'static str,
    all: &[T],
    word_of: impl Fn(T) -> &'static str,
) -> Result<T, ReadError> {
    let word = text(row, column)?;
    let found = all.iter().copied().find(|value| word_of(*value) == word);
    found
        .ok_or_else(|| format!("{word:?} is no word of this column"))
        .map_err(ReadError::value(column))
}

pub(crate) const fn network_word(network: NetworkPolicy) -> &'static str {
    match network {
        NetworkPolicy::Open => "open",
        NetworkPolicy::Blocked => "blocked",
    }
}

pub(crate) const NETWORKS: [NetworkPolicy; 2] = [NetworkPolicy::Open, NetworkPolicy::Blocked];

pub(crate) const DESIRED: [DesiredState; 4] =
    [DesiredState::Started, DesiredState::Stopped, DesiredState::Archived, DesiredState::Destroyed];

pub(crate) const SNAPSHOT_STATES: [SnapshotState; SnapshotState::ALL.len()] = SnapshotState::ALL;

pub(crate) const SANDBOX_STATES: [SandboxState; SandboxState::ALL.len()] = SandboxState::ALL;

pub(crate) fn permissions(row: &Fields<'_>) -> Result<Vec<Permission>, ReadError> {
    let words = text(row, "permissions")?;
    words
        .split_ascii_whitespace()
        .map(|word| {
            Permission::from_word(word)
                .ok_or_else(|| format!("{word:?} is no permission"))
                .map_err(ReadError::value("permissions"))
        })
        .collect()
}

pub(crate) fn permission_words(permissions: &[Permission]) -> String {
    permissions.iter().copied().map(Permission::as_str).collect::<Vec<_>>().join(" ")
}

/// All rows of a statement.
pub(crate) fn rows<T>(
    statement: &mut Statement<'_>,
    parameters: impl rusqlite::Params,
    convert: impl Fn(&Fields<'_>) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.query(parameters)?;
    let mut converted = Vec::new();
    while let Some(row) = rows.next()? {
        converted.push(convert(&Fields { row, names: &names, next: Cell::new(0) })?);
    }
    Ok(converted)
}
