//! `GET /files` and `GET /files/info`: what there is.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::FileInfo;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::open::{name, open};
use crate::clock::Moment;
use crate::http::{Answer, Query, Refusal, json};
use crate::toolbox::Toolbox;

/// The longest list; more would not fit into the daemon's memory.
const MAX_ENTRIES: usize = 200_000;

/// Tells what one file or folder is; symbolic links are followed.
pub(crate) async fn info(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let asked = query.required("path")?.to_owned();
    let path = toolbox.absolute(&asked);
    let found = toolbox.files().run(move || {
        let status = fstat(name(&path)?)?;
        let name = path.file_name().map_or_else(|| String::from("/"), lossy);
        Ok::<_, Errno>(describe(name, &path, &status))
    });
    let found = found.await?.map_err(|errno| Refusal::of_file(&asked, errno))?;
    json(StatusCode::OK, &found)
}

/// Lists a folder, and those in it as deep as `depth` says; symbolic links in it are listed as such.
pub(crate) async fn list(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let depth = match query.optional("depth") {
        None => 1,
        Some(depth) => depth
            .parse::<u32>()
            .ok()
            .filter(|depth| *depth >= 1)
            .ok_or_else(|| Refusal::bad_request("depth must be a number from 1"))?,
    };
    let asked = query.optional("path").unwrap_or(".").to_owned();
    let path = toolbox.absolute(query.optional("path").unwrap_or_default());
    let listed = toolbox.files().run(move || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let folder = open(&path, flags, Mode::empty()).map_err(ListError::Kernel)?;
        let mut entries = Vec::new();
        list_folder(&folder, &path, depth, &mut entries)?;
        Ok(entries)
    });
    match listed.await? {
        Ok(entries) => json(StatusCode::OK, &entries),
        Err(ListError::Kernel(errno)) => Err(Refusal::of_file(&asked, errno)),
        Err(ListError::TooMany) => Err(Refusal::bad_request(format!(
            "{asked} has more than {MAX_ENTRIES} entries: list a folder in it, or less deep"
        ))),
    }
}

enum ListError {
    Kernel(Errno),
    TooMany,
}

fn list_folder(
    folder: &OwnedFd,
    path: &Path,
    depth: u32,
    entries: &mut Vec<FileInfo>,
) -> Result<(), ListError> {
    for name in names(folder).map_err(ListError::Kernel)? {
        if entries.len() >= MAX_ENTRIES {
            return Err(ListError::TooMany);
        }
        let entry_path = path.join(os_str(&name));
        // What vanished since the folder was read is not in it.
        let Ok(status) = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        entries.push(describe(name.to_string_lossy().into_owned(), &entry_path, &status));
        let is_folder = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
        if is_folder && depth > 1 {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // One that may not be read is listed, and what is in it is not.
            if let Ok(inner) = openat(folder, &name, flags, Mode::empty()) {
                list_folder(&inner, &entry_path, depth.saturating_sub(1), entries)?;
            }
        }
    }
    Ok(())
}

/// The names in a folder, in order.
pub(super) fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
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

/// A name as a part of a path.
pub(super) fn os_str(name: &std::ffi::CStr) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes())
}

fn lossy(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

fn describe(name: String, path: &Path, status: &Stat) -> FileInfo {
    let kind = FileType::from_raw_mode(status.st_mode);
    let changed = Moment::new(status.st_mtime, u32::try_from(status.st_mtime_nsec).unwrap_or(0));
    FileInfo {
        name,
        path: Some(PathBuf::from(path).to_string_lossy().into_owned()),
        size: u64::try_from(status.st_size).unwrap_or(0),
        mode: letters(kind, status.st_mode),
        mod_time: changed.go_text(),
        modified_at: Some(changed.rfc3339()),
        is_dir: kind == FileType::Directory,
        owner: status.st_uid.to_string(),
        group: status.st_gid.to_string(),
        permissions: format!("{:04o}", status.st_mode & 0o777),
    }
}

/// Kind and permissions as Go writes them, which the API's users know: one letter for each thing that is special, or a
/// dash, and nine for the permissions.
fn letters(kind: FileType, mode: u32) -> String {
    let mut letters = String::new();
    match kind {
        FileType::Directory => letters.push('d'),
        FileType::Symlink => letters.push('L'),
        FileType::BlockDevice => letters.push('D'),
        FileType::CharacterDevice => letters.push_str("Dc"),
        FileType::Fifo => letters.push('p'),
        FileType::Socket => letters.push('S'),
        // Regular files have no letter, and there are no other kinds.
        _ => {}
    }
    for (bit, letter) in [(0o4000, 'u'), (0o2000, 'g'), (0o1000, 't')] {
        if mode & bit != 0 {
            letters.push(letter);
        }
    }
    if letters.is_empty() {
        letters.push('-');
    }
    for (place, letter) in "rwxrwxrwx".chars().enumerate() {
        let is_set = mode & (0o400 >> place) != 0;
        letters.push(if is_set { letter } else { '-' });
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::{FileType, letters};

    #[test]
    fn modes_read_like_gos() {
        for (kind, mode, wanted) in [
            (FileType::RegularFile, 0o644, "-rw-r--r--"),
            (FileType::Directory, 0o1777, "dtrwxrwxrwx"),
            (FileType::Symlink, 0o777, "Lrwxrwxrwx"),
            (FileType::RegularFile, 0o4755, "urwxr-xr-x"),
            (FileType::CharacterDevice, 0o620, "Dcrw--w----"),
        ] {
            assert_eq!(letters(kind, mode), wanted);
        }
    }
}
