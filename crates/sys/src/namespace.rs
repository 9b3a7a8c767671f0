//! Namespaces of the calling thread.

use std::os::fd::BorrowedFd;

use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, UnshareFlags, move_into_link_name_space,
    move_into_thread_name_spaces, unshare_unsafe,
};

use crate::error::{Context as _, SyscallError, check};

/// Moves the calling thread into a network namespace.
///
/// # Errors
///
/// The descriptor is not one, or the kernel refuses the caller.
pub fn enter_network(namespace: BorrowedFd<'_>) -> Result<(), SyscallError> {
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network)).context("setns(net)")
}

/// Moves the calling process, which must have one thread, into the mount namespace of another, whose root becomes its
/// own root and working directory (Linux 5.8).
///
/// # Errors
///
/// The other process has ended, or the kernel refuses the caller.
pub fn enter_mounts_of(process: BorrowedFd<'_>) -> Result<(), SyscallError> {
    move_into_thread_name_spaces(process, ThreadNameSpaceType::MOUNT).context("setns(mount)")
}

/// Gives the calling thread a cgroup namespace whose root is the group it is in.
///
/// # Errors
///
/// The kernel refuses the caller.
#[expect(unsafe_code, reason = "unshare is unsafe for the flags that unshare descriptors")]
pub fn new_cgroup_namespace() -> Result<(), SyscallError> {
    // SAFETY: unshare(2) endangers memory safety only where it splits the descriptor table or memory that Rust values
    // of other threads rely on; NEWCGROUP changes neither.
    unsafe { unshare_unsafe(UnshareFlags::NEWCGROUP) }.context("unshare(cgroup)")
}

/// Gives the calling process, which must have one thread, a mount namespace of its own.
///
/// # Errors
///
/// The kernel refuses the caller.
#[expect(unsafe_code, reason = "unshare is unsafe for the flags that unshare descriptors")]
pub fn new_mount_namespace() -> Result<(), SyscallError> {
    // SAFETY: as above: NEWNS leaves descriptors and memory as they are.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("unshare(mount)")
}

/// Sets the host name of the calling thread's UTS namespace.
///
/// # Errors
///
/// The name is longer than 64 bytes, or the kernel refuses the caller.
pub fn set_host_name(name: &str) -> Result<(), SyscallError> {
    rustix::system::sethostname(name.as_bytes()).context("sethostname")
}

/// Gives the calling process a session keyring of its own, so that it holds no key of whoever started it. See
/// `keyctl(2)`. A kernel without keyrings is no error.
///
/// # Errors
///
/// The kernel refuses the caller or has no room.
#[expect(unsafe_code, reason = "keyctl has no wrapper")]
pub fn new_session_keyring() -> Result<(), SyscallError> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: this operation reads a name, which may be null: then the keyring has none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    match check(result) {
        Ok(_) | Err(rustix::io::Errno::NOSYS) => Ok(()),
        Err(errno) => Err(errno).context("keyctl"),
    }
}
