//! Why a request got no answer, or not the wanted one.

use std::error::Error as StdError;
use std::time::Duration;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Nobody answers there.
    #[error("cannot reach {url}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// What failed.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// The connection broke before the answer was complete; the request may have had its effect.
    #[error("the connection to {url} broke")]
    Broken {
        /// The server's address.
        url: String,
        /// What failed.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// No answer in time; the request may have had its effect.
    #[error("{url} did not answer within {seconds} s")]
    Late {
        /// The server's address.
        url: String,
        /// The deadline.
        seconds: u64,
    },
    /// The server said no.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A word for programs, if the server gave one.
        code: Option<String>,
        /// The server's sentence.
        message: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The answer is not what the API promises: something else listens there, or another version.
    #[error("{url} gave an answer that is not the API's")]
    Unreadable {
        /// The server's address.
        url: String,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn StdError + Send + Sync>,
    },
    /// The server wants the key sent over a connection that can be listened to, after one that cannot.
    #[error("{url} is reached over https, but names a toolbox that is not")]
    Unencrypted {
        /// The server's address.
        url: String,
    },
}

impl RequestError {
    /// The word for programs that the server refused with.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Late { .. }
            | Self::Unreadable { .. }
            | Self::Unencrypted { .. } => None,
        }
    }

    /// The status the server refused with.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unreachable { .. }
            | Self::Broken { .. }
            | Self::Late { .. }
            | Self::Unreadable { .. }
            | Self::Unencrypted { .. } => None,
        }
    }
}
