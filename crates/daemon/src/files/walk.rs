//! Everything in a folder, in order: each folder before what is in it.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use super::descent::{Descent, Names};
use super::open::{is_the_kernels, open};

/// How many bytes of names anybody may have in memory.
const FEW: usize = 256 << 10;
/// How many bytes of names two at a time may have: enough for millions of names of usual length.
const MANY: usize = 64 << 20;

/// A walk that goes on from one call to the next.
#[derive(Debug)]
pub(super) struct Walk {
    descent: Descent,
    limits: Limits,
    allowance: usize,
}

/// How far a walk goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// How many levels.
    pub(super) depth: usize,
    /// Whether it stays out of `/proc`, `/sys` and their like.
    pub(super) skips_the_kernels: bool,
    /// Whether what cannot be looked at is left out, as what vanishes is.
    pub(super) leaves_out: bool,
}

/// What a walk comes by.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: CString,
    pub(super) status: Stat,
}

impl Found {
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.status.st_mode)
    }
}

/// Why a walk does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WalkError {
    /// The kernel does not let it.
    #[error("{0}")]
    Kernel(#[from] Errno),
    /// The names take more memory than everybody may use; after [`Walk::allow_many`] it can go on.
    #[error("the folder is large")]
    Large,
    /// The names take more memory than anybody may use.
    #[error("a folder has more than {} MiB of names", MANY >> 20)]
    TooLarge,
}

impl Walk {
    /// Begins in the folder at `path`, with `many` names allowed from the beginning.
    pub(super) fn begin(path: &Path, limits: Limits, many: bool) -> Result<Self, WalkError> {
        let folder = open(path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        if limits.skips_the_kernels && is_the_kernels(&folder)? {
            return Err(Errno::INVAL.into());
        }
        let allowance = if many { MANY } else { FEW };
        let names = read(&folder, allowance, 0)?;
        let descent = Descent::begin(folder, path, names)?;
        Ok(Self { descent, limits, allowance })
    }

    /// Lets the names take more memory.
    pub(super) const fn allow_many(&mut self) {
        self.allowance = MANY;
    }

    /// The next file or folder; [`Walk::path`] is its path then. What vanishes meanwhile is left out, and so is what is
    /// in folders that may not be read.
    pub(super) fn next(&mut self) -> Result<Option<Found>, WalkError> {
        loop {
            let Some(names) = self.descent.names() else { return Ok(None) };
            let Some(name) = names.next().map(CStr::to_owned) else {
                if !self.descent.leave()? {
                    return Ok(None);
                }
                continue;
            };
            let status = match statat(self.descent.folder()?, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(status) => status,
                Err(Errno::NOENT) => continue,
                Err(errno) if !self.limits.leaves_out || self.descent.depth() == 1 => {
                    return Err(errno.into());
                }
                Err(_) => continue,
            };
            let found = Found { name, status };
            let is_entered = found.kind() == FileType::Directory
                && self.descent.depth() < self.limits.depth
                && self.enter(&found.name)?;
            if !is_entered {
                self.descent.point_at(&found.name);
            }
            return Ok(Some(found));
        }
    }

    /// Goes into a folder if that is possible.
    fn enter(&mut self, name: &CStr) -> Result<bool, WalkError> {
        let Ok(folder) = self.open(name, OFlags::DIRECTORY) else { return Ok(false) };
        if self.limits.skips_the_kernels && is_the_kernels(&folder).unwrap_or(true) {
            return Ok(false);
        }
        match read(&folder, self.allowance, self.descent.names_size()) {
            Ok(names) => Ok(self.descent.enter(name, folder, names).is_ok()),
            Err(WalkError::Kernel(_)) => Ok(false),
            Err(error) => {
                // To be found once more when more is allowed.
                if let Some(names) = self.descent.names() {
                    names.again();
                }
                Err(error)
            }
        }
    }

    /// Opens what was found last, for reading. Not what it may have become meanwhile: a link or a pipe.
    pub(super) fn open(&self, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(self.descent.folder()?, name, flags, Mode::empty())
    }

    /// Whether it went into the folder that was found last.
    pub(super) fn is_entered(&self) -> bool {
        self.descent.is_at_folder()
    }

    /// The folder it is in.
    pub(super) fn folder(&self) -> Result<&OwnedFd, Errno> {
        self.descent.folder()
    }

    /// The path of what was found last.
    pub(super) fn path(&self) -> &Path {
        self.descent.path()
    }
}

fn read(folder: &OwnedFd, allowance: usize, used: usize) -> Result<Names, WalkError> {
    let names = Names::read(folder, allowance.saturating_sub(used))?;
    match names.is_cut {
        false => Ok(names),
        true if allowance >= MANY => Err(WalkError::TooLarge),
        true => Err(WalkError::Large),
    }
}
