//! The sandboxes' network.

use std::net::{IpAddr, SocketAddr};

use pitlane_network::{Ipv4Net, Subnet, Upstreams};

use super::values::{list, parse, path};
use crate::settings::{Setting, UplinkSetting};

/// The way out, addresses and names.
pub(super) const SETTINGS: [Setting; 4] = [
    Setting {
        key: "network.uplink",
        flag: "uplink",
        variable: "PITLANE_UPLINK",
        value: "UPLINK",
        default: "none",
        help: "The sandboxes' way to the internet: none, host (through this machine; adds NAT rules of its own to its firewall), or netns:PATH",
        apply: |settings, text| {
            settings.uplink = match text.split_once(':') {
                None if text == "none" => UplinkSetting::None,
                None if text == "host" => UplinkSetting::Host,
                Some(("netns", named)) => UplinkSetting::Namespace(path(named)?),
                _ => return Err("it is one of none, host, netns:PATH".to_owned()),
            };
            Ok(())
        },
    },
    Setting {
        key: "network.subnet",
        flag: "subnet",
        variable: "PITLANE_SUBNET",
        value: "CIDR",
        default: "10.213.0.0/16",
        help: "Range of the sandboxes' addresses; must not be in use on this machine. One address a sandbox",
        apply: |settings, text| {
            let range: Ipv4Net = parse(text)?;
            settings.subnet = Subnet::new(range).map_err(|why| why.to_string())?;
            Ok(())
        },
    },
    Setting {
        key: "network.allow_private",
        flag: "allow-private",
        variable: "PITLANE_ALLOW_PRIVATE",
        value: "CIDRS",
        default: "",
        help: "Private ranges that sandboxes may reach, comma separated [default: none]",
        apply: |settings, text| list(text).map(|ranges| settings.allow_private = ranges),
    },
    Setting {
        key: "network.resolvers",
        flag: "resolvers",
        variable: "PITLANE_RESOLVERS",
        value: "ADDRESSES",
        default: "",
        help: "Name servers that the sandboxes' questions go to, comma separated [default: those of /etc/resolv.conf]",
        apply: |settings, text| {
            let resolvers =
                text.split(',').map(|one| resolver(one.trim())).collect::<Result<_, _>>()?;
            settings.resolvers = Upstreams::Fixed(resolvers);
            Ok(())
        },
    },
];

fn resolver(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .or_else(|_| parse::<IpAddr>(text).map(|address| (address, 53).into()))
}
