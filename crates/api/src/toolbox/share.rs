//! How much of what goes through connections to daemons may wait on the way: the more there are, the less for each.
//!
//! Clients and daemons that do not read keep as much there for as long as they like.

use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::net::sockopt;
use tokio::net::UnixStream;

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

    /// Lets as much of what is written to a socket wait until the other side reads it: the two sides of a long body then
    /// wait for each other less often.
    pub(super) fn make_room(&self, socket: &UnixStream) {
        // The kernel doubles it for what bytes cost beside themselves (socket(7)): pieces as large as these cost little.
        let size = self.bytes / 2;
        // Only who administers the network goes beyond the machine's limit.
        let set = sockopt::set_socket_send_buffer_size_force(socket, size)
            .or_else(|_| sockopt::set_socket_send_buffer_size(socket, size));
        if set.is_err() {
            // Then it has as much as every connection has.
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.whole.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, UnixStream, Whole};

    /// How much one side takes while the other one does not read.
    async fn room(share: Option<Share>) -> usize {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        if let Some(share) = share {
            share.make_room(&ours);
        }
        ours.writable().await.unwrap();
        let mut taken = 0;
        while let Ok(count) = ours.try_write(&[0; 16 << 10]) {
            taken += count;
        }
        taken
    }

    #[tokio::test]
    async fn a_connection_with_more_room_takes_more_before_it_is_read() {
        static WHOLE: Whole = Whole::of(1 << 20, 1 << 20);
        let (usual, more) = (room(None).await, room(Some(WHOLE.take(0))).await);
        assert!(usual < more && more < 2 << 20, "{usual} and {more}");
    }

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
