//! The parameters of a request's query.

use std::collections::HashMap;

use http::Uri;

use super::refusal::Refusal;

/// Parameters by name; of several with one name the last counts.
#[derive(Debug)]
pub(crate) struct Query(HashMap<String, String>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// A parameter that may be left out; empty counts as left out.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name).ok_or_else(|| Refusal::bad_request(format!("{name} is required")))
    }

    /// A parameter that says yes.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        matches!(self.optional(name), Some("true" | "1"))
    }
}
