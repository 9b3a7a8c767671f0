//! A mount namespace for a moment, to attach what the kernel will only use when it is attached somewhere.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::CWD;

use crate::error::{Context as _, SyscallError};
use crate::mount::{FilesystemContext, MountOptions, make_mounts_private};
use crate::namespace::new_mount_namespace;

/// Runs `action` on a thread of its own, in an empty folder that is its own as well: what it attaches there is seen by
/// nobody else and detached when it returns. The folder is its working directory.
///
/// # Errors
///
/// The kernel has no room for a thread or a namespace, or refuses the caller.
pub fn on_workbench<T: Send>(
    action: impl FnOnce(BorrowedFd<'_>) -> T + Send,
) -> Result<T, SyscallError> {
    let work = || {
        // Also gives the thread a working directory of its own.
        new_mount_namespace()?;
        make_mounts_private()?;
        let folder = FilesystemContext::open("tmpfs")?
            .text("mode", "0700")?
            .mount(MountOptions::default())?;
        folder.attach(CWD, c"/")?;
        rustix::process::fchdir(&folder).context("fchdir(workbench)")?;
        Ok(action(folder.as_fd()))
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(String::from("workbench"));
        let thread = thread.spawn_scoped(scope, work).context("clone(workbench)")?;
        thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
    })
}
