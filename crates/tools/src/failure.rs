//! Why an operation was not done, and what to do next.

use std::error::Error as StdError;

use pitlane_client::{RequestError, WriteError};

use crate::Missing;
use crate::figures::count_backend_failure;

/// What is said to whoever has no key.
pub const NO_KEY: &str = "Daytona API key is required. Set DAYTONA_API_KEY environment variable or pass api_key parameter.";

/// Why an operation was not done.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// The cause, for the contract's message.
    pub(crate) message: String,
    /// What to do next, for the model.
    pub(crate) next: Option<String>,
    /// What must be known first.
    pub(crate) missing: Vec<Missing>,
    /// Whether the message is the whole one of the contract.
    pub(crate) is_whole: bool,
    /// What a command said before.
    pub(crate) partial: Option<Box<Partial>>,
}

/// What a command said until it was ended.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) exit_code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) seconds: f64,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    /// The contract has its own sentence for it.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self { is_whole: true, ..Self::new(message) }
    }

    pub(crate) fn needs(message: impl Into<String>, missing: Missing) -> Self {
        Self { missing: vec![missing], ..Self::new(message) }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        count_backend_failure(&error);
        let failure = Self::new(chain(&error));
        match &error {
            RequestError::Unreachable { .. } => failure.next(
                "The server cannot be reached: tell the user; trying again at once will not help.",
            ),
            RequestError::Broken { .. } | RequestError::Late { .. } => {
                failure.next("It may have had its effect: look before doing it again.")
            }
            RequestError::Refused { status: 401, .. } => failure
                .next("The server does not accept the API key (DAYTONA_API_KEY): tell the user."),
            RequestError::Refused { status: 403, .. } => failure,
            RequestError::Refused { status: 429, retry_after, .. } => match retry_after {
                Some(wait) => failure.next(format!("Try again in {} s.", wait.as_secs())),
                None => failure.next("Delete what is not needed, or wait."),
            },
            RequestError::Refused { status: 500.., .. } => {
                failure.next("It may help to try again.")
            }
            RequestError::Refused { .. }
            | RequestError::Unreadable { .. }
            | RequestError::Unencrypted { .. } => failure,
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Request(error) => error.into(),
            content @ WriteError::Content(_) => Self::new(chain(&content)),
        }
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
