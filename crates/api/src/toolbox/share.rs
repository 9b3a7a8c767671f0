//! How much of what goes through a connection to a daemon may wait in the server: the more there are, the less for each.
//!
//! Clients that do not read keep as much there for as long as they like.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The most for one connection, in bytes. Files and logs go through them, and each piece wakes two tasks.
const MOST: usize = 256 << 10;
/// What all of them may have before their shares become smaller.
const ALL: usize = 32 << 20;

static OPEN: AtomicUsize = AtomicUsize::new(0);

/// What one connection may have, until this is dropped.
#[derive(Debug)]
pub(super) struct Share(usize);

impl Share {
    /// A share of a connection that needs at least so many bytes.
    pub(super) fn take(least: usize) -> Self {
        let open = OPEN.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        Self((ALL / open).clamp(least, MOST))
    }

    pub(super) const fn bytes(&self) -> usize {
        self.0
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, MOST, Share};

    #[test]
    fn many_have_little_and_few_have_much() {
        let shares: Vec<_> = (0..2048).map(|_| Share::take(16 << 10)).collect();
        assert_eq!((shares[0].bytes(), shares[2047].bytes()), (MOST, 16 << 10));
        let all: usize = shares.iter().map(Share::bytes).sum();
        // The harmonic series, as they came one after the other.
        assert!(all < 4 * ALL, "{all}");
        drop(shares);
        assert_eq!(Share::take(16 << 10).bytes(), MOST);
    }
}
