//! A router: the namespace in which the links of one state folder's sandboxes meet.
//!
//! ```text
//! sandbox ── eth0 ═ veth ═ pl5.101 ──┐
//! sandbox ── eth0 ═ veth ═ pl6.102 ──┤ router ── uplink ═ veth ═ pl-NAME ── far namespace ── world
//!                                    └ resolver
//! ```
//!
//! The namespace is the kernel's, not this process's: it lives on, with every link in it, while somebody (the
//! launcher) is in it or holds it, and a server that starts again adopts it. Names do not resolve in between.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use pitlane_sys::{SyscallError, current_network_namespace};

use crate::config::{RouterConfig, RouterName, Uplink};
use crate::egress::Egress;
use crate::firewall::{self, FirewallError};
use crate::link::{self, FIRST_INDEX, Link, LinkError};
use crate::netlink::{Batch, NetlinkError};
use crate::resident::{Resident, ResidentError, ResidentGone, Residents, new_namespace};
use crate::resolver::{Resolver, ResolverError};
use crate::subnet::Subnet;
use crate::sysctl::{self, SettingError};
use crate::uplink::{self, UplinkError};

const LOOPBACK_INDEX: u32 = 1;

/// A router in force.
///
/// Dropping it ends its threads and its resolver and leaves the namespace to whoever holds it, so that sandboxes keep
/// their links over a restart; [`Router::close`] takes everything away.
#[derive(Debug)]
pub struct Router {
    namespace: Arc<OwnedFd>,
    subnet: Subnet,
    name: RouterName,
    inside: Residents,
    far: Option<Arc<Residents>>,
    indices: Arc<AtomicU32>,
    resolver: Resolver,
}

/// Why there is no router.
#[derive(Debug, thiserror::Error)]
pub enum OpenRouterError {
    /// A namespace could not be made or entered.
    #[error("cannot open the router's network namespace")]
    Namespace(#[source] ResidentError),
    /// The uplink's far namespace could not be entered.
    #[error("cannot open the uplink's far namespace")]
    FarNamespace(#[source] ResidentError),
    /// The namespace of this process cannot be had.
    #[error("cannot find the host's network namespace")]
    Host(#[source] SyscallError),
    /// A setting of the router cannot be written.
    #[error("cannot prepare the router")]
    Setting(#[source] SettingError),
    /// The router that was to be adopted has another subnet, from which sandboxes have their addresses. Keep to it
    /// until they are gone.
    #[error(
        "the router's gateway is {found} and cannot become that of {subnet} while its sandboxes run"
    )]
    SubnetChanged {
        /// The gateway that it has.
        found: Ipv4Addr,
        /// The subnet that was asked for.
        subnet: Subnet,
    },
    /// The kernel refused an address.
    #[error("cannot give the router its address")]
    Netlink(#[source] NetlinkError),
    /// The packet filter is not in force.
    #[error("cannot filter the router's traffic")]
    Firewall(#[source] FirewallError),
    /// There is no way out, though one was asked for.
    #[error("cannot connect the router")]
    Uplink(#[source] UplinkError),
    /// The resolver cannot listen.
    #[error("cannot start the resolver")]
    Resolver(#[source] ResolverError),
    /// The router's threads ended.
    #[error(transparent)]
    Gone(#[from] ResidentGone),
}

/// What could not be taken away.
#[derive(Debug, thiserror::Error)]
pub enum CloseRouterError {
    /// The far namespace still has the uplink or its rules.
    #[error("cannot take the uplink away")]
    Uplink(#[source] UplinkError),
}

impl Router {
    /// Makes a router in a namespace of its own.
    ///
    /// # Errors
    ///
    /// As [`OpenRouterError`] says. What was made is gone again, but for the far end of an uplink that could not be
    /// completed: the next router of that name replaces it.
    pub async fn create(config: RouterConfig) -> Result<Self, OpenRouterError> {
        let namespace = new_namespace().await.map_err(OpenRouterError::Namespace)?;
        Self::adopt(namespace, config).await
    }

    /// Takes over a router that an earlier server made, or makes one in a namespace that is new.
    ///
    /// Links are left as they are; rules, addresses and the uplink are put in order.
    ///
    /// # Errors
    ///
    /// As [`OpenRouterError`] says. Sandboxes may be without a way out then.
    pub async fn adopt(namespace: OwnedFd, config: RouterConfig) -> Result<Self, OpenRouterError> {
        let namespace = Arc::new(namespace);
        // Making a link is mostly waiting for the kernel's one lock, so a few threads are all that helps.
        let inside = Residents::settle("pitlane-links", &namespace, 2)
            .await
            .map_err(OpenRouterError::Namespace)?;
        let egress = Egress::new(config.subnet, &config.allow_private);
        let rules = firewall::router_rules(&egress);
        let subnet = config.subnet;
        let next = inside.run(move |router| prepare(router, subnet, &rules)).await??;

        let far = match far_namespace(config.uplink)? {
            None => None,
            Some(namespace) => {
                let namespace = Arc::new(namespace);
                let far = Residents::settle("pitlane-far", &namespace, 1)
                    .await
                    .map_err(OpenRouterError::FarNamespace)?;
                uplink::connect(&inside, &far, &namespace, &config.name, &egress)
                    .await
                    .map_err(OpenRouterError::Uplink)?;
                Some(Arc::new(far))
            }
        };
        let resolver = Resolver::start(&inside, far.clone(), egress, config.upstreams)
            .await
            .map_err(OpenRouterError::Resolver)?;
        Ok(Self {
            namespace,
            subnet,
            name: config.name,
            inside,
            far,
            indices: Arc::new(AtomicU32::new(next)),
            resolver,
        })
    }

    /// The router's namespace. Whoever holds it or is in it keeps the router alive.
    #[must_use]
    pub fn namespace(&self) -> BorrowedFd<'_> {
        self.namespace.as_fd()
    }

    /// Where sandboxes get their addresses from.
    #[must_use]
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// Makes a network namespace that is linked to the router.
    ///
    /// A slot is one sandbox's at a time: a second link to it takes the traffic from the first. If the future is
    /// dropped no link is left.
    ///
    /// # Errors
    ///
    /// As [`LinkError`] says. Nothing is left of the link then.
    pub async fn link(&self, slot: u32) -> Result<Link, LinkError> {
        let subnet = self.subnet;
        let indices = Arc::clone(&self.indices);
        self.inside
            .run(move |router| link::link(router, subnet, slot, &indices))
            .await
            .map_err(LinkError::Closed)?
    }

    /// Links a sandbox's namespace whose link is gone, since the router that it led to is.
    ///
    /// # Errors
    ///
    /// As [`LinkError`] says; a namespace that still has a link is refused. Nothing is left of the new link then.
    pub async fn relink(&self, slot: u32, namespace: OwnedFd) -> Result<(), LinkError> {
        let subnet = self.subnet;
        let indices = Arc::clone(&self.indices);
        self.inside
            .run(move |router| link::relink(router, namespace, subnet, slot, &indices).map(drop))
            .await
            .map_err(LinkError::Closed)?
    }

    /// Makes a network namespace that has nothing but its loopback.
    ///
    /// # Errors
    ///
    /// As [`LinkError`] says.
    pub async fn isolated(&self) -> Result<OwnedFd, LinkError> {
        self.inside.run(link::isolate).await.map_err(LinkError::Closed)?
    }

    /// Ends the resolver and takes the uplink and its rules away. The namespace goes when nobody holds it any more.
    ///
    /// # Errors
    ///
    /// As [`CloseRouterError`] says; the rest is gone.
    pub async fn close(self) -> Result<(), CloseRouterError> {
        self.resolver.stop().await;
        let disconnected = match &self.far {
            Some(far) => uplink::disconnect(far, &self.name).await,
            None => Ok(()),
        };
        if let Some(far) = self.far.and_then(Arc::into_inner) {
            far.end().await;
        }
        self.inside.end().await;
        disconnected.map_err(CloseRouterError::Uplink)
    }
}

/// Puts the router's own namespace in order and answers the first index that no link has.
fn prepare(router: &mut Resident, subnet: Subnet, rules: &str) -> Result<u32, OpenRouterError> {
    check_gateway(router, subnet)?;
    sysctl::write("ipv4/conf/all/rp_filter", "1")
        .and_then(|()| sysctl::write("ipv4/conf/default/rp_filter", "1"))
        .and_then(|()| sysctl::write_if_present("ipv6/conf/all/disable_ipv6", "1"))
        .and_then(|()| sysctl::write_if_present("ipv6/conf/default/disable_ipv6", "1"))
        // A refusal that is not told makes a program wait; sandboxes can only fill their own queue with them.
        .and_then(|()| sysctl::write("ipv4/icmp_ratelimit", "0"))
        .map_err(OpenRouterError::Setting)?;
    // The filter comes before forwarding does.
    firewall::load(rules).map_err(OpenRouterError::Firewall)?;
    sysctl::write("ipv4/ip_forward", "1").map_err(OpenRouterError::Setting)?;
    router
        .netlink
        .execute(Batch::default().set_up(LOOPBACK_INDEX).add_address(
            LOOPBACK_INDEX,
            subnet.gateway(),
            32,
        ))
        .map_err(OpenRouterError::Netlink)?;
    let links = router.netlink.links().map_err(OpenRouterError::Netlink)?;
    let last = links.iter().map(|link| link.index).max().unwrap_or(0);
    Ok(last.saturating_sub(FIRST_INDEX - 1))
}

/// Refuses a router whose sandboxes have their addresses from another subnet.
fn check_gateway(router: &mut Resident, subnet: Subnet) -> Result<(), OpenRouterError> {
    let addresses = router.netlink.addresses().map_err(OpenRouterError::Netlink)?;
    let other = addresses.into_iter().find(|found| {
        found.link == LOOPBACK_INDEX
            && !found.address.is_loopback()
            && found.address != subnet.gateway()
    });
    match other {
        Some(found) => Err(OpenRouterError::SubnetChanged { found: found.address, subnet }),
        None => Ok(()),
    }
}

fn far_namespace(uplink: Uplink) -> Result<Option<OwnedFd>, OpenRouterError> {
    match uplink {
        Uplink::None => Ok(None),
        Uplink::Namespace(namespace) => Ok(Some(namespace)),
        // Only resident threads are ever elsewhere, and this is none.
        Uplink::Host => current_network_namespace().map(Some).map_err(OpenRouterError::Host),
    }
}
