//! The images of a machine, in a folder that servers may share.
//!
//!     CACHE/default-0123456789abcdef/image.json   there once the image is whole
//!     CACHE/default-0123456789abcdef/rootfs/      the root file system
//!     CACHE/default.lock                          held by whoever makes the image
//!     CACHE/.making-…/                            an image being made, or left by a crash: the next maker removes it
//!
//! The digits are the recipe's fingerprint: a server with another recipe makes an image of its own beside this one, and
//! sandboxes of both go on. Images are complete and on the disk before they get their name. Only root can enter them:
//! they hold programs such as `sudo` that must not be run outside a sandbox.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pitlane_model::{ImageName, ImageOwner, ImageReference};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::config::{self, ImageConfig};
use crate::error::PrepareImageError;
use crate::layer::Layer;
use crate::made;
use crate::pull::RegistryAccess;
use crate::recipe::{REQUIRED_PROGRAMS, Recipe};
use crate::{bootstrap, size, steps};

/// Begins the names of folders in which images are made.
const MAKING: &str = ".making-";

/// How often a maker that waits for another looks again.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// How far the making of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for a person: `unpacking packages`.
    pub step: String,
    /// Parts of it that are done.
    pub done: u64,
    /// Parts in all; 0 while unknown.
    pub total: u64,
}

/// An image that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rootfs {
    /// What it is made of, the lowest first, which nobody may change. What is in a later one hides what is in an earlier
    /// one.
    pub layers: Vec<Layer>,
    /// Bytes it takes on the disk.
    pub size_bytes: u64,
    /// What tells it from images of the same name made from other recipes.
    pub fingerprint: String,
    /// What it says of itself.
    pub config: ImageConfig,
}

/// The images in a folder.
#[derive(Debug, Clone)]
pub struct Images {
    folder: PathBuf,
    catalog: Catalog,
    access: Option<Arc<RegistryAccess>>,
}

/// What `image.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) size_bytes: u64,
    /// Images that were made before it was kept said nothing.
    #[serde(default, with = "config::Kept")]
    pub(crate) config: ImageConfig,
    /// The names of its layers, the lowest first, as [`Layer::read`] takes them; none for an image whose only layer is
    /// beside this file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) layers: Vec<String>,
}

impl Images {
    /// The images in `folder`, which is made when it is needed. None come from registries.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { catalog: Catalog::new(&folder), folder, access: None }
    }

    /// The same, with a way to bring images from registries.
    #[must_use]
    pub fn with_registries(self, access: RegistryAccess) -> Self {
        Self { access: Some(Arc::new(access)), ..self }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn layers_folder(&self) -> PathBuf {
        self.folder.join("layers")
    }

    pub(crate) const fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn access(&self) -> Option<&RegistryAccess> {
        self.access.as_deref()
    }

    /// What this machine has by that name for everybody: one of its own images, or one that was pulled. Aliases count.
    /// Reads a few small files.
    #[must_use]
    pub fn find_reference(&self, reference: &ImageReference) -> Option<(ImageName, Rootfs)> {
        let meant = self.catalog.meant(reference);
        if let Some(name) = meant.local_name()
            // Whoever has learned what somebody's image is called here has no right to it. Who makes aliases has.
            && (self.can_make(&name) || meant != *reference)
            && let Some(rootfs) = self.find(&name)
        {
            return Some((name, rootfs));
        }
        let image = self.catalog.image(None, &meant)?;
        if steps::is_step(&meant) {
            steps::note_use(&self.catalog.file(&meant));
        }
        self.find(&image).map(|rootfs| (image, rootfs))
    }

    /// What this machine has by that name for one owner alone. Aliases count.
    #[must_use]
    pub fn find_owned(
        &self,
        owner: ImageOwner,
        reference: &ImageReference,
    ) -> Option<(ImageName, Rootfs)> {
        let image = self.catalog.image(Some(owner), &self.catalog.meant(reference))?;
        self.find(&image).map(|rootfs| (image, rootfs))
    }

    /// What a name means: the one that an alias leads to, or itself.
    #[must_use]
    pub fn meant(&self, reference: &ImageReference) -> ImageReference {
        self.catalog.meant(reference)
    }

    /// Whether there is a recipe for the image.
    #[must_use]
    pub fn can_make(&self, image: &ImageName) -> bool {
        Recipe::find(image).is_some()
    }

    /// The image, if it is here. Reads one small file.
    #[must_use]
    pub fn find(&self, image: &ImageName) -> Option<Rootfs> {
        match Recipe::find(image) {
            Some(recipe) => self.look_up(image, recipe),
            None => self.find_build(image, made::fingerprint_of(image)?),
        }
    }

    /// A certain build of an image, which may be older than what [`Self::find`] finds, if it is here.
    #[must_use]
    pub fn find_build(&self, image: &ImageName, fingerprint: &str) -> Option<Rootfs> {
        let is_fingerprint =
            !fingerprint.is_empty() && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_fingerprint { self.read(image, fingerprint.to_owned()) } else { None }
    }

    fn look_up(&self, image: &ImageName, recipe: &Recipe) -> Option<Rootfs> {
        self.read(image, recipe.fingerprint())
    }

    fn read(&self, image: &ImageName, fingerprint: String) -> Option<Rootfs> {
        let folder = self.folder.join(format!("{image}-{fingerprint}"));
        let manifest = std::fs::read(folder.join("image.json")).ok()?;
        let Manifest { size_bytes, config, layers } = serde_json::from_slice(&manifest).ok()?;
        let layers = if layers.is_empty() {
            vec![Layer::Folder(folder.join("rootfs"))]
        } else {
            let read = |name: &String| Layer::read(&self.folder, name);
            each_once(layers.iter().map(read).collect::<Option<_>>()?)
        };
        Some(Rootfs { layers, size_bytes, fingerprint, config })
    }

    /// Makes the image unless it is here. Of several that make the same image at once, in whatever process, one works
    /// and the others wait for it.
    ///
    /// `progress` receives steps; a full channel drops them. Dropping the future, or a crash, ends the work and leaves
    /// nothing that counts as an image.
    ///
    /// # Errors
    ///
    /// [`PrepareImageError::Unknown`]: there is no recipe. [`PrepareImageError::Missing`],
    /// [`PrepareImageError::NotRoot`] and [`PrepareImageError::NoRoom`]: the machine has to be changed. Others: see
    /// their cause; the call can be repeated.
    pub async fn prepare(
        &self,
        image: &ImageName,
        progress: mpsc::Sender<Progress>,
    ) -> Result<Rootfs, PrepareImageError> {
        let Some(recipe) = Recipe::find(image) else {
            return Err(PrepareImageError::Unknown(image.clone()));
        };
        if let Some(rootfs) = self.look_up(image, recipe) {
            return Ok(rootfs);
        }
        if !rustix::process::geteuid().is_root() {
            return Err(PrepareImageError::NotRoot(image.clone()));
        }
        for (program, package) in REQUIRED_PROGRAMS {
            if !bootstrap::is_installed(program) {
                return Err(PrepareImageError::Missing { program, package });
            }
        }
        make_folder(&self.folder)?;
        let lock = self.folder.join(format!("{image}.lock"));
        let _lock = lock_file(&lock, &progress).await?;
        // Somebody else may have made it meanwhile.
        if let Some(rootfs) = self.look_up(image, recipe) {
            return Ok(rootfs);
        }
        let began = Instant::now();
        let prefix = format!("{MAKING}{image}-");
        remove_left_over(self.folder.clone(), prefix.clone()).await;
        self.check_room(image, recipe)?;
        let making = tempfile::Builder::new()
            .prefix(&prefix)
            // Packages are downloaded by a user of apt's own, who has to reach them. The name cannot be guessed.
            .permissions(Permissions::from_mode(0o711))
            .tempdir_in(&self.folder)
            .map_err(cache("make a folder in", &self.folder))?;
        bootstrap::run(image, recipe, making.path(), &progress).await?;
        step(&progress, "writing to the disk");
        let target = self.folder.join(format!("{image}-{}", recipe.fingerprint()));
        let finished = tokio::task::spawn_blocking(move || finish(making, &target)).await;
        finished.map_err(|_cancelled| PrepareImageError::Interrupted(image.clone()))??;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let rootfs = self
            .look_up(image, recipe)
            .ok_or_else(|| PrepareImageError::Interrupted(image.clone()))?;
        tracing::info!(%image, size_bytes = rootfs.size_bytes, took_ms, "made an image");
        Ok(rootfs)
    }

    fn check_room(&self, image: &ImageName, recipe: &Recipe) -> Result<(), PrepareImageError> {
        let status = rustix::fs::statvfs(&self.folder)
            .map_err(|errno| cache("measure", &self.folder)(errno.into()))?;
        let free_mib = status.f_bavail.saturating_mul(status.f_frsize) >> 20;
        if free_mib >= recipe.needed_mib {
            return Ok(());
        }
        Err(PrepareImageError::NoRoom {
            image: image.clone(),
            folder: self.folder.clone(),
            free_mib,
            needed_mib: recipe.needed_mib,
        })
    }
}

/// Leaves a layer out that comes again further up, which many images have: no overlay takes the same folder twice, and
/// what the lower one has, the upper one hides.
fn each_once(layers: Vec<Layer>) -> Vec<Layer> {
    let is_last = |number: usize, layer: &Layer| {
        layers.iter().skip(number.saturating_add(1)).all(|above| above != layer)
    };
    let kept: Vec<bool> =
        layers.iter().enumerate().map(|(number, layer)| is_last(number, layer)).collect();
    layers.into_iter().zip(kept).filter_map(|(layer, is_kept)| is_kept.then_some(layer)).collect()
}

/// Says what is being done, to whoever listens.
pub(crate) fn step(progress: &mpsc::Sender<Progress>, step: &str) {
    // A full channel drops steps: the work does not wait for whoever watches it.
    drop(progress.try_send(Progress { step: step.to_owned(), done: 0, total: 0 }));
}

/// Names what was being done with `path` when it failed.
pub(crate) fn cache(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> PrepareImageError {
    let path = path.to_owned();
    move |cause| PrepareImageError::Cache { action, path, cause }
}

fn make_folder(folder: &Path) -> Result<(), PrepareImageError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(folder)
        .map_err(cache("make the folder", folder))
}

/// Waits until this process alone holds the lock. It is free again when the file is dropped, or the process ends.
pub(crate) async fn lock_file(
    path: &Path,
    progress: &mpsc::Sender<Progress>,
) -> Result<File, PrepareImageError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(cache("open", path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                step(progress, "waiting for another server that makes it");
                tokio::time::sleep(LOCK_POLL).await;
            }
            Err(TryLockError::Error(cause)) => return Err(cache("lock", path)(cause)),
        }
    }
}

/// Removes what makers that crashed left behind. The caller holds the lock, so nobody is at work there.
pub(crate) async fn remove_left_over(folder: PathBuf, prefix: String) {
    let removal = tokio::task::spawn_blocking(move || {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(&prefix) {
                continue;
            }
            if let Err(cause) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %cause, "cannot remove a half-made image");
            }
        }
    });
    drop(removal.await);
}

/// Makes a root file system count as an image.
fn finish(making: TempDir, target: &Path) -> Result<(), PrepareImageError> {
    let folder = making.path();
    let rootfs = folder.join("rootfs");
    let size_bytes = size::of_folder(&rootfs).map_err(cache("measure", &rootfs))?;
    let manifest = serde_json::json!(Manifest {
        size_bytes,
        config: config::of_recipes(),
        layers: Vec::new()
    })
    .to_string();
    let path = folder.join("image.json");
    std::fs::write(&path, manifest).map_err(cache("write", &path))?;
    std::fs::set_permissions(folder, Permissions::from_mode(0o700))
        .map_err(cache("protect", folder))?;
    // Tens of thousands of files: one call for their file system is faster than one for each.
    let opened = File::open(folder).map_err(cache("open", folder))?;
    rustix::fs::syncfs(&opened).map_err(|errno| cache("sync", folder)(errno.into()))?;
    std::fs::rename(folder, target).map_err(cache("name", target))?;
    // It has moved: there is nothing to remove.
    let _moved = making.keep();
    let parent = target.parent().unwrap_or(target);
    let parent = File::open(parent).map_err(cache("open", parent))?;
    parent.sync_all().map_err(cache("sync", target))
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
