//! What a command says: data to standard output, all else to standard error.

use std::io::{ErrorKind, Write as _};

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;

/// For whom a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a person.
    Human,
    /// For a program: JSON.
    Json,
}

impl Format {
    /// The format that `--json` asks for, or its absence.
    pub(crate) const fn new(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::Human }
    }

    /// Writes `data`: as it is for programs, as `text` says it for people.
    pub(crate) fn write<T: Serialize>(
        self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        match self {
            Self::Human => write(text(data).as_bytes()),
            Self::Json => {
                let mut line = serde_json::to_vec(data)?;
                line.push(b'\n');
                write(&line)
            }
        }
    }
}

/// Writes bytes to standard output.
pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
    to(&mut std::io::stdout().lock(), bytes)
}

/// Writes bytes to standard error.
pub(crate) fn write_aside(bytes: &[u8]) -> Result<(), Failure> {
    to(&mut std::io::stderr().lock(), bytes)
}

fn to(stream: &mut impl std::io::Write, bytes: &[u8]) -> Result<(), Failure> {
    stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|cause| {
        let is_closed = cause.kind() == ErrorKind::BrokenPipe;
        let failure = Failure::from(anyhow::Error::new(cause).context("cannot write the output"));
        if is_closed { failure.exit(Exit::OutputClosed) } else { failure }
    })
}

/// Says something to a person beside the data. Nobody is left to tell if this fails.
pub(crate) fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
