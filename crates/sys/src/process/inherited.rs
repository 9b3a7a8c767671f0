//! Descriptors that a program was started with.

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;

use crate::error::{Context as _, SyscallError, check};

/// The lowest number that has not been claimed.
static UNCLAIMED: AtomicI32 = AtomicI32::new(0);

/// Takes the descriptors `first` to `first + count - 1`, which this process was started with; they become close-on-exec.
///
/// Works once for each number, in rising order, and before the process opens anything else.
///
/// # Errors
///
/// One of them is not open (`EBADF`), or they were claimed before (`EALREADY`).
#[expect(unsafe_code, reason = "inherited descriptors are known by number alone")]
pub fn claim_inherited(first: RawFd, count: u32) -> Result<Vec<OwnedFd>, SyscallError> {
    let end = i32::try_from(count).ok().and_then(|count| first.checked_add(count));
    let end =
        end.ok_or(SyscallError { call: "claim inherited descriptors", errno: Errno::INVAL })?;
    if UNCLAIMED.fetch_max(end, Ordering::SeqCst) > first {
        return Err(SyscallError { call: "claim inherited descriptors", errno: Errno::ALREADY });
    }
    let claim = |number: RawFd| {
        // SAFETY: fcntl(2) with F_SETFD takes a number and sets a flag; it answers EBADF for a number that is not open.
        let result = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        check(libc::c_long::from(result)).context("fcntl(inherited)")?;
        // SAFETY: the line above has shown that the number is open. Nothing else owns it: it was open before this
        // process ran its first instruction, and the mark above lets a number come here once.
        Ok(unsafe { OwnedFd::from_raw_fd(number) })
    };
    (first..end).map(claim).collect()
}
