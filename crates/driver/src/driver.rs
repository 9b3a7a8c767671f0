//! The [`Driver`] trait.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use pitlane_model::{
    ImageAccess, ImageConfig, ImageName, ImageOwner, ImageReference, Limits, RegistryLogin,
    SandboxId, VolumeId,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::{
    ArchiveError, ConnectError, CreateError, CreateVolumeError, DeleteVolumeError,
    DeriveImageError, DestroyError, Hello, ImageProgress, InventoryError, LaunchSpec, NoRoomError,
    PoolReport, PrepareImageError, PreparedImage, RemoveImageError, ResizeError, RestoreError,
    SnapshotError, StartError, StopError, WantedPool,
};

/// A byte stream to a sandbox's daemon, which speaks the toolbox API over HTTP/1.1 on it.
pub type Connection = Box<dyn ByteStream>;

/// Bytes both ways.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {
    /// The socket under it, for whoever knows more about sockets than about streams; `None` where there is none.
    ///
    /// What is written to it by itself comes behind what was written to the stream: streams over sockets keep nothing.
    fn socket(&self) -> Option<&UnixStream>;
}

impl ByteStream for UnixStream {
    fn socket(&self) -> Option<&UnixStream> {
        Some(self)
    }
}

impl ByteStream for DuplexStream {
    fn socket(&self) -> Option<&UnixStream> {
        None
    }
}

impl fmt::Debug for dyn ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// How a sandbox's process 1 ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// Nobody who could know is left. Never replaced by a guess.
    Unknown,
}

/// What there is of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Its daemon runs and can be connected to.
    Running,
    /// It has a disk and no processes.
    Stopped,
    /// Its disk is packed away.
    Archived,
}

/// A sandbox that a driver has, whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: SandboxId,
    /// What there is of it.
    pub liveness: Liveness,
}

/// Something that happened to a sandbox without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverEvent {
    /// A running sandbox ended by itself.
    Exited {
        /// Which one.
        id: SandboxId,
        /// How.
        exit: Exit,
    },
    /// The memory of a running sandbox was used up, and the kernel killed some of its processes. Comes before the end
    /// of a sandbox that ended of it.
    MemoryRanOut {
        /// Which one.
        id: SandboxId,
        /// How many processes were killed since it was last told.
        killed: u64,
    },
}

/// Makes sandboxes, connects to them and frees them.
///
/// Every method may be called at any time and from any task, but a caller never has two calls for one sandbox under
/// way, [`Driver::connect`] excepted. Dropping a future leaves the sandbox in a state that [`Driver::destroy`] frees.
#[async_trait]
pub trait Driver: Send + Sync + fmt::Debug {
    /// The image of this name, if sandboxes can start from it at once. Reads what is on this machine and asks nobody.
    async fn find_image(&self, reference: &ImageReference) -> Option<PreparedImage>;

    /// Puts an image on this machine, once; an image that is here is answered at once.
    ///
    /// `progress` receives steps while it works; a full channel drops them.
    ///
    /// # Errors
    ///
    /// [`PrepareImageError`]: nothing was left behind, the call can be repeated.
    async fn prepare_image(
        &self,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError>;

    /// Whether a registry may be asked for images at all: `docker.io`, `registry.example:5000`.
    ///
    /// # Errors
    ///
    /// What forbids it, for whoever asked. A name that leads to an address that is not public shows it only when it is
    /// asked.
    fn admits_registry(&self, registry: &str, is_encrypted: bool) -> Result<(), String>;

    /// The image that this name means for one owner alone, if sandboxes can start from it at once. What it means for
    /// everybody is [`Driver::find_image`]'s answer.
    async fn find_owned_image(
        &self,
        owner: ImageOwner,
        reference: &ImageReference,
    ) -> Option<PreparedImage>;

    /// Brings an image here by a password. What its registry gave for that is the owner's alone, and nobody else finds
    /// it by its name; what it gave without asking for it is everybody's. An image that the owner has, by his own name
    /// or by everybody's, is answered at once.
    ///
    /// # Errors
    ///
    /// [`PrepareImageError`]: nothing was left behind, the call can be repeated.
    async fn pull_owned_image(
        &self,
        owner: ImageOwner,
        login: &RegistryLogin,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError>;

    /// The image of this name that somebody may use, if sandboxes can start from it at once: his own, else everybody's.
    async fn find_image_for(
        &self,
        owner: ImageOwner,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        match self.find_owned_image(owner, reference).await {
            Some(own) => Some(own),
            None => self.find_image(reference).await,
        }
    }

    /// Puts an image on this machine that somebody may use, by his password where he has one for its registry.
    ///
    /// # Errors
    ///
    /// [`PrepareImageError`]: nothing was left behind, the call can be repeated.
    async fn prepare_image_for(
        &self,
        access: &ImageAccess,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        if let Some(own) = self.find_owned_image(access.owner, reference).await {
            return Ok(own);
        }
        match access.login(reference) {
            Some(login) => self.pull_owned_image(access.owner, login, reference, progress).await,
            None => self.prepare_image(reference, progress).await,
        }
    }

    /// Makes an image of a sandbox's file system as it is at one moment, running or stopped: the layers of its own
    /// image, and one more. It says of itself what the sandbox's image says. From then on [`Driver::find_image`] finds
    /// it by `reference`; what that meant before is forgotten.
    ///
    /// A running sandbox runs on; whatever of it writes to its disk meanwhile waits. Dropping the future may leave the
    /// image or not: [`Driver::remove_image`] settles it.
    ///
    /// # Errors
    ///
    /// The sandbox is as it was, and there is no image. [`SnapshotError::Archived`]: restore it first.
    /// [`SnapshotError::Full`]: make room first. [`SnapshotError::TooManyLayers`]: it never works.
    async fn snapshot(
        &self,
        id: SandboxId,
        reference: &ImageReference,
    ) -> Result<PreparedImage, SnapshotError>;

    /// Makes an image of the same files that says something else of itself, such as its variables or its user, and is
    /// found by `reference`; what that meant before is forgotten. [`ImageName::scratch`] is an image without files.
    ///
    /// # Errors
    ///
    /// Nothing was made. [`DeriveImageError::NoImage`]: prepare it first.
    async fn derive_image(
        &self,
        image: &ImageName,
        config: &ImageConfig,
        reference: &ImageReference,
    ) -> Result<PreparedImage, DeriveImageError>;

    /// Forgets what a name means. An image that was made here and has no name any more goes with its last sandbox, and
    /// each of its layers with the last image that has it. Forgetting what is not known succeeds.
    ///
    /// # Errors
    ///
    /// [`RemoveImageError::Host`]: something may be left; call again.
    async fn remove_image(&self, reference: &ImageReference) -> Result<(), RemoveImageError>;

    /// Says which images are needed by what has no sandbox, and by whom, in place of what was said before: whoever
    /// removes images on this machine leaves them, and can say why. Failures are logged.
    async fn need_images(&self, needed: BTreeMap<ImageName, Vec<String>>);

    /// Makes a sandbox with a fresh disk and returns when its daemon answers.
    ///
    /// When this process ends in the middle, the next finds a whole sandbox, whose daemon has answered, or none.
    ///
    /// # Errors
    ///
    /// Nothing is left behind. [`CreateError::NoImage`]: prepare it first. [`CreateError::Exists`]: the id is taken.
    async fn create(&self, spec: &LaunchSpec) -> Result<Hello, CreateError>;

    /// Starts a stopped sandbox on the disk it had, with the limits of `spec` but for its disk's. Starting a running one answers with its daemon's hello.
    ///
    /// # Errors
    ///
    /// The sandbox is stopped and its disk untouched. [`StartError::NotFound`]: it has no disk here.
    async fn start(&self, spec: &LaunchSpec) -> Result<Hello, StartError>;

    /// Opens a byte stream to the daemon of a running sandbox.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NotRunning`]: start it first.
    async fn connect(&self, id: SandboxId) -> Result<Connection, ConnectError>;

    /// Ends every process of a sandbox and keeps its disk. Stopping a stopped sandbox succeeds.
    ///
    /// Processes get SIGTERM and a short while to end; `force` skips both.
    ///
    /// # Errors
    ///
    /// [`StopError::NotFound`]: there is no such sandbox. [`StopError::Host`]: it may still run; call again.
    async fn stop(&self, id: SandboxId, force: bool) -> Result<(), StopError>;

    /// Gives a sandbox other limits: its processors, memory and processes at once if it runs, else with its next start.
    ///
    /// A disk of another size than it has must be larger, and then the sandbox must be stopped. Repeating the call
    /// succeeds.
    ///
    /// # Errors
    ///
    /// The limits are as before; some of those of a running sandbox may be the new ones. [`ResizeError::NotFound`]: it
    /// has no disk here. [`ResizeError::DiskInUse`]: stop it first. [`ResizeError::DiskShrinks`]: ask for more.
    async fn resize(&self, id: SandboxId, limits: Limits) -> Result<(), ResizeError>;

    /// Packs the disk of a stopped sandbox away, where it takes little room. Archiving an archived one succeeds.
    ///
    /// # Errors
    ///
    /// The disk is untouched. [`ArchiveError::NotFound`]: it has none here. [`ArchiveError::Running`]: stop it first.
    async fn archive(&self, id: SandboxId) -> Result<(), ArchiveError>;

    /// Brings the disk of an archived sandbox back, which is then stopped. Restoring one that has its disk succeeds.
    ///
    /// # Errors
    ///
    /// It is archived as before. [`RestoreError::NotFound`]: it is not here. [`RestoreError::Full`]: make room first.
    async fn restore(&self, id: SandboxId) -> Result<(), RestoreError>;

    /// Frees everything a sandbox holds, running, stopped or archived. Destroying one that does not exist succeeds.
    ///
    /// # Errors
    ///
    /// [`DestroyError::Host`]: something is still held; call again.
    async fn destroy(&self, id: SandboxId) -> Result<(), DestroyError>;

    /// Lists every sandbox this driver has, those of an earlier server process included.
    ///
    /// # Errors
    ///
    /// [`InventoryError::Host`]: what exists cannot be told.
    async fn inventory(&self) -> Result<Vec<Existing>, InventoryError>;

    /// Whether `more` sandboxes can wait beside `others`, which are those that all pools want by now.
    ///
    /// # Errors
    ///
    /// [`NoRoomError`] says what is left.
    async fn room_to_wait(&self, others: u64, more: u64) -> Result<(), NoRoomError>;

    /// Has sandboxes wait in these pools from now on, and in no others: those that wait in vain are freed. Returns at
    /// once.
    ///
    /// Pools are filled as soon as they are wanted or taken from, each whatever becomes of the others, and no further
    /// than the machine has room. A sandbox that waits is in no inventory, and ends with the driver.
    fn keep_ready(&self, wanted: Vec<WantedPool>);

    /// How the pools are.
    fn pools(&self) -> PoolReport;

    /// Makes an empty volume, which every user of every sandbox can write to. Making one that is there succeeds.
    ///
    /// # Errors
    ///
    /// Nothing is left behind. [`CreateVolumeError::Full`]: make room first.
    async fn create_volume(&self, id: VolumeId) -> Result<(), CreateVolumeError>;

    /// Removes a volume with all that is in it. Removing one that does not exist succeeds; one that a running sandbox
    /// has mounted stays as long as that runs and cannot be mounted any more.
    ///
    /// # Errors
    ///
    /// [`DeleteVolumeError::Host`]: it may still be there; call again.
    async fn delete_volume(&self, id: VolumeId) -> Result<(), DeleteVolumeError>;

    /// Lists every volume this driver has, those of an earlier server process included.
    ///
    /// # Errors
    ///
    /// [`InventoryError::Host`]: what exists cannot be told.
    async fn volumes(&self) -> Result<Vec<VolumeId>, InventoryError>;

    /// Waits for the next thing that happens without being asked for; `None` when the driver has shut down.
    ///
    /// Has one caller. Dropping the future loses nothing.
    async fn next_event(&self) -> Option<DriverEvent>;
}
