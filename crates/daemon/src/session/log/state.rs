//! What is known of a log at a moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::runs::Runs;
use super::{Next, Piece, Stream, length};
use crate::session::spool::{Block, MOST_IN_HAND};

/// What was written for longer is another block.
const LONGEST_BLOCK: Duration = Duration::from_secs(1);
/// Pieces that are shorter are joined.
const SHORT: usize = 32 << 10;
/// What a piece takes beside its bytes.
const OVERHEAD: usize = 128;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) stored: Vec<Stored>,
    /// What is in memory.
    pub(super) sealed: VecDeque<Piece>,
    /// What comes after them.
    pub(super) growing: Option<(Stream, Vec<u8>)>,
    /// What is in memory, with overhead.
    pub(super) weight: usize,
    pub(super) length: u64,
    /// What was added while something before it is on its way to the disk.
    pub(super) held_back: Option<Vec<(Stream, Bytes)>>,
    pub(super) dropped: u64,
    /// Why the log takes no more.
    pub(super) full: Option<String>,
    pub(super) is_ended: bool,
    /// Whether something that came before the end is still on its way to the disk.
    pub(super) is_end_held_back: bool,
}

/// A block of the spool, and what is in it.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) runs: Runs,
    pub(super) block: Block,
    /// When the first of it was written.
    pub(super) since: Instant,
}

impl State {
    /// Where what is on the disk ends, and what is in memory begins.
    pub(super) fn stored_end(&self) -> u64 {
        self.stored.last().map_or(0, |stored| stored.end)
    }

    /// Takes the first `count` pieces, which are stored, from memory.
    pub(super) fn forget(&mut self, count: usize) {
        for piece in self.sealed.drain(..count.min(self.sealed.len())) {
            self.weight = self.weight.saturating_sub(weight(&piece));
        }
    }

    /// Adds what is on the disk already, while nothing is in memory.
    pub(super) fn add_stored(&mut self, stream: Stream, block: Block) {
        let start = self.stored_end();
        let end = start.saturating_add(block.length());
        self.length = end;
        let (runs, now) = (Runs::One(stream), Instant::now());
        if let Some(last) = self.stored.last_mut()
            && last.runs == runs
            && now.saturating_duration_since(last.since) < LONGEST_BLOCK
            && let Some(joined) = last.block.join(block)
        {
            (last.block, last.end) = (joined, end);
        } else {
            self.stored.push(Stored { start, end, runs, block, since: now });
        }
    }

    pub(super) fn push(&mut self, stream: Stream, bytes: Bytes) {
        if self.full.is_some() {
            self.dropped = self.dropped.saturating_add(length(&bytes));
        } else {
            self.append(stream, bytes);
        }
    }

    pub(super) fn append(&mut self, stream: Stream, bytes: Bytes) {
        if let Some(held_back) = &mut self.held_back {
            held_back.push((stream, bytes));
            return;
        }
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

    pub(super) fn seal(&mut self) {
        if let Some((stream, bytes)) = self.growing.take() {
            self.sealed.push_back(Piece { stream, bytes: bytes.into() });
        }
    }

    pub(super) fn read_memory(&self, offset: u64, most: usize) -> Next {
        let mut skip =
            usize::try_from(offset.saturating_sub(self.stored_end())).unwrap_or(usize::MAX);
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
        match (pieces.is_empty(), self.is_ended && !self.is_end_held_back) {
            (false, _) => Next::Pieces(pieces),
            (true, true) => Next::End,
            (true, false) => Next::Wait,
        }
    }
}

/// What a piece takes in memory.
fn weight(piece: &Piece) -> usize {
    piece.bytes.len().saturating_add(OVERHEAD)
}
