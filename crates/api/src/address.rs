//! Under which address a client reaches this server.

use axum::extract::FromRequestParts;
use http::header::{HOST, HeaderMap};
use http::request::Parts;
use http::uri::{Authority, Uri};

use crate::refusal::Refusal;
use crate::state::State;

/// The server's address as the operator gave it: scheme, host, perhaps a path; no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// A text that is no address of a server. The text is not repeated: a password may be in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not of the form http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")]
pub struct PublicUrlError;

impl PublicUrl {
    /// Takes `http` and `https` addresses without user name, query and fragment.
    ///
    /// # Errors
    ///
    /// [`PublicUrlError`] shows the form.
    pub fn new(text: &str) -> Result<Self, PublicUrlError> {
        let Ok(uri) = text.parse::<Uri>() else { return Err(PublicUrlError) };
        let scheme = uri.scheme_str().filter(|s| matches!(*s, "http" | "https"));
        let authority = uri.authority().filter(|a| is_plain(a.as_str()));
        match (scheme, authority, uri.query(), text.contains('#')) {
            (Some(scheme), Some(authority), None, false) => {
                Ok(Self(format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/'))))
            }
            _ => Err(PublicUrlError),
        }
    }

    /// The address without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The server's address as one client reaches it, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) String);

impl Origin {
    /// The operator's word, else what the client put into `Host`, if that is a host and nothing more.
    pub(crate) fn of(public_url: Option<&PublicUrl>, headers: &HeaderMap) -> Option<Self> {
        if let Some(url) = public_url {
            return Some(Self(url.as_str().to_owned()));
        }
        let mut hosts = headers.get_all(HOST).iter();
        // Of two, one program would believe the first and the next program the second.
        let (host, None) = (hosts.next()?, hosts.next()) else { return None };
        let host = host.to_str().ok()?;
        is_plain(host).then(|| Self(format!("http://{host}")))
    }

    /// Where toolboxes live.
    pub(crate) fn toolbox(&self) -> String {
        format!("{}/toolbox", self.0)
    }
}

fn is_plain(host: &str) -> bool {
    host.len() <= 261
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
        && host.parse::<Authority>().is_ok_and(|authority| !authority.host().is_empty())
}

impl FromRequestParts<State> for Origin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        Self::of(state.settings().public_url.as_ref(), &parts.headers)
            .ok_or_else(|| Refusal::bad_request("the Host header is missing or not valid"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_address_is_taken_without_its_last_slash() {
        for (text, wanted) in [
            ("http://h", Some("http://h")),
            ("https://h:8443/", Some("https://h:8443")),
            ("https://h/pit/", Some("https://h/pit")),
            ("http://[::1]:3986", Some("http://[::1]:3986")),
            ("ftp://h", None),
            ("h:80", None),
            ("http://u@h", None),
            ("http://h/?q", None),
            ("http://h/#f", None),
            ("", None),
        ] {
            assert_eq!(PublicUrl::new(text).ok().as_ref().map(PublicUrl::as_str), wanted, "{text}");
        }
    }

    #[test]
    fn a_host_header_that_is_more_than_a_host_is_not_repeated_to_anybody() {
        for (host, wanted) in [
            ("127.0.0.1:3986", Some("http://127.0.0.1:3986/toolbox")),
            ("[::1]:3986", Some("http://[::1]:3986/toolbox")),
            ("pit.example", Some("http://pit.example/toolbox")),
            ("evil.example/x", None),
            ("a@b", None),
            ("a b", None),
            ("a:b:c", None),
            ("", None),
            (":80", None),
        ] {
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            let toolbox = Origin::of(None, &headers).map(|origin| origin.toolbox());
            assert_eq!(toolbox.as_deref(), wanted, "{host}");
        }
        assert_eq!(Origin::of(None, &HeaderMap::new()), None);
        let host = |name: &'static str| (HOST, http::HeaderValue::from_static(name));
        let twice: HeaderMap = [host("a.example"), host("b.example")].into_iter().collect();
        assert_eq!(twice.get_all(HOST).iter().count(), 2);
        assert_eq!(Origin::of(None, &twice), None);
    }

    #[test]
    fn where_the_operator_gave_an_address_no_host_header_is_repeated() {
        let url = PublicUrl::new("https://pit.example").unwrap();
        let headers = HeaderMap::from_iter([(HOST, "evil.example".parse().unwrap())]);
        let origin = Origin::of(Some(&url), &headers);
        assert_eq!(origin, Some(Origin("https://pit.example".to_owned())));
    }
}
