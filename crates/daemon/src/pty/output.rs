//! A terminal's recent output, for everybody who follows it at a pace of their own.
//!
//! Whoever writes never waits. What nobody needs any more is forgotten, except for the last [`RECENT`] bytes, with which
//! a new follower begins; a follower that lies more than [`MOST`] bytes behind is lost, or fewer where that is too much
//! for all terminals together.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

/// What is kept for those who come later.
pub(super) const RECENT: usize = 256 << 10;
/// How much goes into one message at most: a chunk.
pub(super) const CHUNK: usize = 16 << 10;
/// How far a follower may lie behind: 256 chunks.
pub(super) const MOST: usize = 256 * CHUNK;
/// The same while all terminals together keep more than [`PLENTY`] for those who lie behind.
const LITTLE: usize = 2 * RECENT;
const PLENTY: usize = 16 << 20;

/// The output; shared.
#[derive(Debug)]
pub(super) struct Output {
    kept: Mutex<Kept>,
    /// What all terminals keep beyond what is recent.
    ahead: Arc<AtomicUsize>,
    /// How many bytes there have been.
    written: watch::Sender<u64>,
    /// Changes when a patient follower has read on.
    read: watch::Sender<()>,
}

/// Where somebody is in the output.
#[derive(Debug)]
pub(super) struct Follower {
    output: Arc<Output>,
    number: u64,
    written: watch::Receiver<u64>,
}

/// A follower was too slow, and output that it did not read is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

#[derive(Debug, Default)]
struct Kept {
    bytes: VecDeque<u8>,
    /// How many bytes there were before those.
    forgotten: u64,
    followers: BTreeMap<u64, Place>,
    next_number: u64,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// How many bytes it has read or skipped.
    at: u64,
    is_patient: bool,
}

impl Output {
    /// One of several that share what they may keep.
    pub(super) fn new(ahead: Arc<AtomicUsize>) -> Self {
        Self {
            kept: Mutex::default(),
            ahead,
            written: watch::Sender::new(0),
            read: watch::Sender::new(()),
        }
    }

    /// Adds output and wakes whoever follows.
    pub(super) fn push(&self, bytes: &[u8]) {
        let end = {
            let mut kept = self.lock();
            let before = kept.ahead();
            kept.bytes.extend(bytes);
            kept.forget(self.most());
            let after = kept.ahead();
            self.ahead.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
            self.ahead.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
            kept.end()
        };
        self.written.send_replace(end);
    }

    /// Follows from what is kept of the recent output on; `None` where `most` do already.
    pub(super) fn follow(self: &Arc<Self>, most: usize, is_patient: bool) -> Option<Follower> {
        let mut kept = self.lock();
        if kept.followers.len() >= most {
            return None;
        }
        let number = kept.next_number;
        kept.next_number = number.saturating_add(1);
        let at = kept.beginning();
        kept.followers.insert(number, Place { at, is_patient });
        Some(Follower { output: Arc::clone(self), number, written: self.written.subscribe() })
    }

    /// Waits until no patient follower would be lost by another chunk.
    pub(super) async fn room(&self) {
        let mut read = self.read.subscribe();
        while self.has_late_patient() {
            if read.changed().await.is_err() {
                return;
            }
        }
    }

    /// Has patient followers count as the others do, since they do not read at all.
    pub(super) fn lose_patience(&self) {
        let most = self.most();
        let mut kept = self.lock();
        let end = kept.end();
        for place in kept.followers.values_mut().filter(|place| place.is_late(end, most)) {
            place.is_patient = false;
        }
    }

    fn has_late_patient(&self) -> bool {
        let most = self.most();
        let kept = self.lock();
        let end = kept.end();
        kept.followers.values().any(|place| place.is_patient && place.is_late(end, most))
    }

    /// How far a follower may lie behind now.
    fn most(&self) -> usize {
        if self.ahead.load(Ordering::Relaxed) > PLENTY { LITTLE } else { MOST }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.forgotten.saturating_add(length(self.bytes.len()))
    }

    /// Where a new follower starts: after the end of a line where something was forgotten before, so that it starts with
    /// no half of a character or command.
    fn beginning(&self) -> u64 {
        let skipped = self.bytes.len().saturating_sub(RECENT);
        let at = self.forgotten.saturating_add(length(skipped));
        if at == 0 {
            return 0;
        }
        let line = self.bytes.iter().skip(skipped).position(|byte| *byte == b'\n');
        let partial = line.map_or(0, |line| line.saturating_add(1));
        at.saturating_add(length(partial))
    }

    /// Forgets what nobody needs, or only those who lie more than `most` behind. Patient ones are waited for.
    fn forget(&mut self, most: usize) {
        let end = self.end();
        let needed = self.followers.values().map(|place| {
            let most = if place.is_patient { MOST } else { most };
            place.at.max(end.saturating_sub(length(most)))
        });
        let needed = needed.min().unwrap_or(end);
        let needed = needed.min(end.saturating_sub(length(RECENT)));
        let count = usize::try_from(needed.saturating_sub(self.forgotten)).unwrap_or(usize::MAX);
        let count = count.min(self.bytes.len());
        // Not for every byte: moving on costs more than keeping a little.
        if count >= CHUNK || self.bytes.len() > most {
            self.bytes.drain(..count);
            self.forgotten = self.forgotten.saturating_add(length(count));
        }
        if self.bytes.capacity() > 4 * RECENT && self.bytes.len() <= RECENT.saturating_add(CHUNK) {
            self.bytes.shrink_to(2 * RECENT);
        }
    }

    /// How much is kept for those who lie behind.
    fn ahead(&self) -> usize {
        self.bytes.len().saturating_sub(RECENT.saturating_add(CHUNK))
    }
}

impl Place {
    fn is_late(&self, end: u64, most: usize) -> bool {
        end.saturating_sub(self.at) > length(most.saturating_sub(CHUNK))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let ahead = self.lock().ahead();
        self.ahead.fetch_sub(ahead, Ordering::Relaxed);
    }
}

impl Follower {
    /// Waits for output that was not read yet, and gives as much of it as fits into a message.
    pub(super) async fn next(&mut self) -> Result<Bytes, Lost> {
        loop {
            // Before looking, so that nothing that comes after the look is missed.
            self.written.borrow_and_update();
            let piece = self.take()?;
            if !piece.is_empty() {
                return Ok(piece);
            }
            if self.written.changed().await.is_err() {
                return pending().await;
            }
        }
    }

    /// The same without waiting; empty where everything was read.
    pub(super) fn take(&self) -> Result<Bytes, Lost> {
        let mut kept = self.output.lock();
        let place = kept.followers.get(&self.number).copied().ok_or(Lost)?;
        let start = place.at.checked_sub(kept.forgotten).ok_or(Lost)?;
        let start = usize::try_from(start).map_err(|_beyond_memory| Lost)?;
        let (first, second) = kept.bytes.as_slices();
        let passed = start.saturating_sub(first.len());
        let first = first.get(start..).unwrap_or_default();
        let second = second.get(passed..).unwrap_or_default();
        let mut piece = Vec::with_capacity(CHUNK.min(first.len().saturating_add(second.len())));
        piece.extend_from_slice(first.get(..CHUNK).unwrap_or(first));
        let room = CHUNK.saturating_sub(piece.len());
        piece.extend_from_slice(second.get(..room).unwrap_or(second));
        let at = place.at.saturating_add(length(piece.len()));
        kept.followers.insert(self.number, Place { at, ..place });
        drop(kept);
        if place.is_patient {
            self.output.read.send_replace(());
        }
        Ok(piece.into())
    }

    /// Waits until output that was not read is gone.
    pub(super) async fn lost(&self) {
        let mut written = self.written.clone();
        loop {
            written.borrow_and_update();
            if self.is_lost() || written.changed().await.is_err() {
                break;
            }
        }
        if !self.is_lost() {
            pending::<()>().await;
        }
    }

    fn is_lost(&self) -> bool {
        let kept = self.output.lock();
        kept.followers.get(&self.number).is_none_or(|place| place.at < kept.forgotten)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.output.lock().followers.remove(&self.number);
        self.output.read.send_replace(());
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that is there for a follower.
    fn rest(follower: &Follower) -> Result<Vec<u8>, Lost> {
        let mut all = Vec::new();
        loop {
            let piece = follower.take()?;
            if piece.is_empty() {
                return Ok(all);
            }
            assert!(piece.len() <= CHUNK);
            all.extend_from_slice(&piece);
        }
    }

    /// Lines of 16 bytes, numbered from `first`.
    fn lines(first: usize, bytes: usize) -> Vec<u8> {
        let lines = (first..).take(bytes / 16).map(|number| format!("{number:015}\n"));
        lines.flat_map(String::into_bytes).collect()
    }

    #[test]
    fn who_follows_gets_every_byte_and_who_comes_later_the_last_lines() {
        let output = Arc::new(Output::new(Arc::default()));
        let first = output.follow(9, false).unwrap();
        let mut wanted = Vec::new();
        for round in 0..60 {
            let more = lines(round * 1000, 16_000);
            output.push(&more);
            wanted.extend(more);
        }
        assert!(rest(&first) == Ok(wanted.clone()), "output was lost");
        let later = rest(&output.follow(9, false).unwrap()).unwrap();
        assert!(later.len() <= RECENT && later.len() >= RECENT - 16, "{}", later.len());
        assert!(wanted.ends_with(&later), "it is not the end of the output");
        let kept = output.lock().bytes.len();
        output.push(&lines(0, CHUNK));
        assert!(kept <= MOST && output.lock().bytes.len() <= RECENT + CHUNK);
    }

    #[test]
    fn who_lies_too_far_behind_is_lost_and_holds_nothing_back() {
        let output = Arc::new(Output::new(Arc::default()));
        let (slow, quick) = (output.follow(9, false).unwrap(), output.follow(9, false).unwrap());
        let more = lines(0, CHUNK);
        for round in 0..MOST / CHUNK {
            assert_eq!((slow.is_lost(), round), (false, round));
            output.push(&more);
            assert!(rest(&quick).is_ok());
        }
        output.push(&more);
        assert!(slow.is_lost());
        assert_eq!(rest(&slow), Err(Lost));
        assert_eq!(rest(&quick), Ok(more.clone()));
        drop(slow);
        output.push(&more);
        assert!(output.lock().bytes.len() <= RECENT + CHUNK);
    }

    #[test]
    fn a_patient_follower_is_waited_for_until_patience_is_lost() {
        let output = Arc::new(Output::new(Arc::default()));
        let patient = output.follow(9, true).unwrap();
        let is_late = || output.has_late_patient();
        while !is_late() {
            output.push(&lines(0, CHUNK));
        }
        assert!(!patient.is_lost());
        assert!(patient.take().is_ok() && !is_late());
        output.push(&lines(0, CHUNK));
        assert!(is_late());
        output.lose_patience();
        assert!(!is_late());
    }

    #[test]
    fn where_terminals_are_many_none_keeps_much() {
        let ahead = Arc::new(AtomicUsize::new(0));
        let outputs: Vec<_> = (0..64).map(|_| Arc::new(Output::new(Arc::clone(&ahead)))).collect();
        let slow: Vec<_> = outputs.iter().map(|output| output.follow(9, false).unwrap()).collect();
        let more = lines(0, CHUNK);
        for _ in 0..MOST / CHUNK {
            outputs.iter().for_each(|output| output.push(&more));
        }
        let kept: usize = outputs.iter().map(|output| output.lock().bytes.len()).sum();
        assert!(kept <= PLENTY + 64 * (LITTLE + 2 * CHUNK), "{kept}");
        assert!(slow.iter().all(Follower::is_lost));
        drop(slow);
        outputs.iter().for_each(|output| output.push(&more));
        assert_eq!(ahead.load(Ordering::Relaxed), 0);
        let patient = outputs[0].follow(9, true).unwrap();
        ahead.fetch_add(PLENTY + 1, Ordering::Relaxed);
        while !outputs[0].has_late_patient() {
            outputs[0].push(&more);
        }
        assert!(!patient.is_lost() && outputs[0].lock().bytes.len() <= 2 * LITTLE);
    }

    #[test]
    fn there_are_so_many_followers_and_no_more() {
        let output = Arc::new(Output::new(Arc::default()));
        let two = [output.follow(2, false), output.follow(2, false)];
        assert!(two.iter().all(Option::is_some) && output.follow(2, false).is_none());
        drop(two);
        assert!(output.follow(2, false).is_some());
    }
}
