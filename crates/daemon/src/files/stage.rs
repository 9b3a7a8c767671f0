//! Replacing a file as a whole: it has its old contents until all of the new ones are there.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, accessat, fchmod, openat};
use rustix::fs::{renameat, statat, unlinkat};
use rustix::io::Errno;

use super::change::{FOLDER_MODE, make_folders, of_io};
use super::open::{open, parent, regular};
use super::pool::Files;
use super::random;

/// The permissions of new files.
const FILE_MODE: u32 = 0o644;
/// As many symbolic links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// A file that is being written. Dropped before it is committed, it leaves no trace.
#[derive(Debug)]
pub(super) struct Staged {
    files: Files,
    /// `None` once committed.
    stage: Option<Stage>,
    written: u64,
}

/// New contents, and where they go. Only touched on the user's threads.
#[derive(Debug)]
struct Stage {
    file: File,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Beside the target, under a name of its own.
    Beside { folder: OwnedFd, temporary: CString, target: CString },
    /// Nowhere in particular: the user may write to the target, but may not replace it.
    Elsewhere { target: PathBuf },
}

impl Staged {
    /// Begins to write `path`, following symbolic links; folders that are missing are made.
    pub(super) async fn begin(files: &Files, path: PathBuf) -> Result<Self, Errno> {
        let stage = files.run(move || Stage::begin(path)).await.map_err(|_broken| Errno::IO)??;
        Ok(Self { files: files.clone(), stage: Some(stage), written: 0 })
    }

    /// Adds bytes.
    pub(super) async fn write(
        &mut self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), Errno> {
        let Some(mut stage) = self.stage.take() else { return Err(Errno::BADF) };
        let count = u64::try_from(bytes.as_ref().len()).unwrap_or(u64::MAX);
        let write = move || {
            let result = stage.file.write_all(bytes.as_ref());
            (stage, result)
        };
        let (stage, result) = self.files.run(write).await.map_err(|_broken| Errno::IO)?;
        self.stage = Some(stage);
        self.written = self.written.saturating_add(count);
        result.map_err(|error| of_io(&error))
    }

    /// Puts the new contents in the old one's place; answers how many bytes they are.
    pub(super) async fn commit(mut self) -> Result<u64, Errno> {
        let Some(stage) = self.stage.take() else { return Err(Errno::BADF) };
        let commit = move || {
            let result = stage.commit();
            if result.is_err() {
                stage.remove();
            }
            result
        };
        self.files.run(commit).await.map_err(|_broken| Errno::IO)??;
        Ok(self.written)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(stage) = self.stage.take() {
            self.files.run_later(move || stage.remove());
        }
    }
}

impl Stage {
    fn begin(path: PathBuf) -> Result<Self, Errno> {
        let target = follow(path)?;
        make_folders(target.parent().ok_or(Errno::ISDIR)?, FOLDER_MODE)?;
        let (folder, entry) = parent(&target)?;
        let mode = match statat(&folder, entry, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => match FileType::from_raw_mode(status.st_mode) {
                FileType::RegularFile => {
                    // Who may not write to a file may not replace it either, even where the folder would allow it.
                    accessat(&folder, entry, Access::WRITE_OK, AtFlags::empty())?;
                    Some(status.st_mode & 0o777)
                }
                FileType::Directory => return Err(Errno::ISDIR),
                _ => return Err(Errno::INVAL),
            },
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno),
        };
        match Self::beside(folder, entry, mode) {
            Err(Errno::ACCESS | Errno::PERM) if mode.is_some() => Self::elsewhere(target),
            other => other,
        }
    }

    fn beside(folder: OwnedFd, entry: &OsStr, mode: Option<u32>) -> Result<Self, Errno> {
        let temporary = CString::new(format!(".pitlane-{}", random::letters()?));
        let temporary = temporary.map_err(|_contains_nul| Errno::INVAL)?;
        let target = CString::new(entry.as_bytes()).map_err(|_contains_nul| Errno::INVAL)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&folder, &temporary, flags, Mode::from_raw_mode(FILE_MODE))?;
        let stage = Self { file: file.into(), place: Place::Beside { folder, temporary, target } };
        if let Some(mode) = mode
            && let Err(errno) = fchmod(stage.file.as_fd(), Mode::from_raw_mode(mode))
        {
            stage.remove();
            return Err(errno);
        }
        Ok(stage)
    }

    fn elsewhere(target: PathBuf) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::TMPFILE;
        let file = open(Path::new("/tmp"), flags, Mode::from_raw_mode(0o600))?;
        Ok(Self { file: file.into(), place: Place::Elsewhere { target } })
    }

    fn commit(&self) -> Result<(), Errno> {
        match &self.place {
            Place::Beside { folder, temporary, target } => {
                renameat(folder, temporary, folder, target)
            }
            Place::Elsewhere { target } => {
                let target = open(target, OFlags::WRONLY, Mode::empty())?;
                regular(&target)?;
                let (mut source, mut target) = (&self.file, File::from(target));
                source.rewind().map_err(|error| of_io(&error))?;
                let length = std::io::copy(&mut source, &mut target);
                target
                    .set_len(length.map_err(|error| of_io(&error))?)
                    .map_err(|error| of_io(&error))
            }
        }
    }

    fn remove(&self) {
        if let Place::Beside { folder, temporary, .. } = &self.place {
            // Somebody may have removed it already.
            unlinkat(folder, temporary, AtFlags::empty()).ok();
        }
    }
}

/// The path that writing to `path` would write to: what replaces a file must not replace a link to it.
fn follow(mut path: PathBuf) -> Result<PathBuf, Errno> {
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&path) {
            Ok(target) => {
                let above = path.parent().map(Path::to_owned).unwrap_or_default();
                path = above.join(target);
            }
            // Not a link, or nothing at all.
            Err(_) => return if path.file_name().is_some() { Ok(path) } else { Err(Errno::ISDIR) },
        }
    }
    Err(Errno::LOOP)
}
