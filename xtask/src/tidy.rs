//! What the design promises about the source, checked.
//!
//! Each check reads the repository and answers findings, a line each; an empty list is a tidy repository. The checks
//! run as tests, so that no other command is needed to learn of a finding, and as `cargo xtask tidy`.

mod dependencies;
mod lexer;
mod naming;
mod source;
mod sql;
#[cfg(test)]
mod tests;
mod unsafety;
mod words;

use std::path::Path;

use anyhow::bail;

use self::source::Tree;

/// What is wrong somewhere, for a person: `crates/x/src/y.rs:3: …`.
type Finding = String;

/// Looks through the repository.
type Check = fn(&Tree) -> anyhow::Result<Vec<Finding>>;

/// Every check, with the name it is reported under.
const CHECKS: [(&str, Check); 6] = [
    ("dependencies between crates", dependencies::check),
    ("unsafe code", unsafety::check),
    ("SQL", sql::check),
    ("length of files", source::check_length),
    ("names and attributes", naming::check),
    ("words", words::check),
];

/// Runs every check on the repository at `root`.
///
/// # Errors
///
/// The findings, or what could not be read.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let tree = Tree::read(root)?;
    let mut report = Vec::new();
    for (name, check) in CHECKS {
        report.extend(check(&tree)?.into_iter().map(|finding| format!("{name}: {finding}")));
    }
    if !report.is_empty() {
        bail!("the repository is not tidy:\n{}", report.join("\n"));
    }
    Ok(())
}
