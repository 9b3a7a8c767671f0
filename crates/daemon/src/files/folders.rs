//! `POST /files/folder`: making folders.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_daemon::input::parse_mode;
use rustix::fs::{AtFlags, FileType, Mode, chmodat, fstat, mkdirat};
use rustix::io::Errno;

use super::asked::Asked;
use super::open::{folder_at, name};
use super::stage::FOLDER_MODE;
use crate::http::{Answer, Query, Refusal, empty};
use crate::toolbox::Toolbox;

/// Makes a folder and those above it. One that exists is no error and stays as it is.
pub(crate) async fn make_folder(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?;
    let query = Query::of(request.uri());
    let mode = query.optional("mode").map_or(Ok(FOLDER_MODE), parse_mode);
    let mode = mode.map_err(|error| Refusal::bad_request(error.to_string()))?;
    let made = toolbox
        .files()
        .run(move || make_folders(&asked.path, mode).map_err(|errno| asked.refusal(errno)));
    made.await??;
    empty(StatusCode::CREATED)
}

/// Makes a folder with `mode` and those above it that are missing.
pub(super) fn make_folders(path: &Path, mode: u32) -> Result<(), Errno> {
    match name(path) {
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
        Ok(found) => {
            let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
            return if kind == FileType::Directory { Ok(()) } else { Err(Errno::NOTDIR) };
        }
    }
    let mut above = PathBuf::new();
    let mut components = path.components().peekable();
    while let Some(component) = components.next() {
        let wanted = if components.peek().is_none() { mode } else { FOLDER_MODE };
        let next = above.join(component);
        if let Component::Normal(entry) = component {
            match folder_at(&next) {
                Ok(_) => {}
                Err(Errno::NOENT) => {
                    make(&folder_at(&above)?, entry, wanted)?;
                    // It may be a link to nowhere that was in the way.
                    folder_at(&next)?;
                }
                Err(errno) => return Err(errno),
            }
        }
        above = next;
    }
    Ok(())
}

fn make(folder: &OwnedFd, entry: &OsStr, mode: u32) -> Result<(), Errno> {
    match mkdirat(folder, entry, Mode::from_raw_mode(mode)) {
        Ok(()) if mode == FOLDER_MODE => Ok(()),
        // The mode was subject to this process' mask.
        Ok(()) => chmodat(folder, entry, Mode::from_raw_mode(mode), AtFlags::empty()),
        // Somebody else was faster.
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
