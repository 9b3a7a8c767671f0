//! Paths, queries and digests in the one form in which they are sent and signed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::digest;

const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PLAIN_PATH: AsciiSet = PLAIN.remove(b'/');

/// The path of a key, as it is sent and signed.
#[must_use]
pub fn encode_path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, &PLAIN_PATH))
}

/// A query, sorted, as it is sent and signed.
#[must_use]
pub fn encode_query(parameters: &[(&str, String)]) -> String {
    let mut encoded: Vec<String> = parameters
        .iter()
        .map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(name, &PLAIN), utf8_percent_encode(value, &PLAIN))
        })
        .collect();
    encoded.sort_unstable();
    encoded.join("&")
}

/// The digest of a body, as `x-amz-content-sha256` has it.
#[must_use]
pub fn digest_of(body: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, body).as_ref())
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{encode_path, encode_query};

    #[test]
    fn paths_and_queries_are_encoded_as_they_are_signed() {
        assert_eq!(encode_path("abc", "a b/é+~_-.%"), "/abc/a%20b/%C3%A9%2B~_-.%25");
        let parameters = [("prefix", "a/b c".to_owned()), ("list-type", "2".to_owned())];
        assert_eq!(encode_query(&parameters), "list-type=2&prefix=a%2Fb%20c");
        assert_eq!(encode_query(&[("uploads", String::new())]), "uploads=");
    }
}
