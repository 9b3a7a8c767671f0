//! What a router is made from.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use ipnet::Ipv4Net;

use crate::subnet::Subnet;

/// The longest name: with its prefix it names an interface, which has 15 bytes.
const MAX_NAME: usize = 12;

/// Everything a router is made from.
#[derive(Debug)]
pub struct RouterConfig {
    /// Tells this router's traces in the far namespace from other routers'.
    pub name: RouterName,
    /// Where sandboxes get their addresses from.
    pub subnet: Subnet,
    /// Ranges that are closed otherwise and that sandboxes may reach, by address and as answers of the resolver. The
    /// host's own addresses in them are reachable, too.
    pub allow_private: Vec<Ipv4Net>,
    /// The way out.
    pub uplink: Uplink,
    /// Whom the resolver asks, from the uplink's far namespace.
    pub upstreams: Upstreams,
}

/// The way from a router to the world.
#[derive(Debug)]
pub enum Uplink {
    /// None: every destination is unreachable and no name resolves.
    None,
    /// Through another network namespace, which must have a way out of its own.
    Namespace(OwnedFd),
    /// Through the network namespace of this process.
    Host,
}

/// The name servers that a resolver asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstreams {
    /// Those of a file like `/etc/resolv.conf`, read again when it changes.
    File(PathBuf),
    /// These, in order of preference.
    Fixed(Vec<SocketAddr>),
}

/// A router's name: 1 to 12 letters and digits, lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RouterName(String);

/// Text that is no router's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a router's name has 1 to 12 lower-case letters and digits, not {0:?}")]
pub struct RouterNameError(pub String);

impl RouterName {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// It is empty, too long, or has other characters.
    pub fn parse(text: &str) -> Result<Self, RouterNameError> {
        let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(RouterNameError(text.to_owned()))
        }
    }

    /// The interface at the uplink's far end.
    pub(crate) fn far_link(&self) -> String {
        format!("pl-{}", self.0)
    }

    /// The table of packet filters in the uplink's far namespace.
    pub(crate) fn far_table(&self) -> String {
        format!("pitlane_{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_into_an_interface_and_into_a_ruleset() {
        let taken = ["a", "0123456789ab", "", "0123456789abc", "A", "a-b", "a\"", "a b"]
            .map(|text| RouterName::parse(text).is_ok());
        assert_eq!(taken, [true, true, false, false, false, false, false, false]);
    }
}
