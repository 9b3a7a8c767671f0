//! File systems that stand still. See `FIFREEZE` in `ioctl(2)` lists and `fsfreeze(8)`.

use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::error::{Context as _, SyscallError, check};
use crate::mount::DetachedMount;

/// A file system to which nobody can write: whoever tries waits until the value is dropped. What had been written is on
/// its device.
///
/// It stands still beyond the end of this process, and beyond its last mount: whoever freezes one writes down where
/// [`thaw`] has to go if nobody is left to drop the value.
#[derive(Debug)]
pub struct FrozenFilesystem(OwnedFd);

// From linux/fs.h: _IOWR('X', 119, int) and _IOWR('X', 120, int), the argument of which is ignored.
const FIFREEZE: libc::Ioctl = 0xC004_5877_u32 as libc::Ioctl;
const FITHAW: libc::Ioctl = 0xC004_5878_u32 as libc::Ioctl;

impl FrozenFilesystem {
    /// Writes out what waits in memory, and has the file system of a mount stand still.
    ///
    /// # Errors
    ///
    /// It stands still already, cannot, or could not write what waited.
    pub fn freeze(mount: &DetachedMount) -> Result<Self, SyscallError> {
        let root = open_root(mount)?;
        // Most of what waits is written while others still write.
        rustix::fs::syncfs(&root).context("syncfs")?;
        ioctl(&root, FIFREEZE).context("ioctl(FIFREEZE)")?;
        Ok(Self(root))
    }
}

impl Drop for FrozenFilesystem {
    fn drop(&mut self) {
        if let Err(errno) = ioctl(&self.0, FITHAW) {
            // Somebody else has thawed it.
            debug_assert_eq!(errno, Errno::INVAL, "FITHAW has no other reason to fail");
        }
    }
}

/// Lets a file system that an earlier process froze go on; false if it did not stand still.
///
/// # Errors
///
/// The kernel refuses the caller.
pub fn thaw(mount: &DetachedMount) -> Result<bool, SyscallError> {
    match ioctl(&open_root(mount)?, FITHAW) {
        Ok(()) => Ok(true),
        Err(Errno::INVAL) => Ok(false),
        Err(errno) => Err(errno).context("ioctl(FITHAW)"),
    }
}

fn open_root(mount: &DetachedMount) -> Result<OwnedFd, SyscallError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(mount, c".", flags, Mode::empty()).context("openat(root)")
}

#[expect(unsafe_code, reason = "these ioctls have no wrapper")]
fn ioctl(root: &OwnedFd, request: libc::Ioctl) -> Result<(), Errno> {
    // SAFETY: the two requests of this file neither read nor write their argument.
    check(libc::c_long::from(unsafe { libc::ioctl(root.as_raw_fd(), request, 0) })).map(|_| ())
}
