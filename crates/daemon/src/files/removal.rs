//! Removing a folder with everything in it, however much and deep that is.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::io::Errno;

use super::descent::{Descent, Names};
use super::open::parent;

/// How many bytes of names are read of a folder at once.
const NAMES: usize = 256 << 10;
/// How many bytes of names there are at once, of all folders on the way down.
const ALL_NAMES: usize = 32 << 20;

/// A removal that goes on from one call to the next.
#[derive(Debug)]
pub(super) struct Removal {
    above: OwnedFd,
    entry: CString,
    descent: Descent,
}

/// What stays, and why.
#[derive(Debug)]
pub(super) struct RemovalError {
    pub(super) path: PathBuf,
    pub(super) errno: Errno,
}

/// How a removal begins.
#[derive(Debug)]
pub(super) enum Begun {
    /// It was a file, and is gone.
    Gone,
    /// It is a folder.
    Folder(Removal),
}

impl Removal {
    /// Removes what is at `path` if it is no folder. A symbolic link is removed, not what it leads to.
    pub(super) fn begin(path: &Path) -> Result<Begun, Errno> {
        let (above, entry) = parent(path)?;
        let entry = CString::new(entry.as_bytes()).map_err(|_zero_byte| Errno::INVAL)?;
        let status = statat(&above, &entry, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
            unlinkat(&above, &entry, AtFlags::empty())?;
            return Ok(Begun::Gone);
        }
        let opened = open(&above, &entry).and_then(|folder| {
            let names = Names::read(&folder, NAMES)?;
            Descent::begin(folder, path, names)
        });
        match opened {
            Ok(descent) => Ok(Begun::Folder(Self { above, entry, descent })),
            // One that may not be read can be removed if it is empty.
            Err(Errno::ACCESS) => match unlinkat(&above, &entry, AtFlags::REMOVEDIR) {
                Ok(()) => Ok(Begun::Gone),
                Err(_) => Err(Errno::ACCESS),
            },
            Err(errno) => Err(errno),
        }
    }

    /// Removes until everything is gone, which is `true`, or `deadline` has passed.
    pub(super) fn go_on(&mut self, deadline: Instant) -> Result<bool, RemovalError> {
        loop {
            match self.step() {
                Ok(true) => return Ok(true),
                Ok(false) if Instant::now() < deadline => {}
                Ok(false) => return Ok(false),
                Err(errno) => {
                    return Err(RemovalError { path: self.descent.path().to_owned(), errno });
                }
            }
        }
    }

    fn step(&mut self) -> Result<bool, Errno> {
        let Some(names) = self.descent.names() else { return Ok(true) };
        let Some(name) = names.next().map(CStr::to_owned) else { return self.finish_folder() };
        self.descent.point_at(&name);
        match unlinkat(self.descent.folder()?, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno @ (Errno::ISDIR | Errno::PERM)) => self.enter(&name, errno)?,
            Err(errno) => return Err(errno),
        }
        Ok(false)
    }

    /// Goes into a folder, or fails as removing it as a file has failed.
    fn enter(&mut self, name: &CStr, refused: Errno) -> Result<(), Errno> {
        let folder = match open(self.descent.folder()?, name) {
            Ok(folder) => folder,
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(refused),
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ACCESS) => {
                let removed = unlinkat(self.descent.folder()?, name, AtFlags::REMOVEDIR);
                return removed.map_err(|_not_empty| Errno::ACCESS);
            }
            Err(errno) => return Err(errno),
        };
        let room = ALL_NAMES.saturating_sub(self.descent.names_size()).clamp(4096, NAMES);
        let names = Names::read(&folder, room)?;
        self.descent.enter(name, folder, names)
    }

    /// Removes the folder whose names are all gone, and goes back to the one above.
    fn finish_folder(&mut self) -> Result<bool, Errno> {
        self.descent.point_back();
        if self.descent.names().is_some_and(|names| names.is_cut && names.is_begun()) {
            let more = Names::read(self.descent.folder()?, NAMES)?;
            if let Some(names) = self.descent.names() {
                *names = more;
            }
            return Ok(false);
        }
        let path = self.descent.path().to_owned();
        let name = path.file_name().map(|name| CString::new(name.as_bytes()));
        let Some(Ok(name)) = name else { return Err(Errno::INVAL) };
        let is_below = self.descent.leave()?;
        let (above, name) =
            if is_below { (self.descent.folder()?, &name) } else { (&self.above, &self.entry) };
        match unlinkat(above, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(!is_below),
            Err(errno) => {
                if is_below {
                    self.descent.point_at(name);
                }
                Err(errno)
            }
        }
    }
}

fn open(above: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(above, name, flags, Mode::empty())
}
