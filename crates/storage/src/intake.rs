//! Bytes on their way to disk.

use std::fs::File;
use std::io::{self, Write as _};

use bytes::Bytes;
use md5::{Digest as _, Md5};

use crate::error::ReceiveError;
use crate::room::Reservation;
use crate::scratch::Scratch;

/// How much is gathered before it is written.
const GATHERED_BYTES: u64 = 1 << 20;

/// An archive, or a part of one, as it comes. Dropping it removes what has come.
#[derive(Debug)]
pub(crate) struct Intake {
    scratch: Scratch,
    work: Option<Work>,
    gathered: Vec<Bytes>,
    gathered_bytes: u64,
    received: u64,
    expected: Option<u64>,
    maximum: u64,
    room: Reservation,
}

/// What goes to the threads that may wait.
#[derive(Debug)]
struct Work {
    file: File,
    digest: Md5,
}

/// A draft that is complete and synced.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) scratch: Scratch,
    pub(crate) bytes: u64,
    pub(crate) digest: [u8; 16],
    pub(crate) room: Reservation,
}

impl Intake {
    /// Begins with room for what is expected.
    pub(crate) fn new(
        (scratch, file): (Scratch, File),
        expected: Option<u64>,
        maximum: u64,
        room: Reservation,
    ) -> Self {
        Self {
            scratch,
            work: Some(Work { file, digest: Md5::new() }),
            gathered: Vec::new(),
            gathered_bytes: 0,
            received: 0,
            expected,
            maximum,
            room,
        }
    }

    /// Takes the next bytes. When this fails, or its future is dropped, nothing more comes of the intake.
    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), ReceiveError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let received = self.received.saturating_add(length);
        match self.expected {
            Some(expected) if received > expected => {
                return Err(ReceiveError::Length { expected, received });
            }
            Some(_) => {}
            None if received > self.maximum => {
                return Err(ReceiveError::TooLarge { maximum: self.maximum });
            }
            None => self.room.grow(length)?,
        }
        self.received = received;
        self.gathered_bytes = self.gathered_bytes.saturating_add(length);
        self.gathered.push(bytes);
        if self.gathered_bytes >= GATHERED_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Ends it: what was announced is there, and synced.
    pub(crate) async fn receive(mut self) -> Result<Received, ReceiveError> {
        if let Some(expected) = self.expected.filter(|expected| *expected != self.received) {
            return Err(ReceiveError::Length { expected, received: self.received });
        }
        self.flush().await?;
        let Some(Work { file, digest }) = self.work.take() else { return Err(lost()) };
        blocking(move || file.sync_all()).await?;
        Ok(Received {
            scratch: self.scratch,
            bytes: self.received,
            digest: digest.finalize().into(),
            room: self.room,
        })
    }

    async fn flush(&mut self) -> Result<(), ReceiveError> {
        let Some(mut work) = self.work.take() else { return Err(lost()) };
        let gathered = std::mem::take(&mut self.gathered);
        self.gathered_bytes = 0;
        let written = blocking(move || {
            for bytes in gathered {
                work.digest.update(&bytes);
                work.file.write_all(&bytes)?;
            }
            Ok(work)
        });
        self.work = Some(written.await?);
        Ok(())
    }
}

/// A write before this one failed.
fn lost() -> ReceiveError {
    ReceiveError::Disk(io::Error::other("an earlier write failed"))
}

/// Does what may wait for a disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
