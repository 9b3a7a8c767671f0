//! Signature Version 4: what shows a storage who asks, and that nobody has changed the request.

use http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{digest, hmac};

use crate::storage::ObjectStorage;

const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PLAIN_PATH: AsciiSet = PLAIN.remove(b'/');

/// The path of a key, as it is sent and signed.
pub(crate) fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", utf8_percent_encode(key, &PLAIN_PATH))
}

/// A query, sorted, as it is sent and signed.
pub(crate) fn query(parameters: &[(&str, String)]) -> String {
    let mut encoded: Vec<String> = parameters
        .iter()
        .map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(name, &PLAIN), utf8_percent_encode(value, &PLAIN))
        })
        .collect();
    encoded.sort_unstable();
    encoded.join("&")
}

/// A request as far as it is signed.
#[derive(Debug)]
pub(crate) struct Signable<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// In lower case, `host` and `x-amz-…` among them.
    pub(crate) headers: &'a HeaderMap,
    /// The digest of the body, as in `x-amz-content-sha256`.
    pub(crate) body: &'a str,
    pub(crate) time: Timestamp,
}

/// The time as `x-amz-date` has it.
pub(crate) fn stamp(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The digest of a body, as `x-amz-content-sha256` has it.
pub(crate) fn digest_of(body: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, body).as_ref())
}

/// The `authorization` of a request.
pub(crate) fn authorization(storage: &ObjectStorage, request: &Signable<'_>) -> String {
    let Signable { method, path, query, headers, body, time } = request;
    let mut signed: Vec<&http::HeaderName> = headers
        .keys()
        .filter(|name| *name == http::header::HOST || name.as_str().starts_with("x-amz-"))
        .collect();
    signed.sort_unstable_by_key(|name| name.as_str());
    let names: Vec<&str> = signed.iter().map(|name| name.as_str()).collect();
    let names = names.join(";");
    let lines: String = signed
        .iter()
        .map(|name| {
            let value = headers.get(*name).and_then(|value| value.to_str().ok());
            format!("{name}:{}\n", value.unwrap_or_default().trim())
        })
        .collect();
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body}");
    let stamp = stamp(*time);
    let day = stamp.get(..8).unwrap_or_default();
    let scope = format!("{day}/{}/s3/aws4_request", storage.location().region);
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", digest_of(canonical.as_bytes()));
    let secret = format!("AWS4{}", storage.secret_access_key().expose());
    let mut key = keyed(secret.as_bytes(), day.as_bytes());
    for part in [storage.location().region.as_str(), "s3", "aws4_request"] {
        key = keyed(key.as_ref(), part.as_bytes());
    }
    let signature = hexadecimal(keyed(key.as_ref(), text.as_bytes()).as_ref());
    let id = storage.access_key_id();
    format!(
        "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
}

fn keyed(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{path, query};

    #[test]
    fn paths_and_queries_are_encoded_as_they_are_signed() {
        assert_eq!(path("abc", "a b/é+~_-.%"), "/abc/a%20b/%C3%A9%2B~_-.%25");
        let parameters = [("prefix", "a/b c".to_owned()), ("list-type", "2".to_owned())];
        assert_eq!(query(&parameters), "list-type=2&prefix=a%2Fb%20c");
        assert_eq!(query(&[("uploads", String::new())]), "uploads=");
    }
}
