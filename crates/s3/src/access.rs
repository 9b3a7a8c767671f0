//! Whose request it is, and what it may name.

use async_trait::async_trait;
use pitlane_control::{Control, UploadKeyError, Uploader};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};

use crate::BUCKET;

/// The operations that there are. Of everything else the library knows, nothing is looked at.
const OPERATIONS: [&str; 11] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CreateMultipartUpload",
    "DeleteObject",
    "GetObject",
    "HeadBucket",
    "HeadObject",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "UploadPart",
];

/// Gives the library what signatures are made with.
pub(crate) struct Secrets(Control);

impl Secrets {
    pub(crate) fn new(control: Control) -> Self {
        Self(control)
    }
}

#[async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let uploader = find(&self.0, access_key)?;
        Ok(SecretKey::from(uploader.key.secret))
    }
}

/// Lets in whoever has signed, shows the session token that belongs to the key, and stays with its own organization.
pub(crate) struct Doorkeeper(Control);

impl Doorkeeper {
    pub(crate) fn new(control: Control) -> Self {
        Self(control)
    }
}

/// Who was let in; goes with the request.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Uploader);

#[async_trait]
impl S3Access for Doorkeeper {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = request.credentials() else {
            return Err(denied("requests are signed"));
        };
        let uploader = find(&self.0, &credentials.access_key)?;
        let shown = request.headers().get("x-amz-security-token").map(http::HeaderValue::as_bytes);
        if !is_same(shown.unwrap_or_default(), uploader.key.session_token.as_bytes()) {
            let message = "the session token is not the one that belongs to the access key";
            return Err(S3Error::with_message(S3ErrorCode::InvalidToken, message));
        }
        if !OPERATIONS.contains(&request.s3_op().name()) {
            let message = format!("{} is not implemented", request.s3_op().name());
            return Err(S3Error::with_message(S3ErrorCode::NotImplemented, message));
        }
        match request.s3_path() {
            S3Path::Root => return Err(denied("there is nothing here but one bucket")),
            S3Path::Bucket { bucket } if **bucket == *BUCKET => {}
            S3Path::Object { bucket, key } if **bucket == *BUCKET => {
                let own = format!("{}/", uploader.organization);
                if !key.starts_with(&own) {
                    return Err(denied("keys begin with the id of the caller's organization"));
                }
            }
            S3Path::Bucket { .. } | S3Path::Object { .. } => {
                return Err(S3Error::new(S3ErrorCode::NoSuchBucket));
            }
        }
        request.extensions_mut().insert(Caller(uploader));
        Ok(())
    }
}

fn find(control: &Control, access_key: &str) -> S3Result<Uploader> {
    control.upload_keys().find(access_key).map_err(|why| {
        let code = match why {
            UploadKeyError::Unknown => S3ErrorCode::InvalidAccessKeyId,
            UploadKeyError::Expired => S3ErrorCode::ExpiredToken,
        };
        S3Error::with_message(code, why.to_string())
    })
}

fn denied(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, message)
}

/// Compares in a time that depends on the second one's length alone.
fn is_same(shown: &[u8], wanted: &[u8]) -> bool {
    let differences = shown.iter().zip(wanted).fold(0_u8, |sum, (a, b)| sum | (a ^ b));
    shown.len() == wanted.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_text_is_the_same() {
        for (shown, wanted, is) in [
            ("ab", "ab", true),
            ("", "ab", false),
            ("a", "ab", false),
            ("abc", "ab", false),
            ("aB", "ab", false),
        ] {
            assert_eq!(is_same(shown.as_bytes(), wanted.as_bytes()), is, "{shown} {wanted}");
        }
    }
}
