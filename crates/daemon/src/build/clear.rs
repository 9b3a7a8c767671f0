//! `POST /pitlane/build/clear`: emptying a folder, or removing it or a file.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat2, statat, unlinkat};
use rustix::io::Errno;

use super::folders::{Owner, RESOLVE, open, open_or_make, root};
use super::refuse;
use crate::http::Refusal;

/// Empties a folder, which is made if it is missing, or removes it, or a file.
pub(super) fn clear(path: &str, removes: bool) -> Result<(), Refusal> {
    let told = |errno| refuse(path, errno);
    let root = root().map_err(told)?;
    let folder = Path::new(path);
    match (open(&root, folder, OFlags::RDONLY | OFlags::DIRECTORY), removes) {
        (Err(Errno::NOENT), true) => return Ok(()),
        (Err(Errno::NOENT), false) => {
            return open_or_make(&root, folder, Owner::ROOT).map(drop).map_err(told);
        }
        (Err(Errno::NOTDIR), true) => return remove(&root, folder, AtFlags::empty()).map_err(told),
        (found, _) => empty(found.map_err(told)?).map_err(told)?,
    }
    if removes {
        remove(&root, folder, AtFlags::REMOVEDIR).map_err(told)?;
    }
    Ok(())
}

fn remove(root: &OwnedFd, path: &Path, flags: AtFlags) -> Result<(), Errno> {
    let above = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().ok_or(Errno::BUSY)?;
    unlinkat(open(root, above, OFlags::PATH | OFlags::DIRECTORY)?, name, flags)
}

/// A folder that is being emptied, and the name it has in the one above.
struct Level {
    folder: OwnedFd,
    name: std::ffi::CString,
}

/// Removes everything in a folder, without recursion.
fn empty(folder: OwnedFd) -> Result<(), Errno> {
    let mut levels = vec![Level { folder, name: c"".to_owned() }];
    while let Some(level) = levels.last() {
        match first_folder(&level.folder)? {
            Some(name) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let resolve = RESOLVE.difference(rustix::fs::ResolveFlags::IN_ROOT);
                let next = openat2(&level.folder, &name, flags, Mode::empty(), resolve)?;
                levels.push(Level { folder: next, name });
            }
            None => {
                let Some(done) = levels.pop() else { break };
                let Some(above) = levels.last() else { break };
                unlinkat(&above.folder, &done.name, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// Removes what is no folder, and names one that is left.
fn first_folder(folder: &OwnedFd) -> Result<Option<std::ffi::CString>, Errno> {
    let mut found = None;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind =
            FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
        if kind == FileType::Directory {
            // One at a time: a long list of folders is removed from its front.
            if unlinkat(folder, name, AtFlags::REMOVEDIR).is_err() {
                found = Some(name.to_owned());
            }
        } else {
            unlinkat(folder, name, AtFlags::empty())?;
        }
    }
    Ok(found)
}
