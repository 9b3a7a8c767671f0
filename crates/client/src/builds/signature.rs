//! Signatures of requests to object storage: AWS Signature Version 4, as far as whole objects need it.

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use pitlane_wire::control::StorageAccess;
use sha2::{Digest as _, Sha256};

/// The hash of no bytes.
pub(super) const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const HEADERS: &str = "host;x-amz-content-sha256;x-amz-date;x-amz-security-token";

/// A request to sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) access: &'a StorageAccess,
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Of characters that mean themselves.
    pub(super) path: &'a str,
    /// The digits of the SHA-256 of the body.
    pub(super) hash: &'a str,
}

impl Signed<'_> {
    /// The headers that show who asks, as of now.
    pub(super) fn headers(&self) -> [(&'static str, String); 4] {
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        self.headers_at(&now.strftime("%Y%m%dT%H%M%SZ").to_string())
    }

    fn headers_at(&self, date: &str) -> [(&'static str, String); 4] {
        let Self { access, method, host, path, hash } = self;
        let StorageAccess { access_key, secret, session_token, region, .. } = access;
        let request = format!(
            "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{date}\n\
             x-amz-security-token:{session_token}\n\n{HEADERS}\n{hash}"
        );
        let day = date.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{region}/s3/aws4_request");
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            digits(&Sha256::digest(request.as_bytes()))
        );
        let first = format!("AWS4{secret}").into_bytes();
        let key = [day, region, "s3", "aws4_request"]
            .into_iter()
            .fold(first, |key, word| code(&key, word));
        let signature = digits(&code(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={HEADERS}, \
             Signature={signature}"
        );
        [
            ("authorization", authorization),
            ("x-amz-content-sha256", (*hash).to_owned()),
            ("x-amz-date", date.to_owned()),
            ("x-amz-security-token", session_token.clone()),
        ]
    }
}

fn code(key: &[u8], text: &str) -> Vec<u8> {
    // A key of any length will do.
    Hmac::<Sha256>::new_from_slice(key).map_or_else(
        |_| Vec::new(),
        |mut code| {
            code.update(text.as_bytes());
            code.finalize().into_bytes().to_vec()
        },
    )
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
