//! Slots: the numbers from which a sandbox's host ids, address and group are derived.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Hands out slots, the lowest free one first. A slot is free again when its value is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Slots(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    count: u32,
    first_id: u32,
    used: Mutex<BTreeSet<u32>>,
}

/// A slot in use. Held as long as anything derived from it may exist: its sandbox's disk, above all. The slot is free
/// when its last copy is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Slot(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    number: u32,
    slots: Slots,
}

const NAME_PREFIX: &str = "slot-";

/// User and group ids of one sandbox.
pub(crate) const IDS_PER_SANDBOX: u32 = 65_536;

impl Slots {
    /// Slots 0 to `count - 1`, whose ids begin at `first_id`.
    pub(crate) fn new(count: u32, first_id: u32) -> Self {
        Self(Arc::new(Inner { count, first_id, used: Mutex::new(BTreeSet::new()) }))
    }

    /// Takes the lowest free slot; `None` when all are in use.
    pub(crate) fn take(&self) -> Option<Slot> {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        // The used numbers are sorted: the first that differs from its position leaves a gap before it.
        let gap = (0u32..)
            .zip(used.iter())
            .find(|(position, number)| position != *number)
            .map(|(position, _)| position);
        let number = gap.unwrap_or_else(|| u32::try_from(used.len()).unwrap_or(u32::MAX));
        if number >= self.0.count {
            return None;
        }
        used.insert(number);
        drop(used);
        Some(self.taken(number))
    }

    /// Takes a certain slot; `None` when it is in use or there is no such slot.
    pub(crate) fn take_number(&self, number: u32) -> Option<Slot> {
        let mut used = self.0.used.lock().unwrap_or_else(PoisonError::into_inner);
        (number < self.0.count && used.insert(number)).then(|| self.taken(number))
    }

    fn taken(&self, number: u32) -> Slot {
        Slot(Arc::new(Taken { number, slots: self.clone() }))
    }
}

impl Slot {
    /// Its number.
    pub(crate) fn number(&self) -> u32 {
        self.0.number
    }

    /// What belongs to it is called after it.
    pub(crate) fn name(&self) -> String {
        format!("{NAME_PREFIX}{}", self.0.number)
    }

    /// The number of the slot with this name.
    pub(crate) fn number_in(name: &str) -> Option<u32> {
        name.strip_prefix(NAME_PREFIX)?.parse().ok()
    }

    /// The host's id of the sandbox's id 0.
    pub(crate) fn first_id(&self) -> u32 {
        self.0.slots.0.first_id.saturating_add(self.0.number.saturating_mul(IDS_PER_SANDBOX))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.slots.0.used.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_slot_comes_first() {
        let slots = Slots::new(3, 1000);
        let zero = slots.take().expect("slot 0");
        let one = slots.take().expect("slot 1");
        assert_eq!((zero.number(), zero.first_id(), one.number()), (0, 1000, 1));
        drop(zero);
        assert_eq!(slots.take().expect("slot 0 again").number(), 0);
    }

    #[test]
    fn a_slot_is_in_use_once() {
        let slots = Slots::new(2, 0);
        let one = slots.take_number(1).expect("slot 1");
        assert!(slots.take_number(1).is_none());
        assert!(slots.take_number(2).is_none());
        let _zero = slots.take().expect("slot 0");
        assert!(slots.take().is_none());
        drop(one);
        assert_eq!(slots.take().expect("slot 1 again").number(), 1);
    }
}
