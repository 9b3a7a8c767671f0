//! Names: which file an object is, and what a file's object is called.
//!
//! Not every key is a file's: those with empty parts, `.`, `..` or control characters are hidden, since no path leads to
//! them. Whatever has a path has one key, and the other way round.

use std::fmt;

/// The longest key that S3 has, in bytes.
const LONGEST_KEY: usize = 1024;
/// The longest name in a folder, in bytes.
const LONGEST_NAME: usize = 255;

/// Whether a text can be the name of a file.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text != "."
        && text != ".."
        && !text.chars().any(|character| character == '/' || character.is_control())
}

/// A path in a volume: names with slashes between them, or nothing for the volume itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct VolumePath(String);

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VolumePathError {
    /// It is `.`, `..`, empty, no UTF-8, or has a slash or control characters.
    #[error("no object has a key for that name")]
    Name,
    /// The key would be longer than keys are.
    #[error("the path is too long for an object's key")]
    Long,
}

impl VolumePath {
    /// What is called `name` in this folder.
    ///
    /// # Errors
    ///
    /// [`VolumePathError`]: nothing is.
    pub fn child(&self, name: &[u8]) -> Result<Self, VolumePathError> {
        if name.len() > LONGEST_NAME {
            return Err(VolumePathError::Long);
        }
        let name = std::str::from_utf8(name).map_err(|_other| VolumePathError::Name)?;
        if !is_name(name) {
            return Err(VolumePathError::Name);
        }
        if self.0.is_empty() {
            return Ok(Self(name.to_owned()));
        }
        Ok(Self(format!("{}/{name}", self.0)))
    }

    /// Whether it is the volume itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its name in the folder that it is in.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is in `folder`, with no other folder between them.
    #[must_use]
    pub fn is_in(&self, folder: &Self) -> bool {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => parent == folder.0,
            None => folder.is_root() && !self.is_root(),
        }
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The part of a bucket in which one volume's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFolder(String);

impl KeyFolder {
    /// That of the volume `id`, below what all keys of this server begin with.
    #[must_use]
    pub fn new(prefix: &str, id: &str) -> Self {
        Self(format!("{prefix}{id}/"))
    }

    /// What all keys of the volume begin with; also the key that marks the volume itself.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0
    }

    /// The key of a file.
    ///
    /// # Errors
    ///
    /// [`VolumePathError::Long`].
    pub fn of_file(&self, path: &VolumePath) -> Result<String, VolumePathError> {
        let key = format!("{}{path}", self.0);
        // A folder's marker has a slash more.
        if key.len() < LONGEST_KEY { Ok(key) } else { Err(VolumePathError::Long) }
    }

    /// What the keys of everything in a folder begin with; also the key that marks the folder itself.
    ///
    /// # Errors
    ///
    /// [`VolumePathError::Long`].
    pub fn of_folder(&self, path: &VolumePath) -> Result<String, VolumePathError> {
        if path.is_root() {
            return Ok(self.0.clone());
        }
        self.of_file(path).map(|key| format!("{key}/"))
    }
}

/// The name of the file that `key` is in the folder of keys that begin with `folder`, if it is one.
pub(crate) fn file_in<'k>(folder: &str, key: &'k str) -> Option<&'k str> {
    key.strip_prefix(folder).filter(|name| is_name(name))
}

/// The name of the folder whose keys begin with `prefix`, in the folder whose keys begin with `folder`.
pub(crate) fn folder_in<'k>(folder: &str, prefix: &'k str) -> Option<&'k str> {
    file_in(folder, prefix.strip_suffix('/')?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_oneof};
    use proptest::proptest;

    use super::{KeyFolder, VolumePath, file_in, folder_in, is_name};

    fn any_key() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            any::<String>(),
            "[a-c]{0,3}",
            "\\.{0,3}",
            "(\u{0}|\n|\u{7f}|\u{85}|é|/){0,3}",
            "x{250,260}",
        ];
        proptest::collection::vec(part, 0..6).prop_map(|parts| parts.join("/"))
    }

    proptest! {
        #[test]
        fn a_key_is_hidden_or_the_one_that_its_path_has(key in any_key()) {
            let volume = KeyFolder::new("all/", "one");
            // As the file system walks: folder by folder, with what lists say.
            let (mut folder, mut prefix) = (VolumePath::default(), volume.prefix().to_owned());
            let whole = format!("{prefix}{key}");
            let mut rest = key.as_str();
            while let Some((first, others)) = rest.split_once('/') {
                let listed = format!("{prefix}{first}/");
                let Some(name) = folder_in(&prefix, &listed) else { return Ok(()) };
                folder = folder.child(name.as_bytes()).unwrap();
                let Ok(next) = volume.of_folder(&folder) else { return Ok(()) };
                assert_eq!(next, listed);
                (prefix, rest) = (next, others);
            }
            let Some(name) = file_in(&prefix, &whole) else { return Ok(()) };
            let path = folder.child(name.as_bytes()).unwrap();
            assert!(path.is_in(&folder) && path.name() == name);
            if let Ok(key) = volume.of_file(&path) {
                assert_eq!(key, whole);
            }
            assert!(path.to_string().split('/').all(is_name));
        }

        #[test]
        fn a_name_stays_in_its_folder(name in any::<Vec<u8>>()) {
            let folder = VolumePath::default().child(b"folder").unwrap();
            if let Ok(path) = folder.child(&name) {
                let key = KeyFolder::new("", "one").of_file(&path).unwrap();
                assert_eq!(key.as_bytes(), [b"one/folder/".as_slice(), &name].concat());
                assert_eq!(file_in("one/folder/", &key).map(str::as_bytes), Some(name.as_slice()));
            }
        }
    }
}
