//! What is between the two sockets.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much may be in a pipe, in bytes: what a body moves at once.
pub(super) const MOST: usize = 256 << 10;

/// As many pages as a pipe has places for. Each takes one, however little of it is used.
const PLACES: usize = 1 << 20;

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
    /// How many bytes of the body went the usual way, once it is known.
    begin: Option<u64>,
    /// Whoever waits until it is empty.
    waiting: Option<Waker>,
}

impl Pipe {
    /// # Errors
    ///
    /// There are too many open files.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        if fcntl_setpipe_size(&writer, PLACES).is_err() {
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

    /// Whether it is empty. If not, `context` is woken when it is.
    pub(super) fn is_empty(&self, context: &Context<'_>) -> bool {
        let mut state = self.state();
        if state.filled > 0 {
            state.waiting = Some(context.waker().clone());
        }
        state.filled == 0
    }

    /// Moves up to `most` bytes of a socket into it, which must be empty; none is the socket's end.
    pub(super) fn fill(&self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let [_, writer] = &self.ends;
        let moved = splice(socket, None, writer, None, most.min(MOST), SpliceFlags::NONBLOCK)?;
        self.state().filled = moved;
        Ok(moved)
    }

    /// Moves up to `most` bytes of it into a socket.
    pub(super) fn drain(&self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let [reader, _] = &self.ends;
        let filled = self.state().filled;
        if filled == 0 {
            // Placeholders that nothing stands behind: rather an upload that fails than a file that is not true.
            return Err(io::Error::other("more was announced to a daemon than has come"));
        }
        let most = most.min(filled);
        let moved = splice(reader.as_fd(), None, socket, None, most, SpliceFlags::NONBLOCK)?;
        let mut state = self.state();
        state.filled = state.filled.saturating_sub(moved);
        if state.filled == 0
            && let Some(waiting) = state.waiting.take()
        {
            waiting.wake();
        }
        Ok(moved)
    }
}
