//! How many bytes contexts and unfinished uploads take, before they are written.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane_model::OrganizationId;

use crate::error::ReceiveError;
use crate::limits::ContextLimits;

/// What of a disk contexts leave free for everything else on it: the 20th part, or this many bytes.
const MAX_LEFT_FREE_BYTES: u64 = 1 << 30;

/// Counts what is taken.
#[derive(Debug)]
pub(crate) struct Room {
    organization_bytes: u64,
    total_bytes: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    by: HashMap<OrganizationId, u64>,
    total: u64,
}

impl Room {
    pub(crate) fn new(limits: &ContextLimits) -> Self {
        Self {
            organization_bytes: limits.organization_bytes,
            total_bytes: limits.total_bytes,
            taken: Mutex::default(),
        }
    }

    /// Takes nothing yet.
    pub(crate) fn reserve(self: &Arc<Self>, organization: OrganizationId) -> Reservation {
        Reservation { room: Arc::clone(self), organization, bytes: 0 }
    }

    /// How many bytes an organization would have to give up, or anybody, to get `bytes` more.
    pub(crate) fn lacks(&self, organization: OrganizationId, bytes: u64) -> u64 {
        let taken = self.taken();
        let own = taken.by.get(&organization).copied().unwrap_or(0);
        let beyond = |taken: u64, limit: u64| taken.saturating_add(bytes).saturating_sub(limit);
        beyond(own, self.organization_bytes).max(beyond(taken.total, self.total_bytes))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room that somebody has until this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    room: Arc<Room>,
    organization: OrganizationId,
    bytes: u64,
}

impl Reservation {
    /// Takes more.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), ReceiveError> {
        if self.room.lacks(self.organization, bytes) > 0 {
            return Err(ReceiveError::NoRoom);
        }
        self.add(bytes);
        Ok(())
    }

    /// Takes what is on the disk already, whatever the limits are by now.
    pub(crate) fn add(&mut self, bytes: u64) {
        let mut taken = self.room.taken();
        taken.total = taken.total.saturating_add(bytes);
        let own = taken.by.entry(self.organization).or_default();
        *own = own.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Takes over what another one has of the same organization.
    pub(crate) fn absorb(&mut self, mut other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        other.bytes = 0;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.total = taken.total.saturating_sub(self.bytes);
        if let Some(own) = taken.by.get_mut(&self.organization) {
            *own = own.saturating_sub(self.bytes);
            if *own == 0 {
                taken.by.remove(&self.organization);
            }
        }
    }
}

/// Whether a disk has room for more, beyond what has to stay free.
pub(crate) fn has_disk_for(folder: &Path, bytes: u64) -> Result<bool, rustix::io::Errno> {
    let disk = rustix::fs::statvfs(folder)?;
    let total = disk.f_blocks.saturating_mul(disk.f_frsize);
    let available = disk.f_bavail.saturating_mul(disk.f_frsize);
    let left_free = total.checked_div(20).unwrap_or(0).min(MAX_LEFT_FREE_BYTES);
    Ok(available >= bytes.saturating_add(left_free))
}
