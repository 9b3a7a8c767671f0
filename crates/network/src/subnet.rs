//! The address range of a router and who has which address of it.
//!
//! ```text
//! first address      unused
//! + 1                the gateway: every sandbox's next hop and resolver
//! + 2, + 3           the uplink: the router's end and the far end
//! + 4 …              sandboxes, by slot
//! last address       unused
//! ```

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Addresses at the front that no sandbox gets.
const RESERVED: u32 = 4;

/// The address range of one router: a network of /8 to /28.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subnet(Ipv4Net);

/// A range that cannot be a router's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the network {0} is not between /8 and /28 in size")]
pub struct SubnetSizeError(pub Ipv4Net);

/// A slot beyond the end of the subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} is beyond the {capacity} that {subnet} has")]
pub struct SlotRangeError {
    /// The slot.
    pub slot: u32,
    /// How many there are.
    pub capacity: u32,
    /// Where.
    pub subnet: Subnet,
}

impl Subnet {
    /// Takes a network for a router; bits beyond its prefix are cleared.
    ///
    /// # Errors
    ///
    /// The network has too few addresses or swallows too much of the internet.
    pub fn new(network: Ipv4Net) -> Result<Self, SubnetSizeError> {
        if (8..=28).contains(&network.prefix_len()) {
            Ok(Self(network.trunc()))
        } else {
            Err(SubnetSizeError(network))
        }
    }

    /// 10.213.0.0/16.
    #[must_use]
    pub const fn standard() -> Self {
        Self(Ipv4Net::new_assert(Ipv4Addr::new(10, 213, 0, 0), 16))
    }

    /// The network itself.
    #[must_use]
    pub const fn network(self) -> Ipv4Net {
        self.0
    }

    /// How many slots there are.
    #[must_use]
    pub fn capacity(self) -> u32 {
        (u32::MAX >> self.0.prefix_len()) - RESERVED
    }

    /// Every sandbox's next hop, where the resolver listens.
    #[must_use]
    pub fn gateway(self) -> Ipv4Addr {
        self.at(1)
    }

    /// The router's end of the uplink.
    pub(crate) fn uplink_near(self) -> Ipv4Addr {
        self.at(2)
    }

    /// The other end of the uplink.
    pub(crate) fn uplink_far(self) -> Ipv4Addr {
        self.at(3)
    }

    /// The address of a slot's sandbox.
    ///
    /// # Errors
    ///
    /// The slot is not below [`Subnet::capacity`].
    pub fn address(self, slot: u32) -> Result<Ipv4Addr, SlotRangeError> {
        let capacity = self.capacity();
        if slot < capacity {
            Ok(self.at(slot + RESERVED))
        } else {
            Err(SlotRangeError { slot, capacity, subnet: self })
        }
    }

    fn at(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.0.network().to_bits() | offset)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_between_the_uplink_and_the_last_address() {
        let subnet = Subnet::new("192.168.7.77/28".parse().unwrap()).unwrap();
        let addresses: Vec<String> =
            (0..subnet.capacity()).map(|slot| subnet.address(slot).unwrap().to_string()).collect();
        assert_eq!(subnet.to_string(), "192.168.7.64/28");
        assert_eq!(subnet.gateway(), Ipv4Addr::new(192, 168, 7, 65));
        assert_eq!(addresses.len(), 11);
        assert_eq!(addresses.first().map(String::as_str), Some("192.168.7.68"));
        assert_eq!(addresses.last().map(String::as_str), Some("192.168.7.78"));
    }

    #[test]
    fn a_slot_beyond_the_last_is_refused() {
        let subnet = Subnet::standard();
        assert_eq!(subnet.capacity(), 65_531);
        assert_eq!(
            subnet.address(65_531),
            Err(SlotRangeError { slot: 65_531, capacity: 65_531, subnet })
        );
    }

    #[test]
    fn a_network_of_the_wrong_size_is_refused() {
        let sizes: Vec<bool> = [7, 8, 28, 29]
            .map(|prefix| Subnet::new(Ipv4Net::new(Ipv4Addr::new(10, 0, 0, 0), prefix).unwrap()))
            .iter()
            .map(Result::is_ok)
            .collect();
        assert_eq!(sizes, [false, true, true, false]);
    }
}
