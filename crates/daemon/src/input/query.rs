//! The parameters of a query, as text and as bytes.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Parameters in the order in which they came. Names of files need not be UTF-8, therefore values are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(Vec<(Vec<u8>, Vec<u8>)>);

impl Parameters {
    /// Reads `a=b&c=d`, where `+` and `%20` are blanks.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let parts = query.split('&').filter(|part| !part.is_empty());
        Self(
            parts
                .map(|part| {
                    let (name, value) = part.split_once('=').unwrap_or((part, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The bytes of a parameter; of several with one name the last counts. Empty counts as left out.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        let value = self.0.iter().rfind(|(key, _)| key == name.as_bytes());
        value.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    /// The same as text. What is not UTF-8 is replaced.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.bytes(name).map(String::from_utf8_lossy)
    }

    /// Whether a parameter came more than once: two readers of it could disagree which one counts.
    #[must_use]
    pub fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(key, _)| key == name.as_bytes()).nth(1).is_some()
    }
}

fn decode(text: &str) -> Vec<u8> {
    let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
    use proptest::prelude::*;

    use super::Parameters;

    #[test]
    fn parameters_are_bytes_and_text() {
        let query = Parameters::parse("a=1&b=%FF%20+x&a=2&&c&=d&e=%zz&%61b=3");
        assert_eq!(query.text("a").as_deref(), Some("2"));
        assert_eq!(query.bytes("b"), Some(&b"\xFF  x"[..]));
        assert_eq!(query.text("b").as_deref(), Some("\u{FFFD}  x"));
        assert_eq!((query.bytes("c"), query.bytes("missing")), (None, None));
        assert_eq!(query.text("e").as_deref(), Some("%zz"));
        assert_eq!(query.text("ab").as_deref(), Some("3"));
        assert_eq!((query.is_repeated("a"), query.is_repeated("b")), (true, false));
    }

    proptest! {
        #[test]
        fn any_bytes_survive_their_way_through_a_query(value in proptest::collection::vec(any::<u8>(), 1..100)) {
            let query = format!("x=1&path={}&y=2", percent_encode(&value, NON_ALPHANUMERIC));
            let parsed = Parameters::parse(&query);
            prop_assert_eq!(parsed.bytes("path"), Some(value.as_slice()));
        }

        #[test]
        fn text_is_read_as_browsers_and_python_write_it(value in "\\PC{1,40}") {
            let query: String =
                form_urlencoded::Serializer::new(String::new()).append_pair("path", &value).finish();
            let parsed = Parameters::parse(&query);
            prop_assert_eq!(parsed.text("path").unwrap(), value);
        }
    }
}
