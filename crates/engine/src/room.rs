//! Room for disks: what sandboxes may still write, beside what is left to write it to.
//!
//! Disks are sparse, so more can be promised than there is. How much more is the operator's word; what is free is
//! measured each time, what is promised at most every second.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::volume;

/// What must stay free on the state folder's file system, whatever is promised: the server itself writes there.
pub const RESERVE_BYTES: u64 = 1 << 30;

/// How long a count of what is promised is good enough to say yes.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// The state folder's disk and what sandboxes may still write to it, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free, less [`RESERVE_BYTES`].
    pub free: u64,
    /// What sandboxes may still write to their disks and to volumes.
    pub promised: u64,
}

impl Room {
    /// Measures a state folder.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn of(state: &Path) -> io::Result<Self> {
        Ok(Self { free: free(state)?, promised: promised(state)? })
    }

    /// The bytes that sandboxes' disks may take until nothing is left but the reserve; unknown where that cannot be read.
    pub(crate) fn free_of(state: &Path) -> Option<u64> {
        free(state).ok()
    }

    /// Whether another `bytes` may be promised when `overcommit` times what is free may be; 0 promises without end.
    #[must_use]
    pub const fn has_room(self, bytes: u64, overcommit: u32) -> bool {
        let most = self.free.saturating_mul(overcommit as u64);
        self.free > 0 && (overcommit == 0 || self.promised.saturating_add(bytes) <= most)
    }
}

/// Says whether there is room for another disk.
#[derive(Debug)]
pub(crate) struct Ledger {
    state: PathBuf,
    overcommit: u32,
    counted: Mutex<Option<(Instant, u64)>>,
}

impl Ledger {
    pub(crate) const fn new(state: PathBuf, overcommit: u32) -> Self {
        Self { state, overcommit, counted: Mutex::new(None) }
    }

    /// Whether another `bytes` may be promised; if so they count from now on.
    pub(crate) fn promise(&self, bytes: u64) -> bool {
        let Ok(free) = free(&self.state) else { return true };
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = counted.filter(|(at, _)| at.elapsed() < GOOD_FOR);
        if let Some((at, promised)) = known
            && (Room { free, promised }).has_room(bytes, self.overcommit)
        {
            *counted = Some((at, promised.saturating_add(bytes)));
            return true;
        }
        // Disks may be gone, and written to, since they were counted.
        let promised = promised(&self.state).unwrap_or(0);
        let room = Room { free, promised };
        let has_room = room.has_room(bytes, self.overcommit);
        if !has_room {
            tracing::warn!(
                free_mib = free >> 20,
                promised_mib = promised >> 20,
                asked_mib = bytes >> 20,
                overcommit = self.overcommit,
                "no room for another disk"
            );
        }
        let added = if has_room { bytes } else { 0 };
        *counted = Some((Instant::now(), promised.saturating_add(added)));
        has_room
    }
}

fn owned(state: &Path) -> PathBuf {
    state.join("disks/owned")
}

fn free(state: &Path) -> io::Result<u64> {
    let status = rustix::fs::statvfs(state)?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize).saturating_sub(RESERVE_BYTES))
}

/// What the disks and volumes of a state folder may still take.
fn promised(state: &Path) -> io::Result<u64> {
    Ok(rests(&owned(state))?.saturating_add(rests(&volume::folder(state))?))
}

/// What the files of a folder may still take: their sizes less what is in them.
fn rests(folder: &Path) -> io::Result<u64> {
    const BLOCK: u64 = 512;
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(cause) => return Err(cause),
    };
    let rests = entries
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len().saturating_sub(metadata.blocks().saturating_mul(BLOCK)));
    Ok(rests.fold(0, u64::saturating_add))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_promised_than_the_operator_allows() {
        let room = Room { free: 10, promised: 15 };
        let allowed: Vec<bool> =
            [0, 1, 2, 3].iter().map(|overcommit| room.has_room(6, *overcommit)).collect();
        assert_eq!(allowed, [true, false, false, true]);
        assert!(!Room { free: 0, promised: 0 }.has_room(0, 0));
    }

    #[test]
    fn what_is_written_is_no_longer_promised() {
        let state = tempfile::tempdir().unwrap();
        let folder = owned(state.path());
        assert_eq!(promised(state.path()).unwrap(), 0);
        std::fs::create_dir_all(&folder).unwrap();
        let disk = std::fs::File::create(folder.join("a")).unwrap();
        disk.set_len(1 << 20).unwrap();
        assert_eq!(promised(state.path()).unwrap(), 1 << 20);
        std::fs::write(folder.join("b"), vec![1; 1 << 16]).unwrap();
        assert_eq!(promised(state.path()).unwrap(), 1 << 20);
        let volumes = volume::folder(state.path());
        std::fs::create_dir(&volumes).unwrap();
        std::fs::File::create(volumes.join("c")).unwrap().set_len(1 << 21).unwrap();
        assert_eq!(promised(state.path()).unwrap(), 3 << 20);
    }
}
