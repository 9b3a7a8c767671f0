//! What a terminal's client offers to speak, and says with it.
//!
//! Browsers can set no header of a WebSocket but the list of subprotocols, so variables travel there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::GeneralPurposeConfig;
use pitlane_wire::toolbox::{PTY_ENVIRONMENT_PREFIX, PTY_EXIT_CONTROL, PTY_PATIENCE};

/// With or without its padding; some libraries write it.
const BASE64: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the subprotocols of a terminal's client mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offer {
    /// The one to be spoken: clients give up when they offer some and none is taken.
    pub spoken: Option<String>,
    /// Whether the end is to be told in a message.
    pub wants_exit: bool,
    /// Whether the program may wait for the client.
    pub is_patient: bool,
    /// Variables for a new terminal.
    pub variables: Option<BTreeMap<String, String>>,
}

/// Why variables cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// They came more than once, so that two readers could disagree.
    #[error("the subprotocol with variables is there more than once")]
    Repeated,
    /// They are not in URL-safe base64.
    #[error("the subprotocol with variables is not in URL-safe base64")]
    Base64(#[source] base64::DecodeError),
    /// They are not an object of texts in JSON.
    #[error("the subprotocol with variables holds no JSON object of texts")]
    Json(String),
}

impl Offer {
    /// Reads a list of subprotocols.
    ///
    /// # Errors
    ///
    /// [`OfferError`]: the request makes no sense.
    pub fn read<'a>(offered: impl IntoIterator<Item = &'a str>) -> Result<Self, OfferError> {
        let mut offer = Self::default();
        let mut first = None;
        for name in offered {
            first = first.or(Some(name));
            if name == PTY_EXIT_CONTROL {
                offer.wants_exit = true;
                offer.spoken = Some(name.to_owned());
            } else if name == PTY_PATIENCE {
                offer.is_patient = true;
            } else if let Some(text) = name.strip_prefix(PTY_ENVIRONMENT_PREFIX) {
                if offer.variables.is_some() {
                    return Err(OfferError::Repeated);
                }
                offer.variables = Some(variables(text)?);
            }
        }
        if offer.spoken.is_none() {
            offer.spoken = first.map(str::to_owned);
        }
        Ok(offer)
    }
}

fn variables(text: &str) -> Result<BTreeMap<String, String>, OfferError> {
    let json = BASE64.decode(text).map_err(OfferError::Base64)?;
    serde_json::from_slice(&json).map_err(|error| OfferError::Json(error.to_string()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(offered: &[&str]) -> Result<Offer, OfferError> {
        Offer::read(offered.iter().copied())
    }

    fn with_variables(json: &str) -> String {
        format!("{PTY_ENVIRONMENT_PREFIX}{}", BASE64.encode(json).trim_end_matches('='))
    }

    #[test]
    fn one_that_was_offered_is_spoken_and_best_the_one_that_tells_the_end() {
        let version = "X-Daytona-SDK-Version~0.226.1";
        let envs = with_variables("{}");
        for (offered, spoken) in [
            (vec![], None),
            (vec![PTY_EXIT_CONTROL], Some(PTY_EXIT_CONTROL)),
            (vec![version, &envs, PTY_EXIT_CONTROL], Some(PTY_EXIT_CONTROL)),
            (vec![version, &envs], Some(version)),
            (vec![&envs, version], Some(&*envs)),
            (vec!["other"], Some("other")),
        ] {
            assert_eq!(read(&offered).unwrap().spoken.as_deref(), spoken, "{offered:?}");
        }
    }

    #[test]
    fn everything_that_is_offered_counts() {
        let envs = with_variables(r#"{"A":"1","ß":"ü"}"#);
        let wanted = Offer {
            spoken: Some(PTY_EXIT_CONTROL.into()),
            wants_exit: true,
            is_patient: true,
            variables: Some([("A", "1"), ("ß", "ü")].map(|(n, v)| (n.into(), v.into())).into()),
        };
        assert_eq!(read(&[PTY_PATIENCE, &envs, PTY_EXIT_CONTROL]), Ok(wanted.clone()));
        assert_eq!(read(&[PTY_EXIT_CONTROL, &format!("{envs}="), PTY_PATIENCE]), Ok(wanted));
    }

    #[test]
    fn variables_that_make_no_sense_are_refused() {
        let envs = with_variables(r#"{"A":"1"}"#);
        assert_eq!(read(&[&envs, &envs]), Err(OfferError::Repeated));
        let broken = format!("{PTY_ENVIRONMENT_PREFIX}a+/b");
        assert!(matches!(read(&[&broken]), Err(OfferError::Base64(_))));
        for json in ["", "[]", "null", r#"{"A":1}"#, r#"{"A":null}"#, "{\"A\":\"1\"", "{}x"] {
            assert!(matches!(read(&[&with_variables(json)]), Err(OfferError::Json(_))), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_variables_survive_their_way(
            variables in proptest::collection::btree_map(".{0,20}", ".{0,20}", 0..5),
        ) {
            let name = with_variables(&serde_json::to_string(&variables).unwrap());
            prop_assert_eq!(read(&[&name]).unwrap().variables, Some(variables));
        }

        #[test]
        fn whatever_is_offered_what_is_spoken_was_among_it(
            offered in proptest::collection::vec("(X-Daytona-Pty-Envs~)?[!-~]{0,20}", 0..5),
        ) {
            if let Ok(offer) = Offer::read(offered.iter().map(String::as_str)) {
                prop_assert_eq!(offer.spoken.is_some(), !offered.is_empty());
                prop_assert!(offer.spoken.is_none_or(|spoken| offered.contains(&spoken)));
            }
        }
    }
}
