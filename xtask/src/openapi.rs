//! Our own description of both interfaces: `openapi/control.json` and `openapi/toolbox.json`, OpenAPI 3.1.
//!
//! Three sources, and each says what only it knows: `openapi/compat.toml` which operations there are and who may ask,
//! the tables beside this file what each takes and answers, and the wire types, by the attributes they are read and
//! written with, what a body looks like. An operation that is served and not described is an error, as is one that is
//! described and not served.

mod control;
mod document;
mod operation;
mod schemas;
#[cfg(test)]
mod tests;
mod toolbox;

use std::path::Path;

use anyhow::{Context as _, bail};

use self::document::{Interface, document};
use crate::compat::served;

/// The documents: a path each, and the text that it should hold.
fn wanted(root: &Path) -> anyhow::Result<[(std::path::PathBuf, String); 2]> {
    let served = served(root)?;
    let control = document(&Interface::control(&served.control)?)?;
    let toolbox = document(&Interface::toolbox(&served.toolbox)?)?;
    Ok([(root.join("openapi/control.json"), control), (root.join("openapi/toolbox.json"), toolbox)])
}

/// Writes the documents of the repository at `root`.
///
/// # Errors
///
/// An operation is served and not described or the other way round, or a file cannot be read or written.
pub(crate) fn update(root: &Path) -> anyhow::Result<()> {
    for (path, text) in wanted(root)? {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Compares the documents with what they should hold.
///
/// # Errors
///
/// The same as [`update`]; and a document is not what it should be, with the first line that differs.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    for (path, wanted) in wanted(root)? {
        let found = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = found.lines().zip(wanted.lines()).enumerate();
        if let Some((number, (_, line))) = lines.find(|(_, (found, wanted))| found != wanted) {
            bail!(
                "{}:{}: run `cargo xtask openapi`: the code says {line}",
                path.display(),
                number + 1
            );
        }
        if found != wanted {
            bail!("{}: run `cargo xtask openapi`: its end is not the code's", path.display());
        }
    }
    Ok(())
}
