//! The three pipes of a language server, none of which can block the daemon.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};

use pitlane_daemon::input::language::frame;

/// How much is read at once.
const PIECE: usize = 64 << 10;
/// How much of what a server complains about is kept: the last of it.
const MAX_COMPLAINT: usize = 2 << 10;

/// What is sent to a server.
#[derive(Debug)]
pub(super) struct Outgoing {
    pipe: Sender,
    waiting: VecDeque<Vec<u8>>,
    size: usize,
    /// How much of the first one was written.
    written: usize,
}

/// What a server sends.
#[derive(Debug)]
pub(super) struct Reading {
    pipe: Option<Receiver>,
    buffer: Vec<u8>,
}

/// The end of what a server says on its standard error.
#[derive(Debug, Default)]
pub(super) struct Complaint(Vec<u8>);

impl Outgoing {
    /// Makes a pipe; the other end is the server's input.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let pipe = Sender::from_owned_fd(writer)?;
        Ok((Self { pipe, waiting: VecDeque::new(), size: 0, written: 0 }, reader))
    }

    /// Adds a message, to be written when there is room.
    pub(super) fn push(&mut self, message: &Value) {
        let message = frame(message.to_string().as_bytes());
        self.size = self.size.saturating_add(message.len());
        self.waiting.push_back(message);
    }

    /// How many bytes wait.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Writes a little of what waits, or waits for ever when nothing does. Dropping the future loses nothing.
    pub(super) async fn advance(&mut self) -> io::Result<()> {
        let Some(first) = self.waiting.front() else { return pending().await };
        let count = self.pipe.write(first.get(self.written..).unwrap_or_default()).await?;
        self.written = self.written.saturating_add(count);
        self.size = self.size.saturating_sub(count);
        if self.written >= first.len() {
            self.waiting.pop_front();
            self.written = 0;
        }
        Ok(())
    }
}

impl Reading {
    /// Makes a pipe; the other end is the server's output.
    pub(super) fn new() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let pipe = Receiver::from_owned_fd(reader)?;
        Ok((Self { pipe: Some(pipe), buffer: vec![0; PIECE] }, writer))
    }

    /// What comes next; nothing at the end, and then waits for ever.
    pub(super) async fn next(&mut self) -> &[u8] {
        let Some(pipe) = &mut self.pipe else { return pending().await };
        // A pipe has no errors to read.
        let count = pipe.read(&mut self.buffer).await.unwrap_or(0);
        if count == 0 {
            self.pipe = None;
        }
        self.buffer.get(..count).unwrap_or_default()
    }

    /// What is there now.
    pub(super) fn rest(&mut self) -> &[u8] {
        let count = self.pipe.as_mut().and_then(|pipe| pipe.try_read(&mut self.buffer).ok());
        self.buffer.get(..count.unwrap_or(0)).unwrap_or_default()
    }
}

impl Complaint {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let surplus = self.0.len().saturating_sub(MAX_COMPLAINT);
        self.0.drain(..surplus);
    }

    /// The last line that says something.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let line = text.lines().rfind(|line| !line.trim().is_empty())?;
        Some(line.trim().chars().filter(|character| !character.is_control()).take(300).collect())
    }
}
