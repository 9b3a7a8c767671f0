//! Which names mean which images on this machine.
//!
//!     CACHE/references/DIGITS.json   a name that was pulled, the image it meant then, and for whom if not for everybody
//!     CACHE/aliases/DIGITS.json      a name, and another one that is meant by it
//!
//! One small file for each name, replaced as a whole: whoever reads while another process writes sees the one or the
//! other. The digits are the name's own digest, since names have slashes.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use pitlane_model::{ImageName, ImageOwner, ImageReference};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Names in a cache folder.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    references: PathBuf,
    aliases: PathBuf,
}

/// A name that was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pulled {
    /// The name in full.
    pub(crate) reference: String,
    /// What it meant.
    pub(crate) image: String,
    /// Whose name alone it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
}

/// A name for another name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alias {
    /// The name, in full.
    pub alias: String,
    /// What is meant.
    pub target: String,
}

impl Catalog {
    pub(crate) fn new(cache: &Path) -> Self {
        Self { references: cache.join("references"), aliases: cache.join("aliases") }
    }

    /// What is meant by a name: another one, or itself.
    pub(crate) fn meant(&self, reference: &ImageReference) -> ImageReference {
        let path = file(&self.aliases, &key(None, reference));
        let target = read::<Alias>(&path).and_then(|found| found.target.parse().ok());
        target.unwrap_or_else(|| reference.clone())
    }

    /// The image that a name meant when it was pulled, for everybody or for one owner.
    pub(crate) fn image(
        &self,
        owner: Option<ImageOwner>,
        reference: &ImageReference,
    ) -> Option<ImageName> {
        let path = file(&self.references, &key(owner, reference));
        ImageName::new(read::<Pulled>(&path)?.image).ok()
    }

    /// Where it is kept what a name means for everybody.
    pub(crate) fn file(&self, reference: &ImageReference) -> PathBuf {
        file(&self.references, &key(None, reference))
    }

    pub(crate) fn remember(
        &self,
        owner: Option<ImageOwner>,
        reference: &ImageReference,
        image: &ImageName,
    ) -> io::Result<()> {
        let pulled = Pulled {
            reference: reference.in_full().to_string(),
            image: image.to_string(),
            owner: owner.map(|owner| owner.to_string()),
        };
        write(&self.references, &key(owner, reference), &pulled)
    }

    /// Forgets a name, everybody's and each owner's; false if it was not known.
    pub(crate) fn forget(&self, reference: &ImageReference) -> io::Result<bool> {
        let mut is_known = remove(&file(&self.references, &key(None, reference)))?;
        let name = reference.in_full().to_string();
        for pulled in self.pulled() {
            let owner = pulled.owner.and_then(|owner| owner.parse().ok());
            if pulled.reference == name && owner.is_some() {
                is_known |= remove(&file(&self.references, &key(owner, reference)))?;
            }
        }
        Ok(is_known)
    }

    pub(crate) fn set_alias(
        &self,
        alias: &ImageReference,
        target: &ImageReference,
    ) -> io::Result<()> {
        let alias = alias.in_full();
        let kept = Alias { alias: alias.to_string(), target: target.to_string() };
        write(&self.aliases, &key(None, &alias), &kept)
    }

    /// Removes an alias; false if there was none.
    pub(crate) fn remove_alias(&self, alias: &ImageReference) -> io::Result<bool> {
        remove(&file(&self.aliases, &key(None, alias)))
    }

    /// All names that were pulled, in their order.
    pub(crate) fn pulled(&self) -> Vec<Pulled> {
        let mut all: Vec<Pulled> = read_all(&self.references);
        all.sort_by(|one, other| one.reference.cmp(&other.reference));
        all
    }

    /// All aliases, in their order.
    pub(crate) fn aliases(&self) -> Vec<Alias> {
        let mut all: Vec<Alias> = read_all(&self.aliases);
        all.sort_by(|one, other| one.alias.cmp(&other.alias));
        all
    }
}

/// What tells names apart. No name has a space, so no owner's is taken for another.
fn key(owner: Option<ImageOwner>, reference: &ImageReference) -> String {
    let name = reference.in_full();
    owner.map_or_else(|| name.to_string(), |owner| format!("{owner} {name}"))
}

fn file(folder: &Path, key: &str) -> PathBuf {
    let digest = Sha256::digest(key);
    let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{digits}.json"))
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn read_all<T: DeserializeOwned>(folder: &Path) -> Vec<T> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter_map(|path| read(&path))
        .collect()
}

fn write(folder: &Path, key: &str, value: &impl Serialize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut draft = tempfile::Builder::new().prefix(".draft-").tempfile_in(folder)?;
    draft.write_all(&serde_json::to_vec(value)?)?;
    draft.as_file().sync_all()?;
    draft.persist(file(folder, key)).map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()
}

fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> ImageReference {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_remembered_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(folder.path());
        let image = ImageName::new("oci-1").unwrap();
        assert_eq!(catalog.image(None, &reference("python:3")), None);
        catalog.remember(None, &reference("python:3"), &image).unwrap();
        assert_eq!(catalog.image(None, &reference("docker.io/library/python:3")), Some(image));
        assert_eq!(catalog.image(None, &reference("python:4")), None);
        assert_eq!(catalog.pulled().len(), 1);
        assert!(catalog.forget(&reference("python:3")).unwrap());
        assert!(!catalog.forget(&reference("python:3")).unwrap());
    }

    #[test]
    fn a_name_of_one_owner_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(folder.path());
        let [one, other] = [1, 2].map(|number| ImageName::new(format!("oci-{number}")).unwrap());
        let [mine, yours] = [1, 2].map(|number| Some(ImageOwner::from_random([number; 16])));
        let name = reference("a.example/app:1");
        catalog.remember(mine, &name, &one).unwrap();
        assert_eq!(
            [None, mine, yours].map(|who| catalog.image(who, &name)),
            [None, Some(one.clone()), None]
        );
        catalog.remember(None, &name, &other).unwrap();
        assert_eq!([None, mine].map(|who| catalog.image(who, &name)), [Some(other), Some(one)]);
        assert_eq!(catalog.pulled().len(), 2);
        assert!(catalog.forget(&name).unwrap(), "everybody's");
        assert_eq!(catalog.pulled(), []);
    }

    #[test]
    fn an_alias_leads_to_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::new(folder.path());
        catalog.set_alias(&reference("python:3.12-slim"), &reference("default")).unwrap();
        assert_eq!(catalog.meant(&reference("library/python:3.12-slim")), reference("default"));
        assert_eq!(catalog.meant(&reference("python:3.13")), reference("python:3.13"));
        assert_eq!(
            catalog.aliases(),
            [Alias {
                alias: String::from("docker.io/library/python:3.12-slim"),
                target: String::from("default"),
            }]
        );
        assert!(catalog.remove_alias(&reference("python:3.12-slim")).unwrap());
        assert_eq!(catalog.aliases(), []);
    }
}
