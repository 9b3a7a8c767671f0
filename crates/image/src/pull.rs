//! Images brought from registries into the cache.
//!
//!     CACHE/layers/DIGITS/               a layer, by the digest of its archive without compression
//!     CACHE/layers/DIGITS.json           what is known of it; there before the layer
//!     CACHE/layers/DIGITS.lock           held by whoever makes the layer
//!     CACHE/layers/.unpacking-DIGITS-…/  a layer being made, or left by a crash
//!     CACHE/layers/lane-N.lock           held by whoever uses the Nth share of the unpackers' ids
//!     CACHE/oci-DIGITS-DIGITS/image.json an image whose layers are all there
//!
//! A layer is unpacked while it comes, and counts only when its digest was right and everything is on the disk. Whoever
//! pulls the same layer at once, in whatever process, waits for the one who makes it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use pitlane_model::{ImageName, ImageOwner, ImageReference, RegistryLogin};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::images::{Images, Manifest, Progress, Rootfs, lock_file, remove_left_over, step};
use crate::note::{self, Note, Reader};
use crate::registry::{
    Credentials, Descriptor, Found, RegistryError, RegistryRules, Repository, hex_of,
};
use crate::unpack::{UnpackCommand, UnpackError, UnpackLimits, Unpacking};

/// Begins the names of folders in which layers are made.
const UNPACKING: &str = ".unpacking-";
/// Layers of one image that come at the same time.
const AT_ONCE: usize = 3;
/// How many may be unpacked on this machine at the same time.
pub(crate) const LANES: u32 = 16;
/// How often a failure that may pass is met before it counts, and how long after the first one the next try begins.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Whoever wants to be asked again later than that is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LANE_POLL: Duration = Duration::from_millis(100);
/// What other users of the file system are left with.
const RESERVE_BYTES: u64 = 512 << 20;
/// One layer has no larger part of the files that the file system can still have: others are unpacked at the same time.
const FILES_SHARE: u64 = 4;

/// How images are brought from registries.
#[derive(Debug, Clone)]
pub struct RegistryAccess {
    /// Which registries may be asked in which way.
    pub rules: RegistryRules,
    /// What unpacks their layers.
    pub unpacker: UnpackCommand,
    /// What one layer may hold.
    pub limits: UnpackLimits,
}

/// Who asks a registry, and for whom.
#[derive(Debug, Clone, Default)]
pub struct PullAs {
    /// Shown to the registry that it is for, if that wants to know who asks.
    pub login: Option<RegistryLogin>,
    /// Who alone may use what was given for the login; everybody, if there is nobody.
    pub owner: Option<ImageOwner>,
}

/// Why an image did not come. Nothing that counts as one was left behind: the call can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullImageError {
    /// This cache brings no images.
    #[error("images are not pulled here")]
    NoAccess,
    /// The caller is not root, and files have owners.
    #[error("only root can pull images")]
    NotRoot,
    /// The registry did not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A layer could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// A layer is not the one that the image names.
    #[error("a layer of image {image} is not the one that its configuration names")]
    OtherLayer {
        /// The image.
        image: String,
    },
    /// The file system of the cache is too full.
    #[error("{} has {free_mib} MiB left; image {image} needs more", folder.display())]
    NoRoom {
        /// The image.
        image: String,
        /// The cache.
        folder: PathBuf,
        /// What is free.
        free_mib: u64,
    },
    /// The cache cannot be used.
    #[error("cannot {action} {}", path.display())]
    Cache {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What failed.
        #[source]
        cause: io::Error,
    },
}

impl PullImageError {
    /// Whether the disk is full.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        match self {
            Self::NoRoom { .. } | Self::Unpack(UnpackError::Full) => true,
            Self::Cache { cause, .. } => cause.kind() == io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether it is about the image or its registry, so that whoever asked for it can do something about it.
    #[must_use]
    pub const fn is_about_the_image(&self) -> bool {
        match self {
            Self::Registry(cause) => !matches!(cause, RegistryError::Certificates(_)),
            Self::Unpack(cause) => {
                matches!(cause, UnpackError::Archive { .. } | UnpackError::Limit { .. })
            }
            Self::OtherLayer { .. } => true,
            Self::NoAccess | Self::NotRoot | Self::NoRoom { .. } | Self::Cache { .. } => false,
        }
    }

    fn is_passing(&self) -> bool {
        matches!(self, Self::Registry(cause) if cause.is_passing())
    }
}

impl Images {
    /// Asks the registry what a name means now, and brings that image here. Layers that are here are not fetched if
    /// whoever asks was given them before.
    ///
    /// What came without a password is for everybody. What came with one is for the owner alone, if there is one: the
    /// name then means the image for nobody else ([`Self::find_owned`]).
    ///
    /// `progress` receives steps; a full channel drops them. Dropping the future, or a crash, ends the work and leaves
    /// nothing that counts as an image; layers that are complete stay, and spare the next pull their way.
    ///
    /// # Errors
    ///
    /// [`PullImageError`] says whose fault it is.
    pub async fn pull(
        &self,
        reference: &ImageReference,
        who: PullAs,
        progress: mpsc::Sender<Progress>,
    ) -> Result<(ImageName, Rootfs), PullImageError> {
        let access = self.access().ok_or(PullImageError::NoAccess)?;
        if !rustix::process::geteuid().is_root() {
            return Err(PullImageError::NotRoot);
        }
        step(&progress, "asking the registry");
        let (repository, found) = resolve(access, reference, who.login).await?;
        let digits = hex_of(&found.digest).unwrap_or_default().to_owned();
        let fingerprint: String = digits.chars().take(16).collect();
        let name = format!("oci-{digits}");
        let image = ImageName::new(name.as_str())
            .map_err(|_never| self.failed("name")(io::Error::other(name.clone())))?;
        let layers = self.layers_folder();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&layers)
            .map_err(self.failed("make folders in"))?;
        let work = Work {
            images: self,
            access,
            reference,
            repository: &repository,
            progress: &progress,
            total_kib: found.blobs.iter().map(|blob| blob.size).sum::<u64>() >> 10,
            received: AtomicU64::new(0),
            owner: who.owner,
            limits: self.affordable(access.limits, reference, who.owner, &found)?,
        };
        let mut coming: Vec<BoxFuture<'_, Result<(Note, File), PullImageError>>> = Vec::new();
        for (blob, diff_id) in found.blobs.iter().zip(&found.layers.diff_ids) {
            coming.push(Box::pin(work.layer(blob, diff_id)));
        }
        // Nobody removes a layer before the image that needs it counts.
        let held: Vec<(Note, File)> =
            futures_util::stream::iter(coming).buffer_unordered(AT_ONCE).try_collect().await?;
        let manifest = Manifest {
            size_bytes: held.iter().map(|(note, _)| note.bytes).sum(),
            config: found.layers.config,
            layers: found
                .layers
                .diff_ids
                .iter()
                .filter_map(|id| hex_of(id))
                .map(String::from)
                .collect(),
        };
        self.keep(&image, &fingerprint, &manifest).map_err(self.failed("write an image in"))?;
        pitlane_fault::point("pull.image-kept");
        // Nothing that is not for everybody becomes so by being named by somebody's manifest.
        let is_for_everybody = work.reader() == Reader::Everybody
            && held.iter().all(|(note, _)| note.is_open_to(Reader::Everybody));
        let owner = who.owner.filter(|_| !is_for_everybody);
        let remembered = self.catalog().remember(owner, reference, &image);
        remembered.map_err(self.failed("remember names in"))?;
        drop(held);
        let rootfs = self
            .find_build(&image, &fingerprint)
            .ok_or_else(|| self.failed("find the image in")(io::ErrorKind::NotFound.into()))?;
        tracing::info!(%reference, %image, size_bytes = rootfs.size_bytes, "pulled an image");
        Ok((image, rootfs))
    }

    /// Whether a registry may be asked at all.
    ///
    /// # Errors
    ///
    /// What forbids it. A name that leads to an address that is not public shows it only when it is asked.
    pub fn admits_registry(&self, registry: &str, is_encrypted: bool) -> Result<(), String> {
        let access = self.access().ok_or_else(|| String::from("images are not pulled here"))?;
        access.rules.admits(registry, is_encrypted).map_err(String::from)
    }

    /// What a layer may hold, so that the disk does not become full of it.
    fn affordable(
        &self,
        limits: UnpackLimits,
        reference: &ImageReference,
        owner: Option<ImageOwner>,
        found: &Found,
    ) -> Result<UnpackLimits, PullImageError> {
        let status = rustix::fs::statvfs(self.folder())
            .map_err(|errno| self.failed("measure")(errno.into()))?;
        let free = status.f_bavail.saturating_mul(status.f_frsize);
        let layers = self.layers_folder();
        let missing = found.blobs.iter().zip(&found.layers.diff_ids).filter(|(_, diff_id)| {
            let note = hex_of(diff_id).and_then(|digits| Note::read(&layers, digits));
            !note.is_some_and(|note| is_open(&note, owner))
        });
        let needed: u64 = missing.map(|(blob, _)| blob.size).sum();
        // They become larger than they travel.
        let left = free.saturating_sub(RESERVE_BYTES);
        if needed > 0 && left <= needed {
            return Err(PullImageError::NoRoom {
                image: reference.to_string(),
                folder: self.folder().to_owned(),
                free_mib: free >> 20,
            });
        }
        // Some file systems have as many files as they like, and say so by having none.
        let files = if status.f_files == 0 { u64::MAX } else { status.f_favail / FILES_SHARE };
        let (bytes, entries) = (limits.bytes.min(left.max(1)), limits.entries.min(files.max(1)));
        Ok(UnpackLimits { bytes, entries })
    }

    /// Makes an image count whose layers are all there.
    pub(crate) fn keep(
        &self,
        image: &ImageName,
        fingerprint: &str,
        manifest: &Manifest,
    ) -> io::Result<()> {
        let making = tempfile::Builder::new()
            .prefix(&format!(".making-{image}-"))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(self.folder())?;
        let path = making.path().join("image.json");
        fs::write(&path, serde_json::to_vec(manifest)?)?;
        File::open(&path)?.sync_all()?;
        let target = self.folder().join(format!("{image}-{fingerprint}"));
        match fs::rename(making.path(), &target) {
            Ok(()) => drop(making.keep()),
            // Somebody else was faster, with the same image.
            Err(_) if target.join("image.json").exists() => {}
            Err(cause) => return Err(cause),
        }
        File::open(self.folder())?.sync_all()
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> PullImageError {
        let path = self.folder().to_owned();
        move |cause| PullImageError::Cache { action, path, cause }
    }

    /// Removes layers that a crash left half-made, and which nobody makes any more.
    pub fn remove_half_made_layers(&self) {
        let folder = self.layers_folder();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(digits) = name.strip_prefix(UNPACKING).and_then(|rest| rest.split('-').next())
            else {
                continue;
            };
            let lock = open_lock(&folder.join(format!("{digits}.lock")));
            let Ok(lock) = lock else { continue };
            if lock.try_lock().is_ok()
                && let Err(cause) = fs::remove_dir_all(entry.path())
            {
                tracing::warn!(path = %entry.path().display(), %cause, "cannot remove a half-made layer");
            }
        }
    }
}

/// Finds out what a name means, from the mirrors first.
async fn resolve(
    access: &RegistryAccess,
    reference: &ImageReference,
    login: Option<RegistryLogin>,
) -> Result<(Repository, Found), PullImageError> {
    let reference = reference.in_full();
    let registry = reference.registry().unwrap_or(ImageReference::USUAL_REGISTRY);
    let wanted = reference.digest().or(reference.tag()).unwrap_or(ImageReference::USUAL_TAG);
    let endpoints = access.rules.endpoints(registry);
    let own = endpoints.len().saturating_sub(1);
    let mut failure = PullImageError::NoAccess;
    for (number, endpoint) in endpoints.into_iter().enumerate() {
        // A mirror is somebody else, and learns no password; nor does a registry that an alias leads to.
        let login = login.as_ref().filter(|login| number == own && login.is_for(&reference));
        let credentials = login.map(|login| Credentials {
            user: login.user.clone(),
            password: login.password.clone(),
        });
        let repository =
            Repository::new(access.rules.clone(), endpoint, reference.path(), credentials);
        let mut patience = Patience::new();
        loop {
            failure = match repository.find(wanted).await {
                Ok(found) => return Ok((repository, found)),
                Err(error) => error.into(),
            };
            if !patience.allows(&failure).await {
                break;
            }
        }
    }
    Err(failure)
}

/// Tries that are left for what fails in passing.
struct Patience {
    tries: u32,
    pause: Duration,
}

impl Patience {
    const fn new() -> Self {
        Self { tries: TRIES, pause: FIRST_PAUSE }
    }

    /// Waits, if trying once more may help.
    async fn allows(&mut self, error: &PullImageError) -> bool {
        self.tries = self.tries.saturating_sub(1);
        if self.tries == 0 || !error.is_passing() {
            return false;
        }
        let asked = match error {
            PullImageError::Registry(cause) => cause.retry_after(),
            _ => None,
        };
        if asked.is_some_and(|asked| asked > LONGEST_PAUSE) {
            return false;
        }
        tracing::debug!(error = error as &dyn std::error::Error, "trying again");
        tokio::time::sleep(asked.unwrap_or(self.pause).max(self.pause)).await;
        self.pause = self.pause.saturating_mul(2);
        true
    }
}

/// One image on its way.
struct Work<'a> {
    images: &'a Images,
    access: &'a RegistryAccess,
    reference: &'a ImageReference,
    repository: &'a Repository,
    progress: &'a mpsc::Sender<Progress>,
    total_kib: u64,
    received: AtomicU64,
    owner: Option<ImageOwner>,
    limits: UnpackLimits,
}

impl Work<'_> {
    /// Who may use what came until now: as soon as a password was shown, only whose it is.
    fn reader(&self) -> Reader {
        match self.owner {
            Some(owner) if self.repository.has_shown_credentials() => Reader::Owner(owner),
            _ => Reader::Everybody,
        }
    }

    /// Brings a layer here unless it is, and keeps it from being removed.
    async fn layer(
        &self,
        blob: &Descriptor,
        diff_id: &str,
    ) -> Result<(Note, File), PullImageError> {
        let digits = hex_of(diff_id).unwrap_or_default();
        let folder = self.images.layers_folder();
        loop {
            let needed = loop {
                let needed = note::need(&folder, digits);
                match needed.map_err(self.images.failed("lock a layer in"))? {
                    Some(needed) => break needed,
                    None => tokio::time::sleep(LANE_POLL).await,
                }
            };
            if let Some(note) = Note::read(&folder, digits).filter(|note| is_open(note, self.owner))
            {
                self.tell(blob.size);
                return Ok((note, needed));
            }
            let lock = folder.join(format!("{digits}.lock"));
            let locked = lock_file(&lock, self.progress).await;
            let _lock = locked
                .map_err(|error| self.images.failed("lock a layer in")(io::Error::other(error)))?;
            // Somebody else may have made it meanwhile.
            if Note::read(&folder, digits).is_some_and(|note| is_open(&note, self.owner)) {
                continue;
            }
            remove_left_over(folder.clone(), format!("{UNPACKING}{digits}-")).await;
            let mut patience = Patience::new();
            let note = loop {
                match self.fetch(blob, digits).await {
                    Err(error) if patience.allows(&error).await => {}
                    outcome => break outcome?,
                }
            };
            return Ok((note, needed));
        }
    }

    async fn fetch(&self, blob: &Descriptor, digits: &str) -> Result<Note, PullImageError> {
        let layers = self.images.layers_folder();
        let lane = Lane::take(&layers).await.map_err(self.images.failed("lock a lane in"))?;
        let making = tempfile::Builder::new()
            .prefix(&format!("{UNPACKING}{digits}-"))
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(&layers)
            .map_err(self.images.failed("make a folder in"))?;
        let unpacked = self.unpack(blob, &lane, making.path()).await;
        drop(lane);
        let applied = match unpacked {
            Ok(applied) if applied.digest == digits => applied,
            Ok(_) => {
                discard(making).await;
                return Err(PullImageError::OtherLayer { image: self.reference.to_string() });
            }
            Err(error) => {
                discard(making).await;
                return Err(error);
            }
        };
        if applied.dropped > 0 {
            tracing::warn!(reference = %self.reference, dropped = applied.dropped, "left device nodes out");
        }
        let (reader, digits) = (self.reader(), digits.to_owned());
        pitlane_fault::point("pull.layer-unpacked");
        let fresh = Note::new(applied.bytes, applied.entries);
        let finish = move || finish(making, &layers, &digits, fresh, reader);
        let finished = tokio::task::spawn_blocking(finish).await;
        finished
            .unwrap_or_else(|cancelled| Err(io::Error::other(cancelled)))
            .map_err(self.images.failed("finish a layer in"))
    }

    async fn unpack(
        &self,
        blob: &Descriptor,
        lane: &Lane,
        folder: &Path,
    ) -> Result<crate::unpack::Applied, PullImageError> {
        let mut coming = self.repository.blob(blob).await?;
        let mut unpacking =
            Unpacking::start(&self.access.unpacker, lane.number, folder, self.limits)?;
        loop {
            match coming.next().await {
                Ok(Some(piece)) => {
                    if unpacking.feed(&piece).await.is_err() {
                        // It says why, and nothing is right about a layer that it does not take.
                        return match unpacking.finish().await {
                            Err(error) => Err(error.into()),
                            Ok(_) => Err(PullImageError::OtherLayer {
                                image: self.reference.to_string(),
                            }),
                        };
                    }
                    self.tell(u64::try_from(piece.len()).unwrap_or(0));
                }
                Ok(None) => return Ok(unpacking.finish().await?),
                Err(error) => {
                    unpacking.end().await;
                    return Err(error.into());
                }
            }
        }
    }

    fn tell(&self, bytes: u64) {
        let received = self.received.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let done = (received >> 10).min(self.total_kib);
        let step = String::from("fetching and unpacking layers (KiB)");
        // A full channel drops steps: the work does not wait for whoever watches it.
        drop(self.progress.try_send(Progress { step, done, total: self.total_kib }));
    }
}

/// Whether a layer that is here need not be fetched.
fn is_open(note: &Note, owner: Option<ImageOwner>) -> bool {
    note.is_open_to(owner.map_or(Reader::Everybody, Reader::Owner))
}

/// Removes a layer that will be none, away from whoever waits for other things.
async fn discard(making: TempDir) {
    let removed = tokio::task::spawn_blocking(move || making.close()).await;
    if let Ok(Err(cause)) = removed {
        tracing::warn!(%cause, "a half-made layer stays until the next start");
    }
}

/// Makes a layer count for a reader. One that is here already stays, and whoever asked has shown that it may have it.
fn finish(
    making: TempDir,
    layers: &Path,
    digits: &str,
    fresh: Note,
    reader: Reader,
) -> io::Result<Note> {
    if let Some(mut present) = Note::read(layers, digits) {
        present.open_to(reader);
        present.write(layers, digits)?;
        making.close()?;
        return Ok(present);
    }
    let mut note = fresh;
    note.open_to(reader);
    note.write(layers, digits)?;
    // Tens of thousands of files: one call for their file system is faster than one for each.
    rustix::fs::syncfs(File::open(making.path())?)?;
    fs::rename(making.path(), layers.join(digits))?;
    pitlane_fault::point("pull.layer-named");
    // It has moved: there is nothing to remove.
    drop(making.keep());
    File::open(layers)?.sync_all()?;
    Ok(note)
}

/// A share of the unpackers' ids, which nobody else has meanwhile.
struct Lane {
    number: u32,
    _lock: File,
}

impl Lane {
    async fn take(layers: &Path) -> io::Result<Self> {
        loop {
            for number in 0..LANES {
                let lock = open_lock(&layers.join(format!("lane-{number}.lock")))?;
                match lock.try_lock() {
                    Ok(()) => return Ok(Self { number, _lock: lock }),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(cause)) => return Err(cause),
                }
            }
            tokio::time::sleep(LANE_POLL).await;
        }
    }
}

pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}
