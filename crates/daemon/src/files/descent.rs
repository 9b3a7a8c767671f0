//! Going down into folders and back up, however deep they are.
//!
//! Folders are opened from the one above, never by a path: a tree may be deeper than the longest path the kernel takes,
//! and what is replaced by a symbolic link meanwhile is not followed. Only the last few are kept open; those above are
//! found again through `..` and must be the same. Nothing here is recursive, so depth costs memory and no stack.

use std::ffi::{CStr, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

/// How many folders are open at once.
const OPEN: usize = 16;

/// The folders on the way from where it began to where it is.
#[derive(Debug)]
pub(super) struct Descent {
    levels: Vec<Level>,
    path: Vec<u8>,
}

#[derive(Debug)]
struct Level {
    /// `None` while too many others are open.
    folder: Option<OwnedFd>,
    /// Device and number.
    identity: (u64, u64),
    names: Names,
    /// How long the path of the folder is.
    path: usize,
}

impl Descent {
    /// Begins in `folder`, which is at `path`.
    pub(super) fn begin(folder: OwnedFd, path: &Path, names: Names) -> Result<Self, Errno> {
        let mut descent = Self { levels: Vec::new(), path: path.as_os_str().as_bytes().to_vec() };
        descent.push(folder, names)?;
        Ok(descent)
    }

    /// Goes into the folder `name` of the one it is in.
    pub(super) fn enter(
        &mut self,
        name: &CStr,
        folder: OwnedFd,
        names: Names,
    ) -> Result<(), Errno> {
        self.point_at(name);
        let entered = self.push(folder, names);
        if entered.is_err() {
            self.point_back();
        }
        entered
    }

    fn push(&mut self, folder: OwnedFd, names: Names) -> Result<(), Errno> {
        let identity = identity(&folder)?;
        let path = self.path.len();
        self.levels.push(Level { folder: Some(folder), identity, names, path });
        let far = self.levels.len().checked_sub(OPEN.saturating_add(1));
        if let Some(level) = far.and_then(|far| self.levels.get_mut(far)) {
            level.folder = None;
        }
        Ok(())
    }

    /// Leaves the folder it is in for the one above; false when it was the first one.
    pub(super) fn leave(&mut self) -> Result<bool, Errno> {
        let Some(left) = self.levels.pop() else { return Ok(false) };
        let Some(above) = self.levels.last_mut() else { return Ok(false) };
        if above.folder.is_none() {
            let below = left.folder.as_ref().ok_or(Errno::BADF)?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder = openat(below, c"..", flags, Mode::empty())?;
            // Somebody moved a folder meanwhile: going on would be going on elsewhere.
            if identity(&folder)? != above.identity {
                return Err(Errno::STALE);
            }
            above.folder = Some(folder);
        }
        self.point_back();
        Ok(true)
    }

    /// The folder it is in.
    pub(super) fn folder(&self) -> Result<&OwnedFd, Errno> {
        self.levels.last().and_then(|level| level.folder.as_ref()).ok_or(Errno::BADF)
    }

    /// What is left of the names in the folder it is in.
    pub(super) fn names(&mut self) -> Option<&mut Names> {
        self.levels.last_mut().map(|level| &mut level.names)
    }

    /// How deep it is, from 1.
    pub(super) const fn depth(&self) -> usize {
        self.levels.len()
    }

    /// How much memory names take.
    pub(super) fn names_size(&self) -> usize {
        self.levels.iter().map(|level| level.names.bytes.len()).fold(0, usize::saturating_add)
    }

    /// The path of the folder it is in, or of what it points at there.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Whether the path is that of the folder it is in.
    pub(super) fn is_at_folder(&self) -> bool {
        self.levels.last().is_some_and(|level| level.path == self.path.len())
    }

    /// Lets the path be that of `name` in the folder it is in.
    pub(super) fn point_at(&mut self, name: &CStr) {
        self.point_back();
        if self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
    }

    /// Lets the path be that of the folder it is in.
    pub(super) fn point_back(&mut self) {
        let length = self.levels.last().map_or(0, |level| level.path);
        self.path.truncate(length);
    }
}

fn identity(folder: &OwnedFd) -> Result<(u64, u64), Errno> {
    let status = fstat(folder)?;
    Ok((status.st_dev, status.st_ino))
}

/// The names in a folder, in order, one behind the other: a million of them in a million pieces would take many times
/// the memory.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each with a zero byte at its end.
    bytes: Vec<u8>,
    starts: Vec<u32>,
    next: usize,
    /// Whether there are more in the folder than were read.
    pub(super) is_cut: bool,
}

impl Names {
    /// Reads names until there are no more, or they take more than `limit` bytes.
    pub(super) fn read(folder: &OwnedFd, limit: usize) -> Result<Self, Errno> {
        let mut names = Self::default();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let size = names.bytes.len().saturating_add(name.count_bytes());
            let start = u32::try_from(names.bytes.len()).map_err(|_too_many| Errno::NOMEM)?;
            if size > limit {
                names.is_cut = true;
                break;
            }
            names.bytes.extend_from_slice(name.to_bytes_with_nul());
            names.starts.push(start);
        }
        let Self { bytes, starts, .. } = &mut names;
        starts.sort_unstable_by(|left, right| at(bytes, *left).cmp(at(bytes, *right)));
        Ok(names)
    }

    /// The next name.
    pub(super) fn next(&mut self) -> Option<&CStr> {
        let start = *self.starts.get(self.next)?;
        self.next = self.next.saturating_add(1);
        Some(at(&self.bytes, start))
    }

    /// Gives the last name back.
    pub(super) const fn again(&mut self) {
        self.next = self.next.saturating_sub(1);
    }

    /// Whether a name was taken.
    pub(super) const fn is_begun(&self) -> bool {
        self.next > 0
    }
}

fn at(bytes: &[u8], start: u32) -> &CStr {
    let rest = usize::try_from(start).ok().and_then(|start| bytes.get(start..));
    rest.and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or(c"")
}
