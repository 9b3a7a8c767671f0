//! Replacing the calling process by a program.

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::error::{Context as _, SyscallError, check};

/// What a program is started with.
#[derive(Debug)]
pub struct NextProgram<'a> {
    /// The executable; it may be a sealed memory file: nothing is looked up by name.
    pub file: BorrowedFd<'a>,
    /// Its arguments, its name first.
    pub arguments: &'a [&'a CStr],
    /// Its environment, `NAME=value` each.
    pub environment: &'a [&'a CStr],
    /// Its descriptors 0, 1, 2 and so on; it gets no others.
    pub descriptors: &'a [BorrowedFd<'a>],
}

/// Above every number that is handed out, so that no source is overwritten before it was copied. A descriptor that
/// must outlive a failed [`execute`] has to be at or above it as well.
pub const FIRST_SPARE_DESCRIPTOR: RawFd = 64;

/// Executes a program; returns only on failure. See `execveat(2)`.
///
/// After a failure, descriptors below [`FIRST_SPARE_DESCRIPTOR`] no longer refer to what they did: the process can
/// report what failed over a higher one, and end.
#[must_use]
pub fn execute(program: &NextProgram<'_>) -> SyscallError {
    match place(program) {
        Ok(file) => execute_file(&file, program),
        Err(failure) => failure,
    }
}

/// Gives the descriptors their numbers and answers the executable under a number that none of them has.
#[expect(unsafe_code, reason = "dup2 onto numbers has no safe wrapper")]
fn place(program: &NextProgram<'_>) -> Result<OwnedFd, SyscallError> {
    let spare = |source: &BorrowedFd<'_>| fcntl_dupfd_cloexec(source, FIRST_SPARE_DESCRIPTOR);
    let file = spare(&program.file).context("fcntl(F_DUPFD)")?;
    let sources = program.descriptors.iter().map(spare).collect::<Result<Vec<OwnedFd>, Errno>>();
    let sources = sources.context("fcntl(F_DUPFD)")?;
    let count = RawFd::try_from(sources.len()).unwrap_or(RawFd::MAX);
    if count > FIRST_SPARE_DESCRIPTOR {
        return Err(SyscallError { call: "place descriptors", errno: Errno::TOOBIG });
    }
    for (number, source) in (0..count).zip(&sources) {
        // SAFETY: dup2(2) takes two numbers. What the target number referred to is lost, which `execute` documents:
        // the process is about to become another program, and none of this one's values is used by then.
        check(libc::c_long::from(unsafe { libc::dup2(source.as_raw_fd(), number) }))
            .context("dup2")?;
    }
    set_close_on_exec(count)?;
    Ok(file)
}

/// Lets every descriptor from number `first` on be closed when the next program starts.
#[expect(unsafe_code, reason = "close_range has no wrapper")]
fn set_close_on_exec(first: RawFd) -> Result<(), SyscallError> {
    // SAFETY: close_range(2) with CLOEXEC closes nothing now, it only sets a flag on descriptors.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    check(result).context("close_range").map(|_| ())
}

#[expect(unsafe_code, reason = "execveat has no wrapper")]
fn execute_file(file: &OwnedFd, program: &NextProgram<'_>) -> SyscallError {
    let terminated = |texts: &[&CStr]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let arguments = terminated(program.arguments);
    let environment = terminated(program.environment);
    // SAFETY: execveat(2) reads a C string and two null-terminated arrays of C strings; the arrays end with null by
    // construction and borrow from the parameter, which outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    SyscallError { call: "execveat", errno: check(result).err().unwrap_or(Errno::NOEXEC) }
}
