//! How many sandboxes may wait on this machine.

use std::path::PathBuf;

use pitlane_driver::NoRoomError;

use crate::room::Room;

/// What waiting sandboxes may take, all together.
#[derive(Debug)]
pub(crate) struct PoolRoom {
    state: PathBuf,
    /// Memory that the operator lets them take.
    memory_mib: Option<u64>,
    /// How many sandboxes there can be at all.
    slots: u64,
}

/// What one that waits takes of memory, that of the kernel included: twice what `bench/run --only warm` finds.
const MEMORY_MIB: u64 = 2;
/// What its disk takes before anybody has written to it, rounded up.
const DISK_MIB: u64 = 1;
/// The part of the machine's memory that they may take if the operator says nothing.
const MEMORY_SHARE: u64 = 4;
/// Memory that is left to the sandboxes that people have.
const MEMORY_RESERVE_MIB: u64 = 256;

/// The machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Memory {
    total_mib: u64,
    available_mib: u64,
}

/// Who wants to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    /// How many are wanted already.
    pub(super) others: u64,
    /// How many more are.
    pub(super) more: u64,
    /// How many of them wait.
    pub(super) ready: u64,
}

impl PoolRoom {
    pub(crate) const fn new(state: PathBuf, memory_mib: Option<u64>, slots: u32) -> Self {
        Self { state, memory_mib, slots: slots as u64 }
    }

    /// Whether there is room for `more`.
    ///
    /// # Errors
    ///
    /// [`NoRoomError`] says what is left of what they would take too much of.
    pub(super) fn check(&self, demand: Demand) -> Result<(), NoRoomError> {
        let Demand { others, more, .. } = demand;
        let left = self.slots.saturating_sub(others);
        if more > left {
            return Err(NoRoomError::Count { more, left });
        }
        // What cannot be measured is not refused for.
        if let Some(memory) = memory() {
            self.check_memory(memory, demand)?;
        }
        Room::free_of(&self.state).map_or(Ok(()), |free| check_disk(free >> 20, demand))
    }

    fn check_memory(&self, memory: Memory, demand: Demand) -> Result<(), NoRoomError> {
        let Demand { others, more, ready } = demand;
        let allowed = self.memory_mib.unwrap_or(memory.total_mib / MEMORY_SHARE);
        // What those that wait already take is not available any more, but theirs.
        let available = memory
            .available_mib
            .saturating_sub(MEMORY_RESERVE_MIB)
            .saturating_add(ready.saturating_mul(MEMORY_MIB));
        let left_mib = allowed.min(available).saturating_sub(others.saturating_mul(MEMORY_MIB));
        let needed_mib = more.saturating_mul(MEMORY_MIB);
        if needed_mib <= left_mib {
            Ok(())
        } else {
            Err(NoRoomError::Memory { more, needed_mib, left_mib })
        }
    }
}

fn check_disk(free_mib: u64, demand: Demand) -> Result<(), NoRoomError> {
    let Demand { others, more, ready } = demand;
    let there = free_mib.saturating_add(ready.saturating_mul(DISK_MIB));
    let left_mib = there.saturating_sub(others.saturating_mul(DISK_MIB));
    let needed_mib = more.saturating_mul(DISK_MIB);
    if needed_mib <= left_mib {
        Ok(())
    } else {
        Err(NoRoomError::Disk { more, needed_mib, left_mib })
    }
}

fn memory() -> Option<Memory> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let mib = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib >> 10)
    };
    Some(Memory { total_mib: mib("MemTotal:")?, available_mib: mib("MemAvailable:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Memory = Memory { total_mib: 8192, available_mib: 6000 };

    fn room(memory_mib: Option<u64>) -> PoolRoom {
        PoolRoom::new(PathBuf::from("/"), memory_mib, 100)
    }

    const fn demand(others: u64, more: u64, ready: u64) -> Demand {
        Demand { others, more, ready }
    }

    #[test]
    fn a_quarter_of_the_machines_memory_is_for_those_that_wait() {
        let all = 2048 / MEMORY_MIB;
        assert_eq!(room(None).check_memory(MEMORY, demand(0, all, 0)), Ok(()));
        assert_eq!(room(None).check_memory(MEMORY, demand(all - 1, 1, 0)), Ok(()));
        let refused =
            NoRoomError::Memory { more: 2, needed_mib: 2 * MEMORY_MIB, left_mib: MEMORY_MIB };
        assert_eq!(room(None).check_memory(MEMORY, demand(all - 1, 2, 0)), Err(refused));
        assert_eq!(room(Some(4096)).check_memory(MEMORY, demand(all - 1, 2, 0)), Ok(()));
    }

    #[test]
    fn what_waits_already_is_not_asked_for_twice() {
        let tight = Memory { available_mib: MEMORY_RESERVE_MIB, ..MEMORY };
        assert_eq!(room(None).check_memory(tight, demand(8, 2, 10)), Ok(()));
        let refused = NoRoomError::Memory { more: 1, needed_mib: MEMORY_MIB, left_mib: 0 };
        assert_eq!(room(None).check_memory(tight, demand(10, 1, 10)), Err(refused));
        assert_eq!(check_disk(0, demand(8, 2, 10)), Ok(()));
        let refused = NoRoomError::Disk { more: 2, needed_mib: 2 * DISK_MIB, left_mib: DISK_MIB };
        assert_eq!(check_disk(0, demand(9, 2, 10)), Err(refused));
    }

    #[test]
    fn there_are_no_more_than_there_are_slots() {
        let refused = NoRoomError::Count { more: 2, left: 1 };
        assert_eq!(room(None).check(demand(99, 2, 0)), Err(refused));
    }

    #[test]
    fn this_machine_tells_its_memory() {
        let memory = memory().expect("/proc is there");
        assert!(memory.total_mib > 0 && memory.available_mib <= memory.total_mib, "{memory:?}");
    }
}
