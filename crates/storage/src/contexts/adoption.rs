//! What an earlier server left.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use pitlane_model::OrganizationId;

use super::shelf::Shelf;
use crate::context::{Stored, timestamp};
use crate::error::OpenContextsError;
use crate::key::ContextKey;
use crate::room::Room;
use crate::scratch::remove;

/// The folder of what is not yet anything.
pub(super) const DRAFTS: &str = "drafts";

/// Reads the folder, and removes what is not whole.
pub(super) fn adopt(folder: &Path, room: &Arc<Room>) -> Result<Shelf, OpenContextsError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |cause| OpenContextsError { path, cause }
    };
    let drafts = folder.join(DRAFTS);
    match std::fs::remove_dir_all(&drafts) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(at(&drafts)(cause)),
        _ => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&drafts).map_err(at(&drafts))?;
    let mut shelf = Shelf::default();
    for entry in std::fs::read_dir(folder).map_err(at(folder))? {
        let entry = entry.map_err(at(folder))?;
        let name = entry.file_name();
        let organization = name.to_str().and_then(|name| name.parse::<OrganizationId>().ok());
        if let Some(organization) = organization {
            let path = entry.path();
            adopt_organization(&path, organization, room, &mut shelf).map_err(at(&path))?;
        } else if name != DRAFTS {
            tracing::warn!(path = %entry.path().display(), "nothing of ours among build contexts");
        }
    }
    for superseded in shelf.dead() {
        remove(&superseded.path);
    }
    Ok(shelf)
}

fn adopt_organization(
    folder: &Path,
    organization: OrganizationId,
    room: &Arc<Room>,
    shelf: &mut Shelf,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let name = entry.file_name();
        let stored = name.to_str().filter(|_| metadata.is_file()).and_then(|name| {
            let mut pieces = name.split('.');
            let (hash, etag) = (pieces.next()?.parse().ok()?, pieces.next()?.parse().ok()?);
            let (Some(_serial), Some("tar"), None) = (pieces.next(), pieces.next(), pieces.next())
            else {
                return None;
            };
            let modified = timestamp(metadata.modified().ok()?);
            let used = metadata.accessed().map_or(modified, timestamp).max(modified);
            let mut reservation = room.reserve(organization);
            reservation.add(metadata.len());
            Some(Stored {
                key: ContextKey { organization, hash },
                path: entry.path(),
                bytes: metadata.len(),
                etag,
                modified,
                used: AtomicI64::new(used.as_micros()),
                noted: AtomicI64::new(used.as_micros()),
                _room: reservation,
            })
        });
        match stored {
            Some(stored) => shelf.adopt(stored),
            None => {
                tracing::warn!(path = %entry.path().display(), "nothing of ours among build contexts");
            }
        }
    }
    Ok(())
}
