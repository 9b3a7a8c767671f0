//! Folders of an image, from its root on.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, mkdirat, openat2};
use rustix::io::Errno;

use super::refuse;
use crate::http::Refusal;
use crate::user::User;

/// The permissions of folders that nobody chose any for.
const FOLDER_MODE: u32 = 0o755;

/// The ids of an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    pub(super) const ROOT: Self = Self { uid: 0, gid: 0 };

    /// The ids of `NAME`, `UID`, `NAME:GROUP` or `UID:GID`, as the image's lists say. A number alone is the group's, too.
    pub(super) fn find(wanted: &str) -> Result<Self, Refusal> {
        let unknown = |what: &str, name: &str| {
            Refusal::bad_request(format!("the image has no {what} {name:?}"))
        };
        let (user, group) = match wanted.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (wanted, None),
        };
        let own = match user.parse::<u32>() {
            Ok(number) => Self { uid: number, gid: number },
            Err(_) if user.is_empty() => Self::ROOT,
            Err(_) => {
                let found = User::find(user).map_err(|_none| unknown("user", user))?;
                of(&found)
            }
        };
        let gid = match group {
            None => own.gid,
            Some(group) => crate::user::find_gid(group).ok_or_else(|| unknown("group", group))?,
        };
        Ok(Self { uid: own.uid, gid })
    }

    pub(super) fn uid(self) -> Option<Uid> {
        Some(Uid::from_raw(self.uid))
    }

    pub(super) fn gid(self) -> Option<Gid> {
        Some(Gid::from_raw(self.gid))
    }
}

fn of(user: &User) -> Owner {
    user.identity
        .as_ref()
        .map_or(Owner::ROOT, |found| Owner { uid: found.uid().as_raw(), gid: found.gid().as_raw() })
}

/// The root of the file system.
pub(super) fn root() -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(c"/", flags, Mode::empty())
}

/// Opens what is at a path from the root on. Links lead nowhere but into the image.
pub(super) fn open(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), RESOLVE)
}

/// How paths are followed everywhere here.
pub(super) const RESOLVE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// Opens a folder, and makes those that are missing on the way.
pub(super) fn open_or_make(root: &OwnedFd, path: &Path, owner: Owner) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match open(root, path, flags) {
        Err(Errno::NOENT) => {}
        done => return done,
    }
    let mut folder = open(root, Path::new("."), flags)?;
    let mut above = std::path::PathBuf::new();
    for component in path.components() {
        let Component::Normal(name) = component else { continue };
        let next = above.join(name);
        folder = match open(root, &next, flags) {
            Err(Errno::NOENT) => {
                mkdirat(&folder, name, Mode::from_raw_mode(FOLDER_MODE))?;
                chownat(&folder, name, owner.uid(), owner.gid(), AtFlags::SYMLINK_NOFOLLOW)?;
                open(root, &next, flags)?
            }
            found => found?,
        };
        above = next;
    }
    Ok(folder)
}

/// Makes a folder and those above it; one that exists stays as it is.
pub(super) fn make(path: &str, owner: &str) -> Result<(), Refusal> {
    let owner = User::find(owner)
        .map_err(|error| Refusal::bad_request(format!("user {owner:?}: {error}")))?;
    let owner = of(&owner);
    let told = |errno| refuse(path, errno);
    open_or_make(&root().map_err(told)?, Path::new(path), owner).map(drop).map_err(told)
}
