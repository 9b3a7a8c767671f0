//! Places in one sandbox, and what it says about them.

use pitlane_client::{FileInfo, Files};

use super::walk::{Facts, Kind};

/// A sandbox's files, and what the sandbox was called.
#[derive(Debug, Clone)]
pub(super) struct Remote<'a> {
    pub(super) files: Files<'a>,
    /// As the user called it.
    pub(super) sandbox: String,
    pub(super) id: String,
}

impl Remote<'_> {
    /// A path as the reader knows it.
    pub(super) fn shown(&self, path: &str) -> String {
        format!("{}:{path}", self.sandbox)
    }
}

/// Whether a name can be nothing but one component of a path: what a sandbox calls a name may be anything.
pub(super) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= 255 && !name.contains(['/', '\0'])
}

/// A name in a folder of a sandbox.
pub(super) fn join(folder: &str, name: &str) -> String {
    match folder {
        "." => name.to_owned(),
        _ if folder.ends_with('/') => format!("{folder}{name}"),
        _ => format!("{folder}/{name}"),
    }
}

/// The last component of a path that the user gave; `None` where the contents of the folder itself are meant.
pub(super) fn base_name(path: &str) -> Option<&str> {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    is_name(name).then_some(name)
}

/// Whether `path` is in `folder` or is it, as far as the texts say; both begin in the same folder, or at the root.
pub(super) fn is_within(path: &str, folder: &str) -> bool {
    let (path, folder) = (components(path), components(folder));
    path.starts_with(&folder)
}

fn components(path: &str) -> Vec<&str> {
    let mut components = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            name => components.push(name),
        }
    }
    components
}

/// What a sandbox says about a file. Of its permissions only those that mean the same everywhere are kept.
pub(super) fn facts(info: &FileInfo) -> Facts {
    let kind = match info.mode.chars().next() {
        Some('L') => Kind::Link,
        Some('D' | 'p' | 'S') => Kind::Other,
        _ if info.is_dir => Kind::Folder,
        _ => Kind::File,
    };
    let changed = info.modified_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    Facts {
        kind,
        size: info.size,
        mode: u32::from_str_radix(&info.permissions, 8).unwrap_or(0o644) & 0o777,
        changed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component() {
        for name in ["a", "..a", "a b", "ä", "-", "\n", "a\\b", &"x".repeat(255)] {
            assert!(is_name(name), "{name:?}");
        }
        for name in ["", ".", "..", "/", "a/b", "../x", "/etc/passwd", "a\0b", &"x".repeat(256)] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_path_within_a_folder_is_found_however_it_is_written() {
        for path in ["/tmp/a", "/tmp", "/tmp/", "/tmp/./x/../a", "//tmp//b"] {
            assert!(is_within(path, "/tmp/."), "{path}");
        }
        for path in ["/tmpa", "/", "/tmp/..", "/var/tmp"] {
            assert!(!is_within(path, "/tmp"), "{path}");
        }
    }

    #[test]
    fn paths_are_joined_and_their_last_component_is_found() {
        assert_eq!(join(".", "a"), "a");
        assert_eq!(join("/", "a"), "/a");
        assert_eq!(join("/tmp", "a"), "/tmp/a");
        let names = ["/tmp/a", "/tmp/a/", "a", "/", ".", "a/.", "a/.."].map(base_name);
        assert_eq!(names, [Some("a"), Some("a"), Some("a"), None, None, None, None]);
    }
}
