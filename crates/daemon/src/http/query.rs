//! The parameters of a request's query.

use std::collections::HashMap;

use http::Uri;
use pitlane_daemon::input::Parameters;

use super::refusal::Refusal;

/// Parameters by name; of several with one name the last counts.
#[derive(Debug)]
pub(crate) struct Query {
    text: HashMap<String, String>,
    parameters: Parameters,
}

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self {
            text: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            parameters: Parameters::parse(query),
        }
    }

    /// A parameter that may be left out; empty counts as left out.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.text.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name).ok_or_else(|| Refusal::bad_request(format!("{name} is required")))
    }

    /// The bytes of a path that may be left out. One that comes twice is refused: who checked the request before could
    /// have read the other.
    pub(crate) fn optional_path(&self, name: &str) -> Result<Option<&[u8]>, Refusal> {
        if self.parameters.is_repeated(name) {
            return Err(Refusal::bad_request(format!("{name} is there more than once")));
        }
        Ok(self.parameters.bytes(name))
    }

    /// The bytes of a path that must be there.
    pub(crate) fn path(&self, name: &str) -> Result<&[u8], Refusal> {
        let path = self.optional_path(name)?;
        path.ok_or_else(|| Refusal::bad_request(format!("{name} is required")))
    }

    /// A parameter that says yes or no; no where it is left out.
    pub(crate) fn is_true(&self, name: &str) -> Result<bool, Refusal> {
        match self.optional(name) {
            Some("true" | "1" | "True") => Ok(true),
            None | Some("false" | "0" | "False") => Ok(false),
            Some(_) => Err(Refusal::bad_request(format!("{name} must be true or false"))),
        }
    }
}
