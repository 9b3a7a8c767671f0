//! The list of the reference's operations and what Pitlane does with each.
//!
//! `openapi/operations.json` holds facts: method, path, name and the answer's required fields of every operation that
//! the published clients know, and of those that only older clients or WebSockets use. `openapi/compat.toml` holds our answer to each, written by
//! people; this command adds rows for new operations, drops rows of operations that went away and keeps the rest.
//! From both follows the table by which the server refuses what it cannot do. Running it twice changes nothing.

mod row;
mod served;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::row::{Coverage, Operations};

pub(crate) use self::served::{Served, ServedOperations};

/// Where the files live.
#[derive(Debug)]
struct Files {
    operations: PathBuf,
    coverage: PathBuf,
    table: PathBuf,
}

impl Files {
    fn under(root: &Path) -> Self {
        Self {
            operations: root.join("openapi/operations.json"),
            coverage: root.join("openapi/compat.toml"),
            table: root.join("crates/api/src/reference/missing.rs"),
        }
    }
}

/// What the files should hold.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    coverage: String,
    table: String,
}

/// Brings `openapi/compat.toml` and the server's table up to date under `root`, the repository.
///
/// # Errors
///
/// A file cannot be read, understood or written; each error names the file.
pub(crate) fn update(root: &Path) -> anyhow::Result<()> {
    let files = Files::under(root);
    let wanted = wanted(&files)?;
    for (path, text) in [(&files.coverage, wanted.coverage), (&files.table, wanted.table)] {
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The operations that the repository at `root` says it serves.
///
/// # Errors
///
/// `openapi/compat.toml` cannot be read or understood.
pub(crate) fn served(root: &Path) -> anyhow::Result<ServedOperations> {
    let path = Files::under(root).coverage;
    let coverage: Coverage = toml::from_str(&read(&path)?)
        .with_context(|| format!("cannot understand {}", path.display()))?;
    Ok(ServedOperations::of(coverage))
}

/// The fields that the reference's successes always have, by operation: those of the control plane, then the toolbox's.
#[cfg(test)]
pub(crate) fn required_answers(
    root: &Path,
) -> anyhow::Result<[std::collections::BTreeMap<String, Vec<String>>; 2]> {
    let operations: Operations = serde_json::from_str(&read(&Files::under(root).operations)?)?;
    let fields = |interface: &row::Interface| {
        interface.all().map(|operation| (operation.key(), operation.answer.clone())).collect()
    };
    Ok([fields(&operations.control), fields(&operations.toolbox)])
}

fn wanted(files: &Files) -> anyhow::Result<Wanted> {
    let operations: Operations = serde_json::from_str(&read(&files.operations)?)
        .with_context(|| format!("cannot understand {}", files.operations.display()))?;
    let known = if files.coverage.exists() { read(&files.coverage)? } else { String::new() };
    let known: Coverage = toml::from_str(&known)
        .with_context(|| format!("cannot understand {}", files.coverage.display()))?;
    let coverage = known.brought_up_to(&operations);
    coverage.check()?;
    Ok(Wanted { coverage: coverage.to_text(&operations), table: table::of(&coverage, &operations) })
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
