//! What an image says of the sandboxes that start from it.

use std::collections::{BTreeMap, BTreeSet};

/// What an image says of itself; what is empty or absent was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// The program that its sandboxes run by themselves, with its first arguments.
    pub entrypoint: Vec<String>,
    /// Further arguments, or a program where there is no entrypoint.
    pub command: Vec<String>,
    /// Variables of every process.
    pub environment: BTreeMap<String, String>,
    /// Where commands start.
    pub work_dir: Option<String>,
    /// Whom commands and files belong to: `NAME`, `UID`, `NAME:GROUP` or `UID:GID`.
    pub user: Option<String>,
    /// Words about it, for people and programs elsewhere.
    pub labels: BTreeMap<String, String>,
    /// Ports on which its program listens: `80/tcp`.
    pub ports: BTreeSet<String>,
}

impl ImageConfig {
    /// The program and all of its arguments; empty for none.
    #[must_use]
    pub fn program(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_follows_the_entrypoint() {
        let words = |words: &[&str]| words.iter().copied().map(String::from).collect::<Vec<_>>();
        let config = ImageConfig {
            entrypoint: words(&["/run.sh", "-v"]),
            command: words(&["serve"]),
            ..ImageConfig::default()
        };
        assert_eq!(config.program(), words(&["/run.sh", "-v", "serve"]));
        assert_eq!(ImageConfig::default().program(), words(&[]));
    }
}
