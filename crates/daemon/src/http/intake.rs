//! How much of what callers say may be in memory at once, of all callers together.
//!
//! Whatever one of them sends is bounded by itself; a hundred of the largest at a time would be more than the sandbox
//! has. The beginning of each costs nothing, so that small ones always get through.

use tokio::sync::{Semaphore, SemaphorePermit};

/// The largest of all bodies, and a half more. Reading one takes a few times its size for a moment.
const MOST: usize = 96 << 20;
/// What a request or a message may take without being counted.
const FREE: usize = 16 << 10;

/// Room for what callers say.
#[derive(Debug)]
pub(crate) struct Intake {
    room: Semaphore,
    free: usize,
}

/// What a body or a message takes of the room, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    intake: &'static Intake,
    bytes: usize,
    permit: Option<SemaphorePermit<'static>>,
}

/// There is no room for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is being said to this sandbox at once: try again later")]
pub(crate) struct TooMuch;

/// For requests, and what is said like one. A daemon has one sandbox, so there is one.
pub(crate) static INTAKE: Intake = Intake::new(MOST, FREE);

impl Intake {
    /// Room for so many bytes, beside the first `free` ones of each.
    pub(crate) const fn new(most: usize, free: usize) -> Self {
        Self { room: Semaphore::const_new(most), free }
    }

    /// Nothing yet.
    pub(crate) const fn hold(&'static self) -> Held {
        Held { intake: self, bytes: 0, permit: None }
    }
}

impl Held {
    /// Takes room for more; what was taken before stays.
    pub(crate) fn grow(&mut self, more: usize) -> Result<(), TooMuch> {
        self.bytes = self.bytes.saturating_add(more);
        let held = self.permit.as_ref().map_or(0, SemaphorePermit::num_permits);
        let missing = self.bytes.saturating_sub(self.intake.free).saturating_sub(held);
        if missing == 0 {
            return Ok(());
        }
        let missing = u32::try_from(missing).map_err(|_more_than_there_is| TooMuch)?;
        let taken = self.intake.room.try_acquire_many(missing).map_err(|_none_left| TooMuch)?;
        match &mut self.permit {
            Some(permit) => permit.merge(taken),
            None => self.permit = Some(taken),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Intake, TooMuch};

    #[test]
    fn room_is_for_all_together_and_small_ones_always_have_some() {
        static ROOM: Intake = Intake::new(100, 10);
        let mut first = ROOM.hold();
        assert_eq!((first.grow(60), first.grow(40)), (Ok(()), Ok(())));
        let mut second = ROOM.hold();
        assert_eq!(
            (second.grow(10), second.grow(10), second.grow(1)),
            (Ok(()), Ok(()), Err(TooMuch))
        );
        assert_eq!((first.grow(10), ROOM.hold().grow(10)), (Err(TooMuch), Ok(())));
        drop(first);
        assert_eq!((second.grow(70), second.grow(usize::MAX)), (Ok(()), Err(TooMuch)));
    }
}
