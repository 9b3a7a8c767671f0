//! Where a registry is, as people write it: `https://registry.example:5000/`, `ghcr.io`, `https://index.docker.io/v1/`.

use pitlane_model::ImageReference;

/// The longest one.
const MAX_BYTES: usize = 512;

/// Names under which the usual registry is known.
const USUAL: [&str; 5] = [
    "docker.io",
    "index.docker.io",
    "registry-1.docker.io",
    "registry.hub.docker.com",
    "hub.docker.com",
];

/// A registry's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// As names of images in full have it.
    pub(super) host: String,
    /// Whether it is to be asked with encryption.
    pub(super) is_encrypted: bool,
}

impl Address {
    /// Reads one; `None` if it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let (is_encrypted, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) => return None,
            None => (true, text),
        };
        // Docker's own tools write the version of the protocol behind it. Other paths belong to a project.
        let rest = rest.trim_end_matches('/');
        let rest = ["/v1", "/v2"].iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest);
        let host = rest.to_ascii_lowercase();
        let usual_port = if is_encrypted { ":443" } else { ":80" };
        let host = host.strip_suffix(usual_port).unwrap_or(&host);
        if USUAL.contains(&host) {
            return Some(Self { host: ImageReference::USUAL_REGISTRY.to_owned(), is_encrypted });
        }
        // The parser of names knows what a registry is.
        let named: ImageReference = format!("{host}/x").parse().ok()?;
        (named.registry() == Some(host) && !named.is_own())
            .then(|| Self { host: host.to_owned(), is_encrypted })
    }
}

/// Reads what paths of images begin with: parts of names, or nothing; `None` if it is none.
pub(super) fn project(text: &str) -> Option<String> {
    let text = text.trim_matches('/');
    if text.is_empty() {
        return Some(String::new());
    }
    let named: ImageReference = format!("registry.example/{text}").parse().ok()?;
    (named.path() == text && named.tag().is_none() && named.digest().is_none())
        .then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let read = |text: &str| Address::read(text).map(|it| (it.host, it.is_encrypted));
        for (text, host, is_encrypted) in [
            ("ghcr.io", "ghcr.io", true),
            ("https://Registry.Example:5000/", "registry.example:5000", true),
            ("http://registry.example:5000", "registry.example:5000", false),
            ("https://index.docker.io/v1/", "docker.io", true),
            ("https://registry.hub.docker.com", "docker.io", true),
            ("https://a.example:443/v2/", "a.example", true),
            ("127.0.0.1:5000", "127.0.0.1:5000", true),
            ("localhost:5000", "localhost:5000", true),
        ] {
            assert_eq!(read(text), Some((host.to_owned(), is_encrypted)), "{text}");
        }
        for text in [
            "",
            "word",
            "ftp://a.example",
            "https://user:word@a.example",
            "https://a.example/team",
            "a.example?x=1",
            "a.example#x",
            "a b.example",
            "a.example:99999",
            "pitlane.invalid",
            "https://",
            &"a.".repeat(300),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn projects_are_beginnings_of_paths() {
        assert_eq!(project("").as_deref(), Some(""));
        assert_eq!(project("/team/app/").as_deref(), Some("team/app"));
        for text in ["Team", "a:1", "a@b", "..", "a b", "a//b"] {
            assert_eq!(project(text), None, "{text}");
        }
    }
}
