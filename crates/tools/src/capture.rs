//! What a command said, held within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::figures;

/// How much of one command's output is kept to be read later.
const MOST_KEPT: usize = 8 << 20;
/// How much of it while all commands together have said more than there is room for.
const LITTLE: usize = 64 << 10;
/// How much room there is for all commands that are under way.
const ROOM: usize = 64 << 20;

/// How much commands under way have said that is kept.
#[derive(Debug, Default)]
pub(crate) struct Room(AtomicUsize);

/// The output of a command: the ends of both streams for the answer, and all that fits for later.
#[derive(Debug)]
pub(crate) struct Capture {
    stdout: Tail,
    stderr: Tail,
    kept: Vec<u8>,
    /// How many bytes came before what is kept.
    dropped: u64,
    room: Arc<Room>,
    /// How much of the room is taken.
    taken: usize,
}

/// The end of a stream.
#[derive(Debug)]
struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    total: u64,
}

impl Capture {
    pub(crate) const fn new(limit: usize, room: Arc<Room>) -> Self {
        Self {
            stdout: Tail::new(limit),
            stderr: Tail::new(limit),
            kept: Vec::new(),
            dropped: 0,
            room,
            taken: 0,
        }
    }

    pub(crate) fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.push(bytes);
        self.keep(bytes);
    }

    pub(crate) fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.push(bytes);
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        let most = if self.room.0.load(Ordering::Relaxed) > ROOM { LITTLE } else { MOST_KEPT };
        // Some more, so that not every piece moves everything.
        if self.kept.len() > most.saturating_add(most / 8) {
            let much = self.kept.len().saturating_sub(most);
            self.kept.drain(..much);
            self.kept.shrink_to(most.saturating_mul(2));
            self.dropped = self.dropped.saturating_add(count(much));
        }
        let takes = self.kept.capacity();
        self.room.0.fetch_add(takes, Ordering::Relaxed);
        self.room.0.fetch_sub(std::mem::replace(&mut self.taken, takes), Ordering::Relaxed);
    }

    /// The ends of both streams, as texts.
    pub(crate) fn texts(&self) -> (String, String) {
        (self.stdout.text(), self.stderr.text())
    }

    /// How many bytes are in neither text.
    pub(crate) fn left_out(&self) -> u64 {
        self.stdout.left_out().saturating_add(self.stderr.left_out())
    }

    pub(crate) const fn total(&self) -> u64 {
        self.stdout.total.saturating_add(self.stderr.total)
    }

    /// The last line of all, to show that something happens.
    pub(crate) fn last_line(&self) -> String {
        let from = self.kept.len().saturating_sub(512);
        let end = String::from_utf8_lossy(self.kept.get(from..).unwrap_or_default());
        let line = end.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        line.trim().chars().take(120).collect()
    }

    /// Everything that is kept, and how many bytes came before it.
    pub(crate) fn into_kept(mut self) -> (Vec<u8>, u64) {
        figures::left_out(self.left_out());
        (std::mem::take(&mut self.kept), self.dropped)
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.room.0.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

impl Tail {
    const fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, total: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.total = self.total.saturating_add(count(bytes.len()));
        let bytes = bytes.get(bytes.len().saturating_sub(self.limit)..).unwrap_or_default();
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > self.limit.saturating_mul(2).max(4096) {
            let much = self.bytes.len().saturating_sub(self.limit);
            self.bytes.drain(..much);
        }
    }

    /// Where the text begins: at the beginning of a line, if one begins early enough.
    fn shown(&self) -> &[u8] {
        let end = self.bytes.get(self.bytes.len().saturating_sub(self.limit)..).unwrap_or_default();
        if self.total <= count(end.len()) {
            return end;
        }
        let early = end.get(..end.len().min(1024)).unwrap_or_default();
        let from = match early.iter().position(|byte| *byte == b'\n') {
            Some(line_end) => line_end.saturating_add(1),
            // In the middle of a character is no place to begin.
            None => early.iter().take(4).position(|byte| byte & 0xC0 != 0x80).unwrap_or(0),
        };
        end.get(from..).unwrap_or_default()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(self.shown()).into_owned()
    }

    fn left_out(&self) -> u64 {
        self.total.saturating_sub(count(self.shown().len()))
    }
}

pub(crate) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(pieces: &[&[u8]], limit: usize) -> Capture {
        let mut capture = Capture::new(limit, Arc::default());
        pieces.iter().for_each(|piece| capture.stdout(piece));
        capture
    }

    #[test]
    fn what_fits_is_all_there() {
        let capture = captured(&[b"one\n", b"two"], 7);
        assert_eq!(capture.texts(), (String::from("one\ntwo"), String::new()));
        assert_eq!(capture.left_out(), 0);
    }

    #[test]
    fn of_more_the_last_lines_are_there_and_the_rest_is_counted() {
        let capture = captured(&[b"first\nsecond\n", b"third\n"], 10);
        assert_eq!(capture.texts().0, "third\n");
        assert_eq!(capture.left_out(), 13);
        assert_eq!(capture.into_kept(), (b"first\nsecond\nthird\n".to_vec(), 0));
    }

    #[test]
    fn an_output_without_end_is_not_held() {
        let piece = vec![b'x'; 1 << 20];
        let mut capture = Capture::new(1024, Arc::default());
        (0..64).for_each(|_| capture.stdout(&piece));
        let (kept, dropped) = capture.into_kept();
        assert!(kept.len() <= MOST_KEPT + MOST_KEPT / 8, "{}", kept.len());
        assert_eq!(kept.len() + usize::try_from(dropped).unwrap(), 64 << 20);
    }

    #[test]
    fn many_outputs_without_end_are_not_held_together() {
        let (piece, room) = (vec![b'x'; 1 << 20], Arc::<Room>::default());
        let mut captures: Vec<_> = (0..200).map(|_| Capture::new(64, Arc::clone(&room))).collect();
        for _ in 0..16 {
            captures.iter_mut().for_each(|capture| capture.stdout(&piece));
        }
        let held: usize = captures.iter().map(|capture| capture.kept.capacity()).sum();
        assert!(held <= ROOM + 64 * (1 << 20), "{held}");
        assert!(captures.iter().all(|capture| capture.texts().0.len() == 64));
        drop(captures);
        assert_eq!(room.0.load(Ordering::Relaxed), 0);
    }

    proptest! {
        #[test]
        fn a_tail_is_an_end_of_what_was_said(text in "\\PC{0,200}", limit in 4_usize..64, cut in 1_usize..9) {
            let mut capture = Capture::new(limit, Arc::default());
            text.as_bytes().chunks(cut).for_each(|piece| capture.stdout(piece));
            let (shown, _) = capture.texts();
            prop_assert!(text.ends_with(&shown), "{shown:?} of {text:?}");
            prop_assert!(shown.len() <= limit);
            prop_assert_eq!(capture.left_out(), count(text.len() - shown.len()));
        }
    }
}
