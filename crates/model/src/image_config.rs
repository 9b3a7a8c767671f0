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
    /// The most of a program with all of its arguments.
    const MAX_PROGRAM_BYTES: usize = 64 << 10;
    const MAX_PROGRAM_WORDS: usize = 1024;
    const MAX_USER_BYTES: usize = 256;
    /// The kernel takes no longer path.
    const MAX_FOLDER_BYTES: usize = 4095;
    /// The most of variables and labels; programs are started with fewer.
    const MAX_SAID_BYTES: usize = 1 << 20;
    const MAX_PORTS: usize = 1024;

    /// The program and all of its arguments; empty for none.
    #[must_use]
    pub fn program(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.command).cloned().collect()
    }

    /// What of it is more than an image may say, in words. Rows of snapshots and sandboxes have some of it, and all of
    /// them are in memory.
    #[must_use]
    pub fn excess(&self) -> Option<String> {
        let bytes = |pairs: &BTreeMap<String, String>| -> usize {
            pairs.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
        };
        let program: usize = self.entrypoint.iter().chain(&self.command).map(String::len).sum();
        let words = self.entrypoint.len().saturating_add(self.command.len());
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let said = bytes(&self.environment).saturating_add(bytes(&self.labels));
        let all = [
            ("its program has", program, Self::MAX_PROGRAM_BYTES, "bytes"),
            ("its program has", words, Self::MAX_PROGRAM_WORDS, "words"),
            ("the name of its user has", length(&self.user), Self::MAX_USER_BYTES, "bytes"),
            ("its working folder has", length(&self.work_dir), Self::MAX_FOLDER_BYTES, "bytes"),
            ("its variables and labels have", said, Self::MAX_SAID_BYTES, "bytes"),
            ("there are", self.ports.len(), Self::MAX_PORTS, "ports"),
        ];
        let (what, _, most, unit) = all.into_iter().find(|(_, is, most, _)| is > most)?;
        Some(format!("{what} more than {most} {unit}"))
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
    fn what_an_image_says_has_an_end() {
        let long = |bytes: usize| "x".repeat(bytes);
        let named = |bytes: usize| BTreeMap::from([(long(10), long(bytes))]);
        let nothing = ImageConfig::default;
        let much = |bytes: usize| ImageConfig {
            entrypoint: vec![long(bytes / 16)],
            command: vec![String::from("x")],
            environment: named(bytes / 2),
            labels: named(bytes / 2 - 20),
            user: Some(long(bytes / 4096)),
            ..nothing()
        };
        assert_eq!(ImageConfig { command: Vec::new(), ..much(1 << 20) }.excess(), None);
        let refused = much(1 << 20).excess();
        assert_eq!(refused.as_deref(), Some("its program has more than 65536 bytes"));
        for (config, wanted) in [
            (ImageConfig { command: vec![long(0); 1025], ..nothing() }, "1024 words"),
            (ImageConfig { user: Some(long(257)), ..nothing() }, "256 bytes"),
            (ImageConfig { work_dir: Some(long(4096)), ..nothing() }, "4095 bytes"),
            (ImageConfig { environment: named(1 << 20), ..nothing() }, "1048576 bytes"),
            (ImageConfig { labels: named(1 << 20), ..nothing() }, "1048576 bytes"),
        ] {
            let excess = config.excess().unwrap_or_default();
            assert!(excess.ends_with(wanted), "{excess}");
        }
    }
}
