//! Moving to another file system: a copy under a name of its own, which then takes the new path, and the removal of what
//! was copied.
//!
//! Nothing is at the new path before all of it is, and nothing is removed before that. Contents, modes, symbolic links,
//! times of files and, where the user may, owners are kept; names of one file become files of their own, and holes
//! are filled. A tree deeper than a path is long does not move.

use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Timespec};
use rustix::fs::{Timestamps, Uid, chownat, fchmod, fchown, futimens, mkdirat, mknodat, openat};
use rustix::fs::{readlinkat, renameat_with, statat, symlinkat};
use rustix::io::Errno;

use super::open::{folder_at, own_path, parent};
use super::random;
use super::removal::{Begun, Removal, RemovalError};
use super::stage::of_io;
use super::walk::{Limits, Walk, WalkError};

/// How much is copied before it is asked whether the turn is over.
const PIECE: u64 = 1 << 20;

/// A move that goes on from one call to the next.
#[derive(Debug)]
pub(super) struct Relocation {
    source: PathBuf,
    /// The folder of the new path, and the last part of it.
    above: OwnedFd,
    entry: OsString,
    /// Where the copy is: the folder's path, to make paths below it.
    copy: PathBuf,
    temporary: CString,
    stage: Stage,
    /// Folders that get modes in which nothing could be put in them.
    closed: Vec<(PathBuf, u32)>,
}

#[derive(Debug)]
enum Stage {
    Copying {
        walk: Walk,
        file: Option<Copy>,
    },
    /// A single file.
    CopyingFile(Copy),
    Copied,
    Removing(Removal),
    Done,
}

/// A file that is being copied.
#[derive(Debug)]
struct Copy {
    from: File,
    to: File,
    status: Stat,
}

impl Relocation {
    /// Begins to move `source` to the free path `target`.
    pub(super) fn begin(source: &Path, target: &Path) -> Result<Self, RemovalError> {
        Self::prepare(source, target)
            .map_err(|errno| RemovalError { path: source.to_owned(), errno })
    }

    fn prepare(source: &Path, target: &Path) -> Result<Self, Errno> {
        let (from, name) = parent(source)?;
        let name = CString::new(name.as_bytes()).map_err(|_zero_byte| Errno::INVAL)?;
        let status = statat(&from, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        // What cannot be removed is not copied either.
        rustix::fs::accessat(&from, c".", rustix::fs::Access::WRITE_OK, AtFlags::empty())?;
        let (above, entry) = parent(target)?;
        match statat(&above, entry, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(_) => return Err(Errno::EXIST),
            Err(errno) => return Err(errno),
        }
        let temporary = format!(".pitlane-{}", random::letters()?);
        let copy = target.parent().ok_or(Errno::INVAL)?.join(&temporary);
        let temporary = CString::new(temporary).map_err(|_zero_byte| Errno::INVAL)?;
        let entry = entry.to_owned();
        let (source, closed) = (source.to_owned(), Vec::new());
        let mut relocation =
            Self { source, above, entry, copy, temporary, stage: Stage::Copied, closed };
        let begun = relocation.begin_copy(&from, &name, &status);
        if begun.is_err() {
            relocation.undo();
        }
        begun.map(|()| relocation)
    }

    fn begin_copy(&mut self, from: &OwnedFd, name: &CStr, status: &Stat) -> Result<(), Errno> {
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory => {
                let limits =
                    Limits { depth: usize::MAX, skips_the_kernels: false, leaves_out: false };
                let walk = Walk::begin(&self.source, limits, true).map_err(errno_of)?;
                let copy = self.copy.clone();
                self.make_folder(&copy, status)?;
                self.stage = Stage::Copying { walk, file: None };
            }
            FileType::RegularFile => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = openat(from, name, flags, Mode::empty())?;
                self.stage = Stage::CopyingFile(Copy::begin(file, *status, &self.copy)?);
            }
            _ => copy_special(from, name, status, &self.copy)?,
        }
        Ok(())
    }

    /// Goes on until everything is moved, which is `true`, or `deadline` has passed. After a failure nothing is at the
    /// new path, unless only the removal of the old one has failed.
    pub(super) fn go_on(&mut self, deadline: Instant) -> Result<bool, RemovalError> {
        loop {
            let stepped = match &mut self.stage {
                Stage::Removing(removal) => {
                    return match removal.go_on(deadline) {
                        Ok(true) => {
                            self.stage = Stage::Done;
                            Ok(true)
                        }
                        other => other,
                    };
                }
                Stage::Done => return Ok(true),
                _ => self.step(),
            };
            match stepped {
                Ok(()) if Instant::now() < deadline => {}
                Ok(()) => return Ok(false),
                Err(errno) => {
                    let path = match &self.stage {
                        Stage::Copying { walk, .. } => walk.path().to_owned(),
                        _ => self.source.clone(),
                    };
                    self.undo();
                    return Err(RemovalError { path, errno });
                }
            }
        }
    }

    fn step(&mut self) -> Result<(), Errno> {
        match &mut self.stage {
            Stage::CopyingFile(copy) => {
                if copy.go_on()? {
                    self.stage = Stage::Copied;
                }
            }
            Stage::Copying { file: Some(copy), .. } => {
                if copy.go_on()?
                    && let Stage::Copying { file, .. } = &mut self.stage
                {
                    *file = None;
                }
            }
            Stage::Copying { walk, file } => {
                let Some(found) = walk.next().map_err(errno_of)? else {
                    self.stage = Stage::Copied;
                    return Ok(());
                };
                let below = walk.path().strip_prefix(&self.source);
                let to = self.copy.join(below.map_err(|_elsewhere| Errno::STALE)?);
                match found.kind() {
                    FileType::Directory => {
                        if !walk.is_entered() {
                            return Err(Errno::ACCESS);
                        }
                        self.make_folder(&to, &found.status)?;
                    }
                    FileType::RegularFile => {
                        let from = walk.open(&found.name, OFlags::empty())?;
                        *file = Some(Copy::begin(from, found.status, &to)?);
                    }
                    _ => copy_special(walk.folder()?, &found.name, &found.status, &to)?,
                }
            }
            Stage::Copied => self.finish()?,
            Stage::Removing(_) | Stage::Done => {}
        }
        Ok(())
    }

    /// Makes a folder in which things can be put, for now.
    fn make_folder(&mut self, path: &Path, status: &Stat) -> Result<(), Errno> {
        let (folder, entry) = parent(path)?;
        mkdirat(&folder, entry, Mode::from_raw_mode(0o700))?;
        let made = folder_at(path)?;
        let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
        // Where the user may.
        chownat(&made, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH).ok();
        let mode = status.st_mode & 0o7777;
        if mode & 0o700 == 0o700 {
            return set_mode(&made, mode);
        }
        self.closed.push((path.to_owned(), mode));
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Errno> {
        while let Some((path, mode)) = self.closed.pop() {
            set_mode(&folder_at(&path)?, mode)?;
        }
        let (above, entry) = (&self.above, self.entry.as_os_str());
        renameat_with(above, &self.temporary, above, entry, RenameFlags::NOREPLACE)?;
        self.stage = match Removal::begin(&self.source)? {
            Begun::Gone => Stage::Done,
            Begun::Folder(removal) => Stage::Removing(removal),
        };
        Ok(())
    }

    /// Removes the copy. What cannot be removed stays, under a name that says whose it was.
    fn undo(&mut self) {
        if let Ok(Begun::Folder(mut removal)) = Removal::begin(&self.copy) {
            let far = Instant::now().checked_add(std::time::Duration::from_secs(3600));
            removal.go_on(far.unwrap_or_else(Instant::now)).ok();
        }
        self.stage = Stage::Done;
    }
}

impl Drop for Relocation {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Done | Stage::Removing(_)) {
            self.undo();
        }
    }
}

impl Copy {
    fn begin(from: OwnedFd, status: Stat, to: &Path) -> Result<Self, Errno> {
        let (folder, entry) = parent(to)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let to = openat(&folder, entry, flags, Mode::from_raw_mode(0o600))?;
        Ok(Self { from: from.into(), to: to.into(), status })
    }

    fn go_on(&mut self) -> Result<bool, Errno> {
        let count = std::io::copy(&mut self.from.by_ref().take(PIECE), &mut self.to);
        if count.map_err(|error| of_io(&error))? > 0 {
            return Ok(false);
        }
        let status = &self.status;
        let owner = (Some(Uid::from_raw(status.st_uid)), Some(Gid::from_raw(status.st_gid)));
        // Where the user may. A file that becomes another's loses bits that act with its owner's rights.
        let is_same = fchown(&self.to, owner.0, owner.1).is_ok();
        let bits = if is_same { 0o7777 } else { 0o777 };
        fchmod(&self.to, Mode::from_raw_mode(status.st_mode & bits))?;
        let time = |seconds: i64, nanoseconds: u64| Timespec {
            tv_sec: seconds,
            tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
        };
        let times = Timestamps {
            last_access: time(status.st_atime, status.st_atime_nsec),
            last_modification: time(status.st_mtime, status.st_mtime_nsec),
        };
        futimens(&self.to, &times)?;
        Ok(true)
    }
}

/// Links, and pipes and sockets, which have no contents. Devices are not the user's to make.
fn copy_special(from: &OwnedFd, name: &CStr, status: &Stat, to: &Path) -> Result<(), Errno> {
    let (folder, entry) = parent(to)?;
    let kind = FileType::from_raw_mode(status.st_mode);
    if kind == FileType::Symlink {
        let target = readlinkat(from, name, Vec::new())?;
        return symlinkat(&target, &folder, entry);
    }
    let mode = Mode::from_raw_mode(status.st_mode & 0o777);
    mknodat(&folder, entry, kind, mode, status.st_rdev)
}

fn set_mode(folder: &OwnedFd, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    rustix::fs::chmodat(CWD, own_path(folder), mode, AtFlags::empty())
}

fn errno_of(error: WalkError) -> Errno {
    match error {
        WalkError::Kernel(errno) => errno,
        WalkError::Large | WalkError::TooLarge => Errno::NOMEM,
    }
}
