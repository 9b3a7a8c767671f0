//! A sandbox with processes.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pitlane_driver::LaunchSpec;
use pitlane_sys::{Context as _, DetachedMount, SyscallError, sealed_memory_file};
use pitlane_wire::handshake::{Boot, CommandGroup, Hello};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::launcher::{FirstProcess, LaunchDescriptors, Launcher, LauncherError};
use crate::prepared::{DiskFile, Groups, Prepared};
use crate::slot::Slot;

/// A sandbox's processes and what they hold on the host.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Arc<FirstProcess>,
    pub(crate) socket: SocketFile,
    #[expect(dead_code, reason = "the groups are removed when the value is dropped")]
    pub(crate) groups: Groups,
    /// What its daemon said when it was ready; unknown for one that an earlier server started.
    pub(crate) hello: Option<Hello>,
}

impl Running {
    /// Lets go of the sandbox without taking anything from it: the next server takes it over.
    pub(crate) fn leave(self) {
        // Dropped, its parts would remove the socket and try to remove the groups. This process ends soon, and with it
        // what is forgotten here.
        std::mem::forget(self);
    }
}

/// The path at which the daemon is reached; removed with its value.
#[derive(Debug)]
pub(crate) struct SocketFile(Arc<Path>);

/// Why a prepared sandbox did not come to life.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The limits could not be set.
    #[error("cannot set the limits")]
    Limits(#[source] SyscallError),
    /// The socket, pipe or memory file could not be made.
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

/// Loaded machines take longer than the usual two milliseconds, but not this long.
const HELLO_DEADLINE: Duration = Duration::from_secs(20);
/// Longer than any hello.
const MAX_HELLO: u64 = 64 * 1024;

/// What [`launch`] gives back: the parts of a prepared sandbox that outlive its launch.
pub(crate) struct Launched {
    pub(crate) running: Running,
    pub(crate) slot: Slot,
    pub(crate) disk: DiskFile,
}

/// Starts a prepared sandbox and waits for its daemon's hello. Blocks for about two milliseconds.
pub(crate) fn launch(
    prepared: Prepared,
    spec: &LaunchSpec,
    launcher: &Launcher,
    daemon: &OwnedFd,
    sockets: &Path,
) -> Result<Launched, LaunchError> {
    let Prepared { slot, disk, root, devices, users, network, groups, group_view } = prepared;
    groups.limit(spec.limits).map_err(LaunchError::Limits)?;

    let (hello_read, hello_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .context("pipe2")
        .map_err(LaunchError::Descriptors)?;
    let (socket, listener) = SocketFile::bind(sockets, spec).map_err(LaunchError::Descriptors)?;
    let commands = DetachedMount::of_path(&groups.workload().processes_folder())
        .map_err(LaunchError::Descriptors)?;
    let mut command_files = groups.workload().other_tasks().map_err(LaunchError::Descriptors)?;
    let boot = boot(spec, command_files.len());
    command_files.push(groups.workload().memory_events().map_err(LaunchError::Descriptors)?);
    let parts = LaunchDescriptors {
        root: root.into(),
        devices: devices.devices.into(),
        terminals: devices.terminals.into(),
        shared_memory: devices.shared_memory.into(),
        users,
        network,
        listener: listener.into(),
        hello: hello_write,
        boot: sealed_memory_file("boot", &serde_json::to_vec(&boot).unwrap_or_default())
            .map_err(LaunchError::Descriptors)?,
        daemon: daemon.try_clone().context("dup(daemon)").map_err(LaunchError::Descriptors)?,
        commands: commands.into(),
        command_files,
        entrance: groups.daemon().entrance().map_err(LaunchError::Descriptors)?,
        group_view,
    };
    let process = launcher.launch(&spec.id.to_string(), &parts)?;
    // From here on the sandbox alone holds its mounts and namespaces, so they end with it.
    drop(parts);
    match wait_for_hello(&hello_read) {
        Ok(hello) => {
            let running =
                Running { process: Arc::new(process), socket, groups, hello: Some(hello) };
            Ok(Launched { running, slot, disk })
        }
        Err(failure) => {
            // The groups can be removed once nothing is in them.
            if process.kill().is_ok() {
                process.wait(HELLO_DEADLINE);
            }
            if let Err(failure) = launcher.collect(&spec.id.to_string()) {
                tracing::warn!(sandbox = %spec.id, %failure, "the launcher keeps the exit of a failed launch");
            }
            Err(failure)
        }
    }
}

fn boot(spec: &LaunchSpec, other_tasks: usize) -> Boot {
    Boot {
        sandbox_id: spec.id.to_string(),
        snapshot: spec.image.to_string(),
        user: spec.user.clone(),
        env: spec.environment.clone(),
        command_group: Some(CommandGroup {
            other_tasks: u32::try_from(other_tasks).unwrap_or(0),
            memory_events: true,
        }),
        ..Boot::default()
    }
}

/// Reads the one line that process 1 writes: a hello, or what failed.
fn wait_for_hello(pipe: &OwnedFd) -> Result<Hello, LaunchError> {
    let deadline = Instant::now() + HELLO_DEADLINE;
    let mut file =
        std::fs::File::from(pipe.try_clone().context("dup").map_err(LaunchError::Descriptors)?)
            .take(MAX_HELLO);
    let mut text = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(LaunchError::Silent),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => {
                return Err(LaunchError::Descriptors(SyscallError { call: "poll", errno }));
            }
        }
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

impl SocketFile {
    /// Listens for a sandbox at a path that only the host sees.
    fn bind(sockets: &Path, spec: &LaunchSpec) -> Result<(Self, UnixListener), SyscallError> {
        let socket = Self::of(sockets, &spec.id.to_string());
        // A crash may have left one behind; the id is ours.
        match std::fs::remove_file(&socket.0) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(cause).context("unlink(socket)");
            }
            _ => {}
        }
        let listener = UnixListener::bind(&socket.0).context("bind(socket)")?;
        Ok((socket, listener))
    }

    /// The socket of a sandbox that runs already.
    pub(crate) fn of(sockets: &Path, id: &str) -> Self {
        Self(sockets.join(format!("{id}.sock")).into())
    }

    /// The path to connect to.
    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.0)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(cause) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), %cause, "a socket was gone already");
        }
    }
}

impl FirstProcess {
    /// A process by its number, if it is the first of a process namespace.
    pub(crate) fn of_orphan(pid: i32) -> Option<Self> {
        let pid = Pid::from_raw(pid)?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // Read after the descriptor was opened: if the number had a new owner by then, the descriptor is that owner's.
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
        let mut numbers = numbers.split_whitespace();
        let is_first = numbers.next().is_some() && numbers.last() == Some("1");
        is_first.then_some(Self { descriptor })
    }

    /// Waits until the process has ended; false when `limit` passed first.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let timeout = Timespec::try_from(limit).ok();
        let mut descriptors = [PollFd::from_borrowed_fd(self.descriptor.as_fd(), PollFlags::IN)];
        matches!(poll(&mut descriptors, timeout.as_ref()), Ok(1))
    }
}
