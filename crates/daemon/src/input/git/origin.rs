//! The server in an address.

/// The longest name of a server.
const MAX_HOST: usize = 255;

/// `https://host:port` of an address of HTTP, without whoever is named before the host; `None` of anything else.
///
/// What it gives can stand in the name of a git setting.
#[must_use]
pub fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(&*scheme, "http" | "https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
    let is_plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
    };
    let is_host = (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(is_plain);
    is_host.then(|| format!("{scheme}://{}", host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn only_the_server_is_left_of_an_address() {
        for (url, wanted) in [
            ("https://github.com/a/b.git", Some("https://github.com")),
            ("HTTP://Bob:pass@Host:8080/a@b", Some("http://host:8080")),
            ("https://a@b@evil.example/x", Some("https://evil.example")),
            ("https://[::1]:3000?x@y", Some("https://[::1]:3000")),
            ("https://good.example\\@evil.example/", Some("https://evil.example")),
            ("https://good.example#@evil.example/", Some("https://good.example")),
            ("https:///a", None),
            ("https://a=b/", None),
            ("https://a b/", None),
            ("https://a\n/", None),
            ("https://*.example/", None),
            ("ssh://git@host/a", None),
            ("git@host:a/b", None),
            ("/srv/git", None),
            ("ext::sh -c x", None),
        ] {
            assert_eq!(origin(url).as_deref(), wanted, "{url}");
        }
    }
}
