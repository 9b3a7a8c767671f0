//! What a build says while it runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// What is said instead of everything after the limit.
const CUT: &[u8] = b"\n[the log ends here: it has become too long]\n";

/// Where a build's output goes. All clones are one log.
///
/// Whoever takes it is called for each piece, in order, and must not wait: a build is not held up by whoever reads its
/// log. What one build may say is bounded; the rest is left out, and the log says so.
#[derive(Clone)]
pub struct Log(Arc<Shared>);

struct Shared {
    take: Box<dyn Fn(Bytes) + Send + Sync>,
    room: Mutex<Room>,
}

struct Room {
    bytes: usize,
    /// Ends the line that is being written.
    at_line_start: bool,
}

impl Log {
    /// The most bytes of one log.
    pub const MAX_BYTES: usize = 16 << 20;

    /// A log whose pieces go to `take`.
    pub fn new(take: impl Fn(Bytes) + Send + Sync + 'static) -> Self {
        let room = Mutex::new(Room { bytes: Self::MAX_BYTES, at_line_start: true });
        Self(Arc::new(Shared { take: Box::new(take), room }))
    }

    /// A log that nobody reads.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(drop)
    }

    /// Adds what a command said.
    pub(crate) fn write(&self, piece: Bytes) {
        let mut room = self.0.room.lock().unwrap_or_else(PoisonError::into_inner);
        if room.bytes == 0 || piece.is_empty() {
            return;
        }
        room.at_line_start = piece.ends_with(b"\n");
        if piece.len() < room.bytes {
            room.bytes = room.bytes.saturating_sub(piece.len());
            (self.0.take)(piece);
        } else {
            let piece = piece.slice(..room.bytes);
            room.bytes = 0;
            (self.0.take)(piece);
            (self.0.take)(Bytes::from_static(CUT));
        }
    }

    /// Adds a line of the builder's own.
    pub(crate) fn line(&self, text: impl fmt::Display) {
        let is_open = {
            let room = self.0.room.lock().unwrap_or_else(PoisonError::into_inner);
            !room.at_line_start
        };
        let before = if is_open { "\n" } else { "" };
        self.write(Bytes::from(format!("{before}{text}\n")));
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_ends_where_it_has_become_too_long() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Log::new({
            let seen = Arc::clone(&seen);
            move |piece| seen.lock().unwrap().extend_from_slice(&piece)
        });
        log.write(Bytes::from(vec![b'x'; Log::MAX_BYTES - 1]));
        log.line("more than there is room for");
        log.line("never seen");
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), Log::MAX_BYTES + CUT.len());
        assert!(seen.ends_with(CUT));
    }

    #[test]
    fn a_line_of_the_builder_begins_at_the_start_of_a_line() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Log::new({
            let seen = Arc::clone(&seen);
            move |piece| seen.lock().unwrap().extend_from_slice(&piece)
        });
        log.line("one");
        log.write(Bytes::from_static(b"no end"));
        log.line("two");
        assert_eq!(String::from_utf8(seen.lock().unwrap().clone()).unwrap(), "one\nno end\ntwo\n");
    }
}
