//! A sandbox whose process 1 runs and waits to be told which sandbox it is.
//!
//! Nothing of the sandbox's owner is in it yet: identity, variables and user come when it is woken. The pipe on which
//! they come has one writer, so a server that dies takes everything that waits with it.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane_driver::LaunchSpec;
use pitlane_image::ImageConfig;
use pitlane_model::Limits;
use pitlane_sys::{Context as _, DetachedMount, SyscallError};
use pitlane_wire::handshake::{Boot, CommandGroup, Hello};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::launcher::{
    AttachFailure, EndedAs, FirstProcess, LaunchDescriptors, Launcher, LauncherError,
};
use crate::layer::LayerHold;
use crate::prepared::{DiskFile, Groups, Prepared};
use crate::running::{Running, SocketFile};
use crate::slot::Slot;

/// A process 1 that waits, and everything it holds on the host. Dropping it ends the process and frees the rest, but
/// for a disk that is owned.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Dropped first: what follows is in use until it has ended.
    process: Unclaimed,
    socket: SocketFile,
    groups: Groups,
    disk: DiskFile,
    slot: Slot,
    limits: Limits,
    hello: OwnedFd,
    boot: Option<OwnedFd>,
    other_tasks: usize,
    usage_files: Vec<&'static str>,
    layers: LayerHold,
}

/// A process that ends with its value.
#[derive(Debug)]
struct Unclaimed {
    process: Arc<FirstProcess>,
    name: String,
    launcher: Launcher,
    is_claimed: bool,
}

/// What a woken sandbox consists of.
#[derive(Debug)]
pub(crate) struct Woken {
    pub(crate) running: Running,
    pub(crate) slot: Slot,
    pub(crate) disk: DiskFile,
}

/// Why a prepared sandbox did not come to life.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The limits could not be set.
    #[error("cannot set the limits")]
    Limits(#[source] SyscallError),
    /// The socket, a pipe or a memory file could not be made.
    #[error("cannot make the daemon's descriptors")]
    Descriptors(#[source] SyscallError),
    /// The launcher could not start it.
    #[error("cannot launch process 1")]
    Launcher(#[from] LauncherError),
    /// It ended before it said hello.
    #[error("process 1 failed before it was ready: {reason}")]
    Failed {
        /// What it reported.
        reason: String,
    },
    /// It did not say hello in time.
    #[error("process 1 was not ready after {}s", HELLO_DEADLINE.as_secs())]
    Silent,
}

/// Why volumes are not in a sandbox.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    /// The image does not allow it.
    #[error("{why}")]
    Refused {
        /// Why, for whoever asked.
        why: String,
    },
    /// The machine failed.
    #[error("cannot attach volumes: {why}")]
    Failed {
        /// The failed step.
        why: String,
    },
    /// A pipe could not be made or read.
    #[error("cannot make what attaches volumes")]
    Descriptors(#[source] SyscallError),
    /// The launcher did not do it.
    #[error("cannot start what attaches volumes")]
    Launcher(#[from] LauncherError),
}

/// Loaded machines take longer than the usual two milliseconds, but not this long.
const HELLO_DEADLINE: Duration = Duration::from_secs(20);
/// SIGKILL takes milliseconds.
const KILL_DEADLINE: Duration = Duration::from_secs(20);
/// Longer than any hello.
const MAX_HELLO: u64 = 64 * 1024;

impl Waiting {
    /// Starts process 1 of a prepared sandbox. Blocks for about a millisecond, and does not wait until it is ready.
    pub(crate) fn start(
        prepared: Prepared,
        limits: Limits,
        launcher: &Launcher,
        daemon: &OwnedFd,
        sockets: &Path,
    ) -> Result<Self, LaunchError> {
        let Prepared { slot, disk, root, devices, users, network, groups, group_view, layers } =
            prepared;
        groups.limit(limits).map_err(LaunchError::Limits)?;
        let descriptors = LaunchError::Descriptors;
        let pipe = || pipe_with(PipeFlags::CLOEXEC).context("pipe2");
        let (hello, hello_write) = pipe().map_err(descriptors)?;
        let (boot_read, boot) = pipe().map_err(descriptors)?;
        rustix::fs::fcntl_setfl(&boot, OFlags::NONBLOCK).context("fcntl").map_err(descriptors)?;
        let name = slot.name();
        let (socket, listener) = SocketFile::bind(sockets, &name).map_err(descriptors)?;
        pitlane_fault::point("launch.socket-bound");
        let commands = DetachedMount::of_path(&groups.workload().processes_folder());
        let mut command_files = groups.workload().other_tasks().map_err(descriptors)?;
        let other_tasks = command_files.len();
        command_files.push(groups.workload().memory_events().map_err(descriptors)?);
        let usage = groups.workload().usage_files().map_err(descriptors)?;
        let (usage_files, files): (Vec<_>, Vec<_>) = usage.into_iter().unzip();
        command_files.extend(files);
        let parts = LaunchDescriptors {
            root: root.into(),
            devices: devices.devices.into(),
            terminals: devices.terminals.into(),
            shared_memory: devices.shared_memory.into(),
            users,
            network,
            listener: listener.into(),
            hello: hello_write,
            boot: boot_read,
            daemon: daemon.try_clone().context("dup(daemon)").map_err(descriptors)?,
            commands: commands.map_err(descriptors)?.into(),
            command_files,
            entrance: groups.daemon().entrance().map_err(descriptors)?,
            group_view,
        };
        let launched = launcher.launch(&name, &parts);
        // From here on the sandbox alone holds its mounts and namespaces, so they end with it.
        drop(parts);
        if let Err(LauncherError::Died) = &launched {
            // It may have made the process before it died.
            groups.end_orphan();
        }
        let process = Unclaimed {
            process: Arc::new(launched?),
            name,
            launcher: launcher.clone(),
            is_claimed: false,
        };
        pitlane_fault::point("launch.launched");
        let boot = Some(boot);
        Ok(Self {
            process,
            socket,
            groups,
            disk,
            slot,
            limits,
            hello,
            boot,
            other_tasks,
            usage_files,
            layers,
        })
    }

    /// Whether its process has ended, so that nothing waits any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.process.process.wait(Duration::ZERO)
    }

    /// Has its process end without waiting for that: dropping the value does.
    pub(crate) fn begin_to_end(&self) {
        if let Err(failure) = self.process.process.kill() {
            tracing::debug!(name = self.process.name, %failure, "cannot end a sandbox that waits");
        }
    }

    /// The number of its slot.
    pub(crate) fn slot(&self) -> u32 {
        self.slot.number()
    }

    /// Its disk.
    pub(crate) const fn disk(&mut self) -> &mut DiskFile {
        &mut self.disk
    }

    /// Puts volumes into it; nothing of its owner's runs there yet. Blocks for about a millisecond.
    ///
    /// # Errors
    ///
    /// Some of them may be there: it must not be woken.
    pub(crate) fn attach(&self, mounts: &[(String, DetachedMount)]) -> Result<(), AttachError> {
        let failed = AttachError::Descriptors;
        let (told, report) = pipe_with(PipeFlags::CLOEXEC).context("pipe2").map_err(failed)?;
        let (name, launcher) = (&self.process.name, &self.process.launcher);
        let worker = format!("{name}.volumes");
        let first_id = self.slot.first_id();
        let process = launcher.attach((name, &worker), first_id, report.as_fd(), mounts)?;
        drop(report);
        pitlane_fault::point("volumes.attaching");
        let in_time = process.wait(HELLO_DEADLINE);
        if !in_time && process.kill().is_ok() {
            process.wait(KILL_DEADLINE);
        }
        let ended = launcher.collect(&worker)?;
        pitlane_fault::point("volumes.attached");
        let mut text = Vec::new();
        std::fs::File::from(told)
            .take(MAX_HELLO)
            .read_to_end(&mut text)
            .context("read(report)")
            .map_err(failed)?;
        match serde_json::from_slice(&text) {
            Ok(AttachFailure::Refused(why)) => Err(AttachError::Refused { why }),
            Ok(AttachFailure::Failed(why)) => Err(AttachError::Failed { why }),
            Err(_silent) if ended == Some(EndedAs::Code(0)) => Ok(()),
            Err(_silent) => Err(AttachError::Failed { why: format!("it ended as {ended:?}") }),
        }
    }

    /// The host's id of its id 0.
    pub(crate) fn first_id(&self) -> u32 {
        self.slot.first_id()
    }

    /// Tells the daemon which sandbox it is and waits for its hello.
    ///
    /// # Errors
    ///
    /// It must not be woken again.
    pub(crate) fn wake(
        &mut self,
        spec: &LaunchSpec,
        config: &ImageConfig,
        sockets: &Path,
    ) -> Result<Hello, LaunchError> {
        self.tell(spec, config, sockets)?;
        self.hear(HELLO_DEADLINE)
    }

    /// Tells the daemon which sandbox it is. Blocks only while more is told than fits into a pipe.
    ///
    /// # Errors
    ///
    /// It must not be told again.
    pub(crate) fn tell(
        &mut self,
        spec: &LaunchSpec,
        config: &ImageConfig,
        sockets: &Path,
    ) -> Result<(), LaunchError> {
        if spec.limits != self.limits {
            self.groups.limit(spec.limits).map_err(LaunchError::Limits)?;
        }
        self.socket.give(sockets, spec.id, spec.network).map_err(LaunchError::Descriptors)?;
        pitlane_fault::point("wake.socket-renamed");
        let boot = Boot {
            command_group: Some(CommandGroup {
                other_tasks: u32::try_from(self.other_tasks).unwrap_or(0),
                memory_events: true,
                usage_files: self.usage_files.iter().map(|name| String::from(*name)).collect(),
            }),
            ..boot(spec, config)
        };
        let boot = serde_json::to_vec(&boot).unwrap_or_default();
        let deadline = Instant::now() + HELLO_DEADLINE;
        if let Some(pipe) = self.boot.take() {
            // The end of what is written tells the daemon that it is complete.
            write(&pipe, &boot, deadline)?;
        }
        pitlane_fault::point("wake.told");
        Ok(())
    }

    /// Waits until the daemon has said something, which [`Self::hear`] then reads at once; or until it is too late.
    pub(crate) async fn said_something(&self) -> Result<(), LaunchError> {
        let failed = |cause| Err(cause).context("epoll(hello)").map_err(LaunchError::Descriptors);
        let hello = match self.hello.try_clone() {
            Ok(hello) => hello,
            Err(cause) => return failed(cause),
        };
        #[expect(
            deprecated,
            reason = "unsound for types whose descriptor changes; an OwnedFd is one descriptor for life"
        )]
        let watched = AsyncFd::with_interest(hello, Interest::READABLE);
        let watched = match watched {
            Ok(watched) => watched,
            Err(cause) => return failed(cause),
        };
        match tokio::time::timeout(HELLO_DEADLINE, watched.readable()).await {
            Ok(Ok(_ready)) => Ok(()),
            Ok(Err(cause)) => failed(cause),
            Err(_elapsed) => Err(LaunchError::Silent),
        }
    }

    /// What the daemon said, once that it is ready.
    ///
    /// # Errors
    ///
    /// It was not ready in time, or never will be.
    pub(crate) fn hear(&self, limit: Duration) -> Result<Hello, LaunchError> {
        let hello = wait_for_hello(&self.hello, Instant::now() + limit);
        pitlane_fault::point("wake.hello-received");
        hello
    }

    /// The sandbox, whose daemon has said that it is ready.
    pub(crate) fn woken(self, hello: Hello) -> Woken {
        let Self { mut process, socket, groups, disk, slot, layers, .. } = self;
        process.is_claimed = true;
        let running = Running {
            process: Arc::clone(&process.process),
            name: std::mem::take(&mut process.name),
            socket,
            groups,
            hello: Some(hello),
            layers,
        };
        Woken { running, slot, disk }
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        if self.is_claimed {
            return;
        }
        if let Err(failure) = self.process.kill() {
            tracing::warn!(name = self.name, %failure, "cannot end a sandbox that waits");
        }
        self.process.wait(KILL_DEADLINE);
        if let Err(failure) = self.launcher.collect(&self.name) {
            tracing::warn!(name = self.name, %failure, "the launcher keeps an exit");
        }
    }
}

/// What the daemon is told of a sandbox: what its image says, where its owner says nothing else.
fn boot(spec: &LaunchSpec, config: &ImageConfig) -> Boot {
    let mut env = config.environment.clone();
    env.extend(spec.environment.clone());
    Boot {
        sandbox_id: spec.id.to_string(),
        snapshot: spec.image.to_string(),
        user: spec.user.clone(),
        work_dir: config.work_dir.clone(),
        env,
        entrypoint: spec.entrypoint.clone(),
        ..Boot::default()
    }
}

/// Writes all of `bytes`. A pipe without a reader is no error here: its reader said why, or nothing.
fn write(pipe: &OwnedFd, bytes: &[u8], deadline: Instant) -> Result<(), LaunchError> {
    let mut left = bytes;
    while !left.is_empty() {
        match rustix::io::write(pipe, left) {
            Ok(count) => left = left.get(count..).unwrap_or_default(),
            Err(Errno::PIPE) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(pipe, PollFlags::OUT, deadline)?,
            Err(errno) => {
                return Err(LaunchError::Descriptors(SyscallError { call: "write(boot)", errno }));
            }
        }
    }
    Ok(())
}

fn wait(pipe: &OwnedFd, flags: PollFlags, deadline: Instant) -> Result<(), LaunchError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::from_borrowed_fd(pipe.as_fd(), flags)], Some(&timeout)) {
            Ok(0) => return Err(LaunchError::Silent),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(LaunchError::Descriptors(SyscallError { call: "poll", errno }));
            }
        }
    }
}

/// Reads the one line that process 1 writes: a hello, or what failed.
fn wait_for_hello(pipe: &OwnedFd, deadline: Instant) -> Result<Hello, LaunchError> {
    let mut file =
        std::fs::File::from(pipe.try_clone().context("dup").map_err(LaunchError::Descriptors)?)
            .take(MAX_HELLO);
    let mut text = Vec::new();
    loop {
        wait(pipe, PollFlags::IN, deadline)?;
        let mut part = [0u8; 4096];
        let read = file.read(&mut part).context("read(hello)").map_err(LaunchError::Descriptors)?;
        text.extend_from_slice(part.get(..read).unwrap_or_default());
        if read == 0 || text.ends_with(b"\n") {
            break;
        }
    }
    serde_json::from_slice(&text).map_err(|_not_a_hello| {
        let said = String::from_utf8_lossy(&text).trim().to_owned();
        LaunchError::Failed {
            reason: if said.is_empty() { String::from("it said nothing") } else { said },
        }
    })
}

#[cfg(test)]
mod tests;
