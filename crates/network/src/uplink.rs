//! The veth pair between a router and the namespace that leads on.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use crate::config::RouterName;
use crate::egress::Egress;
use crate::firewall::{self, FirewallError, UPLINK};
use crate::netlink::{Batch, End, Netlink, NetlinkError, Pair, Route, RouteFound};
use crate::resident::{ResidentGone, Residents};
use crate::subnet::Subnet;
use crate::sysctl::{self, SettingError};

/// Below the indices of links, so that none is ever in the way.
const UPLINK_INDEX: u32 = 0x10;

/// Why there is no uplink.
#[derive(Debug, thiserror::Error)]
pub enum UplinkError {
    /// The far namespace uses addresses of the subnet for something else. Choose another subnet.
    #[error(
        "the router's subnet {subnet} overlaps the route to {route} that is there already: choose another subnet"
    )]
    SubnetTaken {
        /// The subnet.
        subnet: Subnet,
        /// What is in the way, as address/prefix.
        route: String,
    },
    /// The kernel refused a part of the link.
    #[error("cannot make the uplink")]
    Netlink(#[source] NetlinkError),
    /// A setting cannot be written.
    #[error("cannot prepare the uplink's far namespace")]
    Setting(#[source] SettingError),
    /// The packet filter of the far namespace is not in force.
    #[error("cannot filter the uplink's far namespace")]
    Firewall(#[source] FirewallError),
    /// The threads of a namespace ended.
    #[error(transparent)]
    Gone(#[from] ResidentGone),
}

/// Connects a router to its far namespace, or repairs what is there.
pub(crate) async fn connect(
    router: &Residents,
    far: &Residents,
    far_namespace: &Arc<OwnedFd>,
    name: &RouterName,
    egress: &Egress,
) -> Result<(), UplinkError> {
    let subnet = egress.subnet();
    let link_name = name.far_link();
    let rules = firewall::far_rules(name, egress);
    let looked_for = link_name.clone();
    let found = far.run(move |far| check_far(&mut far.netlink, &looked_for, subnet)).await??;

    let is_whole = router.run(move |router| clear_near(&mut router.netlink, found)).await??;
    if !is_whole {
        if let Some(stale) = found {
            far.run(move |far| far.netlink.execute(Batch::default().delete_link(stale.index)))
                .await?
                .or_else(gone_already)
                .map_err(UplinkError::Netlink)?;
        }
        let namespace = Arc::clone(far_namespace);
        let made = link_name.clone();
        router.run(move |router| make_pair(&mut router.netlink, &namespace, &made)).await??;
    }
    let far_index = far
        .run(move |far| {
            firewall::load(&rules).map_err(UplinkError::Firewall)?;
            warn_of_obstacles(&link_name);
            set_up_far(&mut far.netlink, &link_name, subnet)
        })
        .await??;
    router.run(move |router| set_up_near(&mut router.netlink, subnet)).await??;
    far.run(move |far| far.netlink.wait_for_carrier(far_index)).await?.map_err(UplinkError::Netlink)
}

/// Takes the rules and the link out of the far namespace.
pub(crate) async fn disconnect(far: &Residents, name: &RouterName) -> Result<(), UplinkError> {
    let link_name = name.far_link();
    let rules = firewall::no_far_rules(name);
    far.run(move |far| {
        if let Some(link) = far.netlink.find_link(&link_name).map_err(UplinkError::Netlink)? {
            far.netlink
                .execute(Batch::default().delete_link(link.index))
                .map_err(UplinkError::Netlink)?;
        }
        firewall::load(&rules).map_err(UplinkError::Firewall)
    })
    .await?
}

/// An uplink of before, as the far namespace knows it.
#[derive(Debug, Clone, Copy)]
struct FarEnd {
    index: u32,
    peer: Option<u32>,
}

/// Looks for an uplink of before, and refuses a subnet that is in use by anything else.
fn check_far(far: &mut Netlink, name: &str, subnet: Subnet) -> Result<Option<FarEnd>, UplinkError> {
    let own = far.find_link(name).map_err(UplinkError::Netlink)?;
    let own_index = own.as_ref().map(|link| link.index);
    let taken = far.routes().map_err(UplinkError::Netlink)?.into_iter().find(|route| {
        route.prefix > 0
            && (route.link.is_none() || route.link != own_index)
            && overlaps(route, subnet)
    });
    if let Some(RouteFound { destination, prefix, .. }) = taken {
        return Err(UplinkError::SubnetTaken { subnet, route: format!("{destination}/{prefix}") });
    }
    Ok(own.map(|link| FarEnd { index: link.index, peer: link.peer }))
}

fn overlaps(route: &RouteFound, subnet: Subnet) -> bool {
    let network = subnet.network();
    let prefix = route.prefix.min(network.prefix_len());
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    (route.destination.to_bits() ^ network.network().to_bits()) & mask == 0
}

/// Whether the pair of before is whole; if it is not, the router's part of it is taken away.
fn clear_near(router: &mut Netlink, far: Option<FarEnd>) -> Result<bool, UplinkError> {
    let Some(near) = router.find_link(UPLINK).map_err(UplinkError::Netlink)? else {
        return Ok(false);
    };
    if far.is_some_and(|far| near.peer == Some(far.index) && far.peer == Some(near.index)) {
        return Ok(true);
    }
    router
        .execute(Batch::default().delete_link(near.index))
        .or_else(gone_already)
        .map_err(UplinkError::Netlink)?;
    Ok(false)
}

/// One end of a pair takes the other along.
fn gone_already(error: NetlinkError) -> Result<(), NetlinkError> {
    if error.errno == Errno::NODEV { Ok(()) } else { Err(error) }
}

fn make_pair(
    router: &mut Netlink,
    far_namespace: &OwnedFd,
    far_name: &str,
) -> Result<(), UplinkError> {
    router
        .execute(Batch::default().add_pair(&Pair {
            here: End {
                name: UPLINK,
                index: UPLINK_INDEX,
                hardware_address: [0x02, b'p', b'l', 0, 0, 2],
                is_up: false,
            },
            there: End {
                name: far_name,
                index: 0,
                hardware_address: [0x02, b'p', b'l', 0, 0, 3],
                is_up: false,
            },
            namespace: far_namespace.as_fd(),
        }))
        .map_err(UplinkError::Netlink)
}

/// Says what to do about packet filters of others that are in the way.
fn warn_of_obstacles(link: &str) {
    match firewall::forwarding_obstacles() {
        Ok(obstacles) => {
            for chain in obstacles {
                tracing::warn!(
                    %chain,
                    hint = format!(
                        "nft insert rule {chain} iifname {link} accept; \
                         nft insert rule {chain} oifname {link} ct state established,related accept"
                    ),
                    "the host's packet filter drops what it should forward for sandboxes"
                );
            }
        }
        Err(error) => tracing::warn!(%error, "the host's packet filter cannot be looked at"),
    }
}

/// Sets the far end up and answers its index.
fn set_up_far(far: &mut Netlink, name: &str, subnet: Subnet) -> Result<u32, UplinkError> {
    let refused = UplinkError::Netlink;
    let missing = NetlinkError { request: "find the uplink", errno: Errno::NODEV };
    let link = far.find_link(name).map_err(refused)?.ok_or(refused(missing))?.index;
    sysctl::write_if_present(&format!("ipv6/conf/{name}/disable_ipv6"), "1")
        .and_then(|()| sysctl::write(&format!("ipv4/conf/{name}/rp_filter"), "1"))
        // Left as it is at the end: by then others may count on it.
        .and_then(|()| sysctl::ensure("ipv4/ip_forward", "1"))
        .map_err(UplinkError::Setting)?;
    far.execute(
        Batch::default().set_up(link).add_address(link, subnet.uplink_far(), 31).add_route(Route {
            destination: subnet.network().network(),
            prefix: subnet.network().prefix_len(),
            link,
            gateway: Some(subnet.uplink_near()),
            source: None,
        }),
    )
    .map_err(refused)?;
    Ok(link)
}

fn set_up_near(router: &mut Netlink, subnet: Subnet) -> Result<(), UplinkError> {
    let refused = UplinkError::Netlink;
    let missing = NetlinkError { request: "find the uplink", errno: Errno::NODEV };
    let link = router.find_link(UPLINK).map_err(refused)?.ok_or(refused(missing))?.index;
    router
        .execute(
            Batch::default().set_up(link).add_address(link, subnet.uplink_near(), 31).add_route(
                Route {
                    destination: Ipv4Addr::UNSPECIFIED,
                    prefix: 0,
                    link,
                    gateway: Some(subnet.uplink_far()),
                    source: None,
                },
            ),
        )
        .map_err(refused)
}
