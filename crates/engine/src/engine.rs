//! The engine: what exists, and the [`Driver`] methods over it.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pitlane_driver::{
    Cause, ConnectError, Connection, CreateError, DestroyError, Driver, DriverEvent, Existing,
    Exit, Hello, ImageProgress, InventoryError, LaunchSpec, Liveness, PrepareImageError,
    PreparedImage, StartError, StopError,
};
use pitlane_image::Images;
use pitlane_model::{ImageName, Limits, NetworkPolicy, SandboxId};
use pitlane_network::{OpenRouterError, Router, RouterConfig};
use pitlane_sys::{Hierarchies, HierarchyError, SyscallError, sealed_memory_file};
use rustix::process::Signal;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::disk::{self, DiskError, Disks};
use crate::launcher::{EndedAs, FirstProcess, Launcher, LauncherError};
use crate::pool::Pool;
use crate::prepared::{DiskFile, Groups, Preparer, Recipe, remove_unused_groups};
use crate::running::{self, LaunchError, Launched, Running, SocketFile};
use crate::slot::{Slot, Slots};
use crate::{EngineConfig, disk::OwnedDisk};

/// The Linux driver. See the crate's description.
#[derive(Debug)]
pub struct Engine {
    inner: Arc<Inner>,
    events: tokio::sync::Mutex<mpsc::Receiver<DriverEvent>>,
}

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    sockets: PathBuf,
    launcher: Launcher,
    daemon: OwnedFd,
    images: Images,
    slots: Slots,
    preparer: Arc<Preparer>,
    pool: Pool,
    sandboxes: Mutex<HashMap<SandboxId, Arc<Sandbox>>>,
    events: mpsc::Sender<DriverEvent>,
    tasks: TaskTracker,
}

/// One sandbox: its parts, and the turn that whoever changes them holds.
#[derive(Debug)]
struct Sandbox {
    turn: Arc<Semaphore>,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    slot: Option<Slot>,
    disk: Option<DiskFile>,
    running: Option<Running>,
}

/// Why an engine cannot start on this machine.
#[derive(Debug, thiserror::Error)]
pub enum StartEngineError {
    /// The control groups cannot hold limits.
    #[error("this machine cannot limit sandboxes")]
    Groups(#[from] HierarchyError),
    /// The state or run-time folder cannot be used.
    #[error("cannot use {path}")]
    Folder {
        /// The folder.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The disks cannot be read.
    #[error("cannot open the sandboxes' disks")]
    Disks(#[source] Cause),
    /// The launcher cannot be started.
    #[error("cannot start the launcher")]
    Launcher(#[source] Cause),
    /// The network cannot be set up.
    #[error("cannot set up the network")]
    Network(#[from] OpenRouterError),
    /// A system call that every Linux of the supported versions has failed.
    #[error("cannot start")]
    Syscall(#[from] SyscallError),
}

/// How long a sandbox's processes have between SIGTERM and SIGKILL.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// SIGKILL takes milliseconds; a process that hangs in the kernel longer than this is reported.
const KILL_DEADLINE: Duration = Duration::from_secs(20);
/// Slots are limited by the network's addresses.
const SLOT_COUNT: u32 = 32_000;
/// What must be free on the state folder's file system for another sandbox to be made.
const DISK_RESERVE_BYTES: u64 = 1 << 30;

impl Engine {
    /// Starts an engine: finds or starts the launcher, takes over the sandboxes that exist and removes what nobody
    /// owns. Must be called in a runtime.
    ///
    /// # Errors
    ///
    /// [`StartEngineError`] says what this machine lacks.
    pub async fn start(config: EngineConfig) -> Result<Self, StartEngineError> {
        let handle = tokio::runtime::Handle::current();
        let (events, received) = mpsc::channel(1024);
        let inner = tokio::task::spawn_blocking(move || Inner::start(config, events, handle))
            .await
            .map_err(|cause| StartEngineError::Launcher(Box::new(cause)))??;
        Ok(Self { inner: Arc::new(inner).adopt(), events: tokio::sync::Mutex::new(received) })
    }

    /// Lets go of everything prepared. Sandboxes run on, and the launcher with them; without any, it ends as well.
    pub async fn close(&self) {
        let inner = Arc::clone(&self.inner);
        let closed = tokio::task::spawn_blocking(move || {
            inner.pool.close();
            let sandboxes = std::mem::take(&mut *lock(&inner.sandboxes));
            for running in
                sandboxes.values().filter_map(|sandbox| lock(&sandbox.parts).running.take())
            {
                running.leave();
            }
            inner.launcher.quit()
        });
        match closed.await {
            Ok(Ok(has_ended)) => tracing::debug!(has_ended, "asked the launcher to end"),
            Ok(Err(failure)) => tracing::warn!(%failure, "cannot ask the launcher to end"),
            Err(failure) => tracing::error!(%failure, "the pool did not close"),
        }
        self.inner.tasks.close();
    }
}

fn folder_error(path: &Path) -> impl FnOnce(std::io::Error) -> StartEngineError {
    let path = path.display().to_string();
    move |cause| StartEngineError::Folder { path, cause }
}

impl Inner {
    fn start(
        config: EngineConfig,
        events: mpsc::Sender<DriverEvent>,
        handle: tokio::runtime::Handle,
    ) -> Result<Self, StartEngineError> {
        let EngineConfig {
            state,
            run,
            state_id,
            launcher,
            daemon,
            images,
            network,
            first_id,
            prepared,
        } = config;
        let sockets = run.join("sandboxes");
        for folder in [&state, &run, &sockets] {
            std::fs::create_dir_all(folder).map_err(folder_error(folder))?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(folder, mode).map_err(folder_error(folder))?;
        }
        let groups = Hierarchies::detect()?.group(Path::new("pitlane").join(&state_id));
        groups.create()?;
        let disks =
            Disks::open(&state).map_err(|cause| StartEngineError::Disks(Box::new(cause)))?;
        let launcher = Launcher::find_or_start(&run, &launcher)
            .map_err(|cause| StartEngineError::Launcher(Box::new(cause)))?;
        let router = Arc::new(handle.block_on(open_router(&launcher, network))?);
        let slots = Slots::new(SLOT_COUNT, first_id);
        let daemon = sealed_memory_file("pitlane-daemon", &daemon)?;
        let preparer = Arc::new(Preparer {
            launcher: launcher.clone(),
            disks,
            router,
            groups,
            runtime: handle,
        });
        let pool = Pool::start(Arc::clone(&preparer), slots.clone(), prepared)
            .map_err(folder_error(&state))?;
        let inner = Self {
            state,
            sockets,
            launcher,
            daemon,
            images,
            slots,
            preparer,
            pool,
            sandboxes: Mutex::new(HashMap::new()),
            events,
            tasks: TaskTracker::new(),
        };
        inner.find_sandboxes().map_err(|cause| StartEngineError::Disks(Box::new(cause)))?;
        Ok(inner)
    }

    /// Takes over what an earlier server left, by what is really there: disks, and processes that the launcher has.
    fn find_sandboxes(&self) -> Result<(), DiskError> {
        let running = self.launcher.list().unwrap_or_default();
        let mut sandboxes = lock(&self.sandboxes);
        for OwnedDisk { id, slot, path } in self.preparer.disks.list()? {
            let Some(slot) = self.slots.take_number(slot) else {
                tracing::error!(sandbox = %id, slot, "two disks claim one slot; this one is left alone");
                continue;
            };
            let groups = Groups::adopt(&self.preparer.groups, &slot);
            let process = self.find_process(id, &groups);
            let running = process.map(|process| Running {
                process: Arc::new(process),
                socket: SocketFile::of(&self.sockets, &id.to_string()),
                groups,
                hello: None,
            });
            let parts = Parts { slot: Some(slot), disk: Some(DiskFile::owned(path)), running };
            sandboxes.insert(id, Arc::new(Sandbox::new(parts)));
        }
        for id in running {
            if id.parse().is_ok_and(|id| sandboxes.contains_key(&id)) {
                continue;
            }
            tracing::warn!(sandbox = id, "ending a process whose sandbox has no disk");
            if let Ok(Some(process)) = self.launcher.open(&id)
                && process.kill().is_ok()
            {
                process.wait(KILL_DEADLINE);
            }
            if let Err(failure) = self.launcher.collect(&id) {
                tracing::warn!(sandbox = id, %failure, "the launcher keeps an exit");
            }
        }
        let used: Vec<u32> = sandboxes
            .values()
            .filter_map(|sandbox| {
                let parts = lock(&sandbox.parts);
                parts.running.as_ref().and(parts.slot.as_ref()).map(Slot::number)
            })
            .collect();
        drop(sandboxes);
        remove_unused_groups(&self.preparer.groups, |slot| used.contains(&slot));
        self.remove_unused_sockets();
        Ok(())
    }

    /// Process 1 of a sandbox, by the launcher or, when that has died, by what is in the sandbox's group.
    fn find_process(&self, id: SandboxId, groups: &Groups) -> Option<FirstProcess> {
        match self.launcher.open(&id.to_string()) {
            Ok(Some(process)) => return Some(process),
            Ok(None) => {}
            Err(failure) => {
                tracing::error!(sandbox = %id, %failure, "cannot ask the launcher for a sandbox");
            }
        }
        let process = groups.orphan()?;
        tracing::warn!(sandbox = %id, "adopted a sandbox whose launcher has died; how it ends will be unknown");
        Some(process)
    }

    fn remove_unused_sockets(&self) {
        let Ok(entries) = std::fs::read_dir(&self.sockets) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let id =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let is_used = id
                .and_then(|id| self.get(id))
                .is_some_and(|sandbox| lock(&sandbox.parts).running.is_some());
            if !is_used && let Err(failure) = disk::remove(&path) {
                tracing::warn!(%failure, "a socket that nobody uses stays behind");
            }
        }
    }

    /// Begins to watch the processes that were found.
    fn adopt(self: Arc<Self>) -> Arc<Self> {
        let found: Vec<(SandboxId, Arc<Sandbox>)> =
            lock(&self.sandboxes).iter().map(|(id, sandbox)| (*id, Arc::clone(sandbox))).collect();
        for (id, sandbox) in found {
            let process =
                lock(&sandbox.parts).running.as_ref().map(|running| Arc::clone(&running.process));
            if let Some(process) = process {
                self.watch(id, &sandbox, process);
            }
        }
        self
    }

    fn get(&self, id: SandboxId) -> Option<Arc<Sandbox>> {
        lock(&self.sandboxes).get(&id).cloned()
    }

    fn recipe(&self, image: Arc<Path>, limits: Limits, network: NetworkPolicy) -> Recipe {
        Recipe { image, disk_gib: limits.disk_gib(), network }
    }

    /// Tells when a sandbox ends without having been asked to.
    fn watch(self: &Arc<Self>, id: SandboxId, sandbox: &Arc<Sandbox>, process: Arc<FirstProcess>) {
        let inner = Arc::clone(self);
        let sandbox = Arc::clone(sandbox);
        self.tasks.spawn(async move {
            if let Err(failure) = ended(&process).await {
                tracing::error!(sandbox = %id, %failure, "cannot watch a sandbox");
                return;
            }
            let turn = sandbox.take_turn().await;
            let is_current = |running: &Running| Arc::ptr_eq(&running.process, &process);
            let running = {
                let mut parts = lock(&sandbox.parts);
                if parts.running.as_ref().is_some_and(is_current) {
                    parts.running.take()
                } else {
                    None
                }
            };
            let Some(running) = running else { return };
            let task = Arc::clone(&inner);
            let exit = tokio::task::spawn_blocking(move || {
                drop(running);
                task.collect(id)
            })
            .await
            .unwrap_or(Exit::Unknown);
            drop(turn);
            tracing::info!(sandbox = %id, ?exit, "a sandbox ended by itself");
            if inner.events.send(DriverEvent::Exited { id, exit }).await.is_err() {
                tracing::debug!(sandbox = %id, "nobody listens for exits");
            }
        });
    }

    fn collect(&self, id: SandboxId) -> Exit {
        match self.launcher.collect(&id.to_string()) {
            Ok(Some(EndedAs::Code(code))) => Exit::Code(code),
            Ok(Some(EndedAs::Signal(signal))) => Exit::Signal(signal),
            Ok(None) => Exit::Unknown,
            Err(failure) => {
                tracing::warn!(sandbox = %id, %failure, "cannot learn how a sandbox ended");
                Exit::Unknown
            }
        }
    }

    fn create(self: &Arc<Self>, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        let Some(image) = self.images.find(&spec.image) else {
            return Err(CreateError::NoImage { image: spec.image.clone() });
        };
        if self.is_disk_full() {
            return Err(CreateError::Full);
        }
        let sandbox = Arc::new(Sandbox::new(Parts::default()));
        let _turn = sandbox.turn.try_acquire().map_err(|cause| host(Box::new(cause)))?;
        {
            let mut sandboxes = lock(&self.sandboxes);
            if sandboxes.contains_key(&id) {
                return Err(CreateError::Exists { id });
            }
            sandboxes.insert(id, Arc::clone(&sandbox));
        }
        let recipe = self.recipe(image.path.into(), spec.limits, spec.network);
        let made = self.make(spec, &recipe, &sandbox);
        if made.is_err() {
            // The parts that were made were dropped on the way, the disk included.
            lock(&self.sandboxes).remove(&id);
        }
        made
    }

    fn make(
        self: &Arc<Self>,
        spec: &LaunchSpec,
        recipe: &Recipe,
        sandbox: &Arc<Sandbox>,
    ) -> Result<Hello, CreateError> {
        let id = spec.id;
        let host = |cause: Cause| CreateError::Host { id, cause };
        let mut prepared = match self.pool.claim(recipe) {
            Some(prepared) => prepared,
            None => {
                let slot = self.slots.take().ok_or(CreateError::Full)?;
                self.preparer.fresh(slot, recipe).map_err(|cause| host(Box::new(cause)))?
            }
        };
        let owned = self
            .preparer
            .disks
            .own(prepared.disk.path(), id, prepared.slot.number())
            .map_err(|cause| host(Box::new(cause)))?;
        // Not yet the sandbox's own: a failed launch removes it.
        prepared.disk.set_path(owned);
        let launched = self.launch(prepared, spec).map_err(|cause| host(Box::new(cause)))?;
        Ok(self.settle(id, sandbox, launched))
    }

    fn launch(
        &self,
        prepared: crate::prepared::Prepared,
        spec: &LaunchSpec,
    ) -> Result<Launched, LaunchError> {
        running::launch(prepared, spec, &self.launcher, &self.daemon, &self.sockets)
    }

    fn settle(
        self: &Arc<Self>,
        id: SandboxId,
        sandbox: &Arc<Sandbox>,
        launched: Launched,
    ) -> Hello {
        let Launched { running, slot, mut disk } = launched;
        disk.keep();
        let hello = hello_of(&running);
        let process = Arc::clone(&running.process);
        *lock(&sandbox.parts) =
            Parts { slot: Some(slot), disk: Some(disk), running: Some(running) };
        self.watch(id, sandbox, process);
        hello
    }

    fn start_again(
        self: &Arc<Self>,
        spec: &LaunchSpec,
        sandbox: &Arc<Sandbox>,
    ) -> Result<Hello, StartError> {
        let id = spec.id;
        let host = |cause: Cause| StartError::Host { id, cause };
        let image = self
            .images
            .find(&spec.image)
            .ok_or_else(|| host(Box::new(CreateError::NoImage { image: spec.image.clone() })))?;
        let (slot, path) = {
            let mut parts = lock(&sandbox.parts);
            if let Some(running) = &parts.running {
                return Ok(hello_of(running));
            }
            let (Some(slot), Some(disk)) = (parts.slot.take(), parts.disk.as_ref()) else {
                return Err(StartError::NotFound { id });
            };
            (slot, disk.path().to_owned())
        };
        let number = slot.number();
        let recipe = self.recipe(image.path.into(), spec.limits, spec.network);
        let launched = self
            .preparer
            .again(slot, &recipe, &path)
            .map_err(|cause| -> Cause { Box::new(cause) })
            .and_then(|prepared| {
                self.launch(prepared, spec).map_err(|cause| -> Cause { Box::new(cause) })
            });
        match launched {
            Ok(launched) => Ok(self.settle(id, sandbox, launched)),
            Err(cause) => {
                // The failed attempt has given the slot back; nobody else may have it while the disk exists.
                lock(&sandbox.parts).slot = self.slots.take_number(number);
                Err(host(cause))
            }
        }
    }

    /// Frees a sandbox whose processes have ended.
    fn free(&self, id: SandboxId, sandbox: &Sandbox) -> Result<(), DiskError> {
        let mut parts = lock(&sandbox.parts);
        drop(parts.running.take());
        if let Some(disk) = &parts.disk {
            disk::remove(disk.path())?;
        }
        parts.disk = None;
        parts.slot = None;
        drop(parts);
        lock(&self.sandboxes).remove(&id);
        Ok(())
    }

    fn is_disk_full(&self) -> bool {
        rustix::fs::statvfs(&self.state).is_ok_and(|status| {
            status.f_bavail.saturating_mul(status.f_frsize) < DISK_RESERVE_BYTES
        })
    }
}

impl Sandbox {
    fn new(parts: Parts) -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), parts: Mutex::new(parts) }
    }

    /// Waits until nobody else changes the sandbox. The turn ends with the value, also in a task that outlives its
    /// caller.
    async fn take_turn(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed, so there always is a permit.
        Arc::clone(&self.turn).acquire_owned().await.ok()
    }
}

fn hello_of(running: &Running) -> Hello {
    Hello {
        daemon_version: running
            .hello
            .as_ref()
            .map(|hello| hello.daemon_version.clone())
            .unwrap_or_default(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over the router that the launcher holds, or makes one for it to hold.
async fn open_router(
    launcher: &Launcher,
    config: RouterConfig,
) -> Result<Router, StartEngineError> {
    const NAME: &str = "router";
    let launcher_error = |cause: LauncherError| StartEngineError::Launcher(Box::new(cause));
    if let Some(namespace) = launcher.recall(NAME).map_err(launcher_error)? {
        return Ok(Router::adopt(namespace, config).await?);
    }
    let router = Router::create(config).await?;
    launcher.keep(NAME, router.namespace()).map_err(launcher_error)?;
    Ok(router)
}

/// Waits until a process has ended.
async fn ended(process: &FirstProcess) -> std::io::Result<()> {
    #[expect(
        deprecated,
        reason = "unsound for types whose descriptor changes; an OwnedFd is one descriptor for life"
    )]
    let descriptor = AsyncFd::new(process.descriptor.try_clone()?)?;
    descriptor.readable().await.map(|_ready| ())
}

/// Ends a sandbox's processes; true when they have ended.
async fn end(process: &FirstProcess, force: bool) -> Result<bool, Cause> {
    if !force {
        match rustix::process::pidfd_send_signal(&process.descriptor, Signal::TERM) {
            Ok(()) => {
                if let Ok(ended) = tokio::time::timeout(STOP_GRACE, ended(process)).await {
                    return ended.map(|()| true).map_err(Cause::from);
                }
            }
            Err(rustix::io::Errno::SRCH) => return Ok(true),
            Err(errno) => return Err(Box::new(errno)),
        }
    }
    process.kill()?;
    match tokio::time::timeout(KILL_DEADLINE, ended(process)).await {
        Ok(ended) => ended.map(|()| true).map_err(Cause::from),
        Err(_elapsed) => Ok(false),
    }
}

#[async_trait]
impl Driver for Engine {
    async fn prepare_image(
        &self,
        image: &ImageName,
        progress: mpsc::Sender<ImageProgress>,
    ) -> Result<PreparedImage, PrepareImageError> {
        let rootfs = crate::image::prepare(&self.inner.images, image, progress).await?;
        let size_bytes = rootfs.size_bytes;
        let recipe = self.inner.recipe(rootfs.path.into(), Limits::DEFAULT, NetworkPolicy::Open);
        let inner = Arc::clone(&self.inner);
        self.inner.tasks.spawn_blocking(move || inner.pool.keep_ready(recipe));
        Ok(PreparedImage { size_bytes })
    }

    async fn create(&self, spec: &LaunchSpec) -> Result<Hello, CreateError> {
        let id = spec.id;
        let spec = spec.clone();
        let inner = Arc::clone(&self.inner);
        let handle = tokio::runtime::Handle::current();
        let made = self.inner.tasks.spawn_blocking(move || {
            let _context = handle.enter();
            inner.create(&spec)
        });
        made.await.unwrap_or_else(|cause| Err(CreateError::Host { id, cause: Box::new(cause) }))
    }

    async fn start(&self, spec: &LaunchSpec) -> Result<Hello, StartError> {
        let id = spec.id;
        let Some(sandbox) = self.inner.get(id) else { return Err(StartError::NotFound { id }) };
        let turn = sandbox.take_turn().await;
        let spec = spec.clone();
        let inner = Arc::clone(&self.inner);
        let handle = tokio::runtime::Handle::current();
        let started = self.inner.tasks.spawn_blocking(move || {
            let _context = handle.enter();
            let started = inner.start_again(&spec, &sandbox);
            drop(turn);
            started
        });
        started.await.unwrap_or_else(|cause| Err(StartError::Host { id, cause: Box::new(cause) }))
    }

    async fn connect(&self, id: SandboxId) -> Result<Connection, ConnectError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(ConnectError::NotRunning { id }) };
        let path = lock(&sandbox.parts).running.as_ref().map(|running| running.socket.path());
        let Some(path) = path else { return Err(ConnectError::NotRunning { id }) };
        match UnixStream::connect(&*path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(cause) => Err(ConnectError::Host { id, cause: Box::new(cause) }),
        }
    }

    async fn stop(&self, id: SandboxId, force: bool) -> Result<(), StopError> {
        let Some(sandbox) = self.inner.get(id) else { return Err(StopError::NotFound { id }) };
        let inner = Arc::clone(&self.inner);
        let stopped = self.inner.tasks.spawn(async move {
            let turn = sandbox.take_turn().await;
            let process =
                lock(&sandbox.parts).running.as_ref().map(|running| Arc::clone(&running.process));
            let Some(process) = process else { return Ok(()) };
            if !end(&process, force).await? {
                return Err(Cause::from("its processes did not end after SIGKILL"));
            }
            let running = lock(&sandbox.parts).running.take();
            tokio::task::spawn_blocking(move || {
                drop(running);
                let exit = inner.collect(id);
                tracing::debug!(sandbox = %id, ?exit, "stopped");
                drop(turn);
            })
            .await
            .map_err(Cause::from)
        });
        let stopped = stopped.await.unwrap_or_else(|cause| Err(Cause::from(cause)));
        stopped.map_err(|cause| StopError::Host { id, cause })
    }

    async fn destroy(&self, id: SandboxId) -> Result<(), DestroyError> {
        let Some(sandbox) = self.inner.get(id) else { return Ok(()) };
        let inner = Arc::clone(&self.inner);
        let destroyed = self.inner.tasks.spawn(async move {
            let turn = sandbox.take_turn().await;
            let process =
                lock(&sandbox.parts).running.as_ref().map(|running| Arc::clone(&running.process));
            if let Some(process) = &process
                && !end(process, true).await?
            {
                return Err(Cause::from("its processes did not end after SIGKILL"));
            }
            tokio::task::spawn_blocking(move || {
                let had_processes = process.is_some();
                inner.free(id, &sandbox)?;
                if had_processes {
                    inner.collect(id);
                }
                drop(turn);
                Ok(())
            })
            .await
            .unwrap_or_else(|cause| Err(Cause::from(cause)))
        });
        let destroyed = destroyed.await.unwrap_or_else(|cause| Err(Cause::from(cause)));
        destroyed.map_err(|cause| DestroyError::Host { id, cause })
    }

    async fn inventory(&self) -> Result<Vec<Existing>, InventoryError> {
        let sandboxes = lock(&self.inner.sandboxes);
        let existing = sandboxes.iter().map(|(id, sandbox)| {
            let is_running = lock(&sandbox.parts).running.is_some();
            Existing {
                id: *id,
                liveness: if is_running { Liveness::Running } else { Liveness::Stopped },
            }
        });
        Ok(existing.collect())
    }

    async fn next_event(&self) -> Option<DriverEvent> {
        // One caller, so nobody waits for this lock.
        self.events.lock().await.recv().await
    }
}
