//! State that a client carries between two rounds of a call, and cannot change.

use std::time::Duration;

use rmcp::model::{ErrorData, RequestStateCodec, RequestStateError, SealOptions};

/// How long a client may take to come back with an answer.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Seals states with a secret that this process has made and forgets when it ends.
///
/// A state is signed, not encrypted: nothing that its client may not read belongs into it.
#[derive(Debug)]
pub(crate) struct Seal(RequestStateCodec);

impl Seal {
    /// A seal with a new secret.
    ///
    /// # Errors
    ///
    /// The machine has no randomness.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self(RequestStateCodec::new_unchecked(secret)))
    }

    /// Seals `state` for whoever `bound_to` stands for, such as a caller and what they asked.
    pub(crate) fn seal(&self, state: &str, bound_to: &str) -> String {
        let options = SealOptions::new().associated_data(bound_to.as_bytes()).ttl(LIFETIME);
        self.0.seal_with(state.as_bytes(), &options)
    }

    /// Opens what was sealed for the same.
    ///
    /// # Errors
    ///
    /// It was changed, made for something else or has expired: the client starts again.
    pub(crate) fn open(&self, sealed: &str, bound_to: &str) -> Result<String, ErrorData> {
        let opened = self.0.open_with(sealed, bound_to.as_bytes());
        let bytes = opened.map_err(|error| {
            let why = match error {
                RequestStateError::Expired => "requestState has expired; make the call again",
                _ => "requestState is not one that this server gave for this call",
            };
            ErrorData::invalid_params(why, None)
        })?;
        String::from_utf8(bytes)
            .map_err(|_not_ours| ErrorData::invalid_params("requestState is not text", None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_opened_only_as_it_was_sealed_and_by_whom_it_was_made() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let sealed = seal.seal("state", "caller and call");
        assert_eq!(seal.open(&sealed, "caller and call").unwrap(), "state");
        assert!(seal.open(&sealed, "another caller").is_err());
        assert!(seal.open(&format!("{sealed}x"), "caller and call").is_err());
        assert!(other.open(&sealed, "caller and call").is_err());
    }
}
