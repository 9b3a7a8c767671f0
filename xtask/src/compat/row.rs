//! Rows of `openapi/compat.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

const HEADER: &str = "\
# Every operation of the Daytona API and what Pitlane does with it.
#
# implemented  as the reference has it; the official SDK's tests show it
# partial      works, with the differences named in `why`
# planned      answers 501 and says so; `why` says what it waits for
# refused      will not be offered; `why` says why
#
# `public = true` marks operations that need no key. Rows come from openapi/operations.json by `cargo xtask compat`;
# status and why are written by hand and kept.
";

/// What Pitlane does with an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Implemented,
    Partial,
    Planned,
    Refused,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Implemented => "implemented",
            Self::Partial => "partial",
            Self::Planned => "planned",
            Self::Refused => "refused",
        }
    }

    /// Whether the server has a route for it.
    pub(super) const fn is_served(self) -> bool {
        matches!(self, Self::Implemented | Self::Partial)
    }
}

/// One operation of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) id: String,
    /// Fields that a success always has, of an object or of each of a list's items; empty where nothing is known.
    #[serde(default)]
    pub(super) answer: Vec<String>,
}

impl Operation {
    /// How a row names it: `POST /sandbox`.
    pub(super) fn key(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// The operations of one interface.
#[derive(Debug, Deserialize)]
pub(super) struct Interface {
    /// In the published clients.
    pub(super) published: Vec<Operation>,
    /// Used by older clients or over WebSockets only.
    pub(super) unpublished: Vec<Operation>,
}

impl Interface {
    pub(super) fn all(&self) -> impl Iterator<Item = &Operation> {
        self.published.iter().chain(&self.unpublished)
    }
}

/// `openapi/operations.json`.
#[derive(Debug, Deserialize)]
pub(super) struct Operations {
    pub(super) control: Interface,
    pub(super) toolbox: Interface,
}

/// Our answer to one operation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) status: Status,
    #[serde(default)]
    pub(super) public: bool,
    #[serde(default)]
    pub(super) why: Option<String>,
}

/// `openapi/compat.toml`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Coverage {
    #[serde(default)]
    pub(super) control: BTreeMap<String, Row>,
    #[serde(default)]
    pub(super) toolbox: BTreeMap<String, Row>,
}

impl Coverage {
    /// The same answers, with a row for exactly the operations there are.
    pub(super) fn brought_up_to(&self, operations: &Operations) -> Self {
        Self {
            control: rows(&self.control, &operations.control),
            toolbox: rows(&self.toolbox, &operations.toolbox),
        }
    }

    /// Checks that every row which promises less than everything says why.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for (key, row) in self.control.iter().chain(&self.toolbox) {
            let says_why = row.why.as_deref().is_some_and(|why| !why.trim().is_empty());
            anyhow::ensure!(
                row.status == Status::Implemented || says_why,
                "{key} is {} and does not say why",
                row.status.as_str()
            );
        }
        Ok(())
    }

    pub(super) fn to_text(&self, operations: &Operations) -> String {
        let mut text = HEADER.to_owned();
        for (name, rows, interface) in [
            ("control", &self.control, &operations.control),
            ("toolbox", &self.toolbox, &operations.toolbox),
        ] {
            let count = |status| rows.values().filter(|row| row.status == status).count();
            let _infallible = write!(
                text,
                "\n# {} operations: {} implemented, {} partial, {} planned, {} refused\n[{name}]\n",
                rows.len(),
                count(Status::Implemented),
                count(Status::Partial),
                count(Status::Planned),
                count(Status::Refused),
            );
            for operation in interface.all() {
                let key = operation.key();
                if let Some(row) = rows.get(&key) {
                    text.push_str(&line(&key, row));
                }
            }
        }
        text
    }
}

fn rows(known: &BTreeMap<String, Row>, interface: &Interface) -> BTreeMap<String, Row> {
    let row = |operation: &Operation| {
        let key = operation.key();
        let row = known.get(&key).cloned().unwrap_or_else(|| Row {
            id: operation.id.clone(),
            status: Status::Planned,
            public: false,
            why: Some("not begun".to_owned()),
        });
        (key, Row { id: operation.id.clone(), ..row })
    };
    interface.all().map(row).collect()
}

fn line(key: &str, row: &Row) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut line = format!(
        "{} = {{ id = {}, status = {}",
        quoted(key),
        quoted(&row.id),
        quoted(row.status.as_str())
    );
    if row.public {
        line.push_str(", public = true");
    }
    if let Some(why) = &row.why {
        let _infallible = write!(line, ", why = {}", quoted(why));
    }
    line.push_str(" }\n");
    line
}
