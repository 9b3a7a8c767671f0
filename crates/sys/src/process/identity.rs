//! Whom a process or thread belongs to.

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// A user with all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Identity {
    /// The user `uid` with the group `gid` and supplementary `groups`.
    #[must_use]
    pub fn new(uid: u32, gid: u32, groups: &[u32]) -> Self {
        Self {
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(gid),
            groups: groups.iter().copied().map(Gid::from_raw).collect(),
        }
    }

    /// Its user id.
    #[must_use]
    pub const fn uid(&self) -> Uid {
        self.uid
    }

    /// Its group id.
    #[must_use]
    pub const fn gid(&self) -> Gid {
        self.gid
    }

    /// Makes the calling thread, and no other, belong to the user.
    ///
    /// A thread that leaves user 0 loses every capability with it. Allocates nothing, so that a child that shares its
    /// parent's memory may call it.
    pub(super) fn assume(&self) -> rustix::io::Result<()> {
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(self.gid, self.gid, self.gid)?;
        set_thread_res_uid(self.uid, self.uid, self.uid)
    }
}
