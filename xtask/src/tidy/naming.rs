//! Names that say nothing, and attributes that hide something.

use super::Finding;
use super::lexer::take_apart;
use super::source::Tree;

/// Words that no file or folder of code is called by: they say nothing about what is in it.
const EMPTY_WORDS: [&str; 8] =
    ["helper", "helpers", "util", "utils", "manager", "common", "base", "misc"];

/// No empty words in names of modules, no `allow` attributes, and `control` never names the engine.
#[expect(clippy::unnecessary_wraps, reason = "all checks have one signature")]
pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.rust("") {
        let words = file.path.trim_end_matches(".rs").split(['/', '_', '-']);
        for word in words.filter(|word| EMPTY_WORDS.contains(word)) {
            findings.push(format!("{}: {word:?} does not say what is in it", file.path));
        }
        let code = take_apart(&file.text).code;
        for (number, line) in code.lines().enumerate() {
            let place = format!("{}:{}", file.path, number + 1);
            if line.contains("#[allow(") || line.contains("#![allow(") {
                findings.push(format!("{place}: allow; use #[expect(lint, reason = \"…\")]"));
            }
            if file.path.starts_with("crates/control/") && has_word(line, "pitlane_engine") {
                findings.push(format!("{place}: control names the engine: {}", line.trim()));
            }
        }
    }
    Ok(findings)
}

/// Whether `word` is in `line` with no letter, digit or underscore beside it.
pub(super) fn has_word(line: &str, word: &str) -> bool {
    let continues = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, found)| {
        let before = line[..start].chars().next_back();
        let after = line[start + found.len()..].chars().next();
        !before.is_some_and(continues) && !after.is_some_and(continues)
    })
}
