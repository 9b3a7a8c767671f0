//! What a command says, split and in order, kept for as long as the command is.
//!
//! A little is in memory, the rest in the [`Spool`]. Readers come and go and read at their own pace; none of them holds
//! up the command. Those that keep up get everything from memory: what was stored last stays there for a while. When the disk has no room, the log ends there: the rest is read and dropped, so that the command
//! goes on, and the log says how much is missing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::spool::{Block, MOST_IN_HAND, Reader, Spool};

/// What is in memory of a log before it is stored, in bytes.
const MUCH: usize = 512 << 10;
/// The same while all logs together have more than [`PLENTY`] in memory.
const LITTLE: usize = 16 << 10;
const PLENTY: usize = 16 << 20;
/// What may wait in memory while the disk takes what came before it: a command is not faster than the disk for long.
const MOST_WAITING: usize = 4 * MUCH;
/// What stays in memory of what is stored already, for those who follow closely.
const KEPT: usize = 2 << 20;
const MOST_KEPT: usize = 256;
/// Pieces that are shorter are joined.
const SHORT: usize = 32 << 10;
/// What a piece takes beside its bytes.
const OVERHEAD: usize = 128;

/// One of a command's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// Bytes of one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) stream: Stream,
    pub(super) bytes: Bytes,
}

/// What there is to be read from a place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// These pieces.
    Pieces(Vec<Piece>),
    /// Nothing yet.
    Wait,
    /// Nothing more.
    End,
}

/// How much of a log is in memory and not on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    Little,
    /// [`Log::store`] is due.
    Much,
    /// Nothing more should be added before the disk has taken something.
    TooMuch,
}

/// A log.
#[derive(Debug)]
pub(super) struct Log {
    spool: Spool,
    state: Mutex<State>,
    /// Held while something is moved to the disk.
    storing: tokio::sync::Mutex<()>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    stored: Vec<Stored>,
    /// What is in memory. The first ones may be stored already.
    sealed: VecDeque<Piece>,
    /// How many of those are, and what they take with overhead.
    kept: usize,
    kept_weight: usize,
    /// What comes after them.
    growing: Option<(Stream, Vec<u8>)>,
    /// Where `sealed` begins.
    memory_start: u64,
    /// What is in memory, with overhead.
    weight: usize,
    length: u64,
    dropped: u64,
    /// Why the log takes no more.
    full: Option<String>,
    is_ended: bool,
}

/// A block of the spool, and what is in it.
#[derive(Debug, Clone)]
struct Stored {
    start: u64,
    end: u64,
    runs: Runs,
    block: Block,
}

/// Which bytes of a block are whose.
#[derive(Debug, Clone, Copy)]
enum Runs {
    One(Stream),
    /// Streams and lengths are at the end of the block, five bytes each.
    Many,
}

impl Log {
    pub(super) fn new(spool: Spool) -> Self {
        let (state, storing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { spool, state, storing, changed: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds output.
    pub(super) fn push(&self, stream: Stream, bytes: Bytes) {
        {
            let mut state = self.lock();
            let before = state.weight;
            if state.full.is_none() && self.spool.in_memory() > PLENTY {
                // Each log may keep what the disk did not take, but not thousands of them.
                state.full = self.spool.refusal();
            }
            state.push(stream, bytes);
            self.spool.add_memory(state.weight.saturating_sub(before));
        }
        self.changed.send_replace(());
    }

    /// Whether something is to be moved to the disk.
    pub(super) fn load(&self) -> Load {
        let unstored = {
            let state = self.lock();
            // What does not fit on the disk stays where it is.
            if state.full.is_some() {
                return Load::Little;
            }
            state.weight.saturating_sub(state.kept_weight)
        };
        let is_plenty = self.spool.in_memory() > PLENTY;
        let (much, most) = if is_plenty { (LITTLE, LITTLE) } else { (MUCH, MOST_WAITING) };
        match unstored {
            unstored if unstored > most => Load::TooMuch,
            unstored if unstored > much => Load::Much,
            _ => Load::Little,
        }
    }

    /// Writes to the disk what is in memory alone.
    pub(super) async fn store(&self) {
        // A command's end can come while its output is on its way.
        let _one_at_a_time = self.storing.lock().await;
        let (pieces, start) = {
            let mut state = self.lock();
            state.seal();
            let pieces: Vec<Piece> = state.sealed.iter().skip(state.kept).cloned().collect();
            (pieces, state.stored_end())
        };
        if !pieces.is_empty() {
            let (runs, contents) = Runs::lay_out(&pieces);
            let length: u64 = pieces.iter().map(|piece| length(&piece.bytes)).sum();
            let written = self.spool.write(contents).await;
            let mut state = self.lock();
            match written {
                Ok(block) => {
                    let end = start.saturating_add(length);
                    state.stored.push(Stored { start, end, runs, block });
                    state.kept = state.kept.saturating_add(pieces.len());
                    let weight = pieces.iter().map(weight).sum();
                    state.kept_weight = state.kept_weight.saturating_add(weight);
                }
                // What is in memory stays there; nothing is added.
                Err(reason) => state.full = Some(reason),
            }
        }
        self.forget();
    }

    /// Frees the memory of what is stored, but for a little while somebody follows.
    fn forget(&self) {
        let mut state = self.lock();
        let is_followed = self.changed.receiver_count() > 0 && !state.is_ended;
        let is_plenty = self.spool.in_memory() > PLENTY;
        let most = if is_followed && !is_plenty { KEPT } else { 0 };
        let before = state.weight;
        state.forget(most);
        self.spool.remove_memory(before.saturating_sub(state.weight));
    }

    /// Frees memory when all logs together take much of it: call it when a command has ended.
    pub(super) async fn settle(&self) {
        if self.spool.in_memory() > PLENTY {
            self.store().await;
        }
    }

    /// Says that the command is over. What its background processes say later is added all the same.
    pub(super) fn end(&self) {
        {
            let mut state = self.lock();
            state.is_ended = true;
            if state.dropped > 0 {
                let reason = state.full.clone().unwrap_or_default();
                let note = format!(
                    "\n[pitlane: {} bytes of output were dropped: {reason}]\n",
                    state.dropped
                );
                let before = state.weight;
                state.append(Stream::Stderr, note.into_bytes().into());
                let added = state.weight.saturating_sub(before);
                self.spool.add_memory(added);
            }
        }
        self.forget();
        self.changed.send_replace(());
    }

    /// How long it is now.
    pub(super) fn length(&self) -> u64 {
        self.lock().length
    }

    /// Tells whoever waits that there is more.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Says that somebody reads: the more do, the less each gets at once.
    pub(super) fn reader(&self) -> Reader {
        self.spool.reader()
    }

    /// What follows the first `offset` bytes, or `most` bytes of it.
    ///
    /// # Errors
    ///
    /// The disk cannot be read.
    pub(super) async fn read(&self, offset: u64, most: usize) -> Result<Next, String> {
        let stored = {
            let state = self.lock();
            if offset >= state.memory_start {
                return Ok(state.read_memory(offset, most));
            }
            let index = state.stored.partition_point(|stored| stored.end <= offset);
            state.stored.get(index).cloned()
        };
        let Some(stored) = stored else { return Err(String::from("a part of the log is missing")) };
        let skip = offset.saturating_sub(stored.start);
        let length = stored.end.saturating_sub(stored.start);
        let table = match stored.runs {
            Runs::One(_) => Bytes::new(),
            Runs::Many => self.spool.read(stored.block, length, usize::MAX).await?,
        };
        let left = usize::try_from(length.saturating_sub(skip)).unwrap_or(usize::MAX);
        let text = self.spool.read(stored.block, skip, most.min(left)).await?;
        Ok(Next::Pieces(stored.runs.cut(&table, &text, skip)))
    }

    /// What is in memory of the first `end` bytes, if that is all of them.
    pub(super) fn whole(&self) -> Option<Vec<Piece>> {
        let state = self.lock();
        if !state.stored.is_empty() {
            return None;
        }
        let growing = state
            .growing
            .as_ref()
            .map(|(stream, bytes)| Piece { stream: *stream, bytes: Bytes::copy_from_slice(bytes) });
        Some(state.sealed.iter().cloned().chain(growing).collect())
    }
}

impl State {
    /// Where what is on the disk ends.
    fn stored_end(&self) -> u64 {
        self.stored.last().map_or(0, |stored| stored.end)
    }

    /// Takes what is stored from memory, the oldest first, until `most` of it is left.
    fn forget(&mut self, most: usize) {
        while self.kept > 0 && (self.kept_weight > most || self.kept > MOST_KEPT) {
            let Some(piece) = self.sealed.pop_front() else { return };
            self.kept = self.kept.saturating_sub(1);
            self.kept_weight = self.kept_weight.saturating_sub(weight(&piece));
            self.weight = self.weight.saturating_sub(weight(&piece));
            self.memory_start = self.memory_start.saturating_add(length(&piece.bytes));
        }
    }

    fn push(&mut self, stream: Stream, bytes: Bytes) {
        if self.full.is_some() {
            self.dropped = self.dropped.saturating_add(length(&bytes));
        } else {
            self.append(stream, bytes);
        }
    }

    fn append(&mut self, stream: Stream, bytes: Bytes) {
        self.length = self.length.saturating_add(length(&bytes));
        self.weight = self.weight.saturating_add(bytes.len());
        if let Some((growing, text)) = &mut self.growing
            && *growing == stream
            && bytes.len() < SHORT
        {
            text.extend_from_slice(&bytes);
            if text.len() >= SHORT {
                self.seal();
            }
            return;
        }
        self.seal();
        self.weight = self.weight.saturating_add(OVERHEAD);
        if bytes.len() < SHORT {
            self.growing = Some((stream, bytes.into()));
        } else {
            self.sealed.push_back(Piece { stream, bytes });
        }
    }

    fn seal(&mut self) {
        if let Some((stream, bytes)) = self.growing.take() {
            self.sealed.push_back(Piece { stream, bytes: bytes.into() });
        }
    }

    fn read_memory(&self, offset: u64, most: usize) -> Next {
        let mut skip =
            usize::try_from(offset.saturating_sub(self.memory_start)).unwrap_or(usize::MAX);
        let (mut pieces, mut left) = (Vec::new(), most);
        for piece in &self.sealed {
            let bytes = piece.bytes.get(skip..).unwrap_or_default();
            let bytes = bytes.get(..left).unwrap_or(bytes);
            if !bytes.is_empty() {
                left = left.saturating_sub(bytes.len());
                // Where readers are many, a part is not to keep all of a piece in memory.
                let is_shared = most >= MOST_IN_HAND;
                let bytes = if is_shared {
                    piece.bytes.slice_ref(bytes)
                } else {
                    Bytes::copy_from_slice(bytes)
                };
                pieces.push(Piece { stream: piece.stream, bytes });
                if left == 0 {
                    return Next::Pieces(pieces);
                }
            }
            skip = skip.saturating_sub(piece.bytes.len());
        }
        if let Some((stream, text)) = &self.growing
            && let Some(bytes) = text.get(skip..).filter(|bytes| !bytes.is_empty())
        {
            let bytes = bytes.get(..left).unwrap_or(bytes);
            pieces.push(Piece { stream: *stream, bytes: Bytes::copy_from_slice(bytes) });
        }
        match (pieces.is_empty(), self.is_ended) {
            (false, _) => Next::Pieces(pieces),
            (true, true) => Next::End,
            (true, false) => Next::Wait,
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let (weight, stored) = {
            let mut state = self.lock();
            (state.weight, std::mem::take(&mut state.stored))
        };
        self.spool.remove_memory(weight);
        self.spool.give_back(stored.into_iter().map(|stored| stored.block).collect());
    }
}

impl Runs {
    /// What is written for pieces.
    fn lay_out(pieces: &[Piece]) -> (Self, Vec<Bytes>) {
        let mut contents: Vec<Bytes> = pieces.iter().map(|piece| piece.bytes.clone()).collect();
        match pieces {
            [first, rest @ ..] if rest.iter().all(|piece| piece.stream == first.stream) => {
                (Self::One(first.stream), contents)
            }
            _ => {
                let mut table = Vec::new();
                for piece in pieces {
                    let length = u32::try_from(piece.bytes.len()).unwrap_or(u32::MAX);
                    table.push(u8::from(piece.stream == Stream::Stderr));
                    table.extend_from_slice(&length.to_le_bytes());
                }
                contents.push(table.into());
                (Self::Many, contents)
            }
        }
    }

    /// The pieces of a block that are in `text`, before which there are `skip` bytes of it. The table follows them all.
    fn cut(self, table: &[u8], text: &Bytes, skip: u64) -> Vec<Piece> {
        if let Self::One(stream) = self {
            return vec![Piece { stream, bytes: text.clone() }];
        }
        let mut skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let (mut pieces, mut at) = (Vec::new(), 0usize);
        for [stream, length @ ..] in table.as_chunks::<ENTRY>().0 {
            let stream = if *stream == 0 { Stream::Stdout } else { Stream::Stderr };
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let end = at.saturating_add(length.saturating_sub(skip)).min(text.len());
            skip = skip.saturating_sub(length);
            if at < end {
                pieces.push(Piece { stream, bytes: text.slice(at..end) });
            }
            at = end;
        }
        pieces
    }
}

/// Bytes of an entry: whose, and how many.
const ENTRY: usize = 5;

/// What a piece takes in memory.
fn weight(piece: &Piece) -> usize {
    piece.bytes.len().saturating_add(OVERHEAD)
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
