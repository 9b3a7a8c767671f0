//! A proxy, through which registries are asked that are not the operator's own.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

/// A proxy that makes tunnels (`CONNECT`).
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) address: Uri,
    /// What it is shown.
    pub(crate) authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Proxy {
    /// Reads `http://[USER:PASSWORD@]HOST[:PORT]`; `None` if it is something else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let given: Uri = text.parse().ok()?;
        let is_whole = given.scheme_str() == Some("http") && matches!(given.path(), "" | "/");
        let authority = given.authority().filter(|_| is_whole)?;
        let (login, place) = match authority.as_str().rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority.as_str()),
        };
        let address: Uri = format!("http://{place}/").parse().ok()?;
        address.host().filter(|host| !host.is_empty())?;
        let authorization = login.map(|login| {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            let plain = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
            let encoded = STANDARD.encode([plain(user), b":".to_vec(), plain(password)].concat());
            let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        match authorization {
            Some(None) => None,
            other => Some(Self { address, authorization: other.flatten() }),
        }
    }
}

/// Whether a registry is among those that are asked directly: `registry.example`, `.example`, `example:5000` or `*`.
pub(crate) fn is_excepted(exceptions: &[String], authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
    exceptions.iter().any(|exception| {
        let name = exception.trim_start_matches("*.").trim_start_matches('.');
        let below = host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        exception == "*" || authority == exception || host == name || below
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_address_and_perhaps_a_login() {
        let proxy = Proxy::read("http://proxy.example:3128").unwrap();
        assert_eq!(proxy.address.to_string(), "http://proxy.example:3128/");
        assert_eq!(proxy.authorization, None);
        let known = Proxy::read("http://me:w%40rd@10.0.0.1:8080/").unwrap();
        assert_eq!(known.address.to_string(), "http://10.0.0.1:8080/");
        let shown = known.authorization.as_ref().unwrap().to_str().unwrap();
        assert_eq!(shown, format!("Basic {}", STANDARD.encode("me:w@rd")));
        assert!(!format!("{known:?}").contains("w@rd"));
        for text in ["", "proxy", "https://a", "socks5://a", "http://a/path", "http://"] {
            assert_eq!(Proxy::read(text), None, "{text}");
        }
    }

    #[test]
    fn exceptions_are_hosts_and_what_is_below_them() {
        let exceptions = ["inner.example", ".below.example", "a.example:5000"].map(String::from);
        for (authority, wanted) in [
            ("inner.example", true),
            ("inner.example:5000", true),
            ("x.inner.example", true),
            ("notinner.example", false),
            ("x.below.example", true),
            ("a.example:5000", true),
            ("a.example", false),
            ("example", false),
        ] {
            assert_eq!(is_excepted(&exceptions, authority), wanted, "{authority}");
        }
        assert!(is_excepted(&["*".to_owned()], "a.example"));
    }
}
