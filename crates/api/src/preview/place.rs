//! Where a preview lives outside, where its application believes to live, and what has to be said differently there.

use std::num::NonZeroU16;

use http::Uri;

use super::target::{Target, parted};
use crate::address::Origin;

/// One preview's two addresses.
#[derive(Debug)]
pub(super) struct Place {
    scheme: String,
    authority: String,
    /// What stands before every path outside, without a slash at its end.
    prefix: String,
    port: NonZeroU16,
}

impl Place {
    pub(super) fn of(origin: &Origin, target: &Target) -> Self {
        let (scheme, rest) = origin.0.split_once("://").unwrap_or(("http", &origin.0));
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        Self {
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            prefix: format!("{path}{}", target.prefix),
            port: target.port,
        }
    }

    pub(super) fn scheme(&self) -> &str {
        &self.scheme
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.scheme == "https"
    }

    /// The application's own address, as it would call itself.
    pub(super) fn host_inside(&self) -> String {
        if self.port.get() == 80 {
            "localhost".to_owned()
        } else {
            format!("localhost:{}", self.port)
        }
    }

    /// Whether an `Origin` header says that a page of this server asks.
    pub(super) fn is_origin(&self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(scheme, authority)| {
            scheme.eq_ignore_ascii_case(&self.scheme)
                && authority.eq_ignore_ascii_case(&self.authority)
        })
    }

    /// A `Referer` as the application may see it: its own pages where it believes them to be, no token, and nothing of
    /// other pages of this server.
    pub(super) fn referer_inside(&self, referer: &str) -> Option<String> {
        let uri: Uri = referer.parse().ok()?;
        let authority = uri.authority()?.as_str();
        let query = uri.query().and_then(|query| parted(query).0);
        let query = query.map_or_else(String::new, |query| format!("?{query}"));
        if !authority.eq_ignore_ascii_case(&self.authority) {
            return Some(format!("{}://{authority}{}{query}", uri.scheme_str()?, uri.path()));
        }
        let path = uri.path().strip_prefix(&self.prefix)?;
        let is_own = path.is_empty() || path.starts_with('/');
        is_own.then(|| {
            let path = if path.is_empty() { "/" } else { path };
            format!("http://{}{path}{query}", self.host_inside())
        })
    }

    /// Where the application sends a client, if that has to be said differently outside: its own paths and addresses.
    pub(super) fn outside(&self, location: &str) -> Option<String> {
        let (is_named, rest) = match location.split_once("//") {
            Some((scheme, rest)) if is_web(scheme) => {
                let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
                let (authority, path) = rest.split_at(end);
                let is_outside = authority.eq_ignore_ascii_case(&self.authority);
                if !is_outside && !self.is_inside(authority) {
                    return None;
                }
                (true, path)
            }
            _ if location.starts_with('/') => (false, location),
            _ => return None,
        };
        if self.has_prefix(rest) {
            return is_named.then(|| rest.to_owned());
        }
        let slash = if rest.starts_with('/') { "" } else { "/" };
        Some(format!("{}{slash}{rest}", self.prefix))
    }

    /// A cookie's path outside; `None` for what browsers would not take for a path.
    pub(super) fn cookie_path(&self, path: &str) -> Option<String> {
        let path = path.trim();
        if !path.starts_with('/') {
            return None;
        }
        Some(if self.has_prefix(path) { path.to_owned() } else { format!("{}{path}", self.prefix) })
    }

    fn has_prefix(&self, path: &str) -> bool {
        path.strip_prefix(&self.prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }

    fn is_inside(&self, authority: &str) -> bool {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (authority, Some(80)),
        };
        let is_own = ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"]
            .iter()
            .any(|own| host.eq_ignore_ascii_case(own));
        is_own && port == Some(self.port.get())
    }
}

/// Whether what stands before two slashes makes an address of the web: `http:`, `https:`, or nothing.
fn is_web(scheme: &str) -> bool {
    ["", "http:", "https:"].iter().any(|web| scheme.eq_ignore_ascii_case(web))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "/pit/toolbox/abababab-abab-4bab-abab-abababababab/proxy/3000";

    fn place() -> Place {
        let uri = "/toolbox/abababab-abab-4bab-abab-abababababab/proxy/3000/".parse().unwrap();
        let target = Target::of(&uri).unwrap().unwrap();
        Place::of(&Origin("https://pit.example/pit".to_owned()), &target)
    }

    #[test]
    fn where_an_application_sends_to_itself_is_said_as_it_is_outside() {
        for (location, wanted) in [
            ("/login", Some("/login")),
            ("/", Some("/")),
            ("/?a=1#b", Some("/?a=1#b")),
            ("http://localhost:3000/login", Some("/login")),
            ("http://127.0.0.1:3000", Some("/")),
            ("http://[::1]:3000/x", Some("/x")),
            ("HTTP://LOCALHOST:3000/x", Some("/x")),
            ("//localhost:3000/x", Some("/x")),
            ("https://pit.example/x?y", Some("/x?y")),
            ("https://pit.example?y", Some("/?y")),
            // Browsers take it for the name of a host; here it is none.
            ("/\\evil.example", Some("/\\evil.example")),
            ("login", None),
            ("?a=//b", None),
            ("http://localhost:3001/x", None),
            ("http://localhost/x", None),
            ("http://localhost:3000@evil.example/", None),
            ("https://evil.example/x", None),
            ("//evil.example/x", None),
            ("mailto:x@y", None),
        ] {
            let wanted = wanted.map(|path| format!("{PREFIX}{path}"));
            assert_eq!(place().outside(location), wanted, "{location}");
        }
        assert_eq!(place().outside(&format!("{PREFIX}/x")), None);
        let named = format!("http://localhost:3000{PREFIX}/x");
        assert_eq!(place().outside(&named), Some(format!("{PREFIX}/x")));
        let longer = format!("{PREFIX}0/x");
        assert_eq!(place().outside(&longer), Some(format!("{PREFIX}{PREFIX}0/x")));
    }

    #[test]
    fn a_referer_shows_the_applications_own_pages_and_no_token() {
        let own = format!("https://pit.example{PREFIX}");
        for (referer, wanted) in [
            (format!("{own}/a?b=1"), Some("http://localhost:3000/a?b=1")),
            (own.clone(), Some("http://localhost:3000/")),
            (format!("{own}/a?DAYTONA_SANDBOX_AUTH_KEY=s"), Some("http://localhost:3000/a")),
            (format!("{own}0/a"), None),
            ("https://pit.example/pit/toolbox/other/proxy/1/?x".to_owned(), None),
            (
                "https://else.example/?q&DAYTONA_SANDBOX_AUTH_KEY=s".to_owned(),
                Some("https://else.example/?q"),
            ),
            ("nonsense".to_owned(), None),
        ] {
            assert_eq!(place().referer_inside(&referer).as_deref(), wanted, "{referer}");
        }
    }
}
