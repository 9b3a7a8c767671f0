//! Requests to end, and who made them.

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::error::{Context as _, SyscallError, check};

/// SIGTERM as something to read, which tells who sent it. See `signalfd(2)`.
///
/// Requests that come before one is read count as one. A handler is not told whether the sender is a process of its own namespace or of one above.
#[derive(Debug)]
pub struct TerminationRequests(OwnedFd);

/// Who asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// A process of the same process namespace or of one below, by its number.
    Inside(i32),
    /// A process that this one cannot see: of a process namespace above.
    Outside,
}

/// `ssi_pid` in the kernel's `struct signalfd_siginfo`.
const SENDER: std::ops::Range<usize> = 12..16;

impl TerminationRequests {
    /// Takes SIGTERM from the calling thread, and from the threads and programs that it starts later. To be called before
    /// there are other threads, which would get it in the usual way.
    ///
    /// # Errors
    ///
    /// The process may not have another descriptor.
    #[expect(unsafe_code, reason = "rt_sigprocmask and signalfd4 have no wrappers")]
    pub fn take() -> Result<Self, SyscallError> {
        let signals: u64 = 1 << (libc::SIGTERM - 1);
        let nothing = std::ptr::null_mut::<u64>();
        let length = size_of::<u64>();
        // SAFETY: rt_sigprocmask(2) reads a set of 8 bytes, which `signals` is, and writes nothing through null.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigprocmask,
                libc::SIG_BLOCK,
                &raw const signals,
                nothing,
                length,
            )
        };
        check(result).context("rt_sigprocmask")?;
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: signalfd4(2) reads a set of 8 bytes, which `signals` is; -1 asks for a new descriptor.
        let result =
            unsafe { libc::syscall(libc::SYS_signalfd4, -1, &raw const signals, length, flags) };
        let number = check(result).context("signalfd4")?;
        let number = RawFd::try_from(number)
            .map_err(|_huge| SyscallError { call: "signalfd4", errno: Errno::RANGE })?;
        // SAFETY: the call above made the descriptor, so nothing else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(number) }))
    }
}

impl From<TerminationRequests> for OwnedFd {
    /// What can be read and waited for: one record at a time.
    fn from(requests: TerminationRequests) -> Self {
        requests.0
    }
}

impl Requester {
    /// How long a record is.
    pub const RECORD: usize = 128;

    /// Who made the request of a record.
    #[must_use]
    pub fn of(record: &[u8; Self::RECORD]) -> Self {
        let sender = record.get(SENDER).and_then(|bytes| bytes.try_into().ok());
        match i32::from_ne_bytes(sender.unwrap_or_default()) {
            0 => Self::Outside,
            sender => Self::Inside(sender),
        }
    }
}
