//! The operations that are served, wholly or partly.

use std::collections::BTreeMap;

use super::row::{Coverage, Row};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) id: String,
    /// Whether it needs no key.
    pub(crate) is_public: bool,
    /// What is missing of it; none when it is served wholly.
    pub(crate) why: Option<String>,
}

/// All of them, by `METHOD /path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServedOperations {
    pub(crate) control: BTreeMap<String, Served>,
    pub(crate) toolbox: BTreeMap<String, Served>,
}

impl ServedOperations {
    pub(super) fn of(coverage: Coverage) -> Self {
        Self { control: rows(coverage.control), toolbox: rows(coverage.toolbox) }
    }
}

fn rows(rows: BTreeMap<String, Row>) -> BTreeMap<String, Served> {
    rows.into_iter()
        .filter(|(_, row)| row.status.is_served())
        .map(|(key, Row { id, public, why, .. })| (key, Served { id, is_public: public, why }))
        .collect()
}
