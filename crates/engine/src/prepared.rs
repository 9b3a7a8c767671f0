//! Everything of a sandbox but its processes, made ahead.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pitlane_image::{ImageConfig, Layer, Rootfs};
use pitlane_model::{Limits, NetworkPolicy};
use pitlane_network::{LinkError, Router};
use pitlane_sys::{DetachedMount, Entrance, Group, SyscallError};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use tokio::runtime::Handle;

use crate::disk::{self, Blank, DiskError, DiskLayers, Disks};
use crate::launcher::{FirstProcess, Launcher, LauncherError};
use crate::layer::{self, Devices, LayerHold, Layers};
use crate::slot::Slot;
use crate::waiting::{LaunchError, Waiting};

/// What decides whether two preparations are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipe {
    /// What the image's root file system is made of, the lowest first.
    pub(crate) layers: Arc<[Layer]>,
    /// Which folders and files those were: the same paths may be of others, made anew after an image was removed.
    pub(crate) folders: Arc<[Option<FolderIdentity>]>,
    /// Tells this build of the image from others.
    pub(crate) fingerprint: Arc<str>,
    /// What that build says of itself.
    pub(crate) config: Arc<ImageConfig>,
    /// The size of the disk.
    pub(crate) disk_gib: u32,
    /// What it may reach.
    pub(crate) network: NetworkPolicy,
}

/// Tells a folder from all others that ever had its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FolderIdentity {
    device: (u32, u32),
    inode: u64,
    made_at: (i64, u32),
}

/// A sandbox without processes. Dropping it frees everything but a disk that is owned.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) slot: Slot,
    pub(crate) disk: DiskFile,
    pub(crate) root: DetachedMount,
    pub(crate) devices: Devices,
    pub(crate) users: OwnedFd,
    pub(crate) network: OwnedFd,
    pub(crate) groups: Groups,
    pub(crate) group_view: Option<OwnedFd>,
    pub(crate) layers: LayerHold,
}

/// A disk file that is removed with its value, unless a sandbox owns it.
#[derive(Debug)]
pub(crate) struct DiskFile {
    path: PathBuf,
    is_owned: bool,
}

/// The two groups of a sandbox: its daemon's, and inside it the one of everything the daemon starts.
#[derive(Debug)]
pub(crate) struct Groups {
    outer: Group,
    workload: Group,
}

/// Why a preparation failed; everything it had made is freed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// The disk.
    #[error("cannot prepare a disk")]
    Disk(#[from] DiskError),
    /// The user namespace.
    #[error("cannot make a user namespace")]
    Users(#[source] LauncherError),
    /// The file systems.
    #[error("cannot assemble the file systems of a sandbox")]
    Layers(#[source] SyscallError),
    /// The network.
    #[error("cannot link a sandbox to the network")]
    Network(#[source] LinkError),
    /// The control groups.
    #[error("cannot make the control groups of a sandbox")]
    Groups(#[source] SyscallError),
    /// The sandbox's view of them.
    #[error("cannot make a cgroup namespace")]
    GroupView(#[source] LauncherError),
    /// Process 1.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

impl PrepareError {
    /// Whether it is the host's file system that is full.
    pub(crate) fn is_for_want_of_room(&self) -> bool {
        matches!(self, Self::Disk(cause) if cause.is_for_want_of_room())
    }
}

/// Makes preparations, up to a process 1 that waits.
#[derive(Debug)]
pub(crate) struct Preparer {
    /// The daemon, in a memory file.
    pub(crate) daemon: OwnedFd,
    /// Where sandboxes' sockets are.
    pub(crate) sockets: PathBuf,
    pub(crate) launcher: Launcher,
    pub(crate) disks: Disks,
    pub(crate) disk_layers: DiskLayers,
    pub(crate) router: Arc<Router>,
    pub(crate) groups: Group,
    /// Where the router's answers are awaited; preparations block.
    pub(crate) runtime: Handle,
}

impl Recipe {
    /// What sandboxes of this image, with these limits, are made by.
    pub(crate) fn of(image: Rootfs, limits: Limits, network: NetworkPolicy) -> Self {
        Self {
            folders: image.layers.iter().map(|layer| FolderIdentity::of(layer.path())).collect(),
            layers: image.layers.into(),
            fingerprint: image.fingerprint.into(),
            config: Arc::new(image.config),
            disk_gib: limits.disk_gib(),
            network,
        }
    }
}

impl FolderIdentity {
    fn of(folder: &Path) -> Option<Self> {
        let wanted = StatxFlags::INO.union(StatxFlags::BTIME);
        let found = statx(CWD, folder, AtFlags::SYMLINK_NOFOLLOW, wanted).ok()?;
        Some(Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            made_at: (found.stx_btime.tv_sec, found.stx_btime.tv_nsec),
        })
    }
}

impl Preparer {
    /// Prepares a sandbox with a fresh disk. Takes milliseconds and blocks.
    pub(crate) fn fresh(
        &self,
        slot: Slot,
        recipe: &Recipe,
        limits: Limits,
    ) -> Result<Waiting, PrepareError> {
        let resolver = match recipe.network {
            NetworkPolicy::Open => Some(self.router.subnet().gateway()),
            NetworkPolicy::Blocked => None,
        };
        let blank = Blank { gib: recipe.disk_gib, resolver };
        let path = self.disks.prepare(slot.number(), blank)?;
        self.start(self.assemble(slot, recipe, DiskFile { path, is_owned: false })?, limits)
    }

    /// Prepares a sandbox on the disk it had.
    pub(crate) fn again(
        &self,
        slot: Slot,
        recipe: &Recipe,
        limits: Limits,
        disk: &Path,
    ) -> Result<Waiting, PrepareError> {
        self.start(self.assemble(slot, recipe, DiskFile::owned(disk.to_owned()))?, limits)
    }

    fn start(&self, prepared: Prepared, limits: Limits) -> Result<Waiting, PrepareError> {
        Ok(Waiting::start(prepared, limits, &self.launcher, &self.daemon, &self.sockets)?)
    }

    fn assemble(
        &self,
        slot: Slot,
        recipe: &Recipe,
        disk: DiskFile,
    ) -> Result<Prepared, PrepareError> {
        let users = self.launcher.user_namespace(slot.first_id()).map_err(PrepareError::Users)?;
        pitlane_fault::point("prepare.users-made");
        let network = self.link(&slot, recipe.network).map_err(PrepareError::Network)?;
        pitlane_fault::point("prepare.linked");
        let mounted = disk::mount(&disk.path)?;
        pitlane_fault::point("prepare.mounted");
        let (image, hold) = layer::mount_lower(&recipe.layers, &self.disk_layers)?;
        let layers =
            Layers { image: &image, disk: mounted, users: &users, first_id: slot.first_id() };
        let root = layer::assemble(layers).map_err(PrepareError::Layers)?;
        let devices = Devices::new(slot.first_id()).map_err(PrepareError::Layers)?;
        pitlane_fault::point("prepare.layered");
        let (groups, group_view) = self.groups(&slot)?;
        pitlane_fault::point("prepare.grouped");
        let users = users.into();
        Ok(Prepared { slot, disk, root, devices, users, network, groups, group_view, layers: hold })
    }

    /// Makes the groups and, on version 2, the cgroup namespace: its root is the outer group, so that processes can be
    /// moved between the two inside.
    fn groups(&self, slot: &Slot) -> Result<(Groups, Option<OwnedFd>), PrepareError> {
        let groups = Groups::adopt(&self.groups, slot);
        groups.create_outer().map_err(PrepareError::Groups)?;
        pitlane_fault::point("prepare.half-grouped");
        let view = match groups.outer.entrance().map_err(PrepareError::Groups)? {
            Entrance::Tasks(_) => None,
            Entrance::Folder(folder) => {
                Some(self.launcher.group_view(folder.as_fd()).map_err(PrepareError::GroupView)?)
            }
        };
        groups.create_inner(slot.first_id()).map_err(PrepareError::Groups)?;
        Ok((groups, view))
    }

    fn link(&self, slot: &Slot, policy: NetworkPolicy) -> Result<OwnedFd, LinkError> {
        match policy {
            NetworkPolicy::Open => {
                let link = self.runtime.block_on(self.router.link(slot.number()));
                link.map(|link| link.namespace)
            }
            NetworkPolicy::Blocked => self.runtime.block_on(self.router.isolated()),
        }
    }
}

impl DiskFile {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A disk that stays when the value is dropped.
    pub(crate) const fn owned(path: PathBuf) -> Self {
        Self { path, is_owned: true }
    }

    /// Records that the file was renamed.
    pub(crate) fn set_path(&mut self, path: PathBuf) {
        self.path = path;
    }

    /// Lets the file stay when the value is dropped.
    pub(crate) const fn keep(&mut self) {
        self.is_owned = true;
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        if !self.is_owned
            && let Err(failure) = disk::remove(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %failure, "a prepared disk stays behind until the next start");
        }
    }
}

/// Memory and processes that the daemon may use beyond what the sandbox's owner pays for.
const DAEMON_MEMORY_BYTES: u64 = 256 << 20;
const DAEMON_PROCESSES: u32 = 128;
const DAEMON_MILLICPUS: u64 = 500;
/// What a sandbox's network sockets may hold where the kernel counts that apart.
const SOCKET_MEMORY_BYTES: u64 = 128 << 20;

impl Groups {
    fn create_outer(&self) -> Result<(), SyscallError> {
        // Left behind by a crash: nothing is in it, or this fails.
        self.outer.remove()?;
        self.outer.create()
    }

    /// Removes the groups of a sandbox that has ended, or fails after a moment.
    fn remove_emptied(&self) -> Result<(), SyscallError> {
        match self.outer.remove() {
            Err(failure) if failure.is(Errno::BUSY) => {
                self.outer.wait_until_empty(EMPTY_DEADLINE)?;
                self.outer.remove()
            }
            other => other,
        }
    }

    fn create_inner(&self, first_id: u32) -> Result<(), SyscallError> {
        // Version 2 refuses while the maker of the cgroup namespace is counted, and it is a little longer than it lives.
        self.outer.wait_until_empty(EMPTY_DEADLINE)?;
        self.daemon().create()?;
        self.workload.create()?;
        self.workload.limit_socket_memory(SOCKET_MEMORY_BYTES)?;
        // The daemon makes one group for each command in here, with the sandbox's own ids.
        self.workload.delegate(&self.outer, first_id)
    }

    /// The groups of a slot whose sandbox runs already.
    pub(crate) fn adopt(parent: &Group, slot: &Slot) -> Self {
        let outer = parent.child(&slot.name());
        Self { workload: outer.child("workload"), outer }
    }

    /// Process 1 of the group, though no launcher is its parent.
    pub(crate) fn orphan(&self) -> Option<FirstProcess> {
        let pids = self.daemon().processes().ok()?;
        pids.into_iter().find_map(FirstProcess::of_orphan)
    }

    /// Ends process 1 of the group, though no launcher is its parent, if there is one.
    pub(crate) fn end_orphan(&self) {
        if let Some(process) = self.orphan() {
            if let Err(failure) = process.kill() {
                tracing::error!(%failure, "cannot end a process that nobody owns");
            }
            process.wait(ORPHAN_DEADLINE);
        }
    }

    /// Sets the limits. What the daemon needs comes on top, so that it answers when the workload is at its limit.
    pub(crate) fn limit(&self, limits: Limits) -> Result<(), SyscallError> {
        let memory = u64::from(limits.memory_gib()) << 30;
        let millicpus = u64::from(limits.cpu_count()) * 1000;
        self.outer.limit_memory(memory + DAEMON_MEMORY_BYTES)?;
        self.workload.limit_memory(memory)?;
        // Version 1 refuses an inner limit above the outer one, on the way too: one that falls comes first.
        let inner = self.workload.limit_cpu(millicpus);
        self.outer.limit_cpu(millicpus + DAEMON_MILLICPUS)?;
        inner.or_else(|_too_high| self.workload.limit_cpu(millicpus))?;
        self.outer.limit_processes(limits.process_count() + DAEMON_PROCESSES)?;
        self.workload.limit_processes(limits.process_count())
    }

    /// The group of process 1.
    pub(crate) fn daemon(&self) -> Group {
        self.outer.leaf("daemon")
    }

    /// The group of everything it starts.
    pub(crate) const fn workload(&self) -> &Group {
        &self.workload
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        if let Err(failure) = self.remove_emptied() {
            tracing::warn!(%failure, "a control group stays behind until the next start");
        }
    }
}

/// Removes the groups of slots that are not in use, and ends what is in them: it belongs to a sandbox without a disk.
pub(crate) fn remove_unused_groups(parent: &Group, is_used: impl Fn(u32) -> bool) {
    for name in parent.children() {
        if Slot::number_in(&name).is_some_and(&is_used) {
            continue;
        }
        let outer = parent.child(&name);
        // Removes them when it is dropped.
        let groups = Groups { workload: outer.child("workload"), outer };
        if groups.orphan().is_some() {
            tracing::warn!(group = name, "ending a sandbox that nobody owns");
        }
        groups.end_orphan();
        if let Err(failure) = groups.outer.kill() {
            tracing::error!(group = name, %failure, "cannot end what is in it");
        }
    }
}

/// SIGKILL takes milliseconds.
const ORPHAN_DEADLINE: Duration = Duration::from_secs(5);
/// How long a process that has ended is counted in its group: until it has left the processor for the last time.
const EMPTY_DEADLINE: Duration = Duration::from_secs(1);
