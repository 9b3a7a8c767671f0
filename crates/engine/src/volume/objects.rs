//! Volumes whose files are objects: a file here says that one exists and where, and each mount has a process of its own.
//!
//! One process for each sandbox that has the volume, and not one for all: nothing has to be found again after a crash,
//! a sandbox that keeps its file system busy slows nobody else's, and the kernel ends each with its sandbox. What they
//! share is the storage, as machines would.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};

use pitlane_driver::Cause;
use pitlane_model::VolumeId;
use pitlane_objects::{Bucket, KeyFolder, Location, MountOrder, ObjectStorage};
use pitlane_sys::{Context as _, DetachedMount, FilesystemContext, sealed_memory_file};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};

use super::{MountVolumeError, OPTIONS};
use crate::LaunchCommand;
use crate::disk::{self, DiskError, file_error, sync_folder};

/// How volumes are kept as objects.
#[derive(Debug, Clone)]
pub struct ObjectVolumes {
    /// Where.
    pub storage: ObjectStorage,
    /// A program with arguments that calls [`pitlane_objects::run_volume_files`] before it has threads.
    pub command: LaunchCommand,
    /// The first of the host's user ids that these processes have: one for each sandbox.
    pub first_id: u32,
}

/// What else is needed for them.
#[derive(Debug)]
pub(crate) struct ObjectStore {
    volumes: ObjectVolumes,
    bucket: Bucket,
    folder: PathBuf,
    staging: PathBuf,
    log: PathBuf,
    runtime: tokio::runtime::Handle,
    /// Those that this server has started and nobody has waited for.
    processes: Mutex<Vec<Child>>,
}

/// Where an object store works.
#[derive(Debug)]
pub(crate) struct ObjectPlaces {
    /// Where its processes say what failed.
    pub(crate) log: PathBuf,
    /// What speaks to the storage.
    pub(crate) runtime: tokio::runtime::Handle,
}

/// Why a volume of objects was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateObjectsError {
    /// The storage did not do it; says so for whoever asked.
    #[error(transparent)]
    Storage(#[from] pitlane_objects::LifecycleError),
    /// The machine failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl ObjectVolumes {
    /// The same, with where they are served on this machine.
    pub(crate) fn placed(
        self,
        run: &Path,
        runtime: &tokio::runtime::Handle,
    ) -> (Self, ObjectPlaces) {
        (self, ObjectPlaces { log: crate::log_path(run), runtime: runtime.clone() })
    }
}

impl ObjectStore {
    pub(crate) fn open(
        folder: &Path,
        volumes: ObjectVolumes,
        places: ObjectPlaces,
    ) -> Result<Self, Cause> {
        let staging = folder.join("staging");
        std::fs::create_dir_all(&staging).map_err(file_error("make", &staging))?;
        let bucket = Bucket::open(volumes.storage.clone())?;
        let ObjectPlaces { log, runtime } = places;
        let folder = folder.to_owned();
        Ok(Self { volumes, bucket, folder, staging, log, runtime, processes: Mutex::default() })
    }

    fn keys(&self, id: VolumeId) -> KeyFolder {
        KeyFolder::new(&self.volumes.storage.location().prefix, &id.to_string())
    }

    /// Makes a volume; what answers is in the storage and, here, on the disk.
    pub(super) fn create(&self, id: VolumeId) -> Result<(), CreateObjectsError> {
        let path = marker(&self.folder, id);
        // A server that died may have got as far as the next line.
        let is_marked = path.exists();
        if !is_marked {
            // First here: what is begun there can be removed.
            self.mark(&path)?;
        }
        let made = self.runtime.block_on(pitlane_objects::create(&self.bucket, &self.keys(id)));
        if made.is_err() && !is_marked {
            drop(disk::remove(&path));
        }
        Ok(made?)
    }

    fn mark(&self, path: &Path) -> Result<(), DiskError> {
        let draft = path.with_extension("draft");
        disk::remove(&draft)?;
        let text = serde_json::to_vec(self.volumes.storage.location()).unwrap_or_default();
        let made = File::create_new(&draft)
            .and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()))
            .map_err(file_error("write", &draft))
            .and_then(|()| std::fs::rename(&draft, path).map_err(file_error("rename", &draft)));
        if made.is_err() {
            drop(disk::remove(&draft));
        }
        made?;
        sync_folder(&self.folder)
    }

    /// Why a volume is not where this server keeps volumes, if it is elsewhere.
    fn elsewhere(&self, id: VolumeId) -> Result<Option<Location>, DiskError> {
        let path = marker(&self.folder, id);
        let text = std::fs::read(&path).map_err(file_error("read", &path))?;
        let location: Location = serde_json::from_slice(&text)
            .map_err(std::io::Error::from)
            .map_err(file_error("understand", &path))?;
        let here = self.volumes.storage.location();
        let is_here = location.endpoint == here.endpoint
            && location.bucket == here.bucket
            && location.prefix == here.prefix;
        Ok((!is_here).then_some(location))
    }

    /// Removes a volume's objects, and then what says that there is one. Blocks until what sandboxes that are gone had
    /// written is uploaded, or given up.
    pub(super) fn delete(&self, id: VolumeId) -> Result<(), Cause> {
        let path = marker(&self.folder, id);
        if let Some(Location { endpoint, bucket, .. }) = self.elsewhere(id)? {
            return Err(
                format!("it is in bucket {bucket} of {endpoint}, and this server is not").into()
            );
        }
        let file = File::open(&path).map_err(file_error("open", &path))?;
        flock(&file, FlockOperation::LockExclusive).context("flock(marker)")?;
        self.runtime.block_on(pitlane_objects::remove(&self.bucket, &self.keys(id)))?;
        disk::remove(&path)?;
        Ok(sync_folder(&self.folder)?)
    }

    /// A file system of a volume's objects, with a process behind it that ends when nobody has it mounted any more.
    pub(super) fn mount(&self, id: VolumeId, user: u32) -> Result<DetachedMount, MountVolumeError> {
        let failed = |cause| MountVolumeError::Mount { id, cause };
        if let Some(Location { endpoint, bucket, .. }) = self.elsewhere(id)? {
            return Err(MountVolumeError::Elsewhere { id, endpoint, bucket });
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = rustix::fs::open("/dev/fuse", flags, Mode::empty()).context("open(/dev/fuse)");
        let device = device.map_err(failed)?;
        let mount = FilesystemContext::open("fuse")
            .and_then(|context| {
                context
                    .text("source", "volume")?
                    // A number, since older kernels know no other way.
                    .text("fd", &device.as_raw_fd().to_string())?
                    .text("rootmode", "40777")?
                    .text("user_id", "0")?
                    .text("group_id", "0")?
                    .flag("allow_other")?
                    .mount(OPTIONS)
            })
            .map_err(failed)?;
        let order = MountOrder {
            storage: self.volumes.storage.clone(),
            volume: id.to_string(),
            marker: marker(&self.folder, id),
            staging: self.staging.clone(),
            id: self.volumes.first_id.saturating_add(user),
        };
        let order = serde_json::to_vec(&order).unwrap_or_default();
        let order = sealed_memory_file("pitlane-volume", &order).map_err(failed)?;
        self.start(device, order)
            .map_err(|cause| MountVolumeError::Process { id, cause: cause.into() })?;
        // Answered from memory, or refused because the process has ended.
        rustix::fs::fstat(&mount)
            .context("stat(volume)")
            .map_err(|cause| MountVolumeError::Process { id, cause: cause.into() })?;
        Ok(mount)
    }

    fn start(&self, device: OwnedFd, order: OwnedFd) -> std::io::Result<()> {
        let LaunchCommand { program, arguments } = &self.volumes.command;
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the process outlives this one as the launcher does; the launcher's root has no program"
        )]
        let child = std::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(order))
            .stdout(Stdio::from(device))
            .stderr(Stdio::from(log))
            .spawn()?;
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        processes.retain_mut(|process| matches!(process.try_wait(), Ok(None)));
        processes.push(child);
        Ok(())
    }
}

/// The file that says that a volume is one of objects, and where.
pub(super) fn marker(folder: &Path, id: VolumeId) -> PathBuf {
    folder.join(format!("{id}.objects"))
}
