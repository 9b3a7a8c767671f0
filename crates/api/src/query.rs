//! The parameters of a request's query.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::date;
use crate::refusal::Refusal;

/// Decoded parameters in the order given; a name may come several times. An empty value counts as absent.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// Every name with every value, but for values that count as absent.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().map(|(name, value)| (&**name, &**value));
        pairs.filter(|(_, value)| !value.is_empty())
    }

    /// The last value of this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let mut last_first = self.0.iter().rev();
        last_first.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| &**value)
    }

    /// Every value of this name.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, v)| &**v)
    }

    /// A number, a truth value or anything else that reads itself.
    ///
    /// # Errors
    ///
    /// 400 names the parameter.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.read(name, |text| text.parse().ok())
    }

    /// A date.
    ///
    /// # Errors
    ///
    /// 400 names the parameter.
    pub(crate) fn date(&self, name: &str) -> Result<Option<pitlane_model::Timestamp>, Refusal> {
        self.read(name, date::parse)
    }

    /// A JSON object of texts: `{"a": "b"}`. Clients before 0.180 write `null` for none.
    ///
    /// # Errors
    ///
    /// 400 names the parameter.
    pub(crate) fn map(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        self.read(name, |text| serde_json::from_str(text).ok()).map(Option::flatten)
    }

    /// One of a few words.
    ///
    /// # Errors
    ///
    /// 400 names the parameter and the words.
    pub(crate) fn word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(Refusal::bad_request(format!("{name} must be one of {}", words.join(", "))))
    }

    fn read<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => match read(text) {
                Some(value) => Ok(Some(value)),
                None => Err(Refusal::bad_request(format!("query parameter {name} is not valid"))),
            },
        }
    }
}

/// How many items a page may have: `default` if the caller does not say, never more than `maximum`.
///
/// # Errors
///
/// 400 if the number is not at least 1.
pub(crate) fn limit(query: &Query, default: u32, maximum: u32) -> Result<u32, Refusal> {
    match query.parsed("limit")? {
        None => Ok(default),
        Some(0) => Err(Refusal::bad_request("limit must be at least 1")),
        Some(limit) => Ok(limit.min(maximum)),
    }
}

/// Which page is asked for, from 1.
///
/// # Errors
///
/// 400 if the number is not at least 1.
pub(crate) fn page(query: &Query) -> Result<u32, Refusal> {
    match query.parsed("page")? {
        None => Ok(1),
        Some(0) => Err(Refusal::bad_request("page must be at least 1")),
        Some(page) => Ok(page),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_keeps_all_its_values() {
        let query = Query::parse("states=started&limit=5&states=stopped&states=");
        assert_eq!(query.texts("states").collect::<Vec<_>>(), ["started", "stopped"]);
        assert_eq!(query.parsed::<u32>("limit").unwrap(), Some(5));
        assert_eq!(query.parsed::<u32>("page").unwrap(), None);
        assert!(query.parsed::<u32>("states").is_err());
    }

    #[test]
    fn labels_are_read_as_python_and_as_typescript_write_them() {
        let wanted = Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        for text in ["labels=%7B%22a%22%3A%20%22b%22%7D", "labels=%7B%22a%22:%22b%22%7D"] {
            assert_eq!(Query::parse(text).map("labels").unwrap(), wanted);
        }
        assert_eq!(Query::parse("labels=null").map("labels").unwrap(), None);
        for text in ["labels=a", "labels=%5B%5D", "labels=%7B%22a%22%3A1%7D", "labels=%ff"] {
            assert!(Query::parse(text).map("labels").is_err(), "{text}");
        }
    }
}
