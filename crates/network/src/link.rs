//! A sandbox's network namespace and its link to the router.
//!
//! The namespace belongs to the host's user namespace: whatever a sandbox's root may do inside, links, addresses and
//! routes are not among it. Both ends know each other's hardware address from the start, so that no address
//! resolution takes place that could be deceived or that could fill the kernel's table of neighbours.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

use pitlane_sys::{SyscallError, enter_network, new_network_namespace};

use crate::netlink::{Batch, End, HardwareAddress, Neighbour, Netlink, NetlinkError, Pair, Route};
use crate::resident::{Resident, ResidentGone};
use crate::subnet::{SlotRangeError, Subnet};
use crate::sysctl::{SettingError, Views};

/// The interface that a sandbox sees.
const INSIDE: &str = "eth0";
/// The loopback interface is the first of any namespace, the link the second.
const LOOPBACK_INDEX: u32 = 1;
const INSIDE_INDEX: u32 = 2;
/// Indices in the router from here on are links'.
pub(crate) const FIRST_INDEX: u32 = 0x100;
/// A name has 15 bytes: two letters, a slot of five digits, a mark and the index.
const LAST_INDEX: u32 = 0x0fff_ffff;
/// How often another index is tried.
const ATTEMPTS: u32 = 64;

/// A sandbox's network namespace, linked to its router.
///
/// Whoever keeps a descriptor of the namespace or has a process in it keeps the link. When nobody does the kernel
/// takes it down by itself, some time later.
#[derive(Debug)]
pub struct Link {
    /// The namespace.
    pub namespace: OwnedFd,
    /// The sandbox's address on `eth0`.
    pub address: Ipv4Addr,
    /// Its next hop, and its resolver.
    pub gateway: Ipv4Addr,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The subnet has no such slot.
    #[error(transparent)]
    Slot(#[from] SlotRangeError),
    /// The kernel makes no namespace: too many, or no right to.
    #[error("cannot make a network namespace")]
    Namespace(#[source] SyscallError),
    /// A setting of the namespace cannot be written.
    #[error("cannot prepare the sandbox's network namespace")]
    Setting(#[source] SettingError),
    /// The kernel refused a part of the link.
    #[error("cannot link slot {slot} to the router")]
    Netlink {
        /// The slot.
        slot: u32,
        /// The kernel's reason.
        #[source]
        cause: NetlinkError,
    },
    /// The kernel refused to set up the loopback interface.
    #[error("cannot set up the loopback interface")]
    Loopback(#[source] NetlinkError),
    /// The router is closed.
    #[error("the router is closed")]
    Closed(#[source] ResidentGone),
}

/// Makes a namespace with nothing but its loopback. Leaves the thread in it.
pub(crate) fn isolate(router: &mut Resident) -> Result<OwnedFd, LinkError> {
    let namespace = new_sandbox_namespace(&mut router.settings)?;
    let mut inside = Netlink::open().map_err(LinkError::Loopback)?;
    inside.execute(Batch::default().set_up(LOOPBACK_INDEX)).map_err(LinkError::Loopback)?;
    Ok(namespace)
}

/// Makes a namespace and links it. The thread is the router's and is left in the sandbox's namespace.
pub(crate) fn link(
    router: &mut Resident,
    subnet: Subnet,
    slot: u32,
    indices: &AtomicU32,
) -> Result<Link, LinkError> {
    let namespace = new_sandbox_namespace(&mut router.settings)?;
    attach(router, namespace, subnet, slot, indices)
}

/// Links a namespace that has lost its link with the router that it led to. The thread is the router's and is left in
/// the sandbox's namespace.
pub(crate) fn relink(
    router: &mut Resident,
    namespace: OwnedFd,
    subnet: Subnet,
    slot: u32,
    indices: &AtomicU32,
) -> Result<Link, LinkError> {
    enter_network(namespace.as_fd()).map_err(LinkError::Namespace)?;
    attach(router, namespace, subnet, slot, indices)
}

/// Links the namespace that the thread is in.
fn attach(
    router: &mut Resident,
    namespace: OwnedFd,
    subnet: Subnet,
    slot: u32,
    indices: &AtomicU32,
) -> Result<Link, LinkError> {
    let address = subnet.address(slot)?;
    let gateway = subnet.gateway();
    let refused = |cause| LinkError::Netlink { slot, cause };
    let index = add_pair(&mut router.netlink, &namespace, slot, indices).map_err(refused)?;
    // A link of an earlier holder of the slot may linger: the new route takes the place of the old one.
    router
        .netlink
        .execute(
            Batch::default()
                .add_route(Route {
                    destination: address,
                    prefix: 32,
                    link: index,
                    gateway: None,
                    source: Some(gateway),
                })
                .add_neighbour(Neighbour {
                    link: index,
                    address,
                    hardware_address: sandbox_hardware_address(slot),
                }),
        )
        .map_err(refused)?;
    let mut inside = Netlink::open().map_err(refused)?;
    inside
        .execute(
            Batch::default()
                .set_up(LOOPBACK_INDEX)
                .set_up(INSIDE_INDEX)
                .add_address(INSIDE_INDEX, address, 32)
                .add_route(Route {
                    destination: gateway,
                    prefix: 32,
                    link: INSIDE_INDEX,
                    gateway: None,
                    source: None,
                })
                .add_route(Route {
                    destination: Ipv4Addr::UNSPECIFIED,
                    prefix: 0,
                    link: INSIDE_INDEX,
                    gateway: Some(gateway),
                    source: None,
                })
                .add_neighbour(Neighbour {
                    link: INSIDE_INDEX,
                    address: gateway,
                    hardware_address: ROUTER_HARDWARE_ADDRESS,
                }),
        )
        .map_err(refused)?;
    // The first answer to the sandbox must not be lost: a resolver's client would wait for seconds.
    router.netlink.wait_for_carrier(index).map_err(refused)?;
    Ok(Link { namespace, address, gateway })
}

fn new_sandbox_namespace(views: &mut Views) -> Result<OwnedFd, LinkError> {
    let namespace = new_network_namespace().map_err(LinkError::Namespace)?;
    let prepared = views.next().and_then(|settings| {
        // Every sandbox is its own machine, so its users may listen on any port and ping.
        settings.write("ipv4/ip_unprivileged_port_start", "0")?;
        settings.write("ipv4/ping_group_range", "0 4294967294")?;
        // There is no IPv6 path, and an address that leads nowhere makes programs wait. The loopback keeps ::1.
        settings.write_if_present("ipv6/conf/default/disable_ipv6", "1")
    });
    prepared.map_err(LinkError::Setting)?;
    Ok(namespace)
}

fn add_pair(
    router: &mut Netlink,
    namespace: &OwnedFd,
    slot: u32,
    indices: &AtomicU32,
) -> Result<u32, NetlinkError> {
    let mut attempt = 0;
    loop {
        let index = next_index(indices);
        let name = format!("pl{slot}.{index:x}");
        let outcome = router.execute(Batch::default().add_pair(&Pair {
            here: End {
                name: &name,
                index,
                hardware_address: ROUTER_HARDWARE_ADDRESS,
                is_up: true,
            },
            there: End {
                name: INSIDE,
                index: INSIDE_INDEX,
                hardware_address: sandbox_hardware_address(slot),
                is_up: false,
            },
            namespace: namespace.as_fd(),
        }));
        attempt += 1;
        match outcome {
            Ok(()) => return Ok(index),
            // Another server may be making links in an adopted router until it ends.
            Err(error) if error.is_taken() && attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
}

/// The next index of a link. No two links of a router have the same, so a lingering one is never in the way.
fn next_index(indices: &AtomicU32) -> u32 {
    let index = indices.fetch_add(1, Ordering::Relaxed);
    FIRST_INDEX + index % (LAST_INDEX - FIRST_INDEX)
}

/// What a router has on every link; links are separate, so it may be the same.
const ROUTER_HARDWARE_ADDRESS: HardwareAddress = [0x02, b'p', b'l', 0, 0, 1];

fn sandbox_hardware_address(slot: u32) -> HardwareAddress {
    let [_, high, middle, low] = slot.to_be_bytes();
    [0x06, b'p', b'l', high, middle, low]
}
