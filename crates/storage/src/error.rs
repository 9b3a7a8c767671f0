//! What goes wrong with contexts.

use std::io;
use std::path::PathBuf;

/// Why the store did not open.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the folder of build contexts {path}")]
pub struct OpenContextsError {
    /// The folder, or what in it.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub cause: io::Error,
}

/// Why bytes were not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// Send less.
    #[error("a build context may have {maximum} bytes at most")]
    TooLarge {
        /// The most.
        maximum: u64,
    },
    /// It is not as long as was said: send it again.
    #[error("{received} bytes came of {expected} that were announced")]
    Length {
        /// How much was announced.
        expected: u64,
        /// How much came.
        received: u64,
    },
    /// Remove contexts, or wait until unused ones are gone.
    #[error("build contexts have taken all the room that there is for them")]
    NoRoom,
    /// The operator has to make room.
    #[error("the server's disk is full")]
    DiskFull,
    /// The server's disk does not do what it should.
    #[error("cannot write a build context")]
    Disk(#[source] io::Error),
}

impl From<io::Error> for ReceiveError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Disk(cause),
        }
    }
}

/// Why what was received did not become a context.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// It could not be written.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
    /// Remove contexts, or wait until unused ones are gone.
    #[error("an organization may have {maximum} build contexts at most")]
    TooMany {
        /// The most.
        maximum: usize,
    },
    /// There is one already, and there was to be none.
    #[error("there is a build context under this key already")]
    Taken,
}

impl From<io::Error> for FinishError {
    fn from(cause: io::Error) -> Self {
        Self::Receive(cause.into())
    }
}

/// Why an upload in parts did not go on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// It was completed, aborted, left alone for too long, or never was: begin another one.
    #[error("there is no such upload")]
    NotFound,
    /// Complete or abort others first.
    #[error("an organization may have {maximum} unfinished uploads at most")]
    TooMany {
        /// The most.
        maximum: usize,
    },
    /// Parts are numbered from 1 to 10,000.
    #[error("parts have numbers from 1 to 10000")]
    Number,
    /// It could not be written.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

impl From<io::Error> for UploadError {
    fn from(cause: io::Error) -> Self {
        Self::Receive(cause.into())
    }
}

/// Why parts did not become a context.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// It was completed, aborted, left alone for too long, or never was: begin another one.
    #[error("there is no such upload")]
    NotFound,
    /// Name parts that there are, with the tags that they were given.
    #[error("there is no part {number} with that tag")]
    Part {
        /// The first that is wrong.
        number: u32,
    },
    /// Name parts once each, in the order of their numbers.
    #[error("parts are named in the order of their numbers, and each once")]
    Order,
    /// All parts but the last have 5 MiB at least: upload this one again.
    #[error("part {number} is smaller than {minimum} bytes and not the last")]
    TooSmall {
        /// Which one.
        number: u32,
        /// The least.
        minimum: u64,
    },
    /// What the parts make is not what the client has: begin another upload.
    #[error("the archive is not what its checksum says")]
    Checksum,
    /// It could not be put together: begin another upload.
    #[error(transparent)]
    Finish(#[from] FinishError),
}

impl From<io::Error> for CompleteError {
    fn from(cause: io::Error) -> Self {
        Self::Finish(cause.into())
    }
}

/// Why a context is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove a build context")]
pub struct RemoveContextError(#[source] pub io::Error);
