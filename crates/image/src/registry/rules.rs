//! What the operator says of registries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pitlane_model::ImageReference;

use super::address::is_public;
use super::proxy::{Proxy, is_excepted};

/// What forbids to ask somebody.
pub(crate) const NOT_PUBLIC: &str =
    "its address is not public, and the operator has not allowed it";
pub(crate) const NOT_ENCRYPTED: &str = "it would be asked without encryption";

/// Which registries may be asked in which way.
///
/// A registry is written as it stands in the names of images: a host, and a port where it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryRules {
    allowed: BTreeSet<String>,
    plain: BTreeSet<String>,
    mirrors: BTreeMap<String, Vec<String>>,
    proxy: Option<Proxy>,
    /// Who is asked directly all the same.
    exceptions: Vec<String>,
    /// How long a registry may say nothing.
    pub(crate) silence: Duration,
}

impl Default for RegistryRules {
    /// All public ones, encrypted; none may be silent for longer than 30 seconds.
    fn default() -> Self {
        Self {
            allowed: BTreeSet::new(),
            plain: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            proxy: None,
            exceptions: Vec::new(),
            silence: Duration::from_secs(30),
        }
    }
}

/// A rule that says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseRuleError {
    /// It is no host with an optional port.
    #[error("a registry is HOST or HOST:PORT")]
    Registry,
    /// It is no address of a proxy.
    #[error("a proxy is http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT")]
    Proxy,
    /// It does not say what mirrors what.
    #[error("a mirror is REGISTRY=HOST or REGISTRY=HOST:PORT")]
    Mirror,
}

/// Where one of a registry's own services is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Host and port.
    pub(crate) authority: String,
}

impl RegistryRules {
    /// Lets a registry be at an address that is not public.
    ///
    /// # Errors
    ///
    /// [`ParseRuleError::Registry`]: it is none.
    pub fn allow(&mut self, registry: &str) -> Result<(), ParseRuleError> {
        self.allowed.insert(check(registry)?);
        Ok(())
    }

    /// Lets a registry be asked without encryption, and be at an address that is not public.
    ///
    /// # Errors
    ///
    /// [`ParseRuleError::Registry`]: it is none.
    pub fn allow_plain(&mut self, registry: &str) -> Result<(), ParseRuleError> {
        let registry = check(registry)?;
        self.plain.insert(registry.clone());
        self.allowed.insert(registry);
        Ok(())
    }

    /// Has a mirror asked before a registry: `docker.io=mirror.example:5000`. It may be at an address that is not public.
    ///
    /// # Errors
    ///
    /// [`ParseRuleError`]: it is none.
    pub fn mirror(&mut self, rule: &str) -> Result<(), ParseRuleError> {
        let (registry, mirror) = rule.split_once('=').ok_or(ParseRuleError::Mirror)?;
        let (registry, mirror) = (check(registry)?, check(mirror)?);
        self.allowed.insert(mirror.clone());
        self.mirrors.entry(registry).or_default().push(mirror);
        Ok(())
    }

    /// Has registries asked through a proxy, `http://[USER:PASSWORD@]HOST:PORT`, that the operator has not named himself,
    /// as allowed ones, mirrors or exceptions.
    ///
    /// # Errors
    ///
    /// [`ParseRuleError::Proxy`]: it is none.
    pub fn through(&mut self, proxy: &str) -> Result<(), ParseRuleError> {
        self.proxy = Some(Proxy::read(proxy).ok_or(ParseRuleError::Proxy)?);
        Ok(())
    }

    /// Whether a proxy was named.
    #[must_use]
    pub const fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// Has a registry asked directly, and those below it: `registry.example`, `.example`, `*`.
    pub fn except(&mut self, host: &str) {
        self.exceptions.push(host.to_ascii_lowercase());
    }

    /// Through whom this is asked.
    pub(crate) fn proxy_for(&self, authority: &str) -> Option<&Proxy> {
        let is_direct = self.is_allowed(authority) || is_excepted(&self.exceptions, authority);
        self.proxy.as_ref().filter(|_| !is_direct)
    }

    /// Gives up a registry that says nothing for so long.
    #[must_use]
    pub const fn with_patience(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Whether this may be asked, as far as its name tells; the error is what forbids it.
    pub(crate) fn admits(&self, authority: &str, is_encrypted: bool) -> Result<(), &'static str> {
        if !is_encrypted && !self.is_plain(authority) {
            return Err(NOT_ENCRYPTED);
        }
        let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
        let is_inner = host == "localhost" || host.parse().is_ok_and(|literal| !is_public(literal));
        if is_inner && !self.is_allowed(authority) { Err(NOT_PUBLIC) } else { Ok(()) }
    }

    /// Whether this may be at an address that is not public.
    pub(crate) fn is_allowed(&self, authority: &str) -> bool {
        self.allowed.contains(authority)
    }

    /// Whether this may be asked without encryption.
    pub(crate) fn is_plain(&self, authority: &str) -> bool {
        self.plain.contains(authority)
    }

    /// Where a registry's images are, the place to ask first being the first.
    pub(crate) fn endpoints(&self, registry: &str) -> Vec<Endpoint> {
        let mirrors = self.mirrors.get(registry).into_iter().flatten().map(String::as_str);
        // The one registry whose images are elsewhere than its name says.
        let own = if registry == ImageReference::USUAL_REGISTRY {
            "registry-1.docker.io"
        } else {
            registry
        };
        mirrors.chain([own]).map(|authority| Endpoint { authority: authority.to_owned() }).collect()
    }
}

fn check(registry: &str) -> Result<String, ParseRuleError> {
    // The parser of names knows what a registry is; a name without a dot or a port needs one for that.
    let is_registry = |text: &str| {
        let named = format!("{text}/x").parse::<ImageReference>();
        named.is_ok_and(|named| named.registry() == Some(text))
    };
    if is_registry(registry) { Ok(registry.to_owned()) } else { Err(ParseRuleError::Registry) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_come_first_and_may_be_anywhere() {
        let mut rules = RegistryRules::default();
        rules.mirror("docker.io=mirror.example:5000").unwrap();
        rules.allow_plain("localhost:5001").unwrap();
        let authorities = |registry: &str| -> Vec<String> {
            rules.endpoints(registry).into_iter().map(|endpoint| endpoint.authority).collect()
        };
        assert_eq!(authorities("docker.io"), ["mirror.example:5000", "registry-1.docker.io"]);
        assert_eq!(authorities("ghcr.io"), ["ghcr.io"]);
        assert!(rules.is_allowed("mirror.example:5000") && !rules.is_plain("mirror.example:5000"));
        assert!(rules.is_allowed("localhost:5001") && rules.is_plain("localhost:5001"));
        assert!(!rules.is_allowed("localhost"));
    }

    #[test]
    fn registries_at_the_operators_own_addresses_are_admitted_when_they_are_allowed() {
        let mut rules = RegistryRules::default();
        for inner in ["127.0.0.1:5000", "10.0.0.1", "localhost:5000", "169.254.169.254"] {
            assert_eq!(rules.admits(inner, true), Err(NOT_PUBLIC), "{inner}");
            rules.allow(inner).unwrap_or(());
        }
        assert_eq!(rules.admits("127.0.0.1:5000", true), Ok(()));
        assert_eq!(rules.admits("ghcr.io", true), Ok(()));
        assert_eq!(rules.admits("ghcr.io", false), Err(NOT_ENCRYPTED));
        rules.allow_plain("localhost:5001").unwrap();
        assert_eq!(rules.admits("localhost:5001", false), Ok(()));
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        let mut rules = RegistryRules::default();
        for text in ["", "a b", "https://a.example", "a.example/path", "word", "a.example:x"] {
            assert_eq!(rules.allow(text), Err(ParseRuleError::Registry), "{text}");
        }
        assert_eq!(rules.mirror("docker.io"), Err(ParseRuleError::Mirror));
    }
}
