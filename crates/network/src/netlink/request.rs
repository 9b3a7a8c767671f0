//! The few requests and answers of rtnetlink that a router needs. See `rtnetlink(7)`.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::message::{Message, Writer, word};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const RTM_NEWNEIGH: u16 = 28;

const REQUEST: u16 = 0x1;
const ACKNOWLEDGE: u16 = 0x4;
const DUMP: u16 = 0x300;
const REPLACE: u16 = 0x100;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;

const AF_INET: u8 = 2;
const IFF_UP: u32 = 1;
const IF_OPER_UP: u8 = 6;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_NUM_TX_QUEUES: u16 = 31;
const IFLA_NUM_RX_QUEUES: u16 = 32;
const VETH_INFO_PEER: u16 = 1;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;

const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const NUD_PERMANENT: u16 = 0x80;

/// `ifinfomsg`.
const LINK_HEADER: usize = 16;
/// `ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;
/// `rtmsg`.
const ROUTE_HEADER: usize = 12;

/// A hardware address.
pub(crate) type HardwareAddress = [u8; 6];

/// Requests that travel together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    writer: Writer,
    names: Vec<&'static str>,
}

/// One end of a veth pair. Only the one made here can be up from the start: the kernel makes the peer before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End<'a> {
    pub(crate) name: &'a str,
    /// Zero lets the kernel choose.
    pub(crate) index: u32,
    pub(crate) hardware_address: HardwareAddress,
    pub(crate) is_up: bool,
}

/// A veth pair: one end here, its peer in another namespace.
#[derive(Debug)]
pub(crate) struct Pair<'a> {
    pub(crate) here: End<'a>,
    pub(crate) there: End<'a>,
    pub(crate) namespace: BorrowedFd<'a>,
}

/// A route to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) destination: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) link: u32,
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) source: Option<Ipv4Addr>,
}

/// A permanent entry of the neighbour table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    pub(crate) link: u32,
    pub(crate) address: Ipv4Addr,
    pub(crate) hardware_address: HardwareAddress,
}

impl Batch {
    /// Makes a veth pair; refused if a name or an index is taken.
    pub(crate) fn add_pair(&mut self, pair: &Pair<'_>) -> &mut Self {
        let Pair { here, there, namespace } = pair;
        self.request("add veth pair", RTM_NEWLINK, CREATE | EXCLUSIVE, |writer| {
            write_end(writer, here);
            writer.nest(IFLA_LINKINFO, |writer| {
                writer.attribute(IFLA_INFO_KIND, b"veth");
                writer.nest(IFLA_INFO_DATA, |writer| {
                    writer.nest(VETH_INFO_PEER, |writer| {
                        write_end(writer, there);
                        writer.number(IFLA_NET_NS_FD, namespace.as_raw_fd().cast_unsigned());
                    });
                });
            });
        })
    }

    /// Sets an interface up.
    pub(crate) fn set_up(&mut self, link: u32) -> &mut Self {
        self.request("set link up", RTM_NEWLINK, 0, |writer| write_link_header(writer, link, true))
    }

    /// Deletes an interface, and with it its peer.
    pub(crate) fn delete_link(&mut self, link: u32) -> &mut Self {
        self.request("delete link", RTM_DELLINK, 0, |writer| write_link_header(writer, link, false))
    }

    /// Gives an interface an address that is valid everywhere.
    pub(crate) fn add_address(&mut self, link: u32, address: Ipv4Addr, prefix: u8) -> &mut Self {
        self.request("add address", RTM_NEWADDR, CREATE | REPLACE, |writer| {
            writer.put(&[AF_INET, prefix, 0, SCOPE_UNIVERSE]);
            writer.put(&link.to_ne_bytes());
            writer.attribute(IFA_LOCAL, &address.octets());
            writer.attribute(IFA_ADDRESS, &address.octets());
        })
    }

    /// Adds a route to the main table, in place of one to the same destination.
    pub(crate) fn add_route(&mut self, route: Route) -> &mut Self {
        let scope = if route.gateway.is_some() { SCOPE_UNIVERSE } else { SCOPE_LINK };
        self.request("add route", RTM_NEWROUTE, CREATE | REPLACE, |writer| {
            writer.put(&[
                AF_INET,
                route.prefix,
                0,
                0,
                RT_TABLE_MAIN,
                RTPROT_STATIC,
                scope,
                RTN_UNICAST,
            ]);
            writer.put(&[0; 4]);
            if route.prefix > 0 {
                writer.attribute(RTA_DST, &route.destination.octets());
            }
            writer.number(RTA_OIF, route.link);
            if let Some(gateway) = route.gateway {
                writer.attribute(RTA_GATEWAY, &gateway.octets());
            }
            if let Some(source) = route.source {
                writer.attribute(RTA_PREFSRC, &source.octets());
            }
        })
    }

    /// Adds a permanent neighbour, in place of what is known of it.
    pub(crate) fn add_neighbour(&mut self, neighbour: Neighbour) -> &mut Self {
        self.request("add neighbour", RTM_NEWNEIGH, CREATE | REPLACE, |writer| {
            writer.put(&[AF_INET, 0, 0, 0]);
            writer.put(&neighbour.link.to_ne_bytes());
            writer.put(&NUD_PERMANENT.to_ne_bytes());
            writer.put(&[0; 2]);
            writer.attribute(NDA_DST, &neighbour.address.octets());
            writer.attribute(NDA_LLADDR, &neighbour.hardware_address);
        })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.writer.bytes()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn first(&self) -> &'static str {
        self.name(0)
    }

    /// What the request of that sequence number asked for.
    pub(crate) fn name(&self, sequence: u32) -> &'static str {
        let position = usize::try_from(sequence).unwrap_or(usize::MAX);
        self.names.get(position).copied().unwrap_or("execute a batch")
    }

    fn request(
        &mut self,
        name: &'static str,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) -> &mut Self {
        let sequence = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.writer.message(kind, REQUEST | ACKNOWLEDGE | flags, sequence, body);
        self.names.push(name);
        self
    }
}

/// An interface found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// Whether packets can leave by it.
    pub(crate) is_operational: bool,
    /// The index that a veth's peer has in its own namespace.
    pub(crate) peer: Option<u32>,
}

impl Link {
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        if !message.is(RTM_NEWLINK) {
            return None;
        }
        let mut link = Self {
            index: word(message.body, 4)?,
            name: String::new(),
            is_operational: false,
            peer: None,
        };
        for (kind, content) in message.attributes(LINK_HEADER) {
            match kind {
                IFLA_IFNAME => {
                    let text = content.strip_suffix(&[0]).unwrap_or(content);
                    link.name = String::from_utf8_lossy(text).into_owned();
                }
                IFLA_OPERSTATE => link.is_operational = content == [IF_OPER_UP],
                IFLA_LINK => link.peer = word(content, 0),
                _ => {}
            }
        }
        Some(link)
    }
}

/// An address found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddressFound {
    pub(crate) address: Ipv4Addr,
    pub(crate) link: u32,
}

impl AddressFound {
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        if !message.is(RTM_NEWADDR) {
            return None;
        }
        let (_, content) =
            message.attributes(ADDRESS_HEADER).find(|&(kind, _)| kind == IFA_LOCAL)?;
        let address = <[u8; 4]>::try_from(content).ok()?.into();
        Some(Self { address, link: word(message.body, 4)? })
    }
}

/// A route found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteFound {
    pub(crate) destination: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) link: Option<u32>,
}

impl RouteFound {
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        if !message.is(RTM_NEWROUTE) {
            return None;
        }
        let prefix = *message.body.get(1)?;
        let mut route = Self { destination: Ipv4Addr::UNSPECIFIED, prefix, link: None };
        for (kind, content) in message.attributes(ROUTE_HEADER) {
            match kind {
                RTA_DST => route.destination = <[u8; 4]>::try_from(content).ok()?.into(),
                RTA_OIF => route.link = word(content, 0),
                _ => {}
            }
        }
        Some(route)
    }
}

/// Asks for every interface.
pub(crate) fn links() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(RTM_GETLINK, REQUEST | DUMP, 0, |writer| write_link_header(writer, 0, false));
    writer.into_bytes()
}

/// Asks for every IPv4 address.
pub(crate) fn addresses() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(RTM_GETADDR, REQUEST | DUMP, 0, |writer| {
        writer.put(&[AF_INET]);
        writer.put(&[0; ADDRESS_HEADER - 1]);
    });
    writer.into_bytes()
}

/// Asks for every IPv4 route.
pub(crate) fn routes() -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(RTM_GETROUTE, REQUEST | DUMP, 0, |writer| {
        writer.put(&[AF_INET]);
        writer.put(&[0; ROUTE_HEADER - 1]);
    });
    writer.into_bytes()
}

/// Asks for one interface.
pub(super) fn link(index: u32) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(RTM_GETLINK, REQUEST, 0, |writer| write_link_header(writer, index, false));
    writer.into_bytes()
}

/// Asks for one interface.
pub(super) fn link_named(name: &str) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.message(RTM_GETLINK, REQUEST, 0, |writer| {
        write_link_header(writer, 0, false);
        writer.text(IFLA_IFNAME, name);
    });
    writer.into_bytes()
}

fn write_end(writer: &mut Writer, end: &End<'_>) {
    write_link_header(writer, end.index, end.is_up);
    writer.text(IFLA_IFNAME, end.name);
    writer.attribute(IFLA_ADDRESS, &end.hardware_address);
    // The kernel's default is a queue per processor, which a sandbox has no use for.
    writer.number(IFLA_NUM_TX_QUEUES, 1);
    writer.number(IFLA_NUM_RX_QUEUES, 1);
}

fn write_link_header(writer: &mut Writer, index: u32, is_up: bool) {
    let up = if is_up { IFF_UP } else { 0 };
    writer.put(&[0; 4]);
    writer.put(&index.to_ne_bytes());
    writer.put(&up.to_ne_bytes());
    writer.put(&up.to_ne_bytes());
}
