//! A driver in memory, for testing everything above the waist without root.
//!
//! Its sandboxes have no processes; whoever connects talks to a service that the test brought, which may keep files on
//! the sandbox's [`Disk`]. It can be told to fail, to wait at a [`Gate`], and to have a sandbox end by itself. It notices callers that break the rules of
//! [`Driver`]. All clones are one machine, which outlives whoever uses it.

mod gate;
mod http_service;
mod images;
mod pools;
mod registries;
mod volumes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use pitlane_model::{
    ImageConfig, ImageName, ImageOwner, ImageReference, Limits, RegistryLogin, SandboxId, VolumeId,
};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

pub use self::gate::Gate;
use self::gate::Hold;
use self::images::Images;
use self::pools::Pools;
use self::registries::Registries;
use crate::{
    ArchiveError, Cause, ConnectError, Connection, CreateError, CreateVolumeError,
    DeleteVolumeError, DeriveImageError, DestroyError, Driver, DriverEvent, Existing, Exit, Hello,
    ImageProgress, InventoryError, LaunchSpec, Liveness, NoRoomError, PoolReport,
    PrepareImageError, PreparedImage, RemoveImageError, ResizeError, RestoreError, SnapshotError,
    StartError, StopError, WantedPool,
};

/// Bytes that fit into a connection before the other side reads.
const BUFFER_BYTES: usize = 64 * 1024;

/// Speaks for a sandbox's daemon on one connection.
pub type Service =
    Arc<dyn Fn(Inside, DuplexStream) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What a service sees of the sandbox it speaks for.
#[derive(Debug, Clone)]
pub struct Inside {
    /// Which one.
    pub id: SandboxId,
    /// What it was launched with.
    pub spec: LaunchSpec,
    /// Its files, kept as long as the sandbox.
    pub disk: Disk,
}

/// Files by path, in memory. All clones are one disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<BTreeMap<String, Bytes>>>);

impl Disk {
    /// Writes a file, whether it exists or not.
    pub fn write(&self, path: &str, content: Bytes) {
        self.files().insert(path.to_owned(), content);
    }

    /// A file's content; `None` if it does not exist.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<Bytes> {
        self.files().get(path).cloned()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fake driver can be told to fail at or wait in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// [`Driver::prepare_image`]
    PrepareImage,
    /// [`Driver::snapshot`]
    Snapshot,
    /// [`Driver::derive_image`]
    DeriveImage,
    /// [`Driver::remove_image`]
    RemoveImage,
    /// [`Driver::create`]
    Create,
    /// [`Driver::start`]
    Start,
    /// [`Driver::connect`]
    Connect,
    /// [`Driver::stop`]
    Stop,
    /// [`Driver::resize`]
    Resize,
    /// [`Driver::archive`]
    Archive,
    /// [`Driver::restore`]
    Restore,
    /// [`Driver::destroy`]
    Destroy,
    /// [`Driver::inventory`]
    Inventory,
    /// [`Driver::create_volume`]
    CreateVolume,
    /// [`Driver::delete_volume`]
    DeleteVolume,
}

/// When an operation waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing has happened yet.
    Before,
    /// Everything has happened, and the caller does not know.
    After,
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The machine failed.
    Host,
    /// [`CreateError::Full`], [`RestoreError::Full`], [`SnapshotError::Full`] or [`ResizeError::DiskFull`]; any other operation fails with `Host`.
    Full,
    /// [`CreateError::NoUser`]; any other operation fails with `Host`.
    NoUser,
    /// [`CreateError::Mount`] or [`StartError::Mount`]; any other operation fails with `Host`.
    Mount,
}

/// The cause of a failure that a test asked for.
#[derive(Debug, thiserror::Error)]
#[error("{TOLD}")]
struct Told;

const TOLD: &str = "failed as it was told to";

/// A driver in memory.
#[derive(Clone)]
pub struct FakeDriver {
    machine: Arc<Mutex<Machine>>,
    events: mpsc::Sender<DriverEvent>,
    reported: Arc<tokio::sync::Mutex<mpsc::Receiver<DriverEvent>>>,
    service: Service,
}

#[derive(Default)]
struct Machine {
    images: Images,
    sandboxes: BTreeMap<SandboxId, FakeSandbox>,
    faults: VecDeque<(Operation, Fault)>,
    holds: Vec<Hold>,
    busy: BTreeSet<SandboxId>,
    volumes: BTreeSet<VolumeId>,
    misuses: Vec<String>,
    pools: Pools,
    registries: Registries,
    needed: BTreeMap<ImageName, Vec<String>>,
}

struct FakeSandbox {
    spec: LaunchSpec,
    disk: Disk,
    /// Its open connections while it runs.
    running: Option<JoinSet<()>>,
    is_archived: bool,
    disk_gib: u32,
}

/// Marks a sandbox as being changed, until the call ends or is dropped.
struct Busy {
    machine: Arc<Mutex<Machine>>,
    id: SandboxId,
}

impl FakeDriver {
    /// A machine without sandboxes on which `service` speaks for every daemon.
    #[must_use]
    pub fn new(service: Service) -> Self {
        let (events, reported) = mpsc::channel(4096);
        Self {
            machine: Arc::default(),
            events,
            reported: Arc::new(tokio::sync::Mutex::new(reported)),
            service,
        }
    }

    /// A machine whose daemons answer every HTTP/1.1 request with what `handler` makes of it.
    pub fn answering<H>(handler: H) -> Self
    where
        H: Fn(&Inside, http::Request<Bytes>) -> http::Response<Bytes> + Send + Sync + 'static,
    {
        Self::new(http_service::service(handler))
    }

    /// Has the next call of `operation` that has no fault yet fail.
    pub fn fail_next(&self, operation: Operation, fault: Fault) {
        self.machine().faults.push_back((operation, fault));
    }

    /// Has the next call of `operation` wait until the gate is opened or dropped.
    #[must_use]
    pub fn hold_next(&self, operation: Operation, moment: Moment) -> Gate {
        let (hold, gate) = gate::pair(operation, moment);
        self.machine().holds.push(hold);
        gate
    }

    /// Has a running sandbox end by itself; one that does not run stays as it is.
    pub fn exit(&self, id: SandboxId, exit: Exit) {
        if self.exit_unreported(id) {
            self.report(id, exit);
        }
    }

    /// Has the kernel kill processes of a sandbox for want of memory.
    pub fn run_out_of_memory(&self, id: SandboxId, killed: u64) {
        self.send(DriverEvent::MemoryRanOut { id, killed });
    }

    /// Has a running sandbox end without a report; answers whether it ran.
    pub fn exit_unreported(&self, id: SandboxId) -> bool {
        let mut machine = self.machine();
        machine.sandboxes.get_mut(&id).and_then(|sandbox| sandbox.running.take()).is_some()
    }

    /// Reports the end of a sandbox without ending it, as a report of an earlier run that comes late.
    pub fn report_late_exit(&self, id: SandboxId) {
        self.report(id, Exit::Unknown);
    }

    fn report(&self, id: SandboxId, exit: Exit) {
        self.send(DriverEvent::Exited { id, exit });
    }

    fn send(&self, event: DriverEvent) {
        if let Err(lost) = self.events.try_send(event) {
            self.machine().misuses.push(format!("nobody listens; this is lost: {lost:?}"));
        }
    }

    /// Takes a sandbox's disk away, as a disk failure would.
    pub fn lose(&self, id: SandboxId) {
        drop(self.machine().sandboxes.remove(&id));
    }

    /// Every sandbox there is, by id.
    #[must_use]
    pub fn existing(&self) -> Vec<Existing> {
        self.machine().existing()
    }

    /// What a sandbox was last launched with.
    #[must_use]
    pub fn launched_with(&self, id: SandboxId) -> Option<LaunchSpec> {
        self.machine().sandboxes.get(&id).map(|sandbox| sandbox.spec.clone())
    }

    /// How large a sandbox's disk is, in GiB.
    #[must_use]
    pub fn disk_gib(&self, id: SandboxId) -> Option<u32> {
        self.machine().sandboxes.get(&id).map(|sandbox| sandbox.disk_gib)
    }

    /// Lets so many sandboxes wait in all pools together.
    pub fn let_wait(&self, most: u64) {
        self.machine().pools.most = Some(most);
    }

    /// Has a registry give images only for this login.
    pub fn guard_registry(&self, login: RegistryLogin) {
        self.machine().registries.guard(login);
    }

    /// Which images are needed, and by whom, as was said last.
    #[must_use]
    pub fn needed_images(&self) -> BTreeMap<ImageName, Vec<String>> {
        self.machine().needed.clone()
    }

    /// How many images there are that were made here.
    #[must_use]
    pub fn made_images(&self) -> usize {
        self.machine().images.made()
    }

    /// How the rules of [`Driver`] were broken so far.
    #[must_use]
    pub fn misuses(&self) -> Vec<String> {
        self.machine().misuses.clone()
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits at a gate if there is one for this operation and moment.
    async fn pass(&self, operation: Operation, moment: Moment, id: Option<SandboxId>) {
        let hold = {
            let mut machine = self.machine();
            let position = machine.holds.iter().position(|hold| hold.is_for(operation, moment));
            position.map(|position| machine.holds.remove(position))
        };
        if let Some(hold) = hold {
            hold.wait(id).await;
        }
    }

    fn fault(&self, operation: Operation) -> Option<Fault> {
        let mut machine = self.machine();
        let position = machine.faults.iter().position(|(of, _)| *of == operation)?;
        machine.faults.remove(position).map(|(_, fault)| fault)
    }

    fn begin(&self, id: SandboxId) -> Busy {
        let mut machine = self.machine();
        if !machine.busy.insert(id) {
            machine.misuses.push(format!("two calls for {id} at once"));
        }
        Busy { machine: Arc::clone(&self.machine), id }
    }
}

impl fmt::Debug for FakeDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeDriver").field("existing", &self.existing()).finish_non_exhaustive()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner).busy.remove(&self.id);
    }
}

impl Machine {
    /// Lets go of the images that were made here and that nobody needs.
    fn collect_images(&mut self) {
        let Self { images, sandboxes, .. } = self;
        images.collect(|image| sandboxes.values().any(|sandbox| sandbox.spec.image == *image));
    }

    fn existing(&self) -> Vec<Existing> {
        let liveness = |sandbox: &FakeSandbox| match sandbox.running {
            Some(_) => Liveness::Running,
            None if sandbox.is_archived => Liveness::Archived,
            None => Liveness::Stopped,
        };
        self.sandboxes
            .iter()
            .map(|(id, sandbox)| Existing { id: *id, liveness: liveness(sandbox) })
            .collect()
    }
}

fn told() -> Cause {
    Told.into()
}

fn hello() -> Hello {
    Hello { daemon_version: "0.0.0".to_owned() }
}

#[async_trait]
impl Driver for FakeDriver {
    async fn find_image(&self, reference: &ImageReference) -> Option<PreparedImage> {
        self.machine().images.find(reference)
    }

    async fn prepare_image(
        &self,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        self.pass(Operation::PrepareImage, Moment::Before, None).await;
        if self.fault(Operation::PrepareImage).is_some() {
            return Err(PrepareImageError::Host { image: reference.to_string(), cause: told() });
        }
        if self.machine().registries.is_guarded(reference) {
            return Err(registries::refused(reference));
        }
        let Some(prepared) = self.machine().images.prepare(reference) else {
            return Err(PrepareImageError::Unknown { image: reference.to_string() });
        };
        // A full channel drops steps, as documented.
        drop(progress.try_send(ImageProgress { step: "pretending".to_owned(), done: 1, total: 1 }));
        self.pass(Operation::PrepareImage, Moment::After, None).await;
        Ok(prepared)
    }

    fn admits_registry(&self, registry: &str, is_encrypted: bool) -> Result<(), String> {
        registries::admits(registry, is_encrypted)
    }

    async fn find_owned_image(
        &self,
        owner: ImageOwner,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        self.machine().registries.find(owner, reference)
    }

    async fn pull_owned_image(
        &self,
        owner: ImageOwner,
        login: &RegistryLogin,
        reference: &ImageReference,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        let found = self.machine().registries.find(owner, reference);
        if let Some(found) = found {
            return Ok(found);
        }
        if !self.machine().registries.is_guarded(reference) {
            return self.prepare_image(reference, progress).await;
        }
        self.pass(Operation::PrepareImage, Moment::Before, None).await;
        let mut machine = self.machine();
        let Machine { images, registries, .. } = &mut *machine;
        let prepared = registries.pull(images, owner, login, reference);
        prepared.ok_or_else(|| registries::refused(reference))
    }

    async fn snapshot(
        &self,
        id: SandboxId,
        reference: &ImageReference,
    ) -> Result<PreparedImage, SnapshotError> {
        let _busy = self.begin(id);
        self.pass(Operation::Snapshot, Moment::Before, Some(id)).await;
        match self.fault(Operation::Snapshot) {
            None => {}
            Some(Fault::Full) => return Err(SnapshotError::Full { id }),
            Some(_) => return Err(SnapshotError::Host { id, cause: told() }),
        }
        let made = {
            let mut machine = self.machine();
            let sandbox = machine.sandboxes.get(&id).ok_or(SnapshotError::NotFound { id })?;
            if sandbox.is_archived {
                return Err(SnapshotError::Archived { id });
            }
            let files = sandbox.disk.files().clone();
            let config = machine.images.config(&sandbox.spec.image);
            let made = machine.images.make(config, files, reference);
            machine.collect_images();
            made
        };
        self.pass(Operation::Snapshot, Moment::After, Some(id)).await;
        made.ok_or_else(|| SnapshotError::Host { id, cause: told() })
    }

    async fn derive_image(
        &self,
        image: &ImageName,
        config: &ImageConfig,
        reference: &ImageReference,
    ) -> Result<PreparedImage, DeriveImageError> {
        let host = || DeriveImageError::Host { image: image.clone(), cause: told() };
        self.pass(Operation::DeriveImage, Moment::Before, None).await;
        if self.fault(Operation::DeriveImage).is_some() {
            return Err(host());
        }
        let made = {
            let mut machine = self.machine();
            let files = machine.images.files(image);
            let files = files.ok_or_else(|| DeriveImageError::NoImage { image: image.clone() })?;
            let made = machine.images.make(config.clone(), files, reference);
            machine.collect_images();
            made
        };
        self.pass(Operation::DeriveImage, Moment::After, None).await;
        made.ok_or_else(host)
    }

    async fn remove_image(&self, reference: &ImageReference) -> Result<(), RemoveImageError> {
        self.pass(Operation::RemoveImage, Moment::Before, None).await;
        if self.fault(Operation::RemoveImage).is_some() {
            return Err(RemoveImageError::Host { image: reference.to_string(), cause: told() });
        }
        {
            let mut machine = self.machine();
            machine.images.forget(reference);
            machine.collect_images();
        }
        self.pass(Operation::RemoveImage, Moment::After, None).await;
        Ok(())
    }

    async fn need_images(&self, needed: BTreeMap<ImageName, Vec<String>>) {
        self.machine().needed = needed;
    }

    async fn create(&self, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let _busy = self.begin(id);
        self.pass(Operation::Create, Moment::Before, Some(id)).await;
        match self.fault(Operation::Create) {
            None => {}
            Some(Fault::Host) => return Err(CreateError::Host { id, cause: told() }),
            Some(Fault::Full) => return Err(CreateError::Full),
            Some(Fault::NoUser) => return Err(CreateError::NoUser { user: spec.user.clone() }),
            Some(Fault::Mount) => return Err(CreateError::Mount { id, reason: TOLD.to_owned() }),
        }
        {
            let mut machine = self.machine();
            let Some(files) = machine.images.files(&spec.image) else {
                return Err(CreateError::NoImage { image: spec.image.clone() });
            };
            if machine.sandboxes.contains_key(&id) {
                return Err(CreateError::Exists { id });
            }
            if let Some(reason) = machine.cannot_mount(spec) {
                return Err(CreateError::Mount { id, reason });
            }
            let sandbox = FakeSandbox {
                spec: spec.clone(),
                disk: Disk(Arc::new(Mutex::new(files))),
                running: Some(JoinSet::new()),
                is_archived: false,
                disk_gib: spec.limits.disk_gib(),
            };
            machine.sandboxes.insert(id, sandbox);
            machine.pools.claim(spec);
        }
        self.pass(Operation::Create, Moment::After, Some(id)).await;
        Ok(hello())
    }

    async fn start(&self, spec: &LaunchSpec) -> Result<Hello, StartError> {
        let id = spec.id;
        let _busy = self.begin(id);
        self.pass(Operation::Start, Moment::Before, Some(id)).await;
        match self.fault(Operation::Start) {
            None => {}
            Some(Fault::Mount) => return Err(StartError::Mount { id, reason: TOLD.to_owned() }),
            Some(_) => return Err(StartError::Host { id, cause: told() }),
        }
        {
            let mut machine = self.machine();
            if let Some(reason) = machine.cannot_mount(spec) {
                return Err(StartError::Mount { id, reason });
            }
            let sandbox = machine.sandboxes.get_mut(&id).ok_or(StartError::NotFound { id })?;
            if sandbox.is_archived {
                return Err(StartError::NotFound { id });
            }
            sandbox.spec = spec.clone();
            sandbox.running.get_or_insert_with(JoinSet::new);
        }
        self.pass(Operation::Start, Moment::After, Some(id)).await;
        Ok(hello())
    }

    async fn connect(&self, id: SandboxId) -> Result<Connection, ConnectError> {
        self.pass(Operation::Connect, Moment::Before, Some(id)).await;
        if self.fault(Operation::Connect).is_some() {
            return Err(ConnectError::Host { id, cause: told() });
        }
        let (ours, theirs) = tokio::io::duplex(BUFFER_BYTES);
        let mut machine = self.machine();
        let sandbox = machine.sandboxes.get_mut(&id).ok_or(ConnectError::NotRunning { id })?;
        let connections = sandbox.running.as_mut().ok_or(ConnectError::NotRunning { id })?;
        while connections.try_join_next().is_some() {}
        let inside = Inside { id, spec: sandbox.spec.clone(), disk: sandbox.disk.clone() };
        connections.spawn((self.service)(inside, theirs));
        Ok(Box::new(ours))
    }

    async fn stop(&self, id: SandboxId, _force: bool) -> Result<(), StopError> {
        let _busy = self.begin(id);
        self.pass(Operation::Stop, Moment::Before, Some(id)).await;
        if self.fault(Operation::Stop).is_some() {
            return Err(StopError::Host { id, cause: told() });
        }
        {
            let mut machine = self.machine();
            let sandbox = machine.sandboxes.get_mut(&id).ok_or(StopError::NotFound { id })?;
            drop(sandbox.running.take());
        }
        self.pass(Operation::Stop, Moment::After, Some(id)).await;
        Ok(())
    }

    async fn resize(&self, id: SandboxId, limits: Limits) -> Result<(), ResizeError> {
        let _busy = self.begin(id);
        self.pass(Operation::Resize, Moment::Before, Some(id)).await;
        match self.fault(Operation::Resize) {
            None => {}
            Some(Fault::Full) => return Err(ResizeError::DiskFull { id }),
            Some(Fault::Host | Fault::NoUser | Fault::Mount) => {
                return Err(ResizeError::Host { id, cause: told() });
            }
        }
        {
            let mut machine = self.machine();
            let sandbox = machine.sandboxes.get_mut(&id).ok_or(ResizeError::NotFound { id })?;
            if sandbox.is_archived {
                return Err(ResizeError::NotFound { id });
            }
            if limits.disk_gib() < sandbox.disk_gib {
                return Err(ResizeError::DiskShrinks { id });
            }
            if limits.disk_gib() > sandbox.disk_gib && sandbox.running.is_some() {
                return Err(ResizeError::DiskInUse { id });
            }
            sandbox.spec.limits = limits;
            sandbox.disk_gib = limits.disk_gib();
        }
        self.pass(Operation::Resize, Moment::After, Some(id)).await;
        Ok(())
    }

    async fn archive(&self, id: SandboxId) -> Result<(), ArchiveError> {
        let _busy = self.begin(id);
        self.pass(Operation::Archive, Moment::Before, Some(id)).await;
        if self.fault(Operation::Archive).is_some() {
            return Err(ArchiveError::Host { id, cause: told() });
        }
        {
            let mut machine = self.machine();
            let sandbox = machine.sandboxes.get_mut(&id).ok_or(ArchiveError::NotFound { id })?;
            if sandbox.running.is_some() {
                return Err(ArchiveError::Running { id });
            }
            sandbox.is_archived = true;
        }
        self.pass(Operation::Archive, Moment::After, Some(id)).await;
        Ok(())
    }

    async fn restore(&self, id: SandboxId) -> Result<(), RestoreError> {
        let _busy = self.begin(id);
        self.pass(Operation::Restore, Moment::Before, Some(id)).await;
        match self.fault(Operation::Restore) {
            None => {}
            Some(Fault::Full) => return Err(RestoreError::Full),
            Some(Fault::Host | Fault::NoUser | Fault::Mount) => {
                return Err(RestoreError::Host { id, cause: told() });
            }
        }
        {
            let mut machine = self.machine();
            let sandbox = machine.sandboxes.get_mut(&id).ok_or(RestoreError::NotFound { id })?;
            sandbox.is_archived = false;
        }
        self.pass(Operation::Restore, Moment::After, Some(id)).await;
        Ok(())
    }

    async fn destroy(&self, id: SandboxId) -> Result<(), DestroyError> {
        let _busy = self.begin(id);
        self.pass(Operation::Destroy, Moment::Before, Some(id)).await;
        if self.fault(Operation::Destroy).is_some() {
            return Err(DestroyError::Host { id, cause: told() });
        }
        {
            let mut machine = self.machine();
            drop(machine.sandboxes.remove(&id));
            machine.collect_images();
        }
        self.pass(Operation::Destroy, Moment::After, Some(id)).await;
        Ok(())
    }

    async fn inventory(&self) -> Result<Vec<Existing>, InventoryError> {
        self.pass(Operation::Inventory, Moment::Before, None).await;
        if self.fault(Operation::Inventory).is_some() {
            return Err(InventoryError::Host { cause: told() });
        }
        let existing = self.existing();
        self.pass(Operation::Inventory, Moment::After, None).await;
        Ok(existing)
    }

    async fn room_to_wait(&self, others: u64, more: u64) -> Result<(), NoRoomError> {
        self.machine().pools.room(others, more)
    }

    fn keep_ready(&self, wanted: Vec<WantedPool>) {
        self.machine().pools.keep(wanted);
    }

    fn pools(&self) -> PoolReport {
        self.machine().pools.report()
    }

    async fn create_volume(&self, id: VolumeId) -> Result<(), CreateVolumeError> {
        self.make_volume(id).await
    }

    async fn delete_volume(&self, id: VolumeId) -> Result<(), DeleteVolumeError> {
        self.remove_volume(id).await
    }

    async fn volumes(&self) -> Result<Vec<VolumeId>, InventoryError> {
        Ok(self.existing_volumes())
    }

    async fn next_event(&self) -> Option<DriverEvent> {
        self.reported.lock().await.recv().await
    }
}

#[cfg(test)]
mod tests;
