//! Volumes whose files are objects: a file here says that one exists and where, and each mount has a process of its own.
//!
//! One process for each sandbox that has the volume, and not one for all: nothing has to be found again after a crash,
//! a sandbox that keeps its file system busy slows nobody else's, and the kernel ends each with its sandbox. What they
//! share is the storage, as machines would.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use pitlane_driver::Cause;
use pitlane_model::VolumeId;
use pitlane_objects::{Bucket, KeyFolder, LifecycleError, Location, MountOrder, ObjectStorage};
use pitlane_sys::{
    Context as _, DetachedMount, FilesystemContext, SyscallError, sealed_memory_file,
};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::{Errno, retry_on_intr};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
    /// Cancelled when the engine ends, which waits for no storage.
    closing: CancellationToken,
    /// One task waits for each process that this server has started.
    processes: TaskTracker,
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
    Storage(#[from] LifecycleError),
    /// The machine failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The engine ends; the next one goes on.
    #[error("the server is ending")]
    Closing,
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
        let (closing, processes) = (CancellationToken::new(), TaskTracker::new());
        Ok(Self { volumes, bucket, folder, staging, log, runtime, closing, processes })
    }

    /// Gives up what waits for the storage.
    pub(super) fn close(&self) {
        self.closing.cancel();
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
        pitlane_fault::point("objects.marked");
        let made = self.until_closing(pitlane_objects::create(&self.bucket, &self.keys(id)));
        // What was begun goes on with the next server.
        let made = made.ok_or(CreateObjectsError::Closing)?;
        pitlane_fault::point("objects.made");
        // What may be there has to be removed there, for which it has to be known here.
        let may_be_there = matches!(made, Ok(()) | Err(LifecycleError::Begun(_)));
        if !may_be_there && !is_marked {
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
            .map_err(file_error("write", &draft));
        pitlane_fault::point("objects.marker-drafted");
        let made =
            made.and_then(|()| std::fs::rename(&draft, path).map_err(file_error("rename", &draft)));
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
        let removed = self.until_closing(async {
            lock(&file).await?;
            pitlane_fault::point("objects.locked");
            let removed = pitlane_objects::remove(&self.bucket, &self.keys(id)).await;
            removed.map_err(Cause::from)
        });
        removed.ok_or("the server is ending")??;
        pitlane_fault::point("objects.emptied");
        disk::remove(&path)?;
        pitlane_fault::point("objects.unmarked");
        Ok(sync_folder(&self.folder)?)
    }

    /// Does something that may take as long as a storage likes; nothing, if the engine ends before it is done.
    fn until_closing<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(self.closing.run_until_cancelled(work))
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
        pitlane_fault::point("objects.mountable");
        self.start(device, order)
            .map_err(|cause| MountVolumeError::Process { id, cause: cause.into() })?;
        pitlane_fault::point("objects.served");
        // Answered from memory, or refused because the process has ended.
        rustix::fs::fstat(&mount)
            .context("stat(volume)")
            .map_err(|cause| MountVolumeError::Process { id, cause: cause.into() })?;
        Ok(mount)
    }

    fn start(&self, device: OwnedFd, order: OwnedFd) -> std::io::Result<()> {
        let LaunchCommand { program, arguments } = &self.volumes.command;
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let _runtime = self.runtime.enter();
        // It outlives this process as the launcher does; the launcher's root has no program.
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(pitlane_fault::environment())
            .current_dir("/")
            .stdin(Stdio::from(order))
            .stdout(Stdio::from(device))
            .stderr(Stdio::from(log))
            .spawn()?;
        let ended = async move { drop(child.wait().await) };
        drop(self.processes.spawn_on(ended, &self.runtime));
        Ok(())
    }
}

/// Waits until nothing is uploaded to a volume any more. Given up, it leaves a thread that lets go of the lock when it has
/// it, or ends with this process: the kernel's own waiting cannot be ended otherwise.
async fn lock(marker: &File) -> Result<(), SyscallError> {
    match flock(marker, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {}
        locked => return locked.context("flock(marker)"),
    }
    // The same lock: it lasts until both are closed.
    let marker = marker.try_clone().context("dup(marker)")?;
    let (tell, told) = oneshot::channel();
    let wait = move || {
        let locked = retry_on_intr(|| flock(&marker, FlockOperation::LockExclusive));
        // Nobody may wait for it any more.
        tell.send(locked).ok();
    };
    // None of the runtime's, which would be waited for when the server ends.
    std::thread::Builder::new().name("marker".into()).spawn(wait).context("start a thread")?;
    told.await.unwrap_or(Err(Errno::IO)).context("flock(marker)")
}

/// The file that says that a volume is one of objects, and where.
pub(super) fn marker(folder: &Path, id: VolumeId) -> PathBuf {
    folder.join(format!("{id}.objects"))
}
