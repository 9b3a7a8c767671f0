//! What a build writes, while it goes on: in memory, bounded, for any number of readers.
//!
//! Nobody who writes waits for anybody who reads. Of a long one the beginning and the end are kept; a reader that is so
//! slow that what it would read next is gone is told so and goes on behind the gap.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// How much of the beginning, and how much of the end, is kept.
const HALF_BYTES: usize = 512 * 1024;
/// The most that a reader takes at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// What a build writes.
#[derive(Debug)]
pub struct Transcript {
    kept: Mutex<Kept>,
    /// How many bytes were written, and whether that is all.
    written: watch::Sender<(u64, bool)>,
}

#[derive(Debug, Default)]
struct Kept {
    beginning: Vec<u8>,
    end: VecDeque<u8>,
    /// How many bytes there were between the two.
    left_out: u64,
}

impl Transcript {
    /// One in which nothing is written yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { kept: Mutex::default(), written: watch::Sender::new((0, false)) })
    }

    /// Adds to it. Never waits.
    pub fn write(&self, bytes: &[u8]) {
        let mut kept = self.kept();
        let room = HALF_BYTES - kept.beginning.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        kept.beginning.extend_from_slice(first);
        kept.end.extend(rest);
        let excess = kept.end.len().saturating_sub(HALF_BYTES);
        kept.end.drain(..excess);
        kept.left_out += u64::try_from(excess).unwrap_or(u64::MAX);
        drop(kept);
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.written.send_modify(|(written, _)| *written += count);
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        self.written.send_modify(|(_, is_over)| *is_over = true);
    }

    /// All that is kept, with a word about what is not.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let kept = self.kept();
        let mut text = kept.beginning.clone();
        if kept.left_out > 0 {
            text.extend_from_slice(gap(kept.left_out).as_bytes());
        }
        let (first, second) = kept.end.as_slices();
        text.extend_from_slice(first);
        text.extend_from_slice(second);
        text
    }

    /// What comes at `offset`, if it is there, and where to go on. An offset in a gap leads behind it.
    pub(super) fn read(&self, offset: u64) -> Option<(Vec<u8>, u64)> {
        let kept = self.kept();
        let begun = u64::try_from(kept.beginning.len()).unwrap_or(u64::MAX);
        let advance = |from: u64, chunk: &[u8]| from + u64::try_from(chunk.len()).unwrap_or(0);
        if let Some(rest) = usize::try_from(offset)
            .ok()
            .and_then(|at| kept.beginning.get(at..))
            .filter(|rest| !rest.is_empty())
        {
            let chunk = rest[..rest.len().min(CHUNK_BYTES)].to_vec();
            let next = advance(offset, &chunk);
            return Some((chunk, next));
        }
        let end_begins = begun + kept.left_out;
        if offset < end_begins {
            return Some((gap(end_begins - offset).into_bytes(), end_begins));
        }
        let skip = usize::try_from(offset - end_begins).unwrap_or(usize::MAX);
        let chunk: Vec<u8> = kept.end.iter().skip(skip).take(CHUNK_BYTES).copied().collect();
        let next = advance(offset, &chunk);
        (!chunk.is_empty()).then_some((chunk, next))
    }

    pub(super) fn watch(&self) -> watch::Receiver<(u64, bool)> {
        self.written.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gap(bytes: u64) -> String {
    format!("\n[{bytes} bytes are left out]\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(transcript: &Transcript, mut offset: u64) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some((chunk, next)) = transcript.read(offset) {
            assert!(next > offset && chunk.len() <= CHUNK_BYTES);
            text.extend(chunk);
            offset = next;
        }
        text
    }

    #[test]
    fn what_fits_is_kept_whole() {
        let transcript = Transcript::new();
        for part in ["one\n", "", "two\n"] {
            transcript.write(part.as_bytes());
        }
        assert_eq!(transcript.text(), b"one\ntwo\n");
        assert_eq!(read_all(&transcript, 0), b"one\ntwo\n");
        assert_eq!(read_all(&transcript, 5), b"wo\n");
        assert_eq!(read_all(&transcript, 8), b"");
    }

    #[test]
    fn of_a_long_one_the_beginning_and_the_end_are_kept() {
        let transcript = Transcript::new();
        transcript.write(&vec![b'a'; HALF_BYTES]);
        transcript.write(&vec![b'b'; 1000]);
        transcript.write(&vec![b'c'; HALF_BYTES]);
        let mut wanted = vec![b'a'; HALF_BYTES];
        wanted.extend_from_slice(b"\n[1000 bytes are left out]\n");
        wanted.extend(vec![b'c'; HALF_BYTES]);
        assert!(transcript.text() == wanted);
        assert!(read_all(&transcript, 0) == wanted);
        let late = u64::try_from(HALF_BYTES).unwrap() + 400;
        assert!(read_all(&transcript, late).starts_with(b"\n[600 bytes are left out]\nc"));
    }
}
