//! How callers name images: `python:3.12-slim`, `registry.example/team/app@sha256:…`, or what this machine calls one.

use std::fmt;
use std::str::FromStr;

use crate::ImageName;

/// What names an image, in the words that Docker made common: a registry if it is not the usual one, a path, a tag or a
/// digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: Option<String>,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// A text that names no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageReferenceError {
    /// It is empty, or longer than any name.
    #[error("the name of an image has 1 to {} characters", ImageReference::MAX_BYTES)]
    Length,
    /// The registry is no host name with an optional port.
    #[error("the registry in the name of an image is a host name and an optional port")]
    Registry,
    /// The path has other characters than it may.
    #[error(
        "the path in the name of an image has parts of small letters, digits, dots, underscores and dashes"
    )]
    Path,
    /// The tag has other characters than it may.
    #[error("the tag of an image has 1 to 128 letters, digits, dots, underscores and dashes")]
    Tag,
    /// The digest is none of SHA-256.
    #[error("the digest of an image is sha256: and 64 hexadecimal digits")]
    Digest,
}

impl ImageReference {
    /// The longest one.
    pub const MAX_BYTES: usize = 512;
    /// The registry of names that have none.
    pub const USUAL_REGISTRY: &'static str = "docker.io";
    /// The tag of names that have neither tag nor digest.
    pub const USUAL_TAG: &'static str = "latest";

    /// The registry of images that were made on this machine; no machine can have a name that ends like it.
    const OWN_REGISTRY: &'static str = "pitlane.invalid";

    /// The name of an image that this machine makes: of a snapshot, a build, a step of one. What is asked for by such a
    /// name is here or nowhere: no registry is asked for it. It decides who may use it whoever gives the name, so one
    /// that came from outside is refused by [`Self::is_own`].
    ///
    /// # Errors
    ///
    /// [`ImageReferenceError::Path`]: a part has other characters than small letters, digits, dots, underscores and
    /// dashes. [`ImageReferenceError::Length`]: they are too long.
    pub fn own(kind: &str, name: &str) -> Result<Self, ImageReferenceError> {
        format!("{}/{kind}/{name}:1", Self::OWN_REGISTRY).parse()
    }

    /// Whether it names an image that was made on this machine: see [`Self::own`].
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.registry().is_some_and(|registry| {
            let host = registry.split_once(':').map_or(registry, |(host, _port)| host);
            host.eq_ignore_ascii_case(Self::OWN_REGISTRY)
        })
    }

    /// The registry, if one is named.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The path in the registry, as it was written.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if one is named.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, `sha256:` and 64 digits, if one is named.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Whether it goes on to mean the same image, as far as tags do: it has a digest, or a tag other than `latest`.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.digest.is_some() || self.tag().is_some_and(|tag| tag != Self::USUAL_TAG)
    }

    /// The name by which this machine may know an image, if the reference is one word.
    #[must_use]
    pub fn local_name(&self) -> Option<ImageName> {
        if self.registry.is_some() || self.tag.is_some() || self.digest.is_some() {
            return None;
        }
        ImageName::new(self.path.as_str()).ok()
    }

    /// The same reference in full: with its registry, its whole path, and a tag unless it has a digest.
    #[must_use]
    pub fn in_full(&self) -> Self {
        let registry = self.registry.clone().unwrap_or_else(|| Self::USUAL_REGISTRY.to_owned());
        let is_usual = registry == Self::USUAL_REGISTRY;
        let path = match is_usual && !self.path.contains('/') {
            true => format!("library/{}", self.path),
            false => self.path.clone(),
        };
        let tag = match (&self.tag, &self.digest) {
            (None, None) => Some(Self::USUAL_TAG.to_owned()),
            (tag, _) => tag.clone(),
        };
        Self { registry: Some(registry), path, tag, digest: self.digest.clone() }
    }

    /// The same image by a digest and nothing else.
    ///
    /// # Errors
    ///
    /// [`ImageReferenceError::Digest`]: it is none.
    pub fn at_digest(&self, digest: &str) -> Result<Self, ImageReferenceError> {
        let digest = check_digest(digest)?;
        Ok(Self { tag: None, digest: Some(digest.to_owned()), ..self.clone() })
    }
}

impl FromStr for ImageReference {
    type Err = ImageReferenceError;

    fn from_str(text: &str) -> Result<Self, ImageReferenceError> {
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(ImageReferenceError::Length);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(check_digest(digest)?.to_owned())),
            None => (text, None),
        };
        let (registry, rest) = match rest.split_once('/') {
            Some((host, path)) if is_like_host(host) => {
                if !is_host(host) {
                    return Err(ImageReferenceError::Registry);
                }
                (Some(host.to_owned()), path)
            }
            _ => (None, rest),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) if is_tag(tag) => (path, Some(tag.to_owned())),
            Some(_) => return Err(ImageReferenceError::Tag),
            None => (rest, None),
        };
        if !path.split('/').all(is_path_part) {
            return Err(ImageReferenceError::Path);
        }
        Ok(Self { registry, path: path.to_owned(), tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(registry) = &self.registry {
            write!(f, "{registry}/")?;
        }
        f.write_str(&self.path)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

fn check_digest(digest: &str) -> Result<&str, ImageReferenceError> {
    let is_digest = digest.strip_prefix("sha256:").is_some_and(|digits| {
        digits.len() == 64
            && digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    });
    if is_digest { Ok(digest) } else { Err(ImageReferenceError::Digest) }
}

/// A first part with a dot or a colon, or the word `localhost`, is a registry and not a folder.
fn is_like_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    is_port && host.len() <= 253 && host.split('.').all(is_label)
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn is_path_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    part.bytes().next().is_some_and(is_word)
        && part.bytes().last().is_some_and(is_word)
        && part.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn full(text: &str) -> String {
        text.parse::<ImageReference>().unwrap().in_full().to_string()
    }

    #[test]
    fn names_mean_what_they_mean_to_docker() {
        assert_eq!(full("python:3.12-slim"), "docker.io/library/python:3.12-slim");
        assert_eq!(full("alpine"), "docker.io/library/alpine:latest");
        assert_eq!(full("grafana/grafana"), "docker.io/grafana/grafana:latest");
        assert_eq!(full("localhost/app:1"), "localhost/app:1");
        assert_eq!(full("localhost:5000/app"), "localhost:5000/app:latest");
        assert_eq!(full("10.0.0.1:80/a/b/c:x"), "10.0.0.1:80/a/b/c:x");
        assert_eq!(full(&format!("ghcr.io/a/b@{DIGEST}")), format!("ghcr.io/a/b@{DIGEST}"));
        assert_eq!(full(&format!("a:1@{DIGEST}")), format!("docker.io/library/a:1@{DIGEST}"));
    }

    #[test]
    fn a_name_is_written_as_it_was_read() {
        for text in ["python", "a/b:1", "localhost:5000/x_y.z-0:T-1", "registry.example/a"] {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        use ImageReferenceError as E;
        let refused = [
            ("", E::Length),
            ("Python", E::Path),
            ("a//b", E::Path),
            ("../etc", E::Registry),
            ("a/../b", E::Path),
            ("/etc/passwd", E::Path),
            ("a b", E::Path),
            ("a:", E::Tag),
            ("a:b c", E::Tag),
            ("a:b:c", E::Tag),
            ("a@sha256:12", E::Digest),
            ("a@md5:00", E::Digest),
            ("evil_host.example:99999/a", E::Registry),
            ("user@host.example/a", E::Digest),
            ("-a.example/b", E::Registry),
            ("a.example:0/b", E::Registry),
        ];
        for (text, wanted) in refused {
            assert_eq!(text.parse::<ImageReference>(), Err(wanted), "{text}");
        }
        let long = "a".repeat(513);
        assert_eq!(long.parse::<ImageReference>(), Err(E::Length));
    }

    #[test]
    fn only_one_word_can_name_an_image_of_this_machine() {
        let local = |text: &str| text.parse::<ImageReference>().unwrap().local_name();
        assert_eq!(local("default"), ImageName::new("default").ok());
        for text in ["default:1", "a/b", "localhost/a"] {
            assert_eq!(local(text), None, "{text}");
        }
    }

    #[test]
    fn what_was_made_here_is_known_by_its_name() {
        let own = ImageReference::own("snapshots", "6e0d").unwrap();
        assert_eq!(own.to_string(), "pitlane.invalid/snapshots/6e0d:1");
        assert!(own.is_own() && own.is_exact() && own.in_full().is_own());
        for text in ["PITLANE.invalid/a", "pitlane.invalid:80/a", "pitlane.invalid/a/b:2"] {
            assert!(text.parse::<ImageReference>().unwrap().is_own(), "{text}");
        }
        for text in ["pitlane/a", "not.pitlane.invalid/a", "a/pitlane.invalid"] {
            assert!(!text.parse::<ImageReference>().unwrap().is_own(), "{text}");
        }
        assert_eq!(ImageReference::own("a/..", "b"), Err(ImageReferenceError::Path));
    }

    #[test]
    fn latest_means_something_else_tomorrow() {
        let is_exact = |text: &str| text.parse::<ImageReference>().unwrap().is_exact();
        assert!(is_exact("a:1") && is_exact(&format!("a@{DIGEST}")));
        assert!(!is_exact("a") && !is_exact("a:latest"));
    }
}
