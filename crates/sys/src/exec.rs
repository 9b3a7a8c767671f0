//! Replacing the calling process by a program.

use std::ffi::{CStr, c_char};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::error::{SyscallError, check};

/// Executes the program that `program` refers to; returns only on failure.
///
/// The descriptor may be a sealed memory file: nothing is looked up by name. See `execveat(2)`.
#[must_use]
#[expect(unsafe_code, reason = "execveat has no wrapper")]
pub fn execute_descriptor(
    program: BorrowedFd<'_>,
    arguments: &[&CStr],
    environment: &[&CStr],
) -> SyscallError {
    let terminated = |texts: &[&CStr]| -> Vec<*const c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let arguments = terminated(arguments);
    let environment = terminated(environment);
    // SAFETY: execveat(2) reads a C string and two null-terminated arrays of C strings; the arrays end with null by
    // construction and borrow from the parameters, which outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    SyscallError {
        call: "execveat",
        errno: check(result).err().unwrap_or(rustix::io::Errno::NOEXEC),
    }
}
