//! Moving and removing, and permissions.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_daemon::input::parse_mode;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, RenameFlags, Uid, chmodat, chownat, renameat_with, statat,
};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::asked::Asked;
use super::open::{name, own_path, parent};
use super::pool::Files;
use super::relocation::Relocation;
use super::removal::{Begun, Removal, RemovalError};
use crate::http::{Answer, Query, Refusal, empty};
use crate::toolbox::Toolbox;
use crate::user;

/// How long a removal keeps a thread from others.
const TURN: Duration = Duration::from_millis(20);

/// `DELETE /files`: removes a file, a symbolic link, or with `recursive` a folder and everything in it.
///
/// Once begun a removal goes on, whether its client waits for it or not: half a folder is of no use.
pub(crate) async fn remove(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?.named()?;
    let recursive = Query::of(request.uri()).is_true("recursive")?;
    let path = asked.path.clone();
    let begun = toolbox.files().run(move || {
        if !recursive && is_folder(&path)? {
            return Err(Errno::ISDIR);
        }
        Removal::begin(&path)
    });
    match begun.await? {
        Ok(Begun::Gone) => empty(StatusCode::NO_CONTENT),
        Ok(Begun::Folder(removal)) => {
            let (answer, done) = oneshot::channel();
            let files = toolbox.files().clone();
            toolbox.tasks().spawn(async move {
                answer.send(remove_all(&files, removal, &asked).await).ok();
            });
            done.await.map_err(|_ended| Refusal::internal("the removal broke off"))??;
            empty(StatusCode::NO_CONTENT)
        }
        Err(Errno::ISDIR) => Err(Refusal::bad_request(format!(
            "{} is a directory: it is only removed with recursive=true",
            asked.text
        ))),
        Err(errno) => Err(asked.refusal(errno)),
    }
}

fn is_folder(path: &Path) -> Result<bool, Errno> {
    let (folder, entry) = parent(path)?;
    let status = statat(&folder, entry, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(rustix::fs::FileType::from_raw_mode(status.st_mode) == rustix::fs::FileType::Directory)
}

async fn remove_all(files: &Files, mut removal: Removal, asked: &Asked) -> Result<(), Refusal> {
    loop {
        let turn = move || {
            let now = Instant::now();
            let result = removal.go_on(now.checked_add(TURN).unwrap_or(now));
            (removal, result)
        };
        let (rest, result) = files.run(turn).await?;
        match result {
            Ok(true) => return Ok(()),
            Ok(false) => removal = rest,
            Err(error) => return Err(asked.refusal_below(&error.path, error.errno)),
        }
    }
}

/// `POST /files/move`: gives a file or folder another path, which must be free.
pub(crate) async fn rename(toolbox: &Arc<Toolbox>, request: &Request<Incoming>) -> Answer {
    let source = Asked::in_query(toolbox, request.uri(), "source")?.named()?;
    let destination = Asked::in_query(toolbox, request.uri(), "destination")?.named()?;
    let (from, to) = (source.clone(), destination.clone());
    let renamed = toolbox.files().run(move || {
        let found = parent(&from.path).and_then(|(folder, entry)| {
            statat(&folder, entry, AtFlags::SYMLINK_NOFOLLOW).map(|_| (folder, entry))
        });
        let (old_folder, old) = found.map_err(|errno| from.refusal(errno))?;
        let (new_folder, new) = parent(&to.path).map_err(|errno| to.refusal(errno))?;
        Ok::<_, Refusal>(renameat_with(&old_folder, old, &new_folder, new, RenameFlags::NOREPLACE))
    });
    match renamed.await?? {
        Ok(()) => empty(StatusCode::OK),
        Err(Errno::EXIST) => Err(destination.refusal(Errno::EXIST)),
        Err(Errno::INVAL) => Err(Refusal::bad_path(format!(
            "invalid path: {} cannot be moved into itself: {}",
            source.text, destination.text
        ))),
        Err(Errno::XDEV) => relocate(toolbox, source, destination).await,
        Err(errno) => Err(source.refusal(errno)),
    }
}

/// Moves to another file system. Once begun it goes on, whether its client waits for it or not.
async fn relocate(toolbox: &Toolbox, source: Asked, destination: Asked) -> Answer {
    let (answer, done) = oneshot::channel();
    let files = toolbox.files().clone();
    toolbox.tasks().spawn(async move {
        answer.send(relocate_all(&files, &source, &destination).await).ok();
    });
    done.await.map_err(|_ended| Refusal::internal("the move broke off"))??;
    empty(StatusCode::OK)
}

async fn relocate_all(files: &Files, source: &Asked, destination: &Asked) -> Result<(), Refusal> {
    // It may have the names of large folders in memory.
    let _permit = files.allow_many().await?;
    let refused = |error: RemovalError| match error.errno {
        Errno::EXIST | Errno::NOSPC | Errno::DQUOT => destination.refusal(error.errno),
        errno => source.refusal_below(&error.path, errno),
    };
    let (from, to) = (source.path.clone(), destination.path.clone());
    let begun = files.run(move || Relocation::begin(&from, &to)).await?;
    let mut relocation = begun.map_err(refused)?;
    loop {
        let turn = move || {
            let now = Instant::now();
            let result = relocation.go_on(now.checked_add(TURN).unwrap_or(now));
            (relocation, result)
        };
        let (rest, result) = files.run(turn).await?;
        if result.map_err(refused)? {
            return Ok(());
        }
        relocation = rest;
    }
}

/// `POST /files/permissions`: changes mode, owner and group, those that are given. Symbolic links are followed.
pub(crate) async fn set_permissions(toolbox: &Toolbox, request: &Request<Incoming>) -> Answer {
    let asked = Asked::in_query(toolbox, request.uri(), "path")?;
    let query = Query::of(request.uri());
    let mode = query.optional("mode").map(parse_mode).transpose();
    let mode = mode.map_err(|error| Refusal::bad_request(error.to_string()))?;
    let owner = query.optional("owner").map(str::to_owned);
    let group = query.optional("group").map(str::to_owned);
    let changed = toolbox.files().run(move || {
        let refused = |errno| asked.refusal(errno);
        let file = name(&asked.path).map_err(refused)?;
        let uid = owner.map(|owner| find(&owner, "user", user::find_uid)).transpose()?;
        let gid = group.map(|group| find(&group, "group", user::find_gid)).transpose()?;
        if uid.is_some() || gid.is_some() {
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            chownat(&file, c"", uid, gid, AtFlags::EMPTY_PATH).map_err(refused)?;
        }
        match mode {
            // After the owner, whose change takes the setuid bit away.
            Some(mode) => {
                let mode = Mode::from_raw_mode(mode);
                chmodat(CWD, own_path(&file), mode, AtFlags::empty()).map_err(refused)
            }
            None => Ok(()),
        }
    });
    changed.await??;
    empty(StatusCode::OK)
}

fn find(name: &str, kind: &str, find: fn(&str) -> Option<u32>) -> Result<u32, Refusal> {
    // The kernel takes the highest number for "no change".
    let found = find(name).filter(|id| *id != u32::MAX);
    found.ok_or_else(|| Refusal::bad_request(format!("there is no {kind} {name}")))
}
