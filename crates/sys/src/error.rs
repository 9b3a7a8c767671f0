//! The error of a failed system call.

use rustix::io::Errno;

/// A system call that failed: which one, on what, and the kernel's reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed")]
pub struct SyscallError {
    /// The call and its operand, `mount_setattr(lower)`.
    pub call: &'static str,
    /// The kernel's reason.
    #[source]
    pub errno: Errno,
}

impl SyscallError {
    /// Whether the kernel answered `errno`.
    #[must_use]
    pub fn is(&self, errno: Errno) -> bool {
        self.errno == errno
    }
}

/// Names the call of a failed result.
pub trait Context<T> {
    /// Turns the kernel's reason into a [`SyscallError`] of `call`.
    ///
    /// # Errors
    ///
    /// The same failure, with its name.
    fn context(self, call: &'static str) -> Result<T, SyscallError>;
}

impl<T> Context<T> for Result<T, Errno> {
    fn context(self, call: &'static str) -> Result<T, SyscallError> {
        self.map_err(|errno| SyscallError { call, errno })
    }
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, call: &'static str) -> Result<T, SyscallError> {
        self.map_err(|cause| SyscallError {
            call,
            errno: Errno::from_io_error(&cause).unwrap_or(Errno::IO),
        })
    }
}

/// The result of a raw system call: -1 means that `errno` is set.
pub(crate) fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    } else {
        Ok(result)
    }
}
