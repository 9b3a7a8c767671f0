//! What a sandbox may reach.

/// A sandbox's egress policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkPolicy {
    /// The internet through the uplink, if there is one; never the host, other sandboxes or private ranges.
    Open,
    /// Nothing but its own loopback: no link, no names.
    Blocked,
}
