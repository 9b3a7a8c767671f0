//! Failures as a person reads them: what, why, and what to do about it.

use std::fmt;
use std::process::ExitCode;

use pitlane_client::{RequestError, WriteError};

use crate::exit::Exit;
use crate::table::plain;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: anyhow::Error,
    hints: Vec<String>,
    exit: Exit,
    stops: bool,
}

impl Failure {
    /// A failure that says all there is to say.
    pub(crate) fn new(message: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        anyhow::Error::msg(message).into()
    }

    /// Adds what the reader can do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Chooses how the process ends.
    pub(crate) fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Says what was being done.
    pub(crate) fn doing(mut self, what: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.cause = self.cause.context(what);
        self
    }

    /// Ends the whole command, also where others could still be done.
    pub(crate) const fn stop(mut self) -> Self {
        self.stops = true;
        self
    }

    /// Whether it ends the whole command.
    pub(crate) const fn stops(&self) -> bool {
        self.stops
    }

    /// Everything that led to it, the outermost first.
    pub(crate) fn chain(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        self.cause.chain()
    }

    /// What a server or a sandbox said no with, if one did.
    pub(crate) fn request(&self) -> Option<&RequestError> {
        request(&self.cause)
    }

    /// What and why in one line.
    pub(crate) fn reason(&self) -> String {
        let causes: Vec<String> = self.chain().map(ToString::to_string).collect();
        plain(&causes.join(": "), false)
    }

    /// How the process ends.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.exit.into()
    }

    /// How the process ends where codes below 125 are a program's: `other`, unless something from outside ended it.
    pub(crate) fn or_exit(&self, other: Exit) -> ExitCode {
        match self.exit {
            Exit::Failed | Exit::Usage | Exit::Unreachable | Exit::NotFound => other.into(),
            Exit::NotRun | Exit::Interrupted | Exit::OutputClosed | Exit::Terminated => {
                self.exit.into()
            }
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        let cause = error.into();
        let (exit, hint) = request(&cause).map_or((Exit::Failed, None), advice);
        Self { cause, hints: hint.into_iter().collect(), exit, stops: false }
    }
}

fn request(cause: &anyhow::Error) -> Option<&RequestError> {
    cause.chain().find_map(|cause| match cause.downcast_ref::<WriteError>() {
        Some(WriteError::Request(error)) => Some(error),
        Some(WriteError::Content(_)) | None => cause.downcast_ref::<RequestError>(),
    })
}

fn advice(error: &RequestError) -> (Exit, Option<String>) {
    let (exit, hint) = match error {
        RequestError::Unreachable { .. } => (
            Exit::Unreachable,
            "is the server running? start one with `pitlane serve`, or name another with --api-url",
        ),
        RequestError::Refused { status: 401, .. } => (
            Exit::Failed,
            "the server does not know the key: set PITLANE_API_KEY, or keep another with `pitlane login`",
        ),
        // A sandbox says 403 of its files, too.
        RequestError::Refused { status: 403, message, .. } if message.contains("permission ") => (
            Exit::Failed,
            "`pitlane key create NAME --permission …`, with a key that may, makes one that may",
        ),
        RequestError::Refused { status: 404, .. } => (Exit::NotFound, ""),
        RequestError::Refused { status: 409, message, .. } if message.contains("in progress") => (
            Exit::Failed,
            "it is on its way to another state: ask again in a moment, `pitlane sandbox info` shows it",
        ),
        RequestError::Refused { status: 429, retry_after: Some(wait), .. } => {
            let hint = format!("ask again in {} s", wait.as_secs());
            return (Exit::Failed, Some(hint));
        }
        RequestError::Unreadable { .. } => {
            (Exit::Failed, "the address of a server's API ends in /api")
        }
        RequestError::Broken { .. } | RequestError::Late { .. } => (
            Exit::Failed,
            "what was asked for may have been done: `pitlane sandbox ls` shows what there is",
        ),
        RequestError::Refused { .. } | RequestError::Unencrypted { .. } => (Exit::Failed, ""),
    };
    (exit, (!hint.is_empty()).then(|| hint.to_owned()))
}

/// The failure as it goes to standard error, a line for each thing it says.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", plain(&self.cause.to_string(), true))?;
        for cause in self.chain().skip(1) {
            write!(f, "\n  because: {}", plain(&cause.to_string(), true))?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {}", plain(hint, true))?;
        }
        Ok(())
    }
}

/// Adds what was being done.
pub(crate) trait Doing<T> {
    /// Says what was being done when it failed.
    fn doing(self, what: impl fmt::Display + Send + Sync + 'static) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> Doing<T> for Result<T, E> {
    fn doing(self, what: impl fmt::Display + Send + Sync + 'static) -> Result<T, Failure> {
        self.map_err(|error| Failure::from(error.into().context(what)))
    }
}
