//! `GET /files` and `GET /files/info`: what there is.

use std::path::Path;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::FileInfo;
use rustix::fs::{FileType, Stat, fstat};

use super::asked::Asked;
use super::gradual::{self, Finder, Gradual, Items, LIST, Turn};
use super::open::name;
use super::walk::{Limits, Walk, WalkError};
use crate::clock::Moment;
use crate::http::{Answer, Query, Refusal, json};
use crate::toolbox::Toolbox;

/// Tells what one file or folder is; symbolic links are followed.
pub(crate) async fn info(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?;
    let found = toolbox.files().run(move || {
        let status = name(&asked.path).and_then(fstat).map_err(|errno| asked.refusal(errno))?;
        Ok::<_, Refusal>(describe(asked.name(), &asked.path, &status))
    });
    json(StatusCode::OK, &found.await??)
}

/// Lists a folder, and those in it as deep as `depth` says; symbolic links in it are listed as such.
pub(crate) async fn list(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let depth = match Query::of(request.uri()).optional("depth") {
        None => 1,
        Some(depth) => depth
            .parse::<u32>()
            .ok()
            .filter(|depth| *depth >= 1)
            .ok_or_else(|| Refusal::bad_request("depth must be a number from 1"))?,
    };
    let asked = Asked::or_work_dir(toolbox, request.uri(), "path")?;
    let depth = usize::try_from(depth).unwrap_or(usize::MAX);
    let files = toolbox.files().clone();
    let walk =
        gradual::walk(&files, &asked, Limits { depth, skips_the_kernels: false, leaves_out: true })
            .await?;
    let (walk, permit) = walk.map_err(|error| gradual::refusal(&asked, error))?;
    Gradual { files, finder: Listing(walk), permit, asked, frame: LIST }.answer(toolbox).await
}

struct Listing(Walk);

impl Finder for Listing {
    fn find(&mut self, items: &mut Items, turn: Turn) -> Result<bool, WalkError> {
        while !turn.is_over(items) {
            let Some(found) = self.0.next()? else { return Ok(true) };
            let name = found.name.to_string_lossy().into_owned();
            items.push(&describe(name, self.0.path(), &found.status));
        }
        Ok(false)
    }

    fn allow_many(&mut self) {
        self.0.allow_many();
    }
}

fn describe(name: String, path: &Path, status: &Stat) -> FileInfo {
    let kind = FileType::from_raw_mode(status.st_mode);
    let changed = Moment::new(status.st_mtime, u32::try_from(status.st_mtime_nsec).unwrap_or(0));
    FileInfo {
        name,
        path: Some(path.to_string_lossy().into_owned()),
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
