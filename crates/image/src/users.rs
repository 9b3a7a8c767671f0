//! Who needs images: sandboxes, whose disks lie on them, and snapshots, from which sandboxes start.
//!
//!     STATE/disks/owned/ID.SLOT.BUILD.ext4   a sandbox's disk
//!     STATE/archives/ID.BUILD.zst            one that is packed away
//!     STATE/needed-images.json               what snapshots need, by the image's name: who needs it

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pitlane_model::ImageName;
use serde::{Deserialize, Serialize};

use crate::images::Images;

/// What is told of snapshots.
const NEEDED: &str = "needed-images.json";

/// Who needs an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageUser {
    /// What it is, in a word, and what it is called: `sandbox 0123…`, `snapshot web:1`.
    pub name: String,
    /// The folder of the server that has it.
    pub state: PathBuf,
}

/// Who needs which image.
#[derive(Debug, Default)]
pub(crate) struct Users {
    builds: BTreeMap<String, Vec<ImageUser>>,
    images: BTreeMap<String, Vec<ImageUser>>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) state: PathBuf,
}

impl Users {
    /// Those of this build of an image.
    pub(crate) fn of(&self, image: &ImageName, fingerprint: &str) -> Vec<ImageUser> {
        let builds = self.builds.get(fingerprint).into_iter().flatten();
        let images = self.images.get(image.as_str()).into_iter().flatten();
        builds.chain(images).cloned().collect()
    }

    /// Whether there are any.
    pub(crate) fn need(&self, image: &ImageName, fingerprint: &str) -> bool {
        self.builds.contains_key(fingerprint) || self.images.contains_key(image.as_str())
    }

    fn add(&mut self, state: &Path) {
        let user = |name: String| ImageUser { name, state: state.to_owned() };
        for (folder, place) in [("disks/owned", 2), ("archives", 1)] {
            for disk in fs::read_dir(state.join(folder)).into_iter().flatten().flatten() {
                let name = disk.file_name().to_string_lossy().into_owned();
                let mut parts = name.split('.');
                let (id, build) = (parts.next().unwrap_or_default(), name.split('.').nth(place));
                if let Some(build) = build {
                    let users = self.builds.entry(build.to_owned()).or_default();
                    users.push(user(format!("sandbox {id}")));
                }
            }
        }
        let needed = fs::read(state.join(NEEDED)).ok();
        let needed: BTreeMap<String, Vec<String>> =
            needed.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        for (image, names) in needed {
            self.images.entry(image).or_default().extend(names.into_iter().map(user));
        }
    }
}

impl Images {
    /// Who needs which image, as far as the servers that share this cache have told.
    pub(crate) fn users(&self) -> Users {
        let mut users = Users::default();
        for entry in fs::read_dir(self.folder().join("users")).into_iter().flatten().flatten() {
            let user = fs::read(entry.path()).ok();
            let user: Option<User> = user.and_then(|text| serde_json::from_slice(&text).ok());
            let Some(User { state }) = user else { continue };
            if state.exists() {
                users.add(&state);
            } else {
                // Nothing of it is left, so nothing of it needs anything.
                drop(fs::remove_file(entry.path()));
            }
        }
        users
    }

    /// Notes in a state folder which images are needed by what has no disk, and by whom, in place of what was noted
    /// before.
    ///
    /// # Errors
    ///
    /// The folder cannot be written to.
    pub fn note_needed(state: &Path, needed: &BTreeMap<ImageName, Vec<String>>) -> io::Result<()> {
        let needed: BTreeMap<&str, &Vec<String>> =
            needed.iter().map(|(image, by)| (image.as_str(), by)).collect();
        let mut draft = tempfile::NamedTempFile::new_in(state)?;
        draft.write_all(&serde_json::to_vec(&needed)?)?;
        draft.as_file().sync_all()?;
        draft.persist(state.join(NEEDED)).map(drop).map_err(|failed| failed.error)
    }
}
