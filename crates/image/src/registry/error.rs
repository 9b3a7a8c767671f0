//! What can go wrong with a registry.

use std::time::Duration;

/// Why a registry did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// It was not reached, or hung up.
    #[error("cannot reach {authority}")]
    Unreachable {
        /// Which host.
        authority: String,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is at an address of the operator's own network, or without encryption.
    #[error("{authority} may not be asked: {reason}")]
    Forbidden {
        /// Which host.
        authority: String,
        /// What forbids it.
        reason: &'static str,
    },
    /// It said nothing for too long.
    #[error("{authority} does not answer in time")]
    Silent {
        /// Which host.
        authority: String,
    },
    /// It has no such image.
    #[error("{authority} has no image {image}")]
    NotFound {
        /// Which host.
        authority: String,
        /// What was asked for.
        image: String,
    },
    /// It wants to know who asks, or refuses whoever asks.
    #[error("{authority} lets nobody without other credentials read {image}")]
    Unauthorized {
        /// Which host.
        authority: String,
        /// What was asked for.
        image: String,
    },
    /// It answered with a failure of its own.
    #[error("{authority} answers with status {status}{}", again(*retry_after))]
    Status {
        /// Which host.
        authority: String,
        /// Its answer.
        status: u16,
        /// After how long it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It said what no registry says.
    #[error("{authority} says what makes no sense: {reason}")]
    Nonsense {
        /// Which host.
        authority: String,
        /// What it was.
        reason: String,
    },
    /// What it gave is not what was asked for.
    #[error("{authority} gives something else than {digest}")]
    Digest {
        /// Which host.
        authority: String,
        /// What was asked for.
        digest: String,
    },
    /// What it gave is of another size than it said.
    #[error("{authority} gives {digest} in another size than it says")]
    Size {
        /// Which host.
        authority: String,
        /// What was asked for.
        digest: String,
    },
    /// The image is not one that this machine can have.
    #[error("image {image} cannot be used here: {reason}")]
    Unusable {
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// The machine's certificates cannot be read.
    #[error("cannot read this machine's certificates")]
    Certificates(#[source] std::io::Error),
}

/// In words, when a registry wants to be asked again.
fn again(after: Option<Duration>) -> String {
    after.map_or_else(String::new, |after| {
        format!("; it may be asked again in {} s", after.as_secs())
    })
}

impl RegistryError {
    /// After how long it wants to be asked again.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether asking once more, a little later, may help.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Silent { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}
