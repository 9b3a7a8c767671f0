//! The router namespace, a sandbox's link and addresses, egress policy and the resolver.
//!
//! A [`Router`] is the network of one state folder. It gives every sandbox a namespace with a link of its own and lets
//! it reach the public internet through an optional uplink, and nothing else: not the host, not another sandbox, not
//! a private range unless the operator opened it. It knows neither sandboxes nor processes: who enters a namespace,
//! and which slot belongs to whom, is its caller's business.
#![forbid(unsafe_code)]

mod config;
mod egress;
mod firewall;
mod link;
mod netlink;
#[cfg(test)]
mod privileged;
mod resident;
mod resolver;
mod router;
mod subnet;
mod sysctl;
mod uplink;

pub use config::{RouterConfig, RouterName, RouterNameError, Uplink, Upstreams};
pub use firewall::{FirewallError, forwarding_obstacles, nft_version};
pub use ipnet::Ipv4Net;
pub use link::{Link, LinkError};
pub use netlink::NetlinkError;
pub use resident::{ResidentError, ResidentGone};
pub use resolver::ResolverError;
pub use router::{CloseRouterError, OpenRouterError, Router};
pub use subnet::{SlotRangeError, Subnet, SubnetSizeError};
pub use sysctl::SettingError;
pub use uplink::UplinkError;
