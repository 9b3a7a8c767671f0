//! Opening what a caller names. Runs on the user's threads.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2};
use rustix::io::Errno;

/// Opens `path`. Never waits for the other end of a pipe, and never follows a link of the kernel's own.
pub(super) fn open(path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY;
    // A descriptor that only names a file has no mode to be non-blocking in.
    let flags = if flags.contains(OFlags::PATH) {
        flags.difference(OFlags::NOCTTY)
    } else {
        flags | OFlags::NONBLOCK
    };
    openat2(CWD, path, flags, mode, ResolveFlags::NO_MAGICLINKS)
}

/// Names `path` without opening it, following symbolic links.
pub(super) fn name(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::PATH, Mode::empty())
}

/// Opens a regular file for reading; anything else is `ISDIR` or `INVAL`.
pub(super) fn read_regular(path: &Path) -> Result<(File, Stat), Errno> {
    let file = open(path, OFlags::RDONLY, Mode::empty()).map_err(not_a_socket)?;
    let status = regular(&file)?;
    Ok((file.into(), status))
}

/// What `file` is, if it is a regular file.
pub(super) fn regular(file: &OwnedFd) -> Result<Stat, Errno> {
    let status = fstat(file)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok(status),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::INVAL),
    }
}

/// Opening a socket, or a pipe without a reader, is this error of the kernel.
fn not_a_socket(errno: Errno) -> Errno {
    if errno == Errno::NXIO { Errno::INVAL } else { errno }
}

/// The folder that holds `path`, and its name in there; `path` itself may be a symbolic link or not exist.
pub(super) fn parent(path: &Path) -> Result<(OwnedFd, &OsStr), Errno> {
    let entry = path.file_name().ok_or(Errno::INVAL)?;
    let folder = path.parent().ok_or(Errno::INVAL)?;
    let folder = open(folder, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    Ok((folder, entry))
}
