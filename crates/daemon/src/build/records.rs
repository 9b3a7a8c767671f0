//! Records out of a request's body, read by a thread.

use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use tokio::sync::mpsc::{Receiver, Sender};

/// Pieces that wait for the thread.
pub(super) const WAITING: usize = 4;

/// Bytes that come from elsewhere, as a thread reads them.
#[derive(Debug)]
pub(super) struct Input {
    pieces: Receiver<Bytes>,
    current: Bytes,
}

impl Input {
    pub(super) const fn new(pieces: Receiver<Bytes>) -> Self {
        Self { pieces, current: Bytes::new() }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.current = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        if let Some(room) = buffer.get_mut(..count) {
            self.current.copy_to_slice(room);
        }
        Ok(count)
    }
}

/// Bytes that go elsewhere, as a thread writes them: in large pieces.
#[derive(Debug)]
pub(super) struct Output {
    pieces: Sender<Bytes>,
    collected: Vec<u8>,
}

/// How much is sent at once.
const PIECE: usize = 128 << 10;

impl Output {
    pub(super) fn new(pieces: Sender<Bytes>) -> Self {
        Self { pieces, collected: Vec::with_capacity(PIECE) }
    }

    /// Sends what was collected.
    fn send(&mut self) -> io::Result<()> {
        if self.collected.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.collected, Vec::with_capacity(PIECE));
        let gone = |_closed| io::Error::from(io::ErrorKind::BrokenPipe);
        self.pieces.blocking_send(piece.into()).map_err(gone)
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.collected.extend_from_slice(bytes);
        if self.collected.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
