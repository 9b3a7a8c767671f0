//! The environment's variables, read here and nowhere else.

use std::path::PathBuf;

/// A variable's text; `None` if it is not set, empty, or no UTF-8.
pub(crate) fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    let value = std::env::var(name);
    value.ok().filter(|value| !value.is_empty())
}

/// Where this user's settings live: `$XDG_CONFIG_HOME`, else `~/.config`.
pub(crate) fn settings_folder() -> Option<PathBuf> {
    let named = variable("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))
}
