//! Words that may be nowhere in the repository.

use super::Finding;
use super::source::Tree;

/// Each in two halves, so that this file does not contain them.
const FORBIDDEN: [((&str, &str), &str); 11] = [
    (("/work", "/"), "a path of one machine"),
    (("/root/.", "cargo"), "a path of one machine"),
    (("/root/.", "pyenv"), "a path of one machine"),
    (("daytona-", "wire.md"), "a text that is not in the repository"),
    (("kernel", ".md"), "a text that is not in the repository"),
    (("lessons", ".md"), "a text that is not in the repository"),
    (("agent-", "apps.md"), "a text that is not in the repository"),
    (("files.pythonhosted", ".org"), "the address of a registry"),
    (("pypi", ".org"), "the address of a registry"),
    (("registry.npmjs", ".org"), "the address of a registry"),
    (("static.crates", ".io"), "the address of a registry"),
];

/// The repository speaks of itself alone, and of no machine's own paths or registries.
#[expect(clippy::unnecessary_wraps, reason = "all checks have one signature")]
pub(super) fn check(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in tree.files() {
        for ((first, second), why) in FORBIDDEN {
            let word = format!("{first}{second}");
            let lines = file.text.lines().enumerate().filter(|(_, line)| line.contains(&word));
            findings.extend(
                lines.map(|(number, _)| format!("{}:{}: {word:?} is {why}", file.path, number + 1)),
            );
        }
    }
    Ok(findings)
}
