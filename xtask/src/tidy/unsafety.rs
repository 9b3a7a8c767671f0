//! Where unsafe code may be.

use super::Finding;
use super::lexer::take_apart;
use super::naming::has_word;
use super::source::Tree;

/// Only `sys` has unsafe code, and every other crate's root forbids it.
#[expect(clippy::unnecessary_wraps, reason = "all checks have one signature")]
pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.rust("").filter(|file| !file.path.starts_with("crates/sys/")) {
        let code = take_apart(&file.text).code;
        for (number, line) in code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe"))
        {
            findings.push(format!(
                "{}:{}: unsafe outside sys: {}",
                file.path,
                number + 1,
                line.trim()
            ));
        }
        let is_root = ["/src/lib.rs", "/src/main.rs"].iter().any(|end| file.path.ends_with(end));
        if is_root && !code.contains("#![forbid(unsafe_code)]") {
            findings.push(format!("{}: a crate's root without #![forbid(unsafe_code)]", file.path));
        }
    }
    Ok(findings)
}
