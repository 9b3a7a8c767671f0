//! Where the objects are, and with which key.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::key;

/// Where volumes are kept: part of what a volume is, and without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// `http://HOST[:PORT]` or `https://HOST[:PORT]`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What all keys begin with: empty, or ends with `/`.
    pub prefix: String,
}

/// A location and the key to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectStorage {
    location: Location,
    access_key_id: String,
    secret_access_key: Secret,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// Why something is no object storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ObjectStorageError {
    /// The address is none.
    #[error("the endpoint is http://HOST[:PORT] or https://HOST[:PORT], without a path")]
    Endpoint,
    /// The region is empty or has other characters.
    #[error("the region has letters, digits and hyphens")]
    Region,
    /// There is no bucket of such a name.
    #[error("the bucket's name has 3 to 63 small letters, digits, dots and hyphens")]
    Bucket,
    /// Files below it would have no names.
    #[error("the prefix is a path without empty parts, \".\" and \"..\", of at most 512 bytes")]
    Prefix,
    /// A half of the key is missing.
    #[error("the access key has an id and a secret, of printable characters")]
    Key,
}

impl Secret {
    /// Takes a text that is not to be printed.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

impl ObjectStorage {
    /// Checks a location and a key. A slash at the end of the endpoint, and around the prefix, is of no meaning.
    ///
    /// # Errors
    ///
    /// [`ObjectStorageError`] says what is wrong with which part.
    pub fn new(
        location: &Location,
        access_key_id: String,
        secret_access_key: Secret,
    ) -> Result<Self, ObjectStorageError> {
        let endpoint = location.endpoint.trim_end_matches('/');
        let uri: http::Uri = endpoint.parse().map_err(|_malformed| ObjectStorageError::Endpoint)?;
        let is_address = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.path() == "/"
            && uri.query().is_none();
        if !is_address {
            return Err(ObjectStorageError::Endpoint);
        }
        let is_plain = |text: &str, others: &str| {
            text.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || others.as_bytes().contains(&byte))
        };
        if location.region.is_empty() || !is_plain(&location.region, "-") {
            return Err(ObjectStorageError::Region);
        }
        let bucket = &location.bucket;
        if !(3..=63).contains(&bucket.len())
            || !is_plain(bucket, ".-")
            || bucket.bytes().any(|byte| byte.is_ascii_uppercase())
            || bucket.starts_with('.')
        {
            return Err(ObjectStorageError::Bucket);
        }
        let prefix = location.prefix.trim_matches('/');
        let prefix = if prefix.is_empty() {
            String::new()
        } else if prefix.len() <= 512 && prefix.split('/').all(key::is_name) {
            format!("{prefix}/")
        } else {
            return Err(ObjectStorageError::Prefix);
        };
        let is_half =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_half(&access_key_id) || !is_half(secret_access_key.expose()) {
            return Err(ObjectStorageError::Key);
        }
        let location = Location {
            endpoint: endpoint.to_owned(),
            region: location.region.clone(),
            bucket: bucket.clone(),
            prefix,
        };
        Ok(Self { location, access_key_id, secret_access_key })
    }

    /// Where it is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    pub(crate) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(crate) const fn secret_access_key(&self) -> &Secret {
        &self.secret_access_key
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, ObjectStorage, ObjectStorageError, Secret};

    fn of(endpoint: &str, bucket: &str, prefix: &str) -> Result<String, ObjectStorageError> {
        let location = Location {
            endpoint: endpoint.to_owned(),
            region: "us-east-1".to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        let made = ObjectStorage::new(&location, "id".to_owned(), Secret::new("word".to_owned()))?;
        assert!(!format!("{made:?}").contains("word"), "a secret is not printed");
        let Location { endpoint, bucket, prefix, .. } = made.location;
        Ok(format!("{endpoint} {bucket} {prefix}"))
    }

    #[test]
    fn a_location_is_checked_and_written_in_one_way() {
        use ObjectStorageError::{Bucket, Endpoint, Prefix};
        for (endpoint, bucket, prefix, wanted) in [
            ("https://host/", "abc", "", Ok("https://host abc ")),
            ("http://[::1]:9000", "a.b-c", "/x/y/", Ok("http://[::1]:9000 a.b-c x/y/")),
            ("host", "abc", "", Err(Endpoint)),
            ("ftp://host", "abc", "", Err(Endpoint)),
            ("https://host/path", "abc", "", Err(Endpoint)),
            ("https://user:word@host", "abc", "", Err(Endpoint)),
            ("https://host", "ab", "", Err(Bucket)),
            ("https://host", "a/b", "", Err(Bucket)),
            ("https://host", "Abc", "", Err(Bucket)),
            ("https://host", "..a", "", Err(Bucket)),
            ("https://host", "abc", "x//y", Err(Prefix)),
            ("https://host", "abc", "x/../y", Err(Prefix)),
        ] {
            assert_eq!(of(endpoint, bucket, prefix), wanted.map(str::to_owned), "{endpoint}");
        }
    }
}
