//! Which destinations are closed to a sandbox.
//!
//! One list serves the packet filter and the resolver, so that a name never stands for what a packet cannot reach.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::subnet::Subnet;

/// Closed unless the operator opens them: what is not the public internet, and the metadata services of clouds.
const CLOSED: [Ipv4Net; 17] = [
    network([0, 0, 0, 0], 8),
    network([10, 0, 0, 0], 8),
    network([100, 64, 0, 0], 10),
    network([127, 0, 0, 0], 8),
    network([168, 63, 129, 16], 32),
    network([169, 254, 0, 0], 16),
    network([172, 16, 0, 0], 12),
    network([192, 0, 0, 0], 24),
    network([192, 0, 2, 0], 24),
    network([192, 31, 196, 0], 24),
    network([192, 88, 99, 0], 24),
    network([192, 168, 0, 0], 16),
    network([198, 18, 0, 0], 15),
    network([198, 51, 100, 0], 24),
    network([203, 0, 113, 0], 24),
    network([224, 0, 0, 0], 4),
    network([240, 0, 0, 0], 4),
];

/// The destinations of one router's sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Egress {
    subnet: Subnet,
    allowed: Vec<Ipv4Net>,
}

impl Egress {
    /// Closes the usual ranges but for what the operator allows. The router's own subnet stays closed always.
    pub(crate) fn new(subnet: Subnet, allow_private: &[Ipv4Net]) -> Self {
        Self { subnet, allowed: Ipv4Net::aggregate(&allow_private.to_vec()) }
    }

    pub(crate) fn is_open(&self, address: Ipv4Addr) -> bool {
        let holds =
            |networks: &[Ipv4Net]| networks.iter().any(|network| network.contains(&address));
        !self.subnet.network().contains(&address) && (holds(&self.allowed) || !holds(&CLOSED))
    }

    pub(crate) fn closed() -> &'static [Ipv4Net] {
        &CLOSED
    }

    pub(crate) fn allowed(&self) -> &[Ipv4Net] {
        &self.allowed
    }

    pub(crate) fn subnet(&self) -> Subnet {
        self.subnet
    }
}

const fn network(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = octets;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(egress: &Egress, address: &str) -> bool {
        egress.is_open(address.parse().unwrap())
    }

    #[test]
    fn the_public_internet_is_open_and_all_else_is_closed() {
        let egress = Egress::new(Subnet::standard(), &[]);
        let open = ["1.1.1.1", "11.22.33.44", "172.32.0.1", "100.128.0.1", "223.255.255.255"];
        let closed = [
            "0.0.0.0",
            "10.0.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
        ];
        assert_eq!(open.map(|address| is_open(&egress, address)), [true; 5]);
        assert_eq!(closed.map(|address| is_open(&egress, address)), [false; 11]);
    }

    #[test]
    fn an_allowed_range_opens_itself_alone_and_never_the_subnet() {
        let allowed = ["192.168.7.0/24".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let egress = Egress::new(Subnet::standard(), &allowed);
        let verdicts = ["192.168.7.255", "192.168.8.0", "10.1.2.3", "10.213.0.9"]
            .map(|address| is_open(&egress, address));
        assert_eq!(verdicts, [true, false, true, false]);
    }
}
