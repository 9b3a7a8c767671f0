//! When memory runs out in a group, and how many of its processes the kernel has killed for that.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::{Group, write};
use crate::error::{Context as _, SyscallError};

/// A descriptor that tells when the memory of a group, or of one above it, has run out.
///
/// On version 1 it becomes *readable*, shortly before the kernel looks for a process to kill: the count follows. On
/// version 2 it has something *urgent* to say (`POLLPRI`), once the count has changed.
#[derive(Debug)]
pub struct MemoryAlarm {
    descriptor: OwnedFd,
    is_eventfd: bool,
    /// The files in which the kernel counts; the alarm's own group's first.
    counters: Vec<PathBuf>,
}

impl Group {
    /// Watches the memory of this group. [`MemoryAlarm::kills`] counts what was killed in it and in the `others`.
    ///
    /// # Errors
    ///
    /// The group does not exist.
    pub fn memory_alarm(&self, others: &[Self]) -> Result<MemoryAlarm, SyscallError> {
        let groups = std::iter::once(self).chain(others);
        let counters = groups.map(Self::memory_events_path).collect();
        let events = self.memory_events()?;
        if self.is_v2() {
            return Ok(MemoryAlarm { descriptor: events, is_eventfd: false, counters });
        }
        let alarm =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).context("eventfd")?;
        // The kernel keeps both for itself, and forgets them when the event descriptor is closed.
        let order = format!("{} {}", alarm.as_raw_fd(), events.as_raw_fd());
        write(&self.memory().join("cgroup.event_control"), &order)?;
        Ok(MemoryAlarm { descriptor: alarm, is_eventfd: true, counters })
    }

    pub(super) fn memory_events_path(&self) -> PathBuf {
        self.memory().join(if self.is_v2() { "memory.events" } else { "memory.oom_control" })
    }
}

impl MemoryAlarm {
    /// Whether to wait until it is readable, and not for something urgent.
    #[must_use]
    pub const fn is_readable_when_told(&self) -> bool {
        self.is_eventfd
    }

    /// Makes it silent until the next time. To be called before the count is read, so that nothing is missed.
    ///
    /// # Errors
    ///
    /// The descriptor is broken.
    pub fn silence(&self) -> Result<(), SyscallError> {
        if self.is_eventfd {
            let mut count = [0u8; 8];
            return match rustix::io::read(&self.descriptor, &mut count) {
                Ok(_) | Err(Errno::AGAIN) => Ok(()),
                Err(errno) => Err(errno).context("read(eventfd)"),
            };
        }
        // Reading the file is what arms it.
        read_count(&self.descriptor).map(drop)
    }

    /// How many processes the kernel has killed in the groups for want of memory, since these exist.
    ///
    /// # Errors
    ///
    /// A group is gone.
    pub fn kills(&self) -> Result<u64, SyscallError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        self.counters.iter().try_fold(0u64, |sum, path| {
            let file = open(path, flags, Mode::empty()).context("open(memory events)")?;
            Ok(sum.saturating_add(read_count(&file)?))
        })
    }
}

impl AsFd for MemoryAlarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl std::os::fd::AsRawFd for MemoryAlarm {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// The count in an open `memory.oom_control` (version 1) or `memory.events` (version 2).
///
/// # Errors
///
/// The group is gone.
pub(crate) fn read_count(file: &OwnedFd) -> Result<u64, SyscallError> {
    let mut text = [0u8; 1024];
    let length = rustix::io::pread(file, &mut text, 0).context("read(memory events)")?;
    Ok(count_in(text.get(..length).unwrap_or_default()))
}

fn count_in(text: &[u8]) -> u64 {
    let text = std::str::from_utf8(text).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_alike_in_both_versions_and_nothing_else_is() {
        let v1 = b"oom_kill_disable 0\nunder_oom 1\noom_kill 3\n";
        let v2 = b"low 0\nhigh 0\nmax 41\noom 5\noom_kill 3\noom_group_kill 1\n";
        assert_eq!([count_in(v1), count_in(v2), count_in(b"\xff"), count_in(b"")], [3, 3, 0, 0]);
    }
}
