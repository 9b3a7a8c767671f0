//! A folder here into which what comes from a sandbox is written.
//!
//! Below the folder that the user named nothing is reached by a path: each name is opened in its folder, links are not
//! followed, and a file takes its place when it is complete. So whatever a sandbox calls its files, and whatever links
//! lie in the folder, nothing outside of it is touched.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::fs::{futimens, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

/// A folder that is open.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// A file that is being written. Dropped before it is finished, it leaves no trace.
#[derive(Debug)]
pub(super) struct NewFile {
    file: File,
    place: Location,
}

#[derive(Debug)]
struct Location {
    folder: Arc<Folder>,
    temporary: OsString,
    name: OsString,
    is_done: bool,
}

impl Folder {
    /// Opens a folder that the user named; links in its path are followed.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let named = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let fd = openat(CWD, named, flags, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The path of something in it, for people.
    pub(super) fn shown(&self, name: &Path) -> String {
        self.path.join(name).display().to_string()
    }

    /// Opens a folder in it, which is made if it is missing; a link is refused.
    pub(super) fn enter(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        // Its owner can always write into it, or nothing could be copied there.
        match mkdirat(&self.fd, name, Mode::from_raw_mode(mode & 0o777 | 0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { fd, path: self.path.join(name) }),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                Err(io::Error::other("there is something else than a folder, or a link to one"))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Begins to write a file in it.
    pub(super) fn create(folder: &Arc<Self>, name: &OsStr, mode: u32) -> io::Result<NewFile> {
        let temporary = temporary_name()?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode & 0o777);
        let file = openat(&folder.fd, &temporary, flags, mode)?;
        let place = Location {
            folder: Arc::clone(folder),
            temporary,
            name: name.to_owned(),
            is_done: false,
        };
        Ok(NewFile { file: file.into(), place })
    }
}

impl NewFile {
    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Puts the file in its place, with the time at which its contents changed.
    pub(super) fn finish(mut self, changed: Option<jiff::Timestamp>) -> io::Result<()> {
        if let Some(changed) = changed {
            // A time that this file system cannot keep is no reason to lose the file.
            _ = futimens(&self.file, &timestamps(changed));
        }
        let place = &mut self.place;
        let folder = &place.folder.fd;
        renameat(folder, &place.temporary, folder, &place.name)?;
        place.is_done = true;
        Ok(())
    }
}

impl Drop for Location {
    fn drop(&mut self) {
        if !self.is_done {
            // Nobody is left to tell.
            _ = unlinkat(&self.folder.fd, &self.temporary, AtFlags::empty());
        }
    }
}

fn timestamps(changed: jiff::Timestamp) -> Timestamps {
    let changed = changed.as_nanosecond();
    let (seconds, nanos) = (changed.div_euclid(1_000_000_000), changed.rem_euclid(1_000_000_000));
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: i64::try_from(seconds).unwrap_or(0),
            tv_nsec: i64::try_from(nanos).unwrap_or(0),
        },
    }
}

/// A name that nobody can have guessed.
fn temporary_name() -> io::Result<OsString> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(OsString::from(format!(".pitlane-{:016x}", u64::from_ne_bytes(random))))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, Arc<Folder>) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        (place, Arc::new(folder))
    }

    #[test]
    fn a_file_has_its_old_contents_until_it_is_finished_and_an_unfinished_one_leaves_no_trace() {
        let (place, folder) = folder();
        std::fs::write(place.path().join("a"), "old").unwrap();
        let mut file = Folder::create(&folder, OsStr::new("a"), 0o755).unwrap();
        file.write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(place.path().join("a")).unwrap(), "old");
        drop(file);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);

        let mut file = Folder::create(&folder, OsStr::new("a"), 0o755).unwrap();
        file.write(b"new").unwrap();
        file.finish(Some(jiff::Timestamp::new(1_000_000_000, 5).unwrap())).unwrap();
        let written = place.path().join("a");
        assert_eq!(std::fs::read_to_string(&written).unwrap(), "new");
        let metadata = std::fs::metadata(&written).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o700, 0o700);
        let changed = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(changed, std::time::Duration::new(1_000_000_000, 5));
    }

    #[test]
    fn a_link_in_the_way_is_neither_followed_nor_written_through() {
        let (place, folder) = folder();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("a"), "outside").unwrap();
        symlink(outside.path(), place.path().join("folder")).unwrap();
        symlink(outside.path().join("a"), place.path().join("file")).unwrap();

        assert!(folder.enter(OsStr::new("folder"), 0o755).is_err());
        let mut file = Folder::create(&folder, OsStr::new("file"), 0o644).unwrap();
        file.write(b"mine").unwrap();
        file.finish(None).unwrap();
        assert_eq!(std::fs::read_to_string(outside.path().join("a")).unwrap(), "outside");
        assert_eq!(std::fs::read_to_string(place.path().join("file")).unwrap(), "mine");
    }
}
