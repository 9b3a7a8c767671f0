//! The repository's text files, read once.

use std::path::Path;

use anyhow::Context as _;

use super::Finding;

/// Folders that hold nothing of ours: build output, caches and installed packages.
const SKIPPED: [&str; 9] = [
    ".git",
    ".cache",
    "target",
    "node_modules",
    "__pycache__",
    ".pytest_cache",
    ".venv",
    "dist",
    "corpus",
];

/// The longest file, in lines without its tests.
const MAX_LINES: usize = 1000;

/// The repository's text files.
#[derive(Debug)]
pub(super) struct Tree {
    files: Vec<File>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct File {
    /// Its path from the root, with slashes.
    pub(super) path: String,
    /// What it says.
    pub(super) text: String,
}

impl Tree {
    /// Reads every text file under `root`.
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder)
                .with_context(|| format!("cannot list {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
                let kind = entry.file_type()?;
                let is_skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
                if kind.is_dir() && !is_skipped {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.extend(read_file(root, &entry.path())?);
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { files })
    }

    /// A tree made up for a test.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        Self { files }
    }

    /// All text files, by path.
    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// The Rust files under `folder`, which ends in a slash or is empty for all.
    pub(super) fn rust(&self, folder: &str) -> impl Iterator<Item = &File> {
        let is_rust =
            |file: &&File| Path::new(&file.path).extension().is_some_and(|end| end == "rs");
        self.files.iter().filter(move |file| file.path.starts_with(folder)).filter(is_rust)
    }

    /// The file at `path`.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The folders in `crates/`.
    pub(super) fn crates(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .files
            .iter()
            .filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
            .filter(|name| !name.contains('/'))
            .collect();
        names.sort_unstable();
        names
    }
}

impl File {
    /// The file's text up to its unit tests.
    pub(super) fn without_tests(&self) -> &str {
        self.text.find("#[cfg(test)]\nmod tests {").map_or(&self.text, |start| &self.text[..start])
    }

    /// Whether all of it is tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }
}

fn read_file(root: &Path, path: &Path) -> anyhow::Result<Option<File>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        // Files of editors and of tests that run at the same time come and go.
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(cause).with_context(|| format!("cannot read {}", path.display())),
    };
    let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
    // What is not UTF-8 is no text.
    Ok(String::from_utf8(bytes).ok().map(|text| File { path: name, text }))
}

/// No Rust file is longer than a person can hold in mind.
#[expect(clippy::unnecessary_wraps, reason = "all checks have one signature")]
pub(super) fn check_length(tree: &Tree) -> anyhow::Result<Vec<Finding>> {
    let too_long = tree.rust("").filter(|file| !file.is_test()).filter_map(|file| {
        let lines = file.without_tests().lines().count();
        (lines > MAX_LINES)
            .then(|| format!("{}: {lines} lines without its tests, {MAX_LINES} at most", file.path))
    });
    Ok(too_long.collect())
}
