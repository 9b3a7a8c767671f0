//! Giving inherited descriptors the numbers that a program expects.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::error::{Context as _, SyscallError, check};

/// Above every number that is handed out, so that no source is overwritten before it was copied.
const SPARE: RawFd = 64;

/// Copies `sources` to the descriptor numbers 0, 1, 2 and so on, to be inherited by the next program; every other
/// descriptor of the process is closed when it starts.
///
/// The caller executes a program next or ends: values that own a descriptor with one of these numbers no longer refer
/// to what they did.
///
/// # Errors
///
/// More than 64 sources, or no descriptors left.
#[expect(unsafe_code, reason = "dup2 onto numbers and close_range have no safe wrapper")]
pub fn place_descriptors(sources: &[BorrowedFd<'_>]) -> Result<(), SyscallError> {
    let moved = sources
        .iter()
        .map(|source| fcntl_dupfd_cloexec(source, SPARE))
        .collect::<Result<Vec<OwnedFd>, Errno>>()
        .context("fcntl(F_DUPFD)")?;
    let count = RawFd::try_from(sources.len()).unwrap_or(RawFd::MAX);
    if count > SPARE {
        return Err(SyscallError { call: "place descriptors", errno: Errno::TOOBIG });
    }
    for (number, source) in (0..count).zip(&moved) {
        // SAFETY: dup2(2) takes two numbers. What the target number referred to is lost, which this function documents:
        // the process is about to execute a program, and nothing of this one uses its descriptors by then.
        check(libc::c_long::from(unsafe { libc::dup2(source.as_raw_fd(), number) }))
            .context("dup2")?;
    }
    set_close_on_exec(count)
}

/// Lets every descriptor from number `first` on be closed when the next program starts.
///
/// # Errors
///
/// The kernel is older than 5.11.
#[expect(unsafe_code, reason = "close_range has no wrapper")]
pub fn set_close_on_exec(first: RawFd) -> Result<(), SyscallError> {
    // SAFETY: close_range(2) with CLOEXEC closes nothing now, it only sets a flag on descriptors.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    check(result).context("close_range").map(|_| ())
}
