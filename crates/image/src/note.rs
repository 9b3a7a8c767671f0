//! What is written down of a layer: what it takes, and who has shown that it may read it.
//!
//!     CACHE/layers/DIGITS.json   the note
//!     CACHE/layers/DIGITS.used   held shared by whoever is about to need the layer, alone by whoever removes it
//!
//! Layers are shared by what is in them, and a registry says what is in an image. So that nobody gets at somebody
//! else's layer by having a registry of his own name its digest, a layer that is here counts as fetched only for those
//! who once were given all of it: everybody, if it came without a password, else whoever the password was of.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pitlane_model::ImageOwner;
use serde::{Deserialize, Serialize};

use crate::pull::open_lock;

/// Who may use something that came from a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Everybody.
    Everybody,
    /// One owner and nobody else.
    Owner(ImageOwner),
}

/// What is known of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Bytes of its files.
    pub(crate) bytes: u64,
    /// What it has: files, folders, links.
    pub(crate) entries: u64,
    /// Whether everybody may use it. Notes of earlier versions do not say so, and the next pull finds out.
    #[serde(default)]
    everybody: bool,
    /// Who else may.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    owners: BTreeSet<String>,
}

impl Note {
    /// Of a layer that nobody may use yet.
    pub(crate) fn new(bytes: u64, entries: u64) -> Self {
        Self { bytes, entries, ..Self::default() }
    }

    /// The note of a layer that is complete.
    pub(crate) fn read(layers: &Path, digits: &str) -> Option<Self> {
        let note = fs::read(path(layers, digits)).ok()?;
        layers.join(digits).is_dir().then(|| serde_json::from_slice(&note).ok()).flatten()
    }

    /// Writes it, whole or not at all. Only whoever makes the layer, or holds its lock, may.
    pub(crate) fn write(&self, layers: &Path, digits: &str) -> io::Result<()> {
        let mut draft = tempfile::Builder::new().prefix(".note-").tempfile_in(layers)?;
        draft.write_all(&serde_json::to_vec(self)?)?;
        draft.as_file().sync_all()?;
        draft.persist(path(layers, digits)).map(drop).map_err(|failed| failed.error)
    }

    pub(crate) fn is_open_to(&self, reader: Reader) -> bool {
        match reader {
            Reader::Everybody => self.everybody,
            Reader::Owner(owner) => self.everybody || self.owners.contains(&owner.to_string()),
        }
    }

    pub(crate) fn open_to(&mut self, reader: Reader) {
        match reader {
            Reader::Everybody => self.everybody = true,
            Reader::Owner(owner) => drop(self.owners.insert(owner.to_string())),
        }
    }
}

fn path(layers: &Path, digits: &str) -> PathBuf {
    layers.join(format!("{digits}.json"))
}

/// Keeps a layer from being removed until the value is dropped; `None` while somebody removes it.
pub(crate) fn need(layers: &Path, digits: &str) -> io::Result<Option<File>> {
    let lock = open_lock(&used(layers, digits))?;
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(cause)) => Err(cause),
    }
}

/// Lets nobody begin to need a layer until the value is dropped; `None` while somebody does.
pub(crate) fn free(layers: &Path, digits: &str) -> io::Result<Option<File>> {
    let lock = open_lock(&used(layers, digits))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(cause)) => Err(cause),
    }
}

fn used(layers: &Path, digits: &str) -> PathBuf {
    layers.join(format!("{digits}.used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_for_those_who_were_given_it() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, yours) = (
            Reader::Owner(ImageOwner::from_random([1; 16])),
            Reader::Owner(ImageOwner::from_random([2; 16])),
        );
        let mut note = Note::new(5, 1);
        note.open_to(mine);
        assert_eq!(Note::read(folder.path(), "aa"), None, "nothing is there");
        note.write(folder.path(), "aa").unwrap();
        assert_eq!(Note::read(folder.path(), "aa"), None, "a note alone is no layer");
        fs::create_dir(folder.path().join("aa")).unwrap();
        assert_eq!(Note::read(folder.path(), "aa"), Some(note.clone()));
        let open = |note: &Note| [mine, yours, Reader::Everybody].map(|one| note.is_open_to(one));
        assert_eq!(open(&note), [true, false, false]);
        note.open_to(Reader::Everybody);
        assert_eq!(open(&note), [true, true, true]);
        fs::write(folder.path().join("aa.json"), r#"{"bytes": 5, "entries": 1}"#).unwrap();
        let old = Note::read(folder.path(), "aa").unwrap();
        assert_eq!((old.bytes, open(&old)), (5, [false, false, false]));
    }

    #[test]
    fn what_is_needed_is_not_free() {
        let folder = tempfile::tempdir().unwrap();
        let one = need(folder.path(), "aa").unwrap();
        let two = need(folder.path(), "aa").unwrap();
        assert!(one.is_some() && two.is_some());
        drop(one);
        assert!(free(folder.path(), "aa").unwrap().is_none());
        drop(two);
        let freeing = free(folder.path(), "aa").unwrap();
        assert!(freeing.is_some() && need(folder.path(), "aa").unwrap().is_none());
    }
}
