//! What a command says, split and in order, kept for as long as the command is.
//!
//! A little is in memory, the rest in the [`Spool`]; a command that says much is written there at once. Readers come and
//! go and read at their own pace; none of them holds up the command. When the disk has no room, the log ends there: the
//! rest is read and dropped, so that the command goes on, and the log says how much is missing.

mod runs;
mod state;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use self::runs::Runs;
use self::state::{State, Stored};
use super::spool::{Block, Poured, Reader, Spool};

/// What is in memory of a log before it is stored, in bytes.
const MUCH: usize = 512 << 10;
/// The same while all logs together have more than [`PLENTY`] in memory.
const LITTLE: usize = 16 << 10;
const PLENTY: usize = 16 << 20;
/// What may wait in memory while the disk takes what came before it: a command is not faster than the disk for long.
const MOST_WAITING: usize = 4 * MUCH;
/// What was written so lately is in the kernel's memory, if it is not more than a sandbox with little memory has there.
/// Who takes that memory away has the daemon of its own sandbox wait for the disk.
const FRESH: u64 = 32 << 20;
const FRESH_FOR: Duration = Duration::from_secs(2);

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

/// A part of one output that is on the disk.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) stream: Stream,
    pub(super) length: usize,
    block: Block,
    from: u64,
    /// When the first of it was written, if it is among the last.
    since: Option<Instant>,
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

/// While this lives, what is added to a log waits: something is being written to the disk that comes before it.
struct Pouring(Arc<Log>);

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
        let weight = {
            let state = self.lock();
            // What does not fit on the disk stays where it is.
            if state.full.is_some() {
                return Load::Little;
            }
            state.weight
        };
        let is_plenty = self.spool.in_memory() > PLENTY;
        let (much, most) = if is_plenty { (LITTLE, LITTLE) } else { (MUCH, MOST_WAITING) };
        match weight {
            weight if weight > most => Load::TooMuch,
            weight if weight > much => Load::Much,
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
            let pieces: Vec<Piece> = state.sealed.iter().cloned().collect();
            (pieces, state.stored_end())
        };
        if pieces.is_empty() {
            return;
        }
        let (runs, contents) = Runs::lay_out(&pieces);
        let length: u64 = pieces.iter().map(|piece| length(&piece.bytes)).sum();
        let written = self.spool.write(contents).await;
        let mut state = self.lock();
        match written {
            Ok(block) => {
                let end = start.saturating_add(length);
                state.stored.push(Stored { start, end, runs, block, since: Instant::now() });
                let before = state.weight;
                state.forget(pieces.len());
                self.spool.remove_memory(before.saturating_sub(state.weight));
            }
            // What is in memory stays there; nothing is added.
            Err(reason) => state.full = Some(reason),
        }
    }

    /// Moves what is in a pipe to the disk without keeping it in memory, and for a while what comes into it meanwhile; how
    /// much came out of the pipe. What is in memory goes to the disk first; what is added meanwhile comes after it. Await it
    /// to its end: what is too little to be written would be lost.
    pub(super) async fn pour(self: &Arc<Self>, stream: Stream, pipe: Arc<Receiver>) -> u64 {
        self.store().await;
        let _one_at_a_time = self.storing.lock().await;
        let (pouring, last) = {
            let mut state = self.lock();
            if state.full.is_some() || state.weight > 0 || state.held_back.is_some() {
                return 0;
            }
            state.held_back = Some(Vec::new());
            let last = state.stored.last().filter(|last| last.runs == Runs::One(stream));
            (Pouring(Arc::clone(self)), last.map(|last| last.block))
        };
        let written = move |block| pouring.add(stream, block);
        let Poured { count, rest, refusal } = self.spool.pour(pipe, last, written).await;
        let rest_length = length(&rest);
        if refusal.is_some() {
            self.lock().full = refusal;
        }
        if !rest.is_empty() {
            self.push(stream, rest);
        }
        count.saturating_add(rest_length)
    }

    /// Waits until nothing that was added waits for what is on its way to the disk.
    pub(super) async fn in_order(&self) {
        let mut changes = self.changes();
        while self.lock().held_back.is_some() {
            if changes.changed().await.is_err() {
                return;
            }
        }
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
            state.is_end_held_back = state.held_back.is_some();
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
        self.changed.send_replace(());
    }

    /// Whether what comes is worth writing to the disk at once.
    pub(super) fn is_long(&self) -> bool {
        let state = self.lock();
        state.full.is_none() && state.length > length_of(MUCH)
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
            if offset >= state.stored_end() {
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

    /// Where what follows the first `offset` bytes is, if that is on the disk, up to `most` bytes of one output.
    pub(super) fn extent(&self, offset: u64, most: usize) -> Option<Extent> {
        let state = self.lock();
        let index = state.stored.partition_point(|stored| stored.end <= offset);
        let Stored { start, end, runs: Runs::One(stream), block, since } =
            *state.stored.get(index)?
        else {
            return None;
        };
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX).min(most);
        let since = (state.length.saturating_sub(offset) <= FRESH).then_some(since);
        Some(Extent { stream, block, from: offset.saturating_sub(start), length, since })
    }

    /// Puts an extent but for its first `skip` bytes into a socket, as much as that takes at this moment.
    ///
    /// # Errors
    ///
    /// The disk cannot be read, or the other end of the socket has gone.
    pub(super) async fn send(
        &self,
        extent: &Extent,
        skip: usize,
        socket: Arc<OwnedFd>,
    ) -> io::Result<usize> {
        let from = extent.from.saturating_add(length_of(skip));
        let left = extent.length.saturating_sub(skip);
        // A thread of its own costs more than the sending.
        if extent.since.is_some_and(|since| since.elapsed() < FRESH_FOR) {
            return self.spool.send_here(extent.block, from, left, &socket);
        }
        self.spool.send(extent.block, from, left, socket).await
    }

    /// All pieces, if all of them are in memory.
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

impl Pouring {
    fn add(&self, stream: Stream, block: Block) {
        let Self(log) = self;
        log.lock().add_stored(stream, block);
        log.changed.send_replace(());
    }
}

impl Drop for Pouring {
    fn drop(&mut self) {
        let Self(log) = self;
        {
            let mut state = log.lock();
            let before = state.weight;
            for (stream, bytes) in state.held_back.take().unwrap_or_default() {
                state.append(stream, bytes);
            }
            log.spool.add_memory(state.weight.saturating_sub(before));
            state.is_end_held_back = false;
        }
        // The end may have waited for this.
        log.changed.send_replace(());
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

fn length(bytes: &Bytes) -> u64 {
    length_of(bytes.len())
}

fn length_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
