//! What of images is on this machine, who needs it, and what can go.
//!
//!     CACHE/users/DIGITS.json   a state folder whose sandboxes lie on images of this cache
//!     CACHE/in-use.lock         held shared while a sandbox is being made from an image, alone while images are removed
//!
//! A disk's file name tells the build of the image that it lies on, and servers write down what their snapshots need; so
//! whoever looks into the state folders knows what is needed, whether their servers run or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use pitlane_model::{ImageName, ImageReference};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::catalog::{Alias, Pulled};
use crate::images::{Images, Manifest};
use crate::layer::Layer;
use crate::note::Note;
use crate::pull::open_lock;
use crate::users::{ImageUser, User};

/// An image on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StockedImage {
    /// What it is called here.
    pub image: String,
    /// Which build of it.
    pub fingerprint: String,
    /// The names that were pulled and mean it for everybody.
    pub references: Vec<String>,
    /// The names by which it is somebody's alone.
    pub owned: Vec<OwnedName>,
    /// Bytes of all its files.
    pub size_bytes: u64,
    /// How many layers it has.
    pub layers: usize,
    /// Bytes of the layers that no other image has; they become free when it goes.
    pub own_bytes: u64,
    /// Bytes of the layers that others have as well.
    pub shared_bytes: u64,
    /// Whether anybody needs it.
    pub is_used: bool,
    /// Who needs it: sandboxes and snapshots.
    pub users: Vec<ImageUser>,
}

/// A name that means an image for one owner alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnedName {
    /// The name.
    pub reference: String,
    /// Whose it is.
    pub owner: String,
}

/// What became free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Freed {
    /// Images that are gone.
    pub images: u64,
    /// Layers that are gone.
    pub layers: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// What of an image nobody else has, and what others have as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Share {
    own: u64,
    shared: u64,
}

impl Images {
    /// Notes that the disks in a state folder lie on images of this cache.
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn note_user(&self, state: &Path) -> io::Result<()> {
        let state = fs::canonicalize(state)?;
        let users = self.folder().join("users");
        DirBuilder::new().recursive(true).mode(0o711).create(&users)?;
        let digest = Sha256::digest(state.as_os_str().as_encoded_bytes());
        let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let path = users.join(format!("{digits}.json"));
        let mut draft = tempfile::NamedTempFile::new_in(&users)?;
        draft.write_all(&serde_json::to_vec(&User { state })?)?;
        draft.as_file().sync_all()?;
        draft.persist(path).map(drop).map_err(|failed| failed.error)
    }

    /// Keeps images from being removed until the value is dropped. Whoever is about to use one holds it until a disk's
    /// name tells of it.
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn hold(&self) -> io::Result<File> {
        let lock = open_lock(&self.folder().join("in-use.lock"))?;
        lock.lock_shared()?;
        Ok(lock)
    }

    /// The same without waiting; `None` while images are being removed.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn try_hold(&self) -> io::Result<Option<File>> {
        let lock = open_lock(&self.folder().join("in-use.lock"))?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(cause),
        }
    }

    /// All images on this machine, in the order of their names.
    #[must_use]
    pub fn stock(&self) -> Vec<StockedImage> {
        let users = self.users();
        let mut references: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut owned: BTreeMap<String, Vec<OwnedName>> = BTreeMap::new();
        for Pulled { reference, image, owner } in self.catalog().pulled() {
            match owner {
                None => references.entry(image).or_default().push(reference),
                Some(owner) => owned.entry(image).or_default().push(OwnedName { reference, owner }),
            }
        }
        let manifests = self.manifests();
        let layers = Layers::of(&manifests);
        let mut all: Vec<StockedImage> = manifests
            .iter()
            .map(|(image, fingerprint, manifest)| {
                let Share { own, shared } =
                    self.share(&names_of_layers(image, fingerprint, manifest), &layers);
                StockedImage {
                    references: references.remove(image.as_str()).unwrap_or_default(),
                    owned: owned.remove(image.as_str()).unwrap_or_default(),
                    is_used: users.need(image, fingerprint),
                    users: users.of(image, fingerprint),
                    size_bytes: manifest.size_bytes,
                    own_bytes: own,
                    shared_bytes: shared,
                    layers: manifest.layers.len().max(1),
                    image: image.to_string(),
                    fingerprint: fingerprint.clone(),
                }
            })
            .collect();
        all.sort_by(|one, other| {
            (&one.image, &one.fingerprint).cmp(&(&other.image, &other.fingerprint))
        });
        all
    }

    fn share(&self, names: &BTreeSet<String>, layers: &Layers) -> Share {
        let mut share = Share::default();
        for name in names {
            let bytes = layers.folders.get(name).copied();
            let bytes = bytes.unwrap_or_else(|| self.bytes_of_layer(name));
            let is_own = layers.images.get(name).is_none_or(|count| *count < 2);
            let part = if is_own { &mut share.own } else { &mut share.shared };
            *part = part.saturating_add(bytes);
        }
        share
    }

    /// Bytes of a layer, as far as it costs little to tell.
    fn bytes_of_layer(&self, name: &str) -> u64 {
        match Layer::read(self.folder(), name) {
            Some(Layer::Disk(path)) => {
                fs::metadata(path).map_or(0, |file| file.blocks().saturating_mul(512))
            }
            Some(Layer::Folder(_)) => {
                Note::read(&self.layers_folder(), name).map_or(0, |note| note.bytes)
            }
            None => 0,
        }
    }

    /// All aliases, in the order of their names.
    #[must_use]
    pub fn aliases(&self) -> Vec<Alias> {
        self.catalog().aliases()
    }

    /// Has one name mean another: a name of this machine, or one in a registry.
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn set_alias(&self, alias: &ImageReference, target: &ImageReference) -> io::Result<()> {
        self.catalog().set_alias(alias, target)
    }

    /// Removes an alias; false if there was none.
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn remove_alias(&self, alias: &ImageReference) -> io::Result<bool> {
        self.catalog().remove_alias(alias)
    }

    /// Forgets a name that was pulled; false if it was not known. What it meant goes with [`Self::collect`].
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn forget(&self, reference: &ImageReference) -> io::Result<bool> {
        self.catalog().forget(reference)
    }

    /// Every image that counts: its name, which build of it, and what is written down of it.
    pub(crate) fn manifests(&self) -> Vec<(ImageName, String, Manifest)> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let (image, fingerprint) = name.rsplit_once('-')?;
                let image = ImageName::new(image).ok()?;
                let manifest = fs::read(entry.path().join("image.json")).ok()?;
                let manifest = serde_json::from_slice(&manifest).ok()?;
                Some((image, fingerprint.to_owned(), manifest))
            })
            .collect()
    }
}

/// How many images have each layer, and what those take that are whole images.
struct Layers {
    images: BTreeMap<String, usize>,
    folders: BTreeMap<String, u64>,
}

impl Layers {
    fn of(manifests: &[(ImageName, String, Manifest)]) -> Self {
        let mut layers = Self { images: BTreeMap::new(), folders: BTreeMap::new() };
        for (image, fingerprint, manifest) in manifests {
            let names = names_of_layers(image, fingerprint, manifest);
            if manifest.layers.is_empty() {
                let bytes = manifest.size_bytes;
                layers.folders.extend(names.iter().map(|name| (name.clone(), bytes)));
            }
            for name in names {
                let count = layers.images.entry(name).or_default();
                *count = count.saturating_add(1);
            }
        }
        layers
    }
}

/// The layers of an image, each once, as manifests name them.
fn names_of_layers(image: &ImageName, fingerprint: &str, manifest: &Manifest) -> BTreeSet<String> {
    if manifest.layers.is_empty() {
        return BTreeSet::from([format!("{image}-{fingerprint}/rootfs")]);
    }
    manifest.layers.iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "oci-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const FINGERPRINT: &str = "0123456789abcdef";

    /// A cache with a pulled image of one layer, and a layer that nobody needs.
    fn cache() -> (tempfile::TempDir, Images) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("{IMAGE}-{FINGERPRINT}"));
        fs::create_dir(&path).unwrap();
        let layer = "a".repeat(64);
        fs::write(
            path.join("image.json"),
            format!(r#"{{"size_bytes": 5, "layers": ["{layer}"]}}"#),
        )
        .unwrap();
        for digits in [layer, "b".repeat(64)] {
            fs::create_dir_all(folder.path().join("layers").join(&digits)).unwrap();
            fs::write(folder.path().join(format!("layers/{digits}/file")), "hello").unwrap();
            fs::write(folder.path().join(format!("layers/{digits}.json")), "{}").unwrap();
        }
        let images = Images::new(folder.path());
        (folder, images)
    }

    fn freed(images: &Images) -> (u64, u64) {
        let freed = images.collect().unwrap();
        (freed.images, freed.layers)
    }

    #[test]
    fn what_has_a_name_or_a_disk_stays() {
        let (folder, images) = cache();
        let reference: ImageReference = "app:1".parse().unwrap();
        let image = ImageName::new(IMAGE).unwrap();
        images.catalog().remember(None, &reference, &image).unwrap();
        let state = folder.path().join("state");
        fs::create_dir_all(state.join("disks/owned")).unwrap();
        fs::create_dir_all(state.join("archives")).unwrap();
        images.note_user(&state).unwrap();
        assert_eq!(freed(&images), (0, 1), "the layer that nobody needs");
        let layers = vec![Layer::Folder(folder.path().join("layers").join("a".repeat(64)))];
        assert_eq!(
            images.find_reference(&reference).map(|(_, rootfs)| rootfs.layers),
            Some(layers)
        );

        assert!(images.forget(&reference).unwrap());
        let disk = state.join(format!("disks/owned/id.7.{FINGERPRINT}.ext4"));
        fs::write(&disk, "").unwrap();
        assert!(images.stock().iter().all(|image| image.is_used));
        assert_eq!(freed(&images), (0, 0), "a sandbox lies on it");
        fs::remove_file(&disk).unwrap();
        let archive = state.join(format!("archives/id.{FINGERPRINT}.zst"));
        fs::write(&archive, "").unwrap();
        assert_eq!(freed(&images), (0, 0), "an archived sandbox lies on it");
        fs::remove_file(&archive).unwrap();
        assert_eq!(freed(&images), (1, 1));
        assert_eq!(images.stock(), []);
        assert_eq!(freed(&images), (0, 0));
    }

    #[test]
    fn what_a_snapshot_needs_stays_and_it_is_said_who_needs_it() {
        let (folder, images) = cache();
        let state = folder.path().join("state");
        fs::create_dir_all(state.join("disks/owned")).unwrap();
        images.note_user(&state).unwrap();
        let image = ImageName::new(IMAGE).unwrap();
        let by = vec!["snapshot web:1".to_owned()];
        Images::note_needed(&state, &BTreeMap::from([(image, by)])).unwrap();
        fs::write(state.join(format!("disks/owned/id.7.{FINGERPRINT}.ext4")), "").unwrap();
        let users: Vec<String> =
            images.stock().into_iter().flat_map(|it| it.users).map(|user| user.name).collect();
        assert_eq!(users, ["sandbox id", "snapshot web:1"]);
        fs::remove_file(state.join(format!("disks/owned/id.7.{FINGERPRINT}.ext4"))).unwrap();
        assert_eq!(images.collectable().unwrap().images, 0);
        assert_eq!(freed(&images), (0, 1), "the layer that nobody needs");
        Images::note_needed(&state, &BTreeMap::new()).unwrap();
        let foretold = images.collectable().unwrap();
        assert_eq!((foretold.images, foretold.layers), (1, 1));
        assert_eq!(images.stock().len(), 1, "nothing went");
        assert_eq!(images.collect().unwrap(), foretold);
    }

    #[test]
    fn what_several_images_have_is_shared() {
        let (folder, images) = cache();
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let second = folder.path().join("oci-1-0123456789abcdee");
        fs::create_dir(&second).unwrap();
        let manifest = format!(r#"{{"size_bytes": 5, "layers": ["{a}", "{b}", "{b}"]}}"#);
        fs::write(second.join("image.json"), manifest).unwrap();
        for (digits, bytes) in [(&a, 100), (&b, 7)] {
            let note = format!(r#"{{"bytes": {bytes}, "entries": 1}}"#);
            fs::write(folder.path().join(format!("layers/{digits}.json")), note).unwrap();
        }
        let shares: Vec<(u64, u64)> =
            images.stock().iter().map(|it| (it.own_bytes, it.shared_bytes)).collect();
        assert_eq!(shares, [(0, 100), (7, 100)]);
    }

    #[test]
    fn a_layer_goes_whose_names_are_too_long_for_a_path() {
        use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
        let (folder, images) = cache();
        let layer = folder.path().join("layers").join("b".repeat(64));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = openat(CWD, &layer, flags, Mode::empty()).unwrap();
        for _ in 0..20 {
            mkdirat(&at, "x".repeat(250), Mode::from_raw_mode(0o755)).unwrap();
            at = openat(&at, "x".repeat(250), flags, Mode::empty()).unwrap();
        }
        let note = r#"{"bytes": 7, "entries": 20}"#;
        fs::write(layer.with_extension("json"), note).unwrap();
        // Of the image there is no name; its layer is `hello`.
        let foretold = images.collectable().unwrap();
        assert_eq!((foretold.images, foretold.layers), (1, 2));
        assert_eq!(images.collect().unwrap(), foretold);
        assert!(!layer.exists());
    }

    #[test]
    fn nothing_goes_while_a_sandbox_is_being_made() {
        let (_folder, images) = cache();
        let held = images.hold().unwrap();
        let lock = open_lock(&images.folder().join("in-use.lock")).unwrap();
        assert!(lock.try_lock().is_err());
        images.hold().unwrap();
        drop(held);
        lock.try_lock().unwrap();
    }
}
