//! Processes made with `clone3(2)`.
//!
//! Only a process with a single thread may use this: the child runs ordinary code, and a lock that another thread held
//! at the moment of the clone would stay locked in the child for ever.

use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, pidfd_send_signal,
    set_parent_process_death_signal, waitid,
};

use crate::error::{Context as _, SyscallError, check};

/// Proof that the process has one thread. Cannot leave its thread.
#[derive(Debug, Clone, Copy)]
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Counts the threads of the calling process.
    ///
    /// # Errors
    ///
    /// There is more than one (`EINVAL`), or `/proc` is not mounted.
    pub fn check() -> Result<Self, SyscallError> {
        let threads =
            std::fs::read_dir("/proc/self/task").context("readdir(/proc/self/task)")?.count();
        if threads == 1 {
            Ok(Self(PhantomData))
        } else {
            Err(SyscallError { call: "count threads", errno: rustix::io::Errno::INVAL })
        }
    }
}

/// The namespaces that a new process gets of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CloneFlags(u64);

impl CloneFlags {
    /// A user namespace, without any ids in it.
    pub const NEW_USER: Self = Self::from_libc(libc::CLONE_NEWUSER);
    /// Mount, process, IPC and host name namespaces.
    pub const NEW_SANDBOX: Self = Self::from_libc(
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS,
    );

    #[expect(clippy::cast_sign_loss, reason = "libc gives a bit set as a signed number")]
    const fn from_libc(flags: libc::c_int) -> Self {
        Self(flags as u32 as u64)
    }
}

/// A child process that has not been waited for.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    descriptor: OwnedFd,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

#[repr(C)]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Starts a copy of the calling process that runs `body` and exits with what it returns.
///
/// With `cgroup`, a folder of a cgroup v2 hierarchy, the child is born in that group (Linux 5.7).
///
/// # Errors
///
/// The kernel has no room for another process, or refuses the namespaces or the group.
#[expect(unsafe_code, reason = "clone3 has no wrapper")]
pub fn clone_process(
    _single: SingleThreaded,
    flags: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce() -> i32,
) -> Result<Child, SyscallError> {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let mut pidfd: RawFd = -1;
    let mut arguments = CloneArguments {
        flags: flags.0 | u64::try_from(libc::CLONE_PIDFD).unwrap_or(0),
        pidfd: u64::try_from((&raw mut pidfd).addr()).unwrap_or(0),
        exit_signal: u64::try_from(libc::SIGCHLD).unwrap_or(0),
        ..CloneArguments::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or(0);
    }
    // SAFETY: clone3(2) reads `size` bytes of arguments, which is the size of the structure passed, and writes the
    // descriptor to `pidfd`, which lives until after the call. Without CLONE_VM the child has its own copy of this
    // stack and all memory; `SingleThreaded` proves that no other thread's locks or half-done changes are copied.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<CloneArguments>()) };
    let pid = check(result).context("clone3")?;
    if pid == 0 {
        let code = body();
        // SAFETY: _exit(2) has no preconditions. It skips the destructors and exit handlers of the parent's copies.
        unsafe { libc::_exit(code) };
    }
    // SAFETY: clone3 succeeded with CLONE_PIDFD, so `pidfd` is a new descriptor that nothing else owns.
    let descriptor = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(SyscallError { call: "clone3", errno: rustix::io::Errno::RANGE })?;
    Ok(Child { pid, descriptor })
}

/// Has the calling process killed when `parent`, which made it, ends; fails if that has happened already.
///
/// # Errors
///
/// The parent has ended (`ESRCH`): nothing would ever end the caller.
pub(crate) fn end_with_parent(parent: Pid) -> Result<(), SyscallError> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("prctl(PR_SET_PDEATHSIG)")?;
    // Whoever ended before that sent no signal.
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(SyscallError { call: "getppid", errno: rustix::io::Errno::SRCH })
    }
}

impl Child {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Sends SIGKILL. A child that has ended is no error.
    ///
    /// # Errors
    ///
    /// The kernel refuses the caller.
    pub fn kill(&self) -> Result<(), SyscallError> {
        match pidfd_send_signal(&self.descriptor, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno).context("pidfd_send_signal"),
        }
    }

    /// Waits for the child to end and forgets it.
    ///
    /// # Errors
    ///
    /// Somebody else has waited for it.
    pub fn wait(&self) -> Result<ExitStatus, SyscallError> {
        self.wait_with(WaitIdOptions::EXITED)?
            .ok_or(SyscallError { call: "waitid", errno: rustix::io::Errno::CHILD })
    }

    /// Forgets the child if it has ended; `None` while it runs.
    ///
    /// # Errors
    ///
    /// Somebody else has waited for it.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, SyscallError> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    fn wait_with(&self, options: WaitIdOptions) -> Result<Option<ExitStatus>, SyscallError> {
        let status = waitid(WaitId::PidFd(self.descriptor.as_fd()), options).context("waitid")?;
        Ok(status.and_then(|status| {
            status
                .exit_status()
                .map(ExitStatus::Code)
                .or_else(|| status.terminating_signal().map(ExitStatus::Signal))
        }))
    }
}

impl AsFd for Child {
    /// The pidfd: readable once the child has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_parent_has_ended_does_not_wait_for_that() {
        let parent = getppid().unwrap();
        assert_eq!(end_with_parent(parent), Ok(()));
        let other = rustix::process::getpid();
        let refusal = end_with_parent(other).unwrap_err();
        set_parent_process_death_signal(None).unwrap();
        assert_eq!(refusal.errno, rustix::io::Errno::SRCH);
    }
}
