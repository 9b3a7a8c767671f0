//! Where a server is and what proves who we are.

use std::fmt;

use http::Uri;
use http::uri::Scheme;

/// An API key. Its text is in no debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// A server and a key for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    key: Key,
}

/// Why an address or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("{url:?} is not a URL")]
    Url {
        /// The text as given.
        url: String,
        /// What is wrong with it.
        #[source]
        cause: http::uri::InvalidUri,
    },
    /// It is a URL of another kind.
    #[error("{url:?} is not an http:// or https:// URL with a host and no query")]
    Kind {
        /// The text as given.
        url: String,
    },
    /// It has a user name or a password in it, and is therefore not repeated.
    #[error("the address of an API must have no user name or password in it")]
    User,
    /// The key cannot be sent in a header.
    #[error("the API key is empty or has characters that no key has")]
    Key,
}

impl Key {
    /// Takes a key's text, without the white space around it.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Key`]: it is empty or not printable ASCII.
    pub fn new(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(EndpointError::Key);
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Endpoint {
    /// Takes the address of a server's API, such as `http://127.0.0.1:3986/api`.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Url`], [`EndpointError::Kind`], [`EndpointError::User`]: give another address.
    pub fn new(url: &str, key: Key) -> Result<Self, EndpointError> {
        Self::check_url(url).map(|url| Self { url: url.to_owned(), key })
    }

    /// The address as [`Self::new`] takes it, before there is a key.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    pub fn check_url(url: &str) -> Result<&str, EndpointError> {
        let url = url.trim().trim_end_matches('/');
        if url.contains('@') {
            return Err(EndpointError::User);
        }
        let parsed: Uri =
            url.parse().map_err(|cause| EndpointError::Url { url: url.to_owned(), cause })?;
        let is_usable = matches!(parsed.scheme_str(), Some("http" | "https"))
            && parsed.host().is_some_and(|host| !host.is_empty())
            && parsed.query().is_none();
        if !is_usable {
            return Err(EndpointError::Kind { url: url.to_owned() });
        }
        Ok(url)
    }

    /// The address, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same server with another key.
    pub(crate) fn with_key(&self, key: Key) -> Self {
        Self { url: self.url.clone(), key }
    }

    pub(crate) const fn key(&self) -> &Key {
        &self.key
    }

    /// Whether what is sent cannot be read on the way.
    pub(crate) fn is_encrypted(&self) -> bool {
        is_encrypted(&self.url)
    }
}

/// Whether what is sent to `url` cannot be read on the way.
pub(crate) fn is_encrypted(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| uri.scheme() == Some(&Scheme::HTTPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str) -> Result<Endpoint, EndpointError> {
        Endpoint::new(url, Key::new("dtn_x").unwrap())
    }

    #[test]
    fn a_slash_at_the_end_makes_no_difference() {
        assert_eq!(endpoint("http://h:1/api/").unwrap(), endpoint(" http://h:1/api\n").unwrap());
    }

    #[test]
    fn other_addresses_are_refused() {
        for url in ["", "h", "/api", "ftp://h/api", "http://", "http://h/api?x=1", "http://h h/"] {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_key_is_trimmed_and_never_shown() {
        assert_eq!(format!("{:?}", Key::new(" dtn_secret\n").unwrap()), "Key(…)");
        for text in ["", " ", "a\nb", "schlüssel"] {
            assert!(Key::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        for url in ["https://bob:hunter2@host/api", "https://bob:hunter2@a b", "bob:hunter2@host"] {
            let error = endpoint(url).unwrap_err();
            assert_eq!(error.to_string(), EndpointError::User.to_string());
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
