//! Writing files, folders and links below a destination.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use pitlane_wire::build::{Entry, EntryKind, Placement};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chownat, fchmod, fchown,
    futimens, linkat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::folders::{Owner, open, open_or_make, root};
use super::refuse;
use crate::http::Refusal;

/// How much of a file is moved at once.
const PIECE: usize = 256 << 10;
/// The longest path of an entry; the kernel takes none that is longer.
const MAX_PATH: usize = 4095;

/// A place for files.
#[derive(Debug)]
pub(super) struct Tree {
    root: OwnedFd,
    /// The destination, from the root on.
    base: PathBuf,
    owner: Option<Owner>,
    mode: Option<u32>,
    /// The folder of the last entry: most have the same.
    last: Option<(PathBuf, OwnedFd)>,
    buffer: Vec<u8>,
}

impl Tree {
    pub(super) fn new(placement: &Placement) -> Result<Self, Refusal> {
        let told = |errno| refuse(&placement.destination, errno);
        let root = root().map_err(told)?;
        Ok(Self {
            root,
            base: PathBuf::from(&placement.destination),
            owner: placement.owner.as_deref().map(Owner::find).transpose()?,
            mode: placement.mode,
            last: None,
            buffer: vec![0; PIECE],
        })
    }

    /// Where the one file goes that follows: into the folder of that name, or under the name.
    pub(super) fn is_folder(&self) -> bool {
        open(&self.root, &self.base, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// Writes an entry, the contents of a file from `input`; `name` is its path below the destination.
    pub(super) fn write(
        &mut self,
        entry: &Entry,
        name: &Path,
        input: &mut impl Read,
    ) -> Result<(), Refusal> {
        let name = check(name)?;
        // Joining nothing would add a slash, and with that only a folder could be meant.
        let path = match name.as_os_str().is_empty() {
            true => self.base.clone(),
            false => self.base.join(name),
        };
        let shown = path.to_string_lossy().into_owned();
        self.write_at(entry, &path, input).map_err(|failure| match failure {
            Failure::Kernel(errno) => refuse(&shown, errno),
            Failure::Input(error) => {
                Refusal::bad_request(format!("{shown}: the files were cut off: {error}"))
            }
        })
    }

    fn write_at(
        &mut self,
        entry: &Entry,
        path: &Path,
        input: &mut impl Read,
    ) -> Result<(), Failure> {
        if entry.kind == EntryKind::Folder {
            return self.folder(entry, path).map_err(Failure::Kernel);
        }
        // A destination that is a link is where it leads.
        let path = self.followed(entry, path);
        let name = path.file_name().ok_or(Failure::Kernel(Errno::ISDIR))?.to_owned();
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        self.enter(folder)?;
        let Some((_, folder)) = &self.last else { return Err(Failure::Kernel(Errno::NOENT)) };
        make_room(folder, &name)?;
        match entry.kind {
            EntryKind::Link => {
                symlinkat(entry.target.as_str(), folder, name.as_os_str())?;
                let (uid, gid) = self.ids(entry);
                chownat(folder, name.as_os_str(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                let times = times(entry);
                utimensat(folder, name.as_os_str(), &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            EntryKind::File | EntryKind::Folder => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
                let flags = flags | OFlags::CLOEXEC;
                let file = openat(folder, name.as_os_str(), flags, Mode::from_raw_mode(0o600))?;
                let mut file = File::from(file);
                fill(&mut file, input, entry.size, &mut self.buffer)?;
                let (uid, gid) = self.ids(entry);
                fchown(&file, uid, gid)?;
                fchmod(&file, Mode::from_raw_mode(self.mode.unwrap_or(entry.mode) & 0o7777))?;
                futimens(&file, &times(entry))?;
            }
        }
        Ok(())
    }

    /// The path at which a file is written: where links at its end lead, if they lead into a folder that exists.
    fn followed(&self, entry: &Entry, path: &Path) -> PathBuf {
        // Only the destination itself may be a link; in a tree, a file takes a link's place.
        if entry.kind != EntryKind::File || path != self.base {
            return path.to_owned();
        }
        let flags = OFlags::PATH;
        let found = open(&self.root, path, flags).ok().and_then(|file| {
            let own = format!("/proc/thread-self/fd/{}", file.as_raw_fd());
            std::fs::read_link(own).ok()
        });
        found.unwrap_or_else(|| path.to_owned())
    }

    fn folder(&mut self, entry: &Entry, path: &Path) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match open(&self.root, path, flags) {
            // It was there, and is what it was.
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
        let folder = open_or_make(&self.root, path, self.owner.unwrap_or(Owner::ROOT))?;
        let (uid, gid) = self.ids(entry);
        chownat(&folder, "", uid, gid, AtFlags::EMPTY_PATH)?;
        // A descriptor that only names a folder cannot change it.
        let folder = open(&self.root, path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        fchmod(&folder, Mode::from_raw_mode(self.mode.unwrap_or(entry.mode) & 0o7777))
    }

    /// Makes a folder the last one.
    fn enter(&mut self, folder: PathBuf) -> Result<(), Errno> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != folder) {
            let owner = self.owner.unwrap_or(Owner::ROOT);
            let opened = open_or_make(&self.root, &folder, owner)?;
            self.last = Some((folder, opened));
        }
        Ok(())
    }

    fn ids(&self, entry: &Entry) -> (Option<Uid>, Option<Gid>) {
        let owner = self.owner.unwrap_or(Owner { uid: entry.uid, gid: entry.gid });
        (owner.uid(), owner.gid())
    }

    /// Gives a file below the destination another name.
    pub(super) fn link(&mut self, first: &Path, name: &Path) -> Result<(), Refusal> {
        let (first, path) = (self.base.join(check(first)?), self.base.join(check(name)?));
        let linked = self.link_at(&first, &path);
        linked.map_err(|errno| refuse(&path.to_string_lossy(), errno))
    }

    fn link_at(&mut self, first: &Path, path: &Path) -> Result<(), Errno> {
        let name = path.file_name().ok_or(Errno::ISDIR)?;
        let first_name = first.file_name().ok_or(Errno::ISDIR)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let above = open(&self.root, first.parent().unwrap_or(Path::new("/")), flags)?;
        self.enter(path.parent().unwrap_or(Path::new("/")).to_owned())?;
        let Some((_, folder)) = &self.last else { return Err(Errno::NOENT) };
        make_room(folder, name)?;
        linkat(&above, first_name, folder, name, AtFlags::empty())
    }

    /// Makes the destination a folder if nothing does.
    pub(super) fn make_base(&mut self) -> Result<(), Refusal> {
        let owner = self.owner.unwrap_or(Owner::ROOT);
        let made = open_or_make(&self.root, &self.base, owner);
        made.map(drop).map_err(|errno| refuse(&self.base.to_string_lossy(), errno))
    }
}

/// Why an entry was not written.
enum Failure {
    Kernel(Errno),
    Input(io::Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Kernel(errno)
    }
}

/// What is at a name makes room for a file or link, unless it is a folder.
fn make_room(folder: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let found = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(errno),
    };
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => Err(Errno::ISDIR),
        _ => unlinkat(folder, name, AtFlags::empty()),
    }
}

fn fill(
    file: &mut File,
    input: &mut impl Read,
    size: u64,
    buffer: &mut [u8],
) -> Result<(), Failure> {
    let mut input = input.take(size);
    let mut left = size;
    while left > 0 {
        let count = input.read(buffer).map_err(Failure::Input)?;
        if count == 0 {
            return Err(Failure::Input(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        let piece = buffer.get(..count).unwrap_or_default();
        file.write_all(piece)
            .map_err(|error| Failure::Kernel(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        left = left.saturating_sub(u64::try_from(count).unwrap_or(left));
    }
    Ok(())
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.modified, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// A path below the destination, and nowhere else.
pub(super) fn check(name: &Path) -> Result<&Path, Refusal> {
    let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
    let is_short = name.as_os_str().len() <= MAX_PATH;
    match is_below && is_short {
        true => Ok(name),
        false => {
            let shown: String = name.to_string_lossy().chars().take(200).collect();
            Err(Refusal::bad_path(format!("{shown:?} is no path below a destination")))
        }
    }
}
