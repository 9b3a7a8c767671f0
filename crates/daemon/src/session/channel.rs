//! The outputs of one command, and its input: named pipes that its shell opens.
//!
//! Each command has pipes of its own, so that what it leaves running in the background goes on writing to its own log
//! and not to its successor's. The names are gone as soon as the shell has opened them. The pipes belong to the sandbox's
//! user, who may therefore open `/dev/stdout`; they are in the sandbox's shared memory, which takes nothing from its
//! disk, or in `/tmp` where there is none.

use std::os::fd::OwnedFd;

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mknodat, open, unlink};
use rustix::io::Errno;
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::files::{Files, FilesError};

const FOLDERS: [&str; 2] = ["/dev/shm", "/tmp"];

/// Pipes before their command has begun.
#[derive(Debug)]
pub(super) struct Channel {
    names: Names,
    pub(super) stdout: Receiver,
    pub(super) stderr: Receiver,
    pub(super) input: Option<Sender>,
    /// The other ends, held until the shell has them: a pipe without a writer would be at its end.
    held: Vec<OwnedFd>,
}

/// Why there are no pipes.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    #[error("cannot make pipes: {0}")]
    Make(Errno),
    #[error("cannot use pipes: {0}")]
    Use(std::io::Error),
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// The names that there still are; they go with this value.
#[derive(Debug)]
struct Names {
    files: Files,
    base: String,
    has_input: bool,
}

/// Pipes as they were made.
struct Made {
    base: String,
    /// A reader and a writer each: output, error, input.
    ends: Vec<(OwnedFd, OwnedFd)>,
}

impl Channel {
    /// Makes the pipes.
    pub(super) async fn make(files: &Files, has_input: bool) -> Result<Self, ChannelError> {
        let made = files.run(move || make(has_input)).await?.map_err(ChannelError::Make)?;
        let names = Names { files: files.clone(), base: made.base, has_input };
        let mut ends = made.ends.into_iter();
        let (mut held, mut readers) = (Vec::new(), Vec::new());
        for (reader, writer) in ends.by_ref().take(2) {
            readers.push(Receiver::from_owned_fd(reader).map_err(ChannelError::Use)?);
            held.push(writer);
        }
        let input = match ends.next() {
            Some((reader, writer)) => {
                held.push(reader);
                Some(Sender::from_owned_fd(writer).map_err(ChannelError::Use)?)
            }
            None => None,
        };
        let mut readers = readers.into_iter();
        match (readers.next(), readers.next()) {
            (Some(stdout), Some(stderr)) => Ok(Self { names, stdout, stderr, input, held }),
            _ => Err(ChannelError::Make(Errno::NOENT)),
        }
    }

    /// The two lines by which the shell learns where everything is.
    pub(super) fn lines(&self) -> String {
        let base = &self.names.base;
        if self.names.has_input {
            format!("{base}.i\n{base}\n")
        } else {
            format!("/dev/null\n{base}\n")
        }
    }

    /// Says that the shell has opened everything.
    pub(super) fn is_open(&mut self) {
        self.held.clear();
    }

    /// Gives up the names and keeps the ends.
    pub(super) fn into_ends(self) -> (Receiver, Receiver, Option<Sender>) {
        (self.stdout, self.stderr, self.input)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        let base = std::mem::take(&mut self.base);
        let has_input = self.has_input;
        self.files.run_later(move || remove(&base, has_input));
    }
}

fn suffixes(has_input: bool) -> &'static [char] {
    if has_input { &['o', 'e', 'i'] } else { &['o', 'e'] }
}

fn remove(base: &str, has_input: bool) {
    for suffix in suffixes(has_input) {
        // Somebody may have removed it.
        unlink(format!("{base}.{suffix}")).ok();
    }
}

/// Runs with the user's rights.
fn make(has_input: bool) -> Result<Made, Errno> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_no_entropy| Errno::IO)?;
    let name = format!(".pitlane-{:032x}", u128::from_ne_bytes(bytes));
    let mut reason = Errno::NOENT;
    for folder in FOLDERS {
        let base = format!("{folder}/{name}");
        let ends: Result<Vec<_>, Errno> = suffixes(has_input)
            .iter()
            .map(|suffix| make_one(&format!("{base}.{suffix}")))
            .collect();
        match ends {
            Ok(ends) => return Ok(Made { base, ends }),
            Err(errno) => {
                remove(&base, has_input);
                reason = errno;
            }
        }
    }
    Err(reason)
}

fn make_one(path: &str) -> Result<(OwnedFd, OwnedFd), Errno> {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let reader = open(path, flags | OFlags::RDONLY, Mode::empty())?;
    let writer = open(path, flags | OFlags::WRONLY, Mode::empty())?;
    for end in [&reader, &writer] {
        // Root inside may have put something else there.
        if FileType::from_raw_mode(fstat(end)?.st_mode) != FileType::Fifo {
            return Err(Errno::STALE);
        }
    }
    Ok((reader, writer))
}
