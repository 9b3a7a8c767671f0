//! `POST /pitlane/build/pack`: reading files.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::build::{
    END, Entry, EntryKind, MEDIA_TYPE, Packed, Packing, is_pattern, matches_name, matches_path,
    write_record,
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat2, readlinkat, statat};
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};

use super::folders::{RESOLVE, open, root};
use super::records::{Output, WAITING};
use super::refuse;
use crate::http::{Answer, Refusal, pipe, read_json, with_body};
use crate::toolbox::Toolbox;

/// The most paths that patterns stand for.
const MAX_MATCHES: usize = 10_000;
/// How deep folders may lie in each other.
const MAX_DEPTH: usize = 512;

/// Sends what is wanted.
pub(super) async fn pack(toolbox: &Arc<Toolbox>, request: Request<Incoming>) -> Answer {
    let packing: Packing = read_json(request.into_body()).await?;
    let (pieces, mut sent) = mpsc::channel(WAITING);
    let (found, begun) = oneshot::channel();
    let (pipe, body) = pipe();
    let files = toolbox.files().clone();
    toolbox.tasks().spawn(async move {
        let packed = files.run(move || pack_all(&packing, found, Output::new(pieces)));
        let passed = async {
            while let Some(piece) = sent.recv().await {
                if !pipe.write(piece).await {
                    break;
                }
            }
            // A writer that still has something to say hears that nobody listens.
            drop(sent);
        };
        let (packed, ()) = tokio::join!(packed, passed);
        // What breaks off has no end, so that it cannot be taken for complete.
        if let Ok(Err(error)) = packed {
            pipe.fail(error).await;
        }
    });
    let begun = begun.await.map_err(|_lost| Refusal::internal("the files cannot be read"))?;
    begun?;
    Ok(with_body(StatusCode::OK, MEDIA_TYPE, body))
}

/// Something to send.
struct Found {
    path: PathBuf,
    status: Stat,
}

fn pack_all(
    packing: &Packing,
    begun: oneshot::Sender<Result<(), Refusal>>,
    output: Output,
) -> io::Result<()> {
    let sources = root().map_err(|errno| refuse("/", errno)).and_then(|root| {
        let mut all = Vec::new();
        for source in &packing.sources {
            all.extend(find(&root, source, packing.may_be_missing)?);
        }
        Ok((root, all))
    });
    let (root, sources) = match sources {
        Ok(sources) => sources,
        Err(refusal) => {
            begun.send(Err(refusal)).ok();
            return Ok(());
        }
    };
    if begun.send(Ok(())).is_err() {
        return Ok(());
    }
    let is_folder = |found: &Found| kind(&found.status) == FileType::Directory;
    let packed = Packed {
        exists: !sources.is_empty(),
        is_folder: sources.len() > 1 || sources.iter().any(is_folder),
    };
    let mut packer = Packer { output, exclude: &packing.exclude };
    packer.record(&packed)?;
    for source in sources {
        packer.source(&root, &source)?;
    }
    packer.output.write_all(&END)?;
    packer.output.flush()
}

/// What a source stands for.
fn find(root: &OwnedFd, source: &str, may_be_missing: bool) -> Result<Vec<Found>, Refusal> {
    let missing = || Refusal::of_file(source, Errno::NOENT);
    let mut paths: BTreeSet<PathBuf> = BTreeSet::from([PathBuf::new()]);
    for part in source.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(Refusal::bad_path(format!("{source}: .. leads out of the image")));
        }
        let mut next = BTreeSet::new();
        for path in &paths {
            if !is_pattern(part) {
                next.insert(path.join(part));
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let Ok(folder) = open(root, path, flags) else { continue };
            let names = names(&folder).map_err(|errno| refuse(source, errno))?;
            next.extend(names.iter().filter_map(|name| {
                let name = name.to_str().ok()?;
                matches_name(part, name).then(|| path.join(name))
            }));
            if next.len() > MAX_MATCHES {
                let message = format!("{source} stands for more than {MAX_MATCHES} files");
                return Err(Refusal::bad_path(message));
            }
        }
        paths = next;
    }
    let mut found = Vec::new();
    for path in paths {
        match open(root, &path, OFlags::PATH).and_then(|file| fstat(&file)) {
            Ok(status) => found.push(Found { path, status }),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(refuse(source, errno)),
        }
    }
    if found.is_empty() && !may_be_missing { Err(missing()) } else { Ok(found) }
}

struct Packer<'a> {
    output: Output,
    exclude: &'a [String],
}

/// A folder that is being sent.
struct Level {
    folder: OwnedFd,
    path: String,
    names: std::vec::IntoIter<std::ffi::CString>,
}

impl Packer<'_> {
    fn record(&mut self, value: &impl serde::Serialize) -> io::Result<()> {
        let mut text = Vec::new();
        write_record(value, &mut text).map_err(io::Error::other)?;
        self.output.write_all(&text)
    }

    /// Sends a file under its own name, and of a folder what is in it.
    fn source(&mut self, root: &OwnedFd, source: &Found) -> io::Result<()> {
        if kind(&source.status) != FileType::Directory {
            let name = source.path.file_name().unwrap_or(OsStr::new("file"));
            let name = name.to_str().ok_or_else(|| not_text(&source.path))?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            if kind(&source.status) != FileType::RegularFile || self.is_excluded(name) {
                return Ok(());
            }
            let file = open(root, &source.path, flags)?;
            return self.file(file, name, &source.status);
        }
        self.entry(&entry(String::new(), EntryKind::Folder, &source.status))?;
        let folder = open(root, &source.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        self.folder(folder)
    }

    /// Sends what is in a folder, without recursion. What is mounted there belongs to no image and is left out.
    fn folder(&mut self, folder: OwnedFd) -> io::Result<()> {
        let mut levels = vec![level(folder, String::new())?];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            let text = name
                .to_str()
                .map_err(|_bytes| not_text(Path::new(OsStr::from_bytes(name.to_bytes()))))?;
            let path = match level.path.as_str() {
                "" => text.to_owned(),
                above => format!("{above}/{text}"),
            };
            if self.is_excluded(&path) {
                continue;
            }
            let status = statat(&level.folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            match kind(&status) {
                FileType::RegularFile => {
                    let file = open_below(&level.folder, &name, OFlags::RDONLY)?;
                    self.file(file, &path, &status)?;
                }
                FileType::Symlink => {
                    let target = readlinkat(&level.folder, &name, Vec::new())?;
                    let target =
                        target.into_string().map_err(|_bytes| not_text(Path::new(&path)))?;
                    let link = Entry { target, ..entry(path, EntryKind::Link, &status) };
                    self.entry(&link)?;
                }
                FileType::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                    let next = match open_below(&level.folder, &name, flags) {
                        Err(Errno::XDEV) => continue,
                        opened => opened?,
                    };
                    self.entry(&entry(path.clone(), EntryKind::Folder, &status))?;
                    if levels.len() >= MAX_DEPTH {
                        return Err(io::Error::other(format!("{path} lies too deep")));
                    }
                    levels.push(self::level(next, path)?);
                }
                // Devices, pipes and sockets are nothing that an image could keep here.
                _ => {}
            }
        }
        Ok(())
    }

    fn is_excluded(&self, path: &str) -> bool {
        self.exclude.iter().any(|pattern| matches_path(pattern, path))
    }

    fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.record(entry)
    }

    fn file(&mut self, file: OwnedFd, path: &str, status: &Stat) -> io::Result<()> {
        let size = u64::try_from(status.st_size).unwrap_or(0);
        self.entry(&Entry { size, ..entry(path.to_owned(), EntryKind::File, status) })?;
        let copied = io::copy(&mut File::from(file).take(size), &mut self.output)?;
        match copied == size {
            true => Ok(()),
            false => Err(io::Error::other(format!("{path} became shorter"))),
        }
    }
}

fn open_below(folder: &OwnedFd, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = RESOLVE.difference(rustix::fs::ResolveFlags::IN_ROOT);
    openat2(folder, name, flags, Mode::empty(), resolve)
}

fn level(folder: OwnedFd, path: String) -> io::Result<Level> {
    let names = names(&folder)?.into_iter();
    Ok(Level { folder, path, names })
}

/// The names in a folder, in order.
fn names(folder: &OwnedFd) -> Result<Vec<std::ffi::CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn kind(status: &Stat) -> FileType {
    FileType::from_raw_mode(status.st_mode)
}

fn entry(path: String, kind: EntryKind, status: &Stat) -> Entry {
    Entry {
        path,
        kind,
        mode: status.st_mode & 0o7777,
        uid: status.st_uid,
        gid: status.st_gid,
        modified: status.st_mtime,
        size: 0,
        target: String::new(),
    }
}

fn not_text(path: &Path) -> io::Error {
    io::Error::other(format!("the name of {} is no text", path.display()))
}
