//! A sandbox with processes.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pitlane_model::{NetworkPolicy, SandboxId};
use pitlane_sys::{Context as _, SyscallError};
use pitlane_wire::handshake::Hello;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::launcher::FirstProcess;
use crate::layer::LayerHold;
use crate::prepared::Groups;

/// A sandbox's processes and what they hold on the host.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Arc<FirstProcess>,
    /// What the launcher calls it.
    pub(crate) name: String,
    pub(crate) socket: SocketFile,
    pub(crate) groups: Groups,
    /// What its daemon said when it was ready; unknown for one that an earlier server started.
    pub(crate) hello: Option<Hello>,
    /// What else its sandbox's image keeps attached; nothing for one that an earlier server started.
    #[expect(dead_code, reason = "held, not read")]
    pub(crate) layers: LayerHold,
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
///
/// Its name is the record of what no other trace of a running sandbox tells: `ID.sock`, or `ID.isolated.sock` of one
/// that has no network.
#[derive(Debug)]
pub(crate) struct SocketFile(Arc<Path>);

/// What the name of a sandbox without a network has after its id.
const ISOLATED: &str = ".isolated";

fn path_of(sockets: &Path, name: &str) -> Arc<Path> {
    sockets.join(format!("{name}.sock")).into()
}

impl SocketFile {
    /// The bytes of `UUID.isolated.sock`.
    pub(crate) const LONGEST_NAME: usize = 36 + ISOLATED.len() + ".sock".len();

    /// Listens for a sandbox at a path that only the host sees.
    pub(crate) fn bind(sockets: &Path, name: &str) -> Result<(Self, UnixListener), SyscallError> {
        let socket = Self::of(sockets, name);
        // A crash may have left one behind; the name is ours.
        match std::fs::remove_file(&socket.0) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(cause).context("unlink(socket)");
            }
            _ => {}
        }
        let listener = UnixListener::bind(&socket.0).context("bind(socket)")?;
        Ok((socket, listener))
    }

    fn of(sockets: &Path, name: &str) -> Self {
        Self(path_of(sockets, name))
    }

    /// The socket of a sandbox that runs already.
    pub(crate) fn find(sockets: &Path, id: SandboxId) -> Self {
        let isolated = path_of(sockets, &format!("{id}{ISOLATED}"));
        if isolated.exists() { Self(isolated) } else { Self::of(sockets, &id.to_string()) }
    }

    /// Whether the sandbox has a network, by its name.
    pub(crate) fn has_network(&self) -> bool {
        let name = self.0.file_stem().unwrap_or_default();
        !name.as_encoded_bytes().ends_with(ISOLATED.as_bytes())
    }

    /// Gives it to a sandbox.
    pub(crate) fn give(
        &mut self,
        sockets: &Path,
        id: SandboxId,
        network: NetworkPolicy,
    ) -> Result<(), SyscallError> {
        let mark = match network {
            NetworkPolicy::Open => "",
            NetworkPolicy::Blocked => ISOLATED,
        };
        let path = path_of(sockets, &format!("{id}{mark}"));
        rustix::fs::rename(&*self.0, &*path).context("rename(socket)")?;
        self.0 = path;
        Ok(())
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

    /// The network namespace that it is in; fails when it has ended.
    pub(crate) fn network(&self) -> std::io::Result<OwnedFd> {
        let ended = || std::io::Error::from(Errno::SRCH);
        let about = format!("/proc/self/fdinfo/{}", self.descriptor.as_raw_fd());
        let about = std::fs::read_to_string(about)?;
        let pid = about.lines().find_map(|line| line.strip_prefix("Pid:")).ok_or_else(ended)?;
        let namespace = std::fs::File::open(format!("/proc/{}/ns/net", pid.trim()))?;
        // If the number has a new owner, the process of the descriptor has ended.
        if self.wait(Duration::ZERO) { Err(ended()) } else { Ok(namespace.into()) }
    }

    /// Waits until the process has ended; false when `limit` passed first.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let timeout = Timespec::try_from(limit).ok();
        let mut descriptors = [PollFd::from_borrowed_fd(self.descriptor.as_fd(), PollFlags::IN)];
        matches!(poll(&mut descriptors, timeout.as_ref()), Ok(1))
    }
}
