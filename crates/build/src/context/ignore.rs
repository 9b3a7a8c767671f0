//! `.dockerignore`: what of a context is never copied.

use pitlane_wire::build::matches_path;

use super::patience::Patience;

/// Where it is.
pub(super) const NAME: &str = ".dockerignore";
/// The longest one.
pub(super) const MAX_BYTES: u64 = 1 << 20;
/// The most lines that count.
const MAX_RULES: usize = 1_000;

/// Rules, of which the last that fits decides.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ignored(Vec<Rule>);

#[derive(Debug, PartialEq, Eq)]
struct Rule {
    pattern: String,
    is_exception: bool,
}

impl Ignored {
    pub(super) fn read(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rules = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let line = line.trim();
            let (is_exception, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            let parts = pattern.split('/').filter(|part| !part.is_empty() && *part != ".");
            let pattern = parts.collect::<Vec<_>>().join("/");
            (!pattern.is_empty()).then_some(Rule { pattern, is_exception })
        });
        Self(rules.take(MAX_RULES).collect())
    }

    /// Whether a path is left out: by itself or with a folder above it.
    pub(super) fn has(&self, path: &str, patience: Patience) -> Result<bool, String> {
        let mut is_ignored = false;
        for rule in &self.0 {
            // What would change nothing need not be looked at.
            if rule.is_exception == is_ignored && fits(&rule.pattern, path, patience)? {
                is_ignored = !rule.is_exception;
            }
        }
        Ok(is_ignored)
    }
}

/// Whether a pattern stands for a path or a folder above it.
pub(super) fn fits(pattern: &str, path: &str, patience: Patience) -> Result<bool, String> {
    let mut path = path;
    loop {
        patience.check()?;
        if matches_path(pattern, path) {
            return Ok(true);
        }
        match path.rsplit_once('/') {
            Some((above, _)) => path = above,
            None => return Ok(false),
        }
    }
}
