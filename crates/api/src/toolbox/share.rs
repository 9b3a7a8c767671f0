//! How much of what goes through connections to daemons may wait on the way: the more there are, the less for each.
//!
//! Clients and daemons that do not read keep as much there for as long as they like.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What waits in the server itself. Files and logs go through it, and each piece wakes two tasks.
pub(super) static IN_THE_SERVER: Whole = Whole::of(32 << 20, 256 << 10);
/// What of long bodies waits in the kernel for daemons to read it. A daemon writes files, which takes its time now and then;
/// with room for what comes meanwhile the server and the daemon rarely wait for each other.
pub(super) static FOR_DAEMONS: Whole = Whole::of(64 << 20, 4 << 20);

/// Something that all connections share, in bytes.
#[derive(Debug)]
pub(super) struct Whole {
    /// What all of them may have before their shares become smaller.
    all: usize,
    /// The most for one of them.
    most: usize,
    taken: AtomicUsize,
}

/// What one connection may have, until this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    whole: &'static Whole,
    bytes: usize,
}

impl Whole {
    const fn of(all: usize, most: usize) -> Self {
        Self { all, most, taken: AtomicUsize::new(0) }
    }

    /// A share of a connection that needs at least so many bytes.
    pub(super) fn take(&'static self, least: usize) -> Share {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Share { whole: self, bytes: (self.all / taken).clamp(least, self.most) }
    }
}

impl Share {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.whole.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, Whole};

    #[test]
    fn many_have_little_and_few_have_much() {
        static WHOLE: Whole = Whole::of(32 << 20, 256 << 10);
        let shares: Vec<_> = (0..2048).map(|_| WHOLE.take(16 << 10)).collect();
        assert_eq!((shares[0].bytes(), shares[2047].bytes()), (256 << 10, 16 << 10));
        let all: usize = shares.iter().map(Share::bytes).sum();
        // The harmonic series, as they came one after the other.
        assert!(all < 4 * (32 << 20), "{all}");
        drop(shares);
        assert_eq!(WHOLE.take(16 << 10).bytes(), 256 << 10);
    }
}
