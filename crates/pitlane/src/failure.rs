//! Failures as a person reads them: what, why, and what to do about it.

use std::fmt;
use std::process::ExitCode;

use pitlane_client::RequestError;

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: anyhow::Error,
    hints: Vec<String>,
    exit: Exit,
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
        let (exit, hint) = match cause.downcast_ref::<RequestError>() {
            Some(error) => advice(error),
            None => (Exit::Failed, None),
        };
        Self { cause, hints: hint.map(str::to_owned).into_iter().collect(), exit }
    }
}

fn advice(error: &RequestError) -> (Exit, Option<&'static str>) {
    match error {
        RequestError::Unreachable { .. } => (
            Exit::Unreachable,
            Some(
                "is the server running? start one with `pitlane serve`, or name another with --api-url",
            ),
        ),
        RequestError::Refused { status: 401, .. } => (
            Exit::Failed,
            Some(
                "the server does not know the key: set PITLANE_API_KEY, or look at ~/.config/pitlane/config.toml",
            ),
        ),
        RequestError::Refused { status: 404, .. } => (Exit::NotFound, None),
        RequestError::Unreadable { .. } => {
            (Exit::Failed, Some("the address of a server's API ends in /api"))
        }
        RequestError::Refused { .. }
        | RequestError::Broken { .. }
        | RequestError::Late { .. }
        | RequestError::Unencrypted { .. } => (Exit::Failed, None),
    }
}

/// The failure as it goes to standard error, a line for each thing it says.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.cause)?;
        for cause in self.cause.chain().skip(1) {
            write!(f, "\n  because: {cause}")?;
        }
        for hint in &self.hints {
            write!(f, "\nhint: {hint}")?;
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
