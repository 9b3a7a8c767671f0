//! What is between the two sockets.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use axum::body::Bytes;
use bytes::Buf as _;
use rustix::buffer::spare_capacity;
use rustix::io::{read, write};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much may be in a pipe, in bytes: what a body moves at once.
pub(super) const MOST: usize = 256 << 10;

/// What is less goes through the server's memory after all: however little a client sends at a time, the kernel keeps a whole
/// page for it as long as a daemon does not read it, and counts the bytes alone.
const SPLICED_FROM: usize = 64 << 10;

/// A pipe of the kernel's that is filled once it is empty, never before: that it takes nothing then always means that
/// there is nothing.
#[derive(Debug)]
pub(crate) struct Pipe {
    ends: [OwnedFd; 2],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    filled: usize,
    /// What was taken out of it because it is little.
    copied: Bytes,
    /// How many bytes of the body went the usual way, once it is known.
    begin: Option<u64>,
    /// Whoever waits until it is empty.
    waiting: Option<Waker>,
    /// Whether nobody takes anything out of it any more.
    is_broken: bool,
}

impl Pipe {
    /// # Errors
    ///
    /// There are too many open files.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        if fcntl_setpipe_size(&writer, MOST).is_err() {
            // Then it has fewer places, and less goes through at once.
        }
        Ok(Self { ends: [reader, writer], state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that what follows the first `begin` bytes of the body comes through here.
    pub(super) fn begin(&self, begin: u64) {
        self.state().begin = Some(begin);
    }

    /// How many bytes of the body do not come through here, once it is known.
    pub(super) fn begins_at(&self) -> Option<u64> {
        self.state().begin
    }

    /// Whether it is empty. If not, `context` is woken when it is. What is in a broken one is dropped.
    pub(super) fn is_empty(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        if state.is_broken {
            self.drop_contents();
            state.copied.clear();
            state.filled = 0;
        }
        if state.filled > 0 {
            state.waiting = Some(context.waker().clone());
        }
        state.filled == 0
    }

    fn drop_contents(&self) {
        let [reader, _] = &self.ends;
        let mut dropped = [0; 8 << 10];
        // It is not waited for: an empty one says so.
        while read(reader, &mut dropped).is_ok_and(|count| count > 0) {}
    }

    /// Says that the daemon hears nothing any more, and may have answered. What the client still sends is dropped.
    pub(super) fn break_off(&self) {
        let mut state = self.state();
        state.is_broken = true;
        if let Some(waiting) = state.waiting.take() {
            waiting.wake();
        }
    }

    /// Moves up to `most` bytes of a socket into it, which must be empty; none is the socket's end.
    pub(super) fn fill(&self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let [_, writer] = &self.ends;
        let moved = splice(socket, None, writer, None, most.min(MOST), SpliceFlags::NONBLOCK)?;
        let mut state = self.state();
        state.filled = moved;
        if moved < SPLICED_FROM {
            state.copied = self.take(moved)?.into();
        }
        Ok(moved)
    }

    /// Takes what is in it out of it.
    fn take(&self, length: usize) -> io::Result<Vec<u8>> {
        let [reader, _] = &self.ends;
        let mut taken = Vec::with_capacity(length);
        while taken.len() < length {
            if read(reader, spare_capacity(&mut taken))? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(taken)
    }

    /// Moves up to `most` bytes of it into a socket.
    pub(super) fn drain(&self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let mut state = self.state();
        if state.filled == 0 {
            // Placeholders that nothing stands behind: rather an upload that fails than a file that is not true.
            return Err(io::Error::other("more was announced to a daemon than has come"));
        }
        let most = most.min(state.filled);
        let moved = if state.copied.is_empty() {
            let [reader, _] = &self.ends;
            splice(reader, None, socket, None, most, SpliceFlags::NONBLOCK)?
        } else {
            let sent = write(socket, state.copied.get(..most).unwrap_or(&state.copied))?;
            state.copied.advance(sent);
            sent
        };
        state.filled = state.filled.saturating_sub(moved);
        if state.filled == 0
            && let Some(waiting) = state.waiting.take()
        {
            waiting.wake();
        }
        Ok(moved)
    }
}
