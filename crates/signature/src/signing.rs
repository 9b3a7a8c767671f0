//! The headers of a request that is signed.

use std::fmt;

use http::header::InvalidHeaderValue;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use ring::hmac;

use crate::encoding::{digest_of, hexadecimal};

/// Who asks, and where.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// What the key is called.
    pub access_key_id: &'a str,
    /// What is signed with; it is not sent.
    pub secret_access_key: &'a str,
    /// The region of the storage.
    pub region: &'a str,
}

/// A request as far as it is signed, without its headers.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    /// Its method, in capitals.
    pub method: &'a str,
    /// Whom it is sent to, with the port if its address has one.
    pub host: &'a str,
    /// Its path, encoded; see [`encode_path`](crate::encode_path).
    pub path: &'a str,
    /// Its query, encoded and sorted, or empty; see [`encode_query`](crate::encode_query).
    pub query: &'a str,
    /// The digest of its body; see [`digest_of`].
    pub body_digest: &'a str,
    /// When it is sent; storage takes it for some minutes.
    pub time: Timestamp,
}

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// What a header would say cannot be in one.
    #[error("cannot make the header {name}")]
    Header {
        /// Which header.
        name: &'static str,
        /// Why.
        #[source]
        cause: InvalidHeaderValue,
    },
}

/// Adds to a request's headers those that show who asks: `host`, `x-amz-date`, `x-amz-content-sha256` and
/// `authorization`.
///
/// Signs these and all of `headers` whose names begin with `x-amz-`: the request has to be sent with them as they are.
///
/// # Errors
///
/// [`SignError::Header`]: the request or the key has characters that no header may have; it can never be signed.
pub fn sign(
    headers: &mut HeaderMap,
    signer: &Signer<'_>,
    request: &Signable<'_>,
) -> Result<(), SignError> {
    let stamp = request.time.strftime("%Y%m%dT%H%M%SZ").to_string();
    for (name, text) in [
        ("host", request.host),
        ("x-amz-date", &stamp),
        ("x-amz-content-sha256", request.body_digest),
    ] {
        headers.insert(name, value(name, text)?);
    }
    let signed = authorization(headers, signer, request, &stamp);
    let mut signed = value("authorization", &signed)?;
    signed.set_sensitive(true);
    headers.insert("authorization", signed);
    Ok(())
}

fn value(name: &'static str, text: &str) -> Result<HeaderValue, SignError> {
    text.parse::<HeaderValue>().map_err(|cause| SignError::Header { name, cause })
}

/// What `authorization` says, when all other headers are there.
fn authorization(
    headers: &HeaderMap,
    signer: &Signer<'_>,
    request: &Signable<'_>,
    stamp: &str,
) -> String {
    let Signer { access_key_id, secret_access_key, region } = *signer;
    let Signable { method, path, query, body_digest, .. } = *request;
    let is_signed =
        |name: &&HeaderName| name.as_str() == "host" || name.as_str().starts_with("x-amz-");
    let mut signed: Vec<&HeaderName> = headers.keys().filter(is_signed).collect();
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
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{body_digest}");
    let day = stamp.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", digest_of(canonical.as_bytes()));
    let secret = format!("AWS4{secret_access_key}");
    let mut key = keyed(secret.as_bytes(), day.as_bytes());
    for part in [region, "s3", "aws4_request"] {
        key = keyed(key.as_ref(), part.as_bytes());
    }
    let signature = hexadecimal(keyed(key.as_ref(), text.as_bytes()).as_ref());
    format!(
        "AWS4-HMAC-SHA256 Credential={access_key_id}/{scope}, SignedHeaders={names}, \
         Signature={signature}"
    )
}

fn keyed(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

impl fmt::Debug for Signer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::{Signable, Signer, sign};
    use crate::{digest_of, encode_query};

    const SIGNER: Signer<'_> = Signer {
        access_key_id: "AKIAIOSFODNN7EXAMPLE",
        secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
    };

    fn signed(query: &str, host: &str, given: &[(&'static str, &str)]) -> Result<String, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.insert(*name, value.parse().unwrap());
        }
        let digest = digest_of(&[]);
        let time = "2013-05-24T00:00:00Z".parse().unwrap();
        let request =
            Signable { method: "GET", host, path: "/", query, body_digest: &digest, time };
        sign(&mut headers, &SIGNER, &request).map_err(|error| error.to_string())?;
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("host"), host);
        assert_eq!(text("x-amz-date"), "20130524T000000Z");
        assert_eq!(text("x-amz-content-sha256"), digest);
        assert!(headers["authorization"].is_sensitive());
        Ok(text("authorization"))
    }

    /// The examples with which the scheme is documented.
    #[test]
    fn requests_get_the_signatures_that_others_compute() {
        let host = "examplebucket.s3.amazonaws.com";
        let list = [("max-keys", "2".to_owned()), ("prefix", "J".to_owned())];
        for (query, signature) in [
            (
                encode_query(&[("lifecycle", String::new())]),
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                encode_query(&list),
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let wanted = format!(
                "AWS4-HMAC-SHA256 \
                 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            );
            assert_eq!(signed(&query, host, &[]), Ok(wanted));
        }
    }

    #[test]
    fn what_a_request_says_of_itself_is_signed_and_what_it_says_of_its_body_is_not() {
        let names = |given: &[(&'static str, &str)]| {
            let authorization = signed("", "host:9000", given).unwrap();
            authorization.split(", ").nth(1).unwrap().to_owned()
        };
        assert_eq!(
            names(&[("x-amz-security-token", "word"), ("content-length", "3")]),
            "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
        );
        let one = signed("", "host", &[("x-amz-security-token", "one")]);
        assert_ne!(one, signed("", "host", &[("x-amz-security-token", "two")]));
    }

    #[test]
    fn what_no_header_can_say_is_told_by_the_headers_name() {
        assert_eq!(signed("", "a\nb", &[]), Err("cannot make the header host".to_owned()));
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert!(!format!("{SIGNER:?}").contains("wJal"));
    }
}
