//! Exit codes: all of them, and what they mean.
//!
//! `pitlane run` and `pitlane sandbox exec` pass the program's own code through; their own failures are 125, so that
//! they are told from most programs'.

use std::process::ExitCode;

/// How the process ends when it does not end as a program in a sandbox did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something failed.
    Failed = 1,
    /// The command line or a file of settings makes no sense. The parser of the command line uses the same number.
    Usage = 2,
    /// No server answers.
    Unreachable = 3,
    /// The server has no such thing.
    NotFound = 4,
    /// `run` or `exec` failed itself: how the program ended, if it ran, is not known.
    NotRun = 125,
    /// Ended by Ctrl-C, as a shell would say it.
    Interrupted = 130,
    /// Nobody reads the output any more, as a shell would say it.
    OutputClosed = 141,
    /// Ended by SIGTERM, as a shell would say it, or because the terminal is gone.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A program's code as this process' own: what does not fit becomes 255, as in a shell.
pub(crate) fn passed_through(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(255))
}
