//! Opening what a caller names. Runs on the user's threads.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat};
use rustix::fs::{fstat, fstatfs, openat2, readlinkat};
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
    let opened = openat2(CWD, path, flags, mode, ResolveFlags::NO_MAGICLINKS)?;
    not_of_this_process(&opened)?;
    Ok(opened)
}

/// Names `path` without opening it, following symbolic links.
pub(super) fn name(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::PATH, Mode::empty())
}

/// Opens a regular file for reading; anything else is `ISDIR` or `INVAL`.
pub(super) fn read_regular(path: &Path) -> Result<(File, Stat), Errno> {
    let named = name(path)?;
    regular(&named)?;
    let file = reopen(&named, OFlags::RDONLY)?;
    let status = regular(&file)?;
    Ok((file.into(), status))
}

/// Opens a regular file for writing; anything else is `ISDIR` or `INVAL`.
pub(super) fn write_regular(path: &Path) -> Result<File, Errno> {
    let named = name(path)?;
    regular(&named)?;
    reopen(&named, OFlags::WRONLY).map(File::from)
}

/// Opens what is named already. Opening by path would do something to pipes and devices before it is seen what they
/// are: a writer that waits for a reader would believe to have found one.
fn reopen(named: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    rustix::fs::open(own_path(named), flags, Mode::empty())
}

/// What `file` is, if it is a regular file.
pub(super) fn regular(file: impl AsFd) -> Result<Stat, Errno> {
    let status = fstat(file)?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok(status),
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::INVAL),
    }
}

/// The folder that holds `path`, and its name in there; `path` itself may be a symbolic link or not exist.
pub(super) fn parent(path: &Path) -> Result<(OwnedFd, &OsStr), Errno> {
    let entry = path.file_name().ok_or(Errno::INVAL)?;
    let folder = path.parent().ok_or(Errno::INVAL)?;
    Ok((folder_at(folder)?, entry))
}

/// Names a folder.
pub(super) fn folder_at(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
}

/// A path that names what this process has open.
pub(super) fn own_path(descriptor: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fd/{}", descriptor.as_fd().as_raw_fd()))
}

/// Whether a folder or file is made by the kernel as it is read, and is no file of anybody's.
pub(crate) fn is_the_kernels(descriptor: impl AsFd) -> Result<bool, Errno> {
    /// Of sysfs, both cgroup file systems, debugfs, tracefs, securityfs and bpf.
    const OTHERS: [i64; 7] =
        [0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0xcafe_4a11];
    let kind = fstatfs(descriptor)?.f_type;
    Ok(kind == PROC_SUPER_MAGIC || OTHERS.contains(&kind))
}

/// Refuses what `/proc` has of the daemon itself. It would be open here to a user who is root inside, since a process
/// may look at itself; for that user's programs it is closed.
fn not_of_this_process(descriptor: &OwnedFd) -> Result<(), Errno> {
    if fstatfs(descriptor)?.f_type != PROC_SUPER_MAGIC {
        return Ok(());
    }
    let path = readlinkat(CWD, own_path(descriptor), Vec::new())?;
    let own = format!("/proc/{}", std::process::id());
    match path.to_bytes().strip_prefix(own.as_bytes()) {
        Some([] | [b'/', ..]) => Err(Errno::ACCESS),
        _ => Ok(()),
    }
}
