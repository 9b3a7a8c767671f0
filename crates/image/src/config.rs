//! What an image says of the sandboxes that start from it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What an image says of itself. Kept with it; what is absent was not said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// The program that its sandboxes run by themselves, with its first arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Further arguments, or a program where there is no entrypoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Variables of every process.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Where commands start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_dir: Option<String>,
    /// Whom commands and files belong to: `NAME`, `UID`, `NAME:GROUP` or `UID:GID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Words about it, for people and programs elsewhere.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Ports on which its program listens: `80/tcp`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub ports: BTreeSet<String>,
}

impl ImageConfig {
    /// What images made from this crate's recipes say.
    pub(crate) fn of_recipes() -> Self {
        Self { user: Some(String::from("daytona")), ..Self::default() }
    }

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

    #[test]
    fn what_was_not_said_is_not_kept() {
        let kept = serde_json::to_string(&ImageConfig::default()).unwrap();
        assert_eq!(kept, "{}");
        let read: ImageConfig = serde_json::from_str(&kept).unwrap();
        assert_eq!(read, ImageConfig::default());
    }
}
