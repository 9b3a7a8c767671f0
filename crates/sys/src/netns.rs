//! Network namespaces as descriptors.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::error::{Context as _, SyscallError};

/// Moves the calling thread into a new, empty network namespace and answers a descriptor of it.
///
/// The namespace belongs to the caller's user namespace and lives as long as a thread is in it or a descriptor of it
/// is open. Other threads of the process stay where they are.
///
/// # Errors
///
/// The kernel refuses the caller, has no room for another namespace, or `/proc` is not mounted.
#[expect(unsafe_code, reason = "unshare is unsafe for the flags that unshare descriptors")]
pub fn new_network_namespace() -> Result<OwnedFd, SyscallError> {
    // SAFETY: unshare(2) endangers memory safety only where it splits the descriptor table or memory that Rust values
    // of other threads rely on; NEWNET changes neither.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("unshare(net)")?;
    current_network_namespace()
}

/// The network namespace that the calling thread is in.
///
/// # Errors
///
/// `/proc` is not mounted.
pub fn current_network_namespace() -> Result<OwnedFd, SyscallError> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from).context("open(ns/net)")
}
