//! Replacing a file as a whole: it has its old contents until all of the new ones are there.
//!
//! New contents have no name until they are complete, so that whatever happens before, the end of the daemon included,
//! leaves no trace. Where the file system cannot do that they have a name of their own, beside the file. A file that the
//! user may write but not own is written in place, since replacing it would change whose it is; so is one in a folder
//! in which the user may not make files.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pitlane_daemon::input::names_a_folder;
use rustix::fs::{Access, AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, Stat};
use rustix::fs::{accessat, fallocate, fchmod, fchown, fstat, linkat, openat, readlinkat};
use rustix::fs::{renameat, statat, unlinkat};
use rustix::io::Errno;

use super::batch::Batch;
use super::folders::make_folders;
use super::open::{folder_at, is_the_kernels, open, own_path, parent, write_regular};
use super::pool::{Files, Running, Transfer};
use super::random;

/// The permissions of new files.
const FILE_MODE: u32 = 0o644;
/// The permissions of folders that nobody chose permissions for.
pub(super) const FOLDER_MODE: u32 = 0o755;
/// From how many bytes on they are written.
const SMALL_BATCH: u64 = 256 << 10;
/// How many are collected at most while others are written: each batch wakes two threads.
const LARGE_BATCH: u64 = 1 << 20;
/// How many are collected for all files together, as long as each gets more than the least.
const ALL_BATCHES: u64 = 8 << 20;
/// As many symbolic links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// A file that is being written. Dropped before it is committed, it leaves no trace.
#[derive(Debug)]
pub(super) struct Staged {
    files: Files,
    /// `None` while it is written to, and once committed.
    stage: Option<Stage>,
    /// What is to be written next.
    batch: Batch,
    /// What is written while the next bytes come.
    writing: Option<Running<(Stage, Result<(), Errno>)>>,
    written: u64,
    transfer: Transfer,
}

/// New contents, and where they go. Only touched on the user's threads.
#[derive(Debug)]
pub(super) struct Stage {
    file: File,
    /// The file's path, without symbolic links at its end.
    target: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// On the file system of the target, without a name.
    Nameless,
    /// On the file system of the target, under a name of its own.
    Named { folder: OwnedFd, temporary: CString },
    /// Anywhere: the target is written, not replaced.
    Elsewhere,
}

impl Staged {
    /// Begins to write `path`, following symbolic links; folders that are missing are made at the end.
    pub(super) async fn begin(files: &Files, path: PathBuf) -> Result<Self, Errno> {
        let stage = files.run(move || Stage::begin(path)).await.map_err(|_broken| Errno::IO)??;
        Ok(Self {
            transfer: files.begin_transfer(),
            files: files.clone(),
            stage: Some(stage),
            batch: Batch::default(),
            writing: None,
            written: 0,
        })
    }

    /// Adds bytes. They are written while the next ones come: a later call, or the last one, tells what went wrong.
    ///
    /// As long as some are being written, more are collected, so that the two sides rarely wait for each other.
    pub(super) async fn write(&mut self, piece: Bytes) -> Result<(), Errno> {
        self.batch.push(piece);
        let most = self.transfer.share_of(ALL_BATCHES).clamp(SMALL_BATCH, LARGE_BATCH);
        let bytes = u64::try_from(self.batch.bytes()).unwrap_or(u64::MAX);
        if bytes < SMALL_BATCH {
            return Ok(());
        }
        match &mut self.writing {
            Some(writing) if bytes < most && !writing.has_ended() => Ok(()),
            _ => self.flush().await,
        }
    }

    /// Begins to write what was collected when all before it is written.
    async fn flush(&mut self) -> Result<(), Errno> {
        let mut stage = self.settled().await?;
        let batch = std::mem::take(&mut self.batch);
        self.written = self.written.saturating_add(u64::try_from(batch.bytes()).unwrap_or(0));
        let write = move || {
            let result = batch.write_to(&mut stage.file).map_err(|error| of_io(&error));
            (stage, result)
        };
        self.writing = Some(self.files.begin(write).await.map_err(|_broken| Errno::IO)?);
        Ok(())
    }

    /// Puts the new contents in the old one's place; answers how many bytes they are.
    pub(super) async fn commit(&mut self) -> Result<u64, Errno> {
        if self.batch.bytes() > 0 {
            self.flush().await?;
        }
        let stage = self.settled().await?;
        self.files.run(move || stage.commit()).await.map_err(|_broken| Errno::IO)??;
        Ok(self.written)
    }

    /// Gives up, and frees what was written before it returns.
    pub(super) async fn discard(mut self) {
        // Also when the last of it could not be written.
        if let Ok(stage) = self.settled().await {
            self.stage = Some(stage);
        }
        if let Some(stage) = self.stage.take() {
            self.files.run(move || drop(stage)).await.ok();
        }
    }

    /// The stage with everything in it that was given so far.
    async fn settled(&mut self) -> Result<Stage, Errno> {
        if let Some(writing) = &mut self.writing {
            // Stays where it is until it ends: whoever gives up meanwhile leaves it to be dropped.
            let ended = writing.end().await;
            self.writing = None;
            let (stage, result) = ended.map_err(|_broken| Errno::IO)?;
            self.stage = Some(stage);
            result?;
        }
        self.stage.take().ok_or(Errno::BADF)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.take() {
            self.files.run_later(move || drop(stage));
        }
        if let Some(writing) = self.writing.take() {
            self.files.run_later(move || drop(writing.end_here()));
        }
    }
}

impl Stage {
    /// Begins to write `path`.
    pub(super) fn begin(path: PathBuf) -> Result<Self, Errno> {
        if names_a_folder(&path) {
            return Err(Errno::ISDIR);
        }
        let target = follow(path)?;
        let (folder, is_parent) = nearest_folder(&target)?;
        let entry = target.file_name().ok_or(Errno::ISDIR)?;
        let old = if is_parent { existing(&folder, entry)? } else { None };
        if old.is_some() && is_the_kernels(&folder)? {
            return Err(Errno::ACCESS);
        }
        match Self::beside(folder, target.clone(), old.as_ref()) {
            Ok(Some(stage)) => Ok(stage),
            Ok(None) => Self::elsewhere(target),
            Err(Errno::ACCESS | Errno::PERM) if old.is_some() => Self::elsewhere(target),
            Err(errno) => Err(errno),
        }
    }

    /// `None` if what took the old file's place would not be its owner's or group's.
    fn beside(folder: OwnedFd, target: PathBuf, old: Option<&Stat>) -> Result<Option<Self>, Errno> {
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let stage = match openat(&folder, c".", nameless, Mode::from_raw_mode(FILE_MODE)) {
            Ok(file) => Self { file: file.into(), target, place: Place::Nameless },
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::named(folder, target)?,
            Err(errno) => return Err(errno),
        };
        if let Some(old) = old {
            let new = fstat(&stage.file)?;
            let gid = Gid::from_raw(old.st_gid);
            let is_same_group =
                old.st_gid == new.st_gid || fchown(&stage.file, None, Some(gid)).is_ok();
            if old.st_uid != new.st_uid || !is_same_group {
                return Ok(None);
            }
            fchmod(&stage.file, Mode::from_raw_mode(old.st_mode & 0o777))?;
        }
        Ok(Some(stage))
    }

    fn named(folder: OwnedFd, target: PathBuf) -> Result<Self, Errno> {
        let temporary = temporary_name()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&folder, &temporary, flags, Mode::from_raw_mode(FILE_MODE))?;
        Ok(Self { file: file.into(), target, place: Place::Named { folder, temporary } })
    }

    fn elsewhere(target: PathBuf) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::TMPFILE;
        let file = open(Path::new("/tmp"), flags, Mode::from_raw_mode(0o600))?;
        Ok(Self { file: file.into(), target, place: Place::Elsewhere })
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.file.write_all(bytes).map_err(|error| of_io(&error))
    }

    /// Makes the folders that are missing and puts the new contents in the old one's place.
    pub(super) fn commit(mut self) -> Result<(), Errno> {
        if matches!(self.place, Place::Elsewhere) {
            return self.write_in_place();
        }
        let above = self.target.parent().ok_or(Errno::ISDIR)?;
        make_folders(above, FOLDER_MODE)?;
        let (folder, entry) = parent(&self.target)?;
        match &self.place {
            Place::Named { folder: beside, temporary } => {
                renameat(beside, temporary, &folder, entry)?;
                // The name is gone.
                self.place = Place::Nameless;
                Ok(())
            }
            _ => self.give_name(&folder, entry),
        }
    }

    fn give_name(&self, folder: &OwnedFd, entry: &OsStr) -> Result<(), Errno> {
        let file = own_path(&self.file);
        let link = |name: &OsStr| linkat(CWD, &file, folder, name, AtFlags::SYMLINK_FOLLOW);
        match link(entry) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
        // Nothing takes a name that is taken, but a name can take another's place.
        let temporary = temporary_name()?;
        link(OsStr::from_bytes(temporary.as_bytes()))?;
        let renamed = renameat(folder, &temporary, folder, entry);
        if renamed.is_err() {
            unlinkat(folder, &temporary, AtFlags::empty())?;
        }
        renamed
    }

    fn write_in_place(&mut self) -> Result<(), Errno> {
        let mut target = write_regular(&self.target)?;
        let length = self.file.stream_position().map_err(|error| of_io(&error))?;
        self.file.rewind().map_err(|error| of_io(&error))?;
        // If there is no room for it, nothing of the old contents is lost.
        let room = fallocate(&target, FallocateFlags::KEEP_SIZE, 0, length.max(1));
        // Not every file system can promise room.
        if let Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = room {
            return Err(errno);
        }
        std::io::copy(&mut self.file, &mut target).map_err(|error| of_io(&error))?;
        target.set_len(length).map_err(|error| of_io(&error))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Place::Named { folder, temporary } = &self.place {
            // Somebody may have removed it already.
            unlinkat(folder, temporary, AtFlags::empty()).ok();
        }
    }
}

/// The file that is there, if one is; it must be one that can be replaced.
fn existing(folder: &OwnedFd, entry: &OsStr) -> Result<Option<Stat>, Errno> {
    let status = match statat(folder, entry, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(status) => status,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => {
            // Who may not write to a file may not replace it either, even where the folder would allow it.
            accessat(folder, entry, Access::WRITE_OK, AtFlags::empty())?;
            Ok(Some(status))
        }
        FileType::Directory => Err(Errno::ISDIR),
        _ => Err(Errno::INVAL),
    }
}

/// The folder that holds `path`, or the nearest one above it that exists; and whether it is the first.
fn nearest_folder(path: &Path) -> Result<(OwnedFd, bool), Errno> {
    let mut is_parent = true;
    for folder in path.ancestors().skip(1) {
        match folder_at(folder) {
            Err(Errno::NOENT) => is_parent = false,
            other => return Ok((other?, is_parent)),
        }
    }
    Err(Errno::NOENT)
}

fn temporary_name() -> Result<CString, Errno> {
    let name = format!(".pitlane-{}", random::letters()?);
    CString::new(name).map_err(|_zero_byte| Errno::INVAL)
}

/// The path that writing to `path` would write to: what replaces a file must not replace a link to it.
fn follow(mut path: PathBuf) -> Result<PathBuf, Errno> {
    for _ in 0..MAX_LINKS {
        let (folder, entry) = match parent(&path) {
            Ok(found) => found,
            // Nothing is there yet, so it is no link.
            Err(Errno::NOENT) => return Ok(path),
            Err(errno) => return Err(errno),
        };
        let target = match readlinkat(&folder, entry, Vec::new()) {
            Ok(target) => target,
            Err(Errno::INVAL | Errno::NOENT) => return Ok(path),
            Err(errno) => return Err(errno),
        };
        // The text of a link of the kernel's own is no path.
        if is_the_kernels(&folder)? {
            return Err(Errno::LOOP);
        }
        let above = path.parent().map(Path::to_owned).unwrap_or_default();
        path = above.join(OsStr::from_bytes(target.as_bytes()));
        if names_a_folder(&path) {
            return Err(Errno::ISDIR);
        }
    }
    Err(Errno::LOOP)
}

pub(super) fn of_io(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::{Stage, folder_at};

    /// What file systems without nameless files do.
    #[test]
    fn a_file_with_a_name_of_its_own_takes_its_place_or_leaves_no_trace() {
        let folder = TempDir::new().unwrap();
        let target = folder.path().join("inner/file");
        let entries = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        for contents in ["old", "new"] {
            let mut stage =
                Stage::named(folder_at(folder.path()).unwrap(), target.clone()).unwrap();
            stage.write(contents.as_bytes()).unwrap();
            assert!(entries().iter().any(|name| name.to_string_lossy().starts_with(".pitlane-")));
            stage.commit().unwrap();
            assert_eq!(
                (entries(), std::fs::read_to_string(&target).unwrap().as_str()),
                (vec!["inner".into()], contents)
            );
        }
        let mut stage = Stage::named(folder_at(folder.path()).unwrap(), target.clone()).unwrap();
        stage.write(b"half of").unwrap();
        drop(stage);
        assert_eq!(
            (entries(), std::fs::read_to_string(&target).unwrap().as_str()),
            (vec!["inner".into()], "new")
        );
    }
}
