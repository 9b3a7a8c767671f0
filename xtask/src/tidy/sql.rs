//! Where SQL may be.

use super::Finding;
use super::lexer::take_apart;
use super::source::Tree;

/// Words that together make a statement.
const STATEMENTS: [&[&str]; 6] = [
    &["SELECT ", " FROM "],
    &["INSERT ", "INTO "],
    &["UPDATE ", " SET "],
    &["DELETE ", "FROM "],
    &["CREATE ", "TABLE "],
    &["PRAGMA "],
];

/// Only `store` has SQL.
#[expect(clippy::unnecessary_wraps, reason = "all checks have one signature")]
pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.rust("crates/").filter(|file| !file.path.starts_with("crates/store/")) {
        for (line, literal) in take_apart(&file.text).literals {
            if STATEMENTS.iter().any(|words| words.iter().all(|word| literal.contains(word))) {
                findings.push(format!("{}:{line}: SQL outside store: {literal:?}", file.path));
            }
        }
    }
    Ok(findings)
}
