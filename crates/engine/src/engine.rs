//! The engine: what exists and who may change it.

mod birth;
mod driver;
mod memory;
mod recovery;
mod rest;
mod snapshot;
mod volumes;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pitlane_driver::{Cause, DriverEvent, Exit, Hello};
use pitlane_image::Images;
use pitlane_model::SandboxId;
use pitlane_network::{OpenRouterError, Router, RouterConfig};
use pitlane_sys::{Hierarchies, HierarchyError, SyscallError, sealed_memory_file};
use rustix::process::Signal;
use tokio::io::unix::AsyncFd;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::disk::{self, DiskLayers, Disks};
use crate::launcher::{EndedAs, FirstProcess, Launcher, LauncherError, ROUTER};
use crate::pool::{PoolRoom, Pools, Supplies};
use crate::prepared::{DiskFile, Preparer};
use crate::room::Ledger;
use crate::running::{Running, SocketFile};
use crate::slot::{Slot, Slots};
use crate::volume::Volumes;
use crate::{EngineConfig, log_path, socket_path};

use self::memory::MemoryWatch;

/// The Linux driver. See the crate's description.
#[derive(Debug)]
pub struct Engine {
    inner: Arc<Inner>,
    events: tokio::sync::Mutex<mpsc::Receiver<DriverEvent>>,
}

#[derive(Debug)]
struct Inner {
    state: PathBuf,
    room: Ledger,
    volumes: Volumes,
    launcher: Launcher,
    images: Images,
    slots: Slots,
    preparer: Arc<Preparer>,
    pools: Pools,
    sandboxes: Mutex<HashMap<SandboxId, Arc<Sandbox>>>,
    events: mpsc::Sender<DriverEvent>,
    tasks: TaskTracker,
    /// The builds of images without a name, which go with their last sandbox.
    unnamed: Mutex<BTreeSet<String>>,
    /// How many sandboxes were freed.
    frees: AtomicU64,
    /// Copies of disks, which have sandboxes stand still and are given up when this process ends.
    copies: TaskTracker,
    closing: CancellationToken,
}

/// One sandbox: its parts, and the turn that whoever changes them holds.
#[derive(Debug)]
struct Sandbox {
    turn: Arc<Semaphore>,
    parts: Mutex<Parts>,
}

/// One run of a sandbox: from a start to its end.
struct Run {
    process: Arc<FirstProcess>,
    /// Whether this server started it.
    is_new: bool,
}

#[derive(Debug, Default)]
struct Parts {
    slot: Option<Slot>,
    disk: Option<DiskFile>,
    running: Option<Running>,
    /// Its disk, packed away; then it has no other and no slot.
    archive: Option<PathBuf>,
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
    /// The sockets in the run-time folder would have longer paths than the kernel takes.
    #[error(
        "the folder of run-time files, {path}, has a path of {} bytes; sockets in it allow {longest}: choose another with --run-dir",
        path.len()
    )]
    LongRunFolder {
        /// The folder.
        path: String,
        /// How many bytes its path may have.
        longest: usize,
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
/// How long whoever got a sandbox has the processors, before what can wait is done about it.
const FIRST_USE: Duration = Duration::from_millis(2);
/// The bytes of a socket's path, without the 0 at its end (`unix(7)`).
const LONGEST_SOCKET: usize = 107;
/// Slots are limited by the network's addresses.
const SLOT_COUNT: u32 = 32_000;

/// The first of the ids that the processes have which serve volumes of objects: those after the unpackers'.
#[must_use]
pub const fn volume_files_first_id(first_id: u32) -> u32 {
    unpackers_first_id(first_id).saturating_add(256 * 65_536)
}

/// The first of the ids that unpackers of images have: those after the last sandbox's.
#[must_use]
pub const fn unpackers_first_id(first_id: u32) -> u32 {
    first_id.saturating_add(SLOT_COUNT.saturating_mul(65_536))
}

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

    /// Checks that the launcher answers, without which no sandbox starts.
    ///
    /// # Errors
    ///
    /// It does not, or something else answers in its place.
    pub async fn check_launcher(&self) -> Result<(), Cause> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.launcher.check()).await??;
        Ok(())
    }

    /// Lets go of everything prepared. Sandboxes run on, and the launcher with them; without any, it ends as well.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.volumes.close();
        self.inner.copies.close();
        self.inner.copies.wait().await;
        let inner = Arc::clone(&self.inner);
        let closed = tokio::task::spawn_blocking(move || {
            inner.pools.close();
            let sandboxes = std::mem::take(&mut *lock(&inner.sandboxes));
            let mut has_running = false;
            for running in
                sandboxes.values().filter_map(|sandbox| lock(&sandbox.parts).running.take())
            {
                running.leave();
                has_running = true;
            }
            // A launcher may not know all that run: those whose own has died. It holds the network for them, too.
            let has_ended = !has_running && inner.launcher.quit()?;
            if has_ended {
                inner.leave_no_trace();
            }
            Ok::<bool, LauncherError>(has_ended)
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

/// Makes a folder that nobody else can look into.
fn make_folder(folder: &Path) -> Result<(), StartEngineError> {
    std::fs::create_dir_all(folder).map_err(folder_error(folder))?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder, mode).map_err(folder_error(folder))
}

/// Refuses what would fail when the first sandbox is reached.
fn check_run_folder(run: &Path) -> Result<(), StartEngineError> {
    let longest = LONGEST_SOCKET - "/sandboxes/".len() - SocketFile::LONGEST_NAME;
    if run.as_os_str().len() <= longest {
        return Ok(());
    }
    Err(StartEngineError::LongRunFolder { path: run.display().to_string(), longest })
}

fn open_disks(state: &Path) -> Result<Disks, StartEngineError> {
    let disks = Disks::open(state).map_err(|cause| StartEngineError::Disks(Box::new(cause)))?;
    disks.thaw_all().map_err(|cause| StartEngineError::Disks(Box::new(cause)))?;
    pitlane_fault::point("engine.thawed");
    Ok(disks)
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
            pool_memory_mib,
            volume_gib,
            object_volumes,
            disk_overcommit,
        } = config;
        let sockets = run.join("sandboxes");
        check_run_folder(&run)?;
        [&state, &run, &sockets].into_iter().try_for_each(|folder| make_folder(folder))?;
        images.note_user(&state).map_err(folder_error(&state))?;
        images.remove_half_made_layers();
        images.prepare_to_make().map_err(folder_error(&state))?;
        let groups = Hierarchies::detect()?.group(Path::new("pitlane").join(&state_id));
        groups.create()?;
        pitlane_fault::point("engine.groups-made");
        let disks = open_disks(&state)?;
        let objects = object_volumes.map(|volumes| volumes.placed(&run, &handle));
        let volumes =
            Volumes::open(&state, &disks, volume_gib, objects).map_err(StartEngineError::Disks)?;
        let launcher = Launcher::find_or_start(&run, &launcher)
            .map_err(|cause| StartEngineError::Launcher(Box::new(cause)))?;
        pitlane_fault::point("engine.launcher-found");
        let (router, is_new) = handle.block_on(open_router(&launcher, network))?;
        let router = Arc::new(router);
        pitlane_fault::point("engine.router-found");
        let slots = Slots::new(SLOT_COUNT, first_id);
        let preparer = Arc::new(Preparer {
            daemon: sealed_memory_file("pitlane-daemon", &daemon)?,
            sockets,
            launcher: launcher.clone(),
            disks,
            disk_layers: DiskLayers::default(),
            router,
            groups,
            runtime: handle,
        });
        let pools = Pools::start(Supplies {
            preparer: Arc::clone(&preparer),
            slots: slots.clone(),
            images: images.clone(),
            room: PoolRoom::new(state.clone(), pool_memory_mib, SLOT_COUNT),
        })
        .map_err(folder_error(&state))?;
        let inner = Self {
            room: Ledger::new(state.clone(), disk_overcommit),
            state,
            volumes,
            launcher,
            images,
            slots,
            preparer,
            pools,
            sandboxes: Mutex::new(HashMap::new()),
            events,
            tasks: TaskTracker::new(),
            unnamed: Mutex::default(),
            frees: AtomicU64::new(0),
            copies: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        inner
            .find_sandboxes()
            .and_then(|()| inner.find_archives())
            .map_err(|cause| StartEngineError::Disks(Box::new(cause)))?;
        if is_new {
            inner.relink();
        }
        pitlane_fault::point("engine.taken-over");
        Ok(inner)
    }

    /// Removes what only running sandboxes need: the control group and the run-time folder. What cannot be removed is
    /// somebody else's, or taken over by the next start.
    fn leave_no_trace(&self) {
        if let Err(failure) = self.preparer.groups.remove_with_empty_parents() {
            tracing::warn!(%failure, "the control group stays until the next start");
        }
        let Some(run) = self.preparer.sockets.parent() else { return };
        for file in [socket_path(run), log_path(run)] {
            if let Err(failure) = disk::remove(&file) {
                tracing::debug!(%failure, "the launcher's file stays");
            }
        }
        for folder in [self.preparer.sockets.as_path(), run] {
            if let Err(cause) = std::fs::remove_dir(folder) {
                tracing::debug!(folder = %folder.display(), %cause, "the folder stays");
            }
        }
    }

    fn get(&self, id: SandboxId) -> Option<Arc<Sandbox>> {
        lock(&self.sandboxes).get(&id).cloned()
    }

    /// Tells when memory runs out in a sandbox, and when it ends without having been asked to.
    fn watch(self: &Arc<Self>, id: SandboxId, sandbox: &Arc<Sandbox>, run: Run) {
        let inner = Arc::clone(self);
        let sandbox = Arc::clone(sandbox);
        self.tasks.spawn(async move {
            if run.is_new {
                tokio::time::sleep(FIRST_USE).await;
                inner.pools.refill();
            }
            let memory = inner.watch_memory(id, &sandbox, &run).await;
            let process = run.process;
            let ended = tokio::select! {
                ended = ended(&process) => ended,
                never = inner.tell_kills(id, memory.as_ref()) => match never {},
            };
            if let Err(failure) = ended {
                tracing::error!(sandbox = %id, %failure, "cannot watch a sandbox");
                return;
            }
            // Why it ended comes before that it did.
            if let Some(killed) = memory.as_ref().and_then(MemoryWatch::killed) {
                inner.report(DriverEvent::MemoryRanOut { id, killed }).await;
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
                let exit = task.collect(id, &running.name);
                drop(running);
                exit
            })
            .await
            .unwrap_or(Exit::Unknown);
            drop(turn);
            tracing::info!(sandbox = %id, ?exit, "a sandbox ended by itself");
            inner.report(DriverEvent::Exited { id, exit }).await;
        });
    }

    /// Without it, a sandbox works as well as any other.
    async fn watch_memory(
        &self,
        id: SandboxId,
        sandbox: &Sandbox,
        run: &Run,
    ) -> Option<MemoryWatch> {
        MemoryWatch::begin(sandbox, run).await.unwrap_or_else(|cause| {
            let cause = &*cause as &dyn std::error::Error;
            tracing::warn!(sandbox = %id, cause, "cannot tell when its memory runs out");
            None
        })
    }

    async fn tell_kills(&self, id: SandboxId, memory: Option<&MemoryWatch>) -> Infallible {
        if let Some(memory) = memory {
            let cause = memory.tell(id, &self.events).await;
            let cause = &*cause as &dyn std::error::Error;
            tracing::debug!(sandbox = %id, cause, "its memory is not watched any more");
        }
        std::future::pending().await
    }

    async fn report(&self, event: DriverEvent) {
        if let Err(unheard) = self.events.send(event).await {
            tracing::debug!(event = ?unheard.0, "nobody listens");
        }
    }

    /// How process 1 of a sandbox ended; at the latest when its slot is given back, or its name is taken.
    fn collect(&self, id: SandboxId, name: &str) -> Exit {
        match self.launcher.collect(name) {
            Ok(Some(EndedAs::Code(code))) => Exit::Code(code),
            Ok(Some(EndedAs::Signal(signal))) => Exit::Signal(signal),
            Ok(None) => Exit::Unknown,
            Err(failure) => {
                tracing::warn!(sandbox = %id, %failure, "cannot learn how a sandbox ended");
                Exit::Unknown
            }
        }
    }
}

impl Drop for Inner {
    /// Sandboxes run on whatever becomes of the engine: the next one takes them over.
    fn drop(&mut self) {
        for sandbox in lock(&self.sandboxes).values() {
            if let Some(running) = lock(&sandbox.parts).running.take() {
                running.leave();
            }
        }
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

/// Takes over the router that the launcher holds, or makes one for it to hold; true when it is new.
async fn open_router(
    launcher: &Launcher,
    config: RouterConfig,
) -> Result<(Router, bool), StartEngineError> {
    let launcher_error = |cause: LauncherError| StartEngineError::Launcher(Box::new(cause));
    if let Some(namespace) = launcher.recall(ROUTER).map_err(launcher_error)? {
        return Ok((Router::adopt(namespace, config).await?, false));
    }
    let router = Router::create(config).await?;
    pitlane_fault::point("engine.router-made");
    launcher.keep(ROUTER, router.namespace()).map_err(launcher_error)?;
    Ok((router, true))
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_run_time_folder_is_taken_if_sockets_in_it_can_be_bound() {
        let folder = tempfile::tempdir().unwrap();
        let id = SandboxId::from_random([7; 16]);
        for length in 40..=108 {
            let rest = length - folder.path().as_os_str().len() - 1;
            let run = folder.path().join("r".repeat(rest));
            let sockets = run.join("sandboxes");
            std::fs::create_dir_all(&sockets).unwrap();
            let bound = UnixListener::bind(sockets.join(format!("{id}.isolated.sock")));
            assert_eq!(check_run_folder(&run).is_ok(), bound.is_ok(), "{length}");
        }
    }
}
