//! Puts volumes into a sandbox whose process 1 waits to be told which sandbox it is.
//!
//! A child of the launcher enters the sandbox's mount namespace, in which nothing but the daemon runs yet, attaches what
//! it was given and ends. The image decides what is at a mount point, so names are resolved as the kernel would for a
//! process that has the sandbox's root for its own: a symbolic link leads where it leads inside, and never out, nor into
//! a file system of the kernel's or another volume.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use pitlane_sys::{
    Context as _, DetachedMount, SyscallError, enter_mounts_of, with_filesystem_ids,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// How long process 1 may take until its root is in place.
const BUILT_DEADLINE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };

/// What the child needs; moves into it.
#[derive(Debug)]
pub(super) struct Attachment<'a> {
    /// Process 1 of the sandbox.
    pub(super) process: BorrowedFd<'a>,
    /// Hangs up when that has executed the daemon; none if it has already.
    pub(super) building: Option<BorrowedFd<'a>>,
    /// The host's id of the sandbox's id 0.
    pub(super) first_id: u32,
    /// Absolute paths, and what is to be seen there.
    pub(super) mounts: Vec<(String, DetachedMount)>,
}

/// Why nothing more was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum AttachFailure {
    /// The image does not allow it, for whoever asked.
    Refused(String),
    /// The machine failed, for the log.
    Failed(String),
}

impl From<SyscallError> for AttachFailure {
    fn from(failure: SyscallError) -> Self {
        Self::Failed(format!("{failure}: {}", failure.errno))
    }
}

/// Attaches everything, in a child of the launcher.
pub(super) fn attach(attachment: Attachment<'_>) -> Result<(), AttachFailure> {
    let Attachment { process, building, first_id, mounts } = attachment;
    if let Some(building) = building {
        let mut ends = [PollFd::from_borrowed_fd(building, PollFlags::IN)];
        if poll(&mut ends, Some(&BUILT_DEADLINE)).context("poll(process 1)")? == 0 {
            return Err(AttachFailure::Failed(String::from("process 1 was not ready in time")));
        }
    }
    enter_mounts_of(process)?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    pitlane_fault::point("attach.entered");
    let root =
        openat2(CWD, "/", FOLDER, Mode::empty(), ResolveFlags::empty()).context("open(/)")?;
    for (path, mount) in mounts {
        let place = mount_point(root.as_fd(), &path, first_id)?;
        mount.attach_on(place.as_fd())?;
        pitlane_fault::point("attach.attached");
    }
    Ok(())
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const INSIDE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// The folder at `path`, made with all folders on the way to it that are not there yet.
fn mount_point(root: BorrowedFd<'_>, path: &str, first_id: u32) -> Result<OwnedFd, AttachFailure> {
    let refused = |why: &str| AttachFailure::Refused(format!("mount path {path} {why}"));
    let mut reached = root.try_clone_to_owned().context("dup(root)")?;
    let ends = path.match_indices('/').map(|(end, _)| end).skip(1).chain([path.len()]);
    for end in ends {
        let prefix = path.get(..end).unwrap_or(path);
        let mut is_made = false;
        reached = loop {
            match openat2(root, prefix, FOLDER, Mode::empty(), INSIDE) {
                Ok(folder) => break folder,
                Err(Errno::NOENT) if !is_made => {
                    let name = prefix.rsplit('/').next().unwrap_or_default();
                    // Only the sandbox's own ids have a place on its disk.
                    let made = with_filesystem_ids(first_id, || {
                        mkdirat(&reached, name, Mode::from_raw_mode(0o755))
                    })?;
                    match made {
                        Ok(()) => is_made = true,
                        Err(Errno::EXIST) => {
                            return Err(refused("leads through a symbolic link to nothing"));
                        }
                        Err(Errno::NOSPC | Errno::DQUOT) => {
                            return Err(refused("cannot be made: the sandbox's disk is full"));
                        }
                        Err(errno) => return Err(errno).context("mkdir(mount point)")?,
                    }
                }
                Err(Errno::NOTDIR) => return Err(refused("is, or leads through, a file")),
                Err(Errno::LOOP) => return Err(refused("leads through a loop of symbolic links")),
                Err(Errno::XDEV) => {
                    return Err(refused(
                        "leads into another volume or a file system of the system",
                    ));
                }
                Err(errno) => return Err(errno).context("openat2(mount point)")?,
            }
        };
    }
    let identity = |folder: BorrowedFd<'_>| {
        fstat(folder).map(|status| (status.st_dev, status.st_ino)).context("fstat(mount point)")
    };
    if identity(reached.as_fd())? == identity(root)? {
        return Err(refused("leads to the root folder"));
    }
    Ok(reached)
}
