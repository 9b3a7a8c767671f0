//! Images that are made on this machine: of a sandbox's disk, or of another image with other words about it.
//!
//!     CACHE/made-DIGITS-DIGITS/image.json   one of them; what it is made of and says decides its digits
//!     CACHE/layers/DIGITS.disk              a copy of a sandbox's disk, as a layer
//!     CACHE/layers/.copying-DIGITS.disk     one being made, locked by its maker, or left by a crash
//!     CACHE/layers/.doomed-DIGITS.disk      one that nobody needs, on its way out
//!     CACHE/scratch-…/rootfs                the image without a file
//!
//! Unlike an image that was pulled, one that was made here cannot be had again, nor does anybody look for it: it goes
//! when its last name is forgotten and no sandbox lies on it.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use pitlane_model::{ImageName, ImageReference};
use sha2::{Digest as _, Sha256};

use crate::config::ImageConfig;
use crate::images::{Images, Manifest, Rootfs};
use crate::layer::{DISK, Layer, is_digits};
use crate::pull::open_lock;
use crate::stock::Freed;

/// Begins the names of images that were pulled, and of those that were made here.
const PULLED: &str = "oci-";
const MADE: &str = "made-";
/// The one build of the image without a file.
const SCRATCH: &str = "0000000000000000";
/// Begins the names of disks that are no layers yet, and of those that are none any more.
const COPYING: &str = ".copying-";
const DOOMED: &str = ".doomed-";
/// What images are called while they are removed, and while they are made here.
const REMOVING: &str = ".removing-";
const MAKING_MADE: &str = ".making-made-";

/// A disk that becomes a layer. Dropped before that, it goes.
#[derive(Debug)]
pub struct DiskDraft {
    file: File,
    path: PathBuf,
    name: String,
    is_layer: bool,
}

/// What became of a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Released {
    /// What went.
    pub freed: Freed,
    /// The builds of images without a name on which sandboxes lie.
    pub waiting: BTreeSet<String>,
}

/// The build that a name without a recipe means: the first digits of the name.
pub(crate) fn fingerprint_of(image: &ImageName) -> Option<&str> {
    let name = image.as_str();
    if *image == ImageName::scratch() {
        return Some(SCRATCH);
    }
    name.strip_prefix(PULLED).or_else(|| name.strip_prefix(MADE))?.get(..16)
}

/// Whether it goes when nobody needs it.
pub(crate) fn is_made(image: &ImageName) -> bool {
    image.as_str().starts_with(MADE)
}

impl DiskDraft {
    /// The file, empty at first.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for DiskDraft {
    fn drop(&mut self) {
        if !self.is_layer
            && let Err(cause) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %cause, "a half-made layer stays until the next start");
        }
    }
}

impl Images {
    /// The layers that an image can have: what the oldest supported kernels can be told in one call.
    pub const MOST_LAYERS: usize = 100;

    /// Makes the image without a file, and removes what makers that crashed have left. Whoever starts sandboxes calls it
    /// first.
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn prepare_to_make(&self) -> io::Result<()> {
        let layers = self.layers_folder();
        DirBuilder::new().recursive(true).mode(0o700).create(&layers)?;
        for entry in fs::read_dir(&layers)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // Whoever is at work in another process has it locked.
            if (name.starts_with(COPYING) || name.starts_with(DOOMED))
                && File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
            {
                remove_file(&path)?;
            }
        }
        let scratch = self.folder().join(format!("{}-{SCRATCH}", ImageName::scratch()));
        if scratch.join("image.json").exists() {
            return Ok(());
        }
        let root = scratch.join("rootfs");
        DirBuilder::new().recursive(true).mode(0o700).create(&scratch)?;
        DirBuilder::new().recursive(true).create(&root)?;
        // Whatever the server's umask is.
        fs::set_permissions(&root, Permissions::from_mode(0o755))?;
        let config = ImageConfig::default();
        let manifest = Manifest { size_bytes: 0, config, layers: Vec::new() };
        let mut draft = tempfile::NamedTempFile::new_in(&scratch)?;
        io::Write::write_all(&mut draft, &serde_json::to_vec(&manifest)?)?;
        draft.as_file().sync_all()?;
        draft.persist(scratch.join("image.json")).map(drop).map_err(|failed| failed.error)
    }

    /// The image of which this is a build, whatever it is called.
    #[must_use]
    pub fn of_build(&self, fingerprint: &str) -> Option<(ImageName, Rootfs)> {
        let entries = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let image = names
            .filter_map(|name| name.rsplit_once('-').map(|(a, b)| (a.to_owned(), b.to_owned())))
            .find(|(_, build)| build == fingerprint)?;
        let image = ImageName::new(image.0).ok()?;
        let rootfs = self.find_build(&image, fingerprint)?;
        Some((image, rootfs))
    }

    /// A file for a copy of a disk, where layers are.
    ///
    /// # Errors
    ///
    /// The cache cannot be written to.
    pub fn draft_disk(&self) -> io::Result<DiskDraft> {
        let layers = self.layers_folder();
        DirBuilder::new().recursive(true).mode(0o700).create(&layers)?;
        loop {
            let mut chance = [0u8; 32];
            getrandom(&mut chance)?;
            let name = format!("{}{DISK}", hex(&chance));
            let path = layers.join(format!("{COPYING}{name}"));
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            file.lock()?;
            // A server that just starts may have taken it for one that a crash left.
            if file.metadata()?.nlink() > 0 {
                return Ok(DiskDraft { file, path, name, is_layer: false });
            }
        }
    }

    /// Makes an image of another one and a disk on top of it, which says what that one says, and gives it a name.
    /// Returns when everything is on the disk. The caller [holds](Self::hold) images.
    ///
    /// # Errors
    ///
    /// There is no image, and the name means what it meant.
    pub fn add_disk(
        &self,
        below: &Rootfs,
        mut disk: DiskDraft,
        reference: &ImageReference,
    ) -> io::Result<(ImageName, Rootfs)> {
        disk.file.sync_all()?;
        let bytes = disk.file.metadata()?.blocks().saturating_mul(512);
        let layer = self.layers_folder().join(&disk.name);
        fs::rename(&disk.path, &layer)?;
        disk.is_layer = true;
        File::open(self.layers_folder())?.sync_all()?;
        pitlane_fault::point("image.layer-named");
        let mut layers = below.layers.clone();
        layers.push(Layer::Disk(layer.clone()));
        let size_bytes = below.size_bytes.saturating_add(bytes);
        let made = self.make(&layers, below.config.clone(), size_bytes, reference);
        if made.is_err() {
            // Nobody knows of it. What cannot be removed now goes when layers are next collected.
            remove_file(&layer)?;
        }
        made
    }

    /// Makes an image of the same layers that says something else, and gives it a name. The caller
    /// [holds](Self::hold) images.
    ///
    /// # Errors
    ///
    /// There is no image, and the name means what it meant.
    pub fn derive(
        &self,
        of: &Rootfs,
        config: ImageConfig,
        reference: &ImageReference,
    ) -> io::Result<(ImageName, Rootfs)> {
        self.make(&of.layers, config, of.size_bytes, reference)
    }

    fn make(
        &self,
        layers: &[Layer],
        config: ImageConfig,
        size_bytes: u64,
        reference: &ImageReference,
    ) -> io::Result<(ImageName, Rootfs)> {
        let strange = || io::Error::other("a layer lies outside of the cache");
        let names = layers.iter().map(|layer| layer.name(self.folder()));
        let layers = names.collect::<Option<Vec<String>>>().ok_or_else(strange)?;
        let manifest = Manifest { size_bytes, config, layers };
        let digits = hex(&Sha256::digest(serde_json::to_vec(&manifest)?));
        let image = ImageName::new(format!("{MADE}{digits}")).map_err(io::Error::other)?;
        let fingerprint = fingerprint_of(&image).unwrap_or_default().to_owned();
        self.keep(&image, &fingerprint, &manifest)?;
        pitlane_fault::point("image.kept");
        self.catalog().remember(None, reference, &image)?;
        pitlane_fault::point("image.named");
        let rootfs = self.find_build(&image, &fingerprint);
        Ok((image, rootfs.ok_or(io::ErrorKind::NotFound)?))
    }

    /// Forgets what a name means, and removes the images that were made here and that nobody needs any more, as
    /// [`Self::collect_made`] does.
    ///
    /// # Errors
    ///
    /// Something could not be removed. The call can be repeated.
    pub fn release(&self, reference: &ImageReference) -> io::Result<Released> {
        // Whoever is just about to give the name has done so when this begins, or will find that it was given up.
        let lock = open_lock(&self.folder().join("in-use.lock"))?;
        lock.lock()?;
        self.forget(reference)?;
        pitlane_fault::point("image.forgotten");
        self.collect_alone(lock)
    }

    /// Removes the images that were made here and have neither a name nor a sandbox, and the disks that no image has as
    /// a layer. Waits for sandboxes and images that are being made.
    ///
    /// # Errors
    ///
    /// Something could not be removed; what was is gone. The call can be repeated.
    pub fn collect_made(&self) -> io::Result<Released> {
        let lock = open_lock(&self.folder().join("in-use.lock"))?;
        lock.lock()?;
        self.collect_alone(lock)
    }

    fn collect_alone(&self, lock: File) -> io::Result<Released> {
        self.remove_halves(&[REMOVING, MAKING_MADE])?;
        let mut released = Released::default();
        let named: BTreeSet<String> =
            self.catalog().pulled().into_iter().map(|pulled| pulled.image).collect();
        let users = self.users();
        for (image, fingerprint, _) in self.manifests() {
            if !is_made(&image) || named.contains(image.as_str()) {
                continue;
            }
            if users.need(&image, &fingerprint) {
                released.waiting.insert(fingerprint);
                continue;
            }
            self.remove_image(&image, &fingerprint)?;
            released.freed.images = released.freed.images.saturating_add(1);
            pitlane_fault::point("image.removed");
        }
        let doomed = self.doom_disks()?;
        // Whoever makes something new from here on finds nothing that is on its way out.
        drop(lock);
        for path in doomed {
            let bytes = fs::metadata(&path)?.blocks().saturating_mul(512);
            remove_file(&path)?;
            released.freed.layers = released.freed.layers.saturating_add(1);
            released.freed.bytes = released.freed.bytes.saturating_add(bytes);
        }
        Ok(released)
    }

    /// Removes an image, which counts no more from the first moment on; its layers stay. The caller has the images to itself.
    pub(crate) fn remove_image(&self, image: &ImageName, fingerprint: &str) -> io::Result<()> {
        let name = format!("{image}-{fingerprint}");
        let removing = self.folder().join(format!("{REMOVING}{name}"));
        fs::rename(self.folder().join(name), &removing)?;
        pitlane_fault::point("image.unlisted");
        fs::remove_dir_all(removing)
    }

    /// Removes what a crash left of images that were being made or removed. The caller has the images to itself.
    fn remove_halves(&self, prefixes: &[&str]) -> io::Result<()> {
        for entry in fs::read_dir(self.folder()).into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name();
            if prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Has the disks that no image needs count as layers no more. The caller has the images to itself.
    fn doom_disks(&self) -> io::Result<Vec<PathBuf>> {
        // Images first: an image without its layers would be one that breaks.
        File::open(self.folder())?.sync_all()?;
        let needed: BTreeSet<String> =
            self.manifests().into_iter().flat_map(|(.., manifest)| manifest.layers).collect();
        let layers = self.layers_folder();
        let mut doomed = Vec::new();
        for entry in fs::read_dir(&layers).into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.strip_suffix(DISK).is_some_and(is_digits) && !needed.contains(&name) {
                let path = layers.join(format!("{DOOMED}{name}"));
                fs::rename(entry.path(), &path)?;
                pitlane_fault::point("image.layer-doomed");
                doomed.push(path);
            }
        }
        Ok(doomed)
    }
}

/// Removes a file; one that is gone is no error.
fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

fn getrandom(bytes: &mut [u8; 32]) -> io::Result<()> {
    let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
    // Up to 256 bytes come whole, as getrandom(2) says.
    if filled == bytes.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
