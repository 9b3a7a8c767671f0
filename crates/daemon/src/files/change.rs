//! Making, moving and removing, and permissions.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, RenameFlags, Uid, chmodat, chownat};
use rustix::fs::{mkdirat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::open::{name, parent};
use crate::http::{Answer, Query, Refusal, empty};
use crate::toolbox::Toolbox;
use crate::user;

/// The permissions of folders that nobody chose permissions for.
pub(super) const FOLDER_MODE: u32 = 0o755;

/// `POST /files/folder`: makes a folder and those above it. One that exists is no error.
pub(crate) async fn make_folder(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let asked = query.required("path")?.to_owned();
    let mode = query.optional("mode").map_or(Ok(FOLDER_MODE), parse_mode)?;
    let path = toolbox.absolute(&asked);
    let made = toolbox.files().run(move || make_folders(&path, mode)).await?;
    made.map_err(|errno| Refusal::of_file(&asked, errno))?;
    empty(StatusCode::CREATED)
}

/// Makes a folder with `mode` and those above it that are missing.
pub(super) fn make_folders(path: &Path, mode: u32) -> Result<(), Errno> {
    match name(path) {
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
        Ok(found) => {
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode);
            return if kind == FileType::Directory { Ok(()) } else { Err(Errno::NOTDIR) };
        }
    }
    let Some(above) = path.parent() else { return Err(Errno::NOENT) };
    make_folders(above, FOLDER_MODE)?;
    let Ok((folder, entry)) = parent(path) else { return Err(Errno::INVAL) };
    match mkdirat(&folder, entry, Mode::from_raw_mode(mode)) {
        Ok(()) if mode == FOLDER_MODE => Ok(()),
        // The mode was subject to this process' mask.
        Ok(()) => chmodat(&folder, entry, Mode::from_raw_mode(mode), AtFlags::empty()),
        // Somebody else was faster.
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// `DELETE /files`: removes a file, a symbolic link, or with `recursive` a folder and everything in it.
pub(crate) async fn remove(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let asked = query.required("path")?.to_owned();
    let recursive = query.is_true("recursive");
    let path = toolbox.absolute(&asked);
    let removed = toolbox.files().run(move || remove_path(&path, recursive)).await?;
    match removed {
        Ok(()) => empty(StatusCode::NO_CONTENT),
        Err(Errno::ISDIR) => Err(Refusal::bad_request(format!(
            "{asked} is a directory: it is only removed with recursive=true"
        ))),
        Err(errno) => Err(Refusal::of_file(&asked, errno)),
    }
}

fn remove_path(path: &Path, recursive: bool) -> Result<(), Errno> {
    let (folder, entry) = parent(path)?;
    let status = statat(&folder, entry, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
        return unlinkat(&folder, entry, AtFlags::empty());
    }
    if !recursive {
        return Err(Errno::ISDIR);
    }
    // The standard library does not follow links that appear while it works; its start is the folder opened above.
    std::fs::remove_dir_all(own_path(&folder).join(entry)).map_err(|error| of_io(&error))
}

/// `POST /files/move`: gives a file or folder another path, which must be free.
pub(crate) async fn rename(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let source = query.required("source")?.to_owned();
    let destination = query.required("destination")?.to_owned();
    let (from, to) = (toolbox.absolute(&source), toolbox.absolute(&destination));
    let renamed = toolbox.files().run(move || {
        let (old_folder, old) = parent(&from)?;
        statat(&old_folder, old, AtFlags::SYMLINK_NOFOLLOW)?;
        let (new_folder, new) = parent(&to)?;
        renameat_with(&old_folder, old, &new_folder, new, RenameFlags::NOREPLACE)
    });
    match renamed.await? {
        Ok(()) => empty(StatusCode::OK),
        Err(Errno::EXIST) => Err(Refusal::of_file(&destination, Errno::EXIST)),
        Err(Errno::XDEV) => Err(Refusal::bad_request(format!(
            "{source} and {destination} are on different file systems: copy instead"
        ))),
        Err(errno) => Err(Refusal::of_file(&source, errno)),
    }
}

/// `POST /files/permissions`: changes mode, owner and group, those that are given.
pub(crate) async fn set_permissions(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let asked = query.required("path")?.to_owned();
    let mode = query.optional("mode").map(parse_mode).transpose()?;
    let owner = query.optional("owner").map(str::to_owned);
    let group = query.optional("group").map(str::to_owned);
    let path = toolbox.absolute(&asked);
    let changed = toolbox.files().run(move || {
        let file = name(&path)?;
        let uid = owner.map(|owner| user::find_uid(&owner).ok_or(Errno::INVAL)).transpose()?;
        let gid = group.map(|group| user::find_gid(&group).ok_or(Errno::INVAL)).transpose()?;
        if uid.is_some() || gid.is_some() {
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            chownat(&file, c"", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        match mode {
            Some(mode) => {
                chmodat(CWD, own_path(&file), Mode::from_raw_mode(mode), AtFlags::empty())
            }
            None => Ok(()),
        }
    });
    changed.await?.map_err(|errno| Refusal::of_file(&asked, errno))?;
    empty(StatusCode::OK)
}

fn parse_mode(text: &str) -> Result<u32, Refusal> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| Refusal::bad_request(format!("{text:?} is no mode: use octal, like 755")))
}

/// A path that names what this process has open.
fn own_path(descriptor: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/thread-self/fd/{}", descriptor.as_raw_fd()))
}

pub(super) fn of_io(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
