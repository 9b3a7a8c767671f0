//! A folder of a volume, in which several sandboxes may be changing things at this moment.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use pitlane_sys::{Context as _, DetachedMount, SyscallError, on_workbench};
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

/// How often a name may change what it is between two looks at it.
const TRIES: u32 = 16;

/// A mount of the folder at `path`, made if it is not there; or what is wrong with it.
///
/// Each name is looked up in the folder that was reached before, which stays the one it is whatever becomes of its
/// names, and no symbolic link is followed: so nothing outside of the volume is ever reached.
pub(super) fn open(
    volume: &DetachedMount,
    path: &str,
) -> Result<Result<DetachedMount, &'static str>, SyscallError> {
    // Kernels before 6.15 copy only what is attached. The thread's mask for new files is its own there.
    on_workbench(|bench| {
        mkdirat(bench, c"volume", Mode::from_raw_mode(0o700)).context("mkdir(workbench)")?;
        volume.attach(bench, c"volume")?;
        rustix::process::umask(Mode::empty());
        let mut reached = volume.as_fd().try_clone_to_owned().context("dup(volume)")?;
        for name in path.split('/') {
            reached = match step(reached.as_fd(), name)? {
                Ok(folder) => folder,
                Err(why) => return Ok(Err(why)),
            };
        }
        DetachedMount::of_folder(reached.as_fd()).map(Ok)
    })?
}

fn step(folder: BorrowedFd<'_>, name: &str) -> Result<Result<OwnedFd, &'static str>, SyscallError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..TRIES {
        match openat(folder, name, flags, Mode::empty()) {
            Ok(found) => return Ok(Ok(found)),
            Err(Errno::NOENT) => {}
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Ok(Err("is, or leads through, something that is no folder"));
            }
            Err(Errno::IO | Errno::ACCESS) => {
                return Ok(Err("cannot be looked at: object storage does not answer, or refuses"));
            }
            Err(Errno::INVAL | Errno::NAMETOOLONG) => {
                return Ok(Err("has a name that is none in object storage"));
            }
            Err(errno) => return Err(errno).context("openat(subpath)"),
        }
        // For whoever comes, as the volume itself is.
        match mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            // The folder above it was removed meanwhile.
            Err(Errno::NOENT) => return Ok(Err("is being removed")),
            Err(Errno::NOSPC) => return Ok(Err("cannot be made: the volume is full")),
            Err(Errno::IO | Errno::ACCESS) => {
                return Ok(Err("cannot be made: object storage does not answer, or refuses"));
            }
            Err(errno) => return Err(errno).context("mkdir(subpath)"),
        }
    }
    Ok(Err("is being changed all the time"))
}
