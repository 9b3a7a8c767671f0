//! An archive's entries, made in a folder.
//!
//! Paths are resolved by the kernel with that folder as their root, so that neither `..` nor a symbolic link leads out
//! of it. Later entries win over earlier ones. Whiteouts become what overlay file systems take for them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, ResolveFlags, Timespec, Timestamps, Uid,
    XattrFlags, chmodat, chownat, fchmod, fchown, fsetxattr, fstat, linkat, mkdirat, mknodat,
    openat, openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

use super::UnpackLimits;
use super::decompress::{Digesting, Leash, decompress};
use super::paths::{MAX_DEPTH, Place, PlaceError, place, target};
use super::report::{Applied, Failure, FailureKind};

/// The most bytes that are read from one entry to the next: headers, a long name, attributes.
const MAX_WORDS: u64 = 1 << 20;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: u64 = 512;
/// Extended attributes of one entry: how many, and of which size together.
const MAX_ATTRIBUTES: usize = 64;
const MAX_ATTRIBUTE_BYTES: usize = 128 * 1024;
/// Folders that hide what lower layers have in them: how many, and bytes of their names together.
const MAX_OPAQUE: usize = 65_536;
const MAX_OPAQUE_BYTES: usize = 2 << 20;
/// Owners beyond those that a sandbox has become nobody.
const NOBODY: u32 = 65_534;
const BUFFER: usize = 256 * 1024;

/// How folders on the way to something are opened.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Why an archive was not applied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error("the archive cannot be read: {0}")]
    Archive(#[source] io::Error),
    #[error("the name of entry {name:?} {cause}")]
    Name { name: String, cause: PlaceError },
    #[error("entry {name:?} is of a kind that layers do not have")]
    Kind { name: String },
    #[error("entry {name:?} links to nothing that is there")]
    Link { name: String },
    #[error("the layer holds more than {what}")]
    Limit { what: String },
    #[error("cannot {action} entry {name:?}: {errno}")]
    Host { action: &'static str, name: String, errno: Errno },
}

impl From<&ApplyError> for Failure {
    fn from(error: &ApplyError) -> Self {
        let kind = match error {
            ApplyError::Limit { .. } => FailureKind::Limit,
            ApplyError::Host { errno: Errno::NOSPC | Errno::DQUOT, .. } => FailureKind::Full,
            // What no file system does is asked for by the archive.
            ApplyError::Host {
                errno:
                    Errno::LOOP
                    | Errno::NAMETOOLONG
                    | Errno::NOTDIR
                    | Errno::ISDIR
                    | Errno::XDEV
                    | Errno::PERM
                    | Errno::MLINK
                    | Errno::EXIST,
                ..
            } => FailureKind::Archive,
            ApplyError::Host { .. } => FailureKind::Host,
            ApplyError::Archive(_)
            | ApplyError::Name { .. }
            | ApplyError::Kind { .. }
            | ApplyError::Link { .. } => FailureKind::Archive,
        };
        Self::new(kind, &error.to_string())
    }
}

/// Makes what is in `archive` in the folder `root`, which should be empty.
pub(crate) fn apply(
    archive: impl Read,
    root: BorrowedFd<'_>,
    limits: &UnpackLimits,
) -> Result<Applied, ApplyError> {
    let plain = decompress(archive).map_err(ApplyError::Archive)?;
    // Room for the names and the padding around them.
    let most = limits.bytes.saturating_add(limits.entries.saturating_mul(4096));
    let leash = Leash::new();
    let mut archive = Archive::new(Digesting::new(plain, most, leash.clone()));
    let mut layer = Layer::new(root, limits);
    leash.set(MAX_WORDS);
    for entry in archive.entries().map_err(ApplyError::Archive)? {
        let mut entry = entry.map_err(ApplyError::Archive)?;
        // One with holes has fewer bytes than it says, and all of them are read.
        let has_holes = entry.header().entry_type() == EntryType::GNUSparse;
        let size = if has_holes { 0 } else { entry.size() };
        leash.let_go();
        layer.take(&mut entry)?;
        // What of its contents nobody wanted is skipped on the way to the next one.
        leash.set(size.saturating_sub(leash.read()).saturating_add(MAX_WORDS));
    }
    leash.let_go();
    let digest = archive.into_inner().finish().map_err(ApplyError::Archive)?;
    let mut applied = layer.finish()?;
    applied.digest = digest;
    Ok(applied)
}

/// A layer that is being made.
struct Layer<'a> {
    root: BorrowedFd<'a>,
    limits: &'a UnpackLimits,
    applied: Applied,
    /// Bytes of the names of folders that hide others.
    hidden: usize,
    /// What was charged: bytes, and something for every entry.
    charged: u64,
    /// The folder of the last entry: most have the same as the one before.
    last: Option<(PathBuf, OwnedFd)>,
    /// When folders were changed: what is made in them later changes that.
    times: Vec<(PathBuf, Timestamps)>,
    buffer: Vec<u8>,
}

/// What of an entry is the same for all kinds.
struct Metadata {
    mode: Mode,
    uid: Uid,
    gid: Gid,
    times: Timestamps,
}

impl<'a> Layer<'a> {
    fn new(root: BorrowedFd<'a>, limits: &'a UnpackLimits) -> Self {
        Self {
            root,
            limits,
            applied: Applied::default(),
            hidden: 0,
            charged: 0,
            last: None,
            times: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ApplyError> {
        let raw = entry.path_bytes().into_owned();
        let shown = || String::from_utf8_lossy(&raw).into_owned();
        let place = place(&raw).map_err(|cause| ApplyError::Name { name: shown(), cause })?;
        self.applied.entries = self.applied.entries.saturating_add(1);
        if self.applied.entries > self.limits.entries {
            return Err(ApplyError::Limit { what: format!("{} entries", self.limits.entries) });
        }
        self.charge(ENTRY_BYTES)?;
        let (folder, name) = match place {
            Place::Note => return Ok(()),
            Place::Root => return self.take_root(entry),
            Place::Opaque { folder } => {
                self.folder(&folder)?;
                self.charge(ENTRY_BYTES)?;
                return self.hide_below(folder);
            }
            Place::Whiteout { folder, name } => {
                self.clear(&folder, &name)?;
                let parent = self.folder(&folder)?;
                let made = mknodat(parent, &*name, FileType::CharacterDevice, Mode::empty(), 0);
                return made.map_err(|errno| host("make", &raw)(errno));
            }
            Place::Entry { folder, name } => (folder, name),
        };
        self.make(entry, &raw, &folder, &name)
    }

    /// Notes that a folder hides what lower layers have in it; whoever marks it has all of the names in memory.
    fn hide_below(&mut self, folder: PathBuf) -> Result<(), ApplyError> {
        self.hidden = self.hidden.saturating_add(folder.as_os_str().len());
        if self.applied.opaque.len() >= MAX_OPAQUE || self.hidden > MAX_OPAQUE_BYTES {
            let what = format!("{MAX_OPAQUE} folders that hide others");
            return Err(ApplyError::Limit { what });
        }
        self.applied.opaque.push(folder.into_os_string().into_vec());
        Ok(())
    }

    fn make<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        raw: &[u8],
        folder: &Path,
        name: &OsStr,
    ) -> Result<(), ApplyError> {
        let metadata = metadata(entry)?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                self.make_folder(folder, name, raw)?;
                let opened = self.open(folder, name, OFlags::DIRECTORY | OFlags::RDONLY, raw)?;
                set_owner(&opened, &metadata).map_err(host("own", raw))?;
                self.set_attributes(entry, &opened, raw)?;
                self.times.push((folder.join(name), metadata.times));
                Ok(())
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.clear(folder, name)?;
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
                let mut file = File::from(self.open(folder, name, flags, raw)?);
                self.copy(entry, &mut file, raw)?;
                set_owner(&file, &metadata).map_err(host("own", raw))?;
                self.set_attributes(entry, &file, raw)?;
                rustix::fs::futimens(&file, &metadata.times).map_err(host("date", raw))
            }
            EntryType::Symlink => {
                let target = link_name(entry, raw)?;
                self.clear(folder, name)?;
                let parent = self.folder(folder)?;
                symlinkat(OsStr::from_bytes(&target), parent, name).map_err(host("make", raw))?;
                // It may be on the way of what comes.
                let linked = chownat(
                    parent,
                    name,
                    Some(metadata.uid),
                    Some(metadata.gid),
                    AtFlags::SYMLINK_NOFOLLOW,
                )
                .and_then(|()| utimensat(parent, name, &metadata.times, AtFlags::SYMLINK_NOFOLLOW));
                self.last = None;
                linked.map_err(host("own", raw))
            }
            EntryType::Link => self.make_link(entry, raw, folder, name),
            EntryType::Fifo => {
                self.clear(folder, name)?;
                let parent = self.folder(folder)?;
                mknodat(parent, name, FileType::Fifo, metadata.mode, 0)
                    .and_then(|()| {
                        let (uid, gid) = (Some(metadata.uid), Some(metadata.gid));
                        chownat(parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                    })
                    // Nothing else makes or changes anything here, so it is the pipe that was just made.
                    .and_then(|()| chmodat(parent, name, metadata.mode, AtFlags::empty()))
                    .map_err(host("make", raw))
            }
            EntryType::Char | EntryType::Block => {
                self.clear(folder, name)?;
                self.applied.dropped = self.applied.dropped.saturating_add(1);
                Ok(())
            }
            // Archives may say something of themselves; it is not about files.
            EntryType::XGlobalHeader => Ok(()),
            // There are more kinds than anybody has use for.
            _ => Err(ApplyError::Kind { name: String::from_utf8_lossy(raw).into_owned() }),
        }
    }

    fn take_root<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ApplyError> {
        if entry.header().entry_type() != EntryType::Directory {
            return Err(ApplyError::Kind { name: String::from("/") });
        }
        let metadata = metadata(entry)?;
        let root = openat(self.root, c".", OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())
            .map_err(host("open", b"/"))?;
        set_owner(&root, &metadata).map_err(host("own", b"/"))?;
        self.set_attributes(entry, &root, b"/")?;
        self.times.push((PathBuf::new(), metadata.times));
        Ok(())
    }

    fn make_link<R: Read>(
        &mut self,
        entry: &Entry<'_, R>,
        raw: &[u8],
        folder: &Path,
        name: &OsStr,
    ) -> Result<(), ApplyError> {
        let shown = || String::from_utf8_lossy(raw).into_owned();
        let link = link_name(entry, raw)?;
        let path = target(&link).map_err(|cause| ApplyError::Name { name: shown(), cause })?;
        let (Some(old_name), Some(old_folder)) = (path.file_name(), path.parent()) else {
            return Err(ApplyError::Link { name: shown() });
        };
        let missing = |errno| match errno {
            Errno::NOENT => ApplyError::Link { name: shown() },
            errno => host("link", raw)(errno),
        };
        let old = self.find(old_folder).map_err(missing)?;
        let before = statat(&old, old_name, AtFlags::SYMLINK_NOFOLLOW).map_err(missing)?;
        // A link to itself is there already; clearing its place would remove it.
        if let Ok(parent) = self.folder(folder)
            && let Ok(present) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            && (present.st_dev, present.st_ino) == (before.st_dev, before.st_ino)
        {
            return Ok(());
        }
        self.clear(folder, name)?;
        let parent = self.folder(folder)?;
        linkat(&old, old_name, parent, name, AtFlags::empty()).map_err(missing)
    }

    /// Makes a folder unless there is one; anything else in its place goes.
    fn make_folder(&mut self, folder: &Path, name: &OsStr, raw: &[u8]) -> Result<(), ApplyError> {
        let parent = self.folder(folder)?;
        match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(host("make", raw)(errno)),
        }
        let present = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(host("see", raw))?;
        if FileType::from_raw_mode(present.st_mode) == FileType::Directory {
            return Ok(());
        }
        self.clear(folder, name)?;
        let parent = self.folder(folder)?;
        mkdirat(parent, name, Mode::from_raw_mode(0o755)).map_err(host("make", raw))
    }

    /// Opens what was just made, or makes it.
    fn open(
        &mut self,
        folder: &Path,
        name: &OsStr,
        flags: OFlags,
        raw: &[u8],
    ) -> Result<OwnedFd, ApplyError> {
        let parent = self.folder(folder)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(parent, name, flags, Mode::from_raw_mode(0o600)).map_err(host("open", raw))
    }

    fn copy<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        file: &mut File,
        raw: &[u8],
    ) -> Result<(), ApplyError> {
        loop {
            let read = match entry.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(ApplyError::Archive(cause)),
            };
            self.charge(u64::try_from(read).unwrap_or(u64::MAX))?;
            self.applied.bytes =
                self.applied.bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            file.write_all(self.buffer.get(..read).unwrap_or_default()).map_err(|cause| {
                host("write", raw)(Errno::from_io_error(&cause).unwrap_or(Errno::IO))
            })?;
        }
    }

    /// Takes over the attributes that mean something inside a sandbox; the others are the host's or the overlay's.
    fn set_attributes<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
        file: impl AsFd,
        raw: &[u8],
    ) -> Result<(), ApplyError> {
        let Some(extensions) = entry.pax_extensions().map_err(ApplyError::Archive)? else {
            return Ok(());
        };
        let (mut count, mut bytes) = (0usize, 0usize);
        for extension in extensions {
            let extension = extension.map_err(ApplyError::Archive)?;
            let Some(name) = extension.key_bytes().strip_prefix(b"SCHILY.xattr.") else { continue };
            let is_kept = (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
                || name == b"security.capability";
            if !is_kept {
                continue;
            }
            let value = extension.value_bytes();
            count = count.saturating_add(1);
            bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
            if count > MAX_ATTRIBUTES || bytes > MAX_ATTRIBUTE_BYTES {
                return Err(ApplyError::Limit {
                    what: format!(
                        "{MAX_ATTRIBUTES} attributes or {MAX_ATTRIBUTE_BYTES} bytes of them at one entry"
                    ),
                });
            }
            self.charge(u64::try_from(value.len()).unwrap_or(u64::MAX))?;
            match fsetxattr(file.as_fd(), OsStr::from_bytes(name), value, XattrFlags::empty()) {
                // The file system has none, or no room for so many: the file is the same without.
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(host("mark", raw)(errno)),
            }
        }
        Ok(())
    }

    /// Removes what is at a place, with everything in it.
    fn clear(&mut self, folder: &Path, name: &OsStr) -> Result<(), ApplyError> {
        let parent = self.folder(folder)?;
        let failed = |errno| host("replace", name.as_bytes())(errno);
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) => {
                // It may have been a link on the way to the last folder.
                self.last = None;
                Ok(())
            }
            Err(Errno::NOENT) => Ok(()),
            Err(Errno::ISDIR) => {
                let parent = parent.try_clone_to_owned().map_err(|_full| failed(Errno::MFILE))?;
                self.last = None;
                remove_folder(&parent, name).map_err(failed)
            }
            Err(errno) => Err(failed(errno)),
        }
    }

    /// The folder of that path, with the folders on the way made where they are missing.
    fn folder(&mut self, path: &Path) -> Result<BorrowedFd<'_>, ApplyError> {
        let is_last = self.last.as_ref().is_some_and(|(last, _)| last == path);
        if !is_last {
            let found = match self.find(path) {
                Err(Errno::NOENT) => self.make_folders(path),
                found => found,
            };
            let found = found.map_err(host("find the folder of", path.as_os_str().as_bytes()))?;
            self.last = Some((path.to_owned(), found));
        }
        match &self.last {
            Some((_, folder)) => Ok(folder.as_fd()),
            None => Ok(self.root),
        }
    }

    /// The folder of that path. Whatever removes it later goes down into it level by level, so none is deeper than a path
    /// may be, through links either.
    fn find(&self, path: &Path) -> Result<OwnedFd, Errno> {
        match self.resolve(path, ResolveFlags::NO_SYMLINKS) {
            Err(Errno::LOOP) => {}
            found => return found,
        }
        let found = self.resolve(path, ResolveFlags::empty())?;
        if self.is_shallow(&found)? { Ok(found) } else { Err(Errno::NAMETOOLONG) }
    }

    fn resolve(&self, path: &Path, more: ResolveFlags) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        loop {
            match openat2(self.root, path, FOLDER, Mode::empty(), resolve | more) {
                // Something was renamed somewhere meanwhile.
                Err(Errno::AGAIN | Errno::INTR) => {}
                found => return found,
            }
        }
    }

    fn is_shallow(&self, folder: &OwnedFd) -> Result<bool, Errno> {
        let identity =
            |folder: BorrowedFd<'_>| fstat(folder).map(|found| (found.st_dev, found.st_ino));
        let root = identity(self.root)?;
        let mut at = openat(folder, c".", FOLDER, Mode::empty())?;
        for _ in 0..=MAX_DEPTH {
            if identity(at.as_fd())? == root {
                return Ok(true);
            }
            at = openat(&at, c"..", FOLDER, Mode::empty())?;
        }
        Ok(false)
    }

    fn make_folders(&mut self, path: &Path) -> Result<OwnedFd, Errno> {
        let mut made = PathBuf::new();
        let mut parent = self.find(&made)?;
        for part in path {
            made.push(part);
            parent = match self.find(&made) {
                Ok(found) => found,
                Err(Errno::NOENT) => {
                    self.applied.entries = self.applied.entries.saturating_add(1);
                    mkdirat(&parent, part, Mode::from_raw_mode(0o755))?;
                    self.find(&made)?
                }
                Err(errno) => return Err(errno),
            };
        }
        Ok(parent)
    }

    fn charge(&mut self, bytes: u64) -> Result<(), ApplyError> {
        self.charged = self.charged.saturating_add(bytes);
        if self.charged <= self.limits.bytes {
            return Ok(());
        }
        Err(ApplyError::Limit { what: format!("{} MiB", self.limits.bytes >> 20) })
    }

    /// Dates folders, when nothing is made in them any more.
    fn finish(mut self) -> Result<Applied, ApplyError> {
        for (path, times) in std::mem::take(&mut self.times).into_iter().rev() {
            // Something else may have taken its place since.
            let Ok(folder) = self.find(&path) else { continue };
            let dated = utimensat(&folder, c".", &times, AtFlags::empty());
            dated.map_err(host("date", path.as_os_str().as_bytes()))?;
        }
        Ok(self.applied)
    }
}

fn host(action: &'static str, name: &[u8]) -> impl Fn(Errno) -> ApplyError {
    let name = String::from_utf8_lossy(name).into_owned();
    move |errno| ApplyError::Host { action, name: name.clone(), errno }
}

fn metadata<R: Read>(entry: &Entry<'_, R>) -> Result<Metadata, ApplyError> {
    let header = entry.header();
    let id = |id: io::Result<u64>| {
        let id = u32::try_from(id.map_err(ApplyError::Archive)?).unwrap_or(NOBODY);
        Ok(if id < super::IDS { id } else { NOBODY })
    };
    let seconds = i64::try_from(header.mtime().map_err(ApplyError::Archive)?).unwrap_or(0);
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Ok(Metadata {
        mode: Mode::from_raw_mode(header.mode().map_err(ApplyError::Archive)? & 0o7777),
        uid: Uid::from_raw(id(header.uid())?),
        gid: Gid::from_raw(id(header.gid())?),
        times: Timestamps { last_access: time, last_modification: time },
    })
}

/// Changing the owner takes set-user-id bits away, so the mode comes last.
fn set_owner(file: impl AsFd, metadata: &Metadata) -> Result<(), Errno> {
    fchown(&file, Some(metadata.uid), Some(metadata.gid))?;
    fchmod(&file, metadata.mode)
}

fn link_name<R: Read>(entry: &Entry<'_, R>, raw: &[u8]) -> Result<Vec<u8>, ApplyError> {
    match entry.link_name_bytes() {
        Some(target) if !target.is_empty() && !target.contains(&0) && target.len() < 4096 => {
            Ok(target.into_owned())
        }
        _ => Err(ApplyError::Link { name: String::from_utf8_lossy(raw).into_owned() }),
    }
}

/// Removes a folder with everything in it, one level after the other: it may be deeper than a stack.
fn remove_folder(parent: &OwnedFd, name: &OsStr) -> Result<(), Errno> {
    let open = |parent: &OwnedFd, name: &OsStr| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(parent, name, flags, Mode::empty())
    };
    // Depth is bounded by the longest path, and descriptors with it.
    let mut open_folders: Vec<(OwnedFd, OsString)> = vec![(open(parent, name)?, name.to_owned())];
    while let Some((folder, own_name)) = open_folders.pop() {
        match first_folder_after_removing_files(&folder)? {
            Some(inner) => {
                let opened = open(&folder, &inner)?;
                open_folders.push((folder, own_name));
                open_folders.push((opened, inner));
            }
            None => {
                let above = open_folders.last().map_or(parent, |(above, _)| above);
                unlinkat(above, &*own_name, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// Removes everything of a folder but folders, until it meets one of them.
fn first_folder_after_removing_files(folder: &OwnedFd) -> Result<Option<OsString>, Errno> {
    rustix::fs::seek(folder, rustix::fs::SeekFrom::Start(0))?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 8192];
    let mut entries = RawDir::new(folder, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR) => return Ok(Some(OsString::from_vec(name.to_bytes().to_vec()))),
            Err(errno) => return Err(errno),
        }
    }
    Ok(None)
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests;
