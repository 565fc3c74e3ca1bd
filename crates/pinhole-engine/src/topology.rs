//! Where packets come from and go to, when the caller has no interfaces to tell: told by addresses.
//!
//! A capture does not say on which side of the firewall it was taken. [`Topology`] answers with address ranges: which addresses are the
//! firewall's own (hence input and output instead of forward), and which interface name a rule's `iifname` and `oifname` see.

use pinhole_wire::{Address, IpVersion};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses with a common prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    version: IpVersion,
    network: u128,
    mask: u128,
    length: u8,
}

/// Why a text is not an address range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not an IP address.
    #[error("`{0}` is not an IP address")]
    Address(String),
    /// The prefix length is not a number in range.
    #[error("`{0}` is not a prefix length (0 to {1})")]
    Length(String, u8),
    /// Bits are set beyond the prefix.
    #[error("`{0}` has bits set beyond its prefix; did you mean {1}/{2}?")]
    HostBits(String, IpAddr, u8),
}

impl Cidr {
    /// Whether the address of a datagram of this version lies in the range.
    pub fn contains(&self, version: IpVersion, address: Address) -> bool {
        version == self.version && u128::from_be_bytes(address.0) & self.mask == self.network
    }

    /// Whether the addresses are IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.version == IpVersion::V4
    }

    /// Length of the prefix in bits of its own family.
    pub const fn prefix_length(&self) -> u8 {
        self.length
    }
}

/// `10.0.0.0/8`
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Address(self.network.to_be_bytes()).ip(self.version), self.length)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
        let ip: IpAddr = address.parse().map_err(|_| CidrError::Address(address.to_owned()))?;
        let (version, most) = match ip {
            IpAddr::V4(_) => (IpVersion::V4, 32),
            IpAddr::V6(_) => (IpVersion::V6, 128),
        };
        let length = match length {
            None => most,
            Some(l) => l
                .parse::<u8>()
                .ok()
                .filter(|&n| n <= most)
                .ok_or_else(|| CidrError::Length(l.to_owned(), most))?,
        };
        let host_bits = most - length;
        let mask = if host_bits == 128 { 0 } else { u128::MAX << host_bits };
        let value = u128::from_be_bytes(Address::from(ip).0);
        let mask = if version == IpVersion::V4 { mask | (u128::MAX << 32) } else { mask };
        if value & !mask != 0 {
            let network = Address((value & mask).to_be_bytes()).ip(version);
            return Err(CidrError::HostBits(text.to_owned(), network, length));
        }
        Ok(Self { version, network: value, mask, length })
    }
}

/// Names one interface of a [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceId(pub u16);

/// Own addresses and interfaces, by address range.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    local: Vec<Cidr>,
    names: Vec<String>,
    ranges: Vec<(Cidr, InterfaceId)>,
}

impl Topology {
    /// A topology without own addresses and interfaces: every packet is forwarded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds addresses of the firewall host itself.
    pub fn add_local(&mut self, range: Cidr) {
        self.local.push(range);
    }

    /// Forgets all own addresses.
    pub fn clear_local(&mut self) {
        self.local.clear();
    }

    /// Says that a range of addresses lies behind an interface. The longest prefix wins.
    pub fn add_interface(&mut self, name: &str, range: Cidr) -> InterfaceId {
        let id = self.interface(name);
        self.ranges.push((range, id));
        self.ranges.sort_by_key(|(r, _)| std::cmp::Reverse(r.prefix_length()));
        id
    }

    /// The id of an interface name; a new one for a new name.
    pub fn interface(&mut self, name: &str) -> InterfaceId {
        let index = self.names.iter().position(|n| n == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        });
        InterfaceId(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// The name of an interface.
    pub fn name(&self, id: InterfaceId) -> Option<&str> {
        self.names.get(usize::from(id.0)).map(String::as_str)
    }

    /// The interface behind which an address lies.
    pub fn towards(&self, version: IpVersion, address: Address) -> Option<InterfaceId> {
        self.ranges.iter().find(|(range, _)| range.contains(version, address)).map(|&(_, id)| id)
    }

    /// Whether any address is the firewall's own.
    #[inline]
    pub fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// Whether an address is the firewall's own.
    pub fn is_local(&self, version: IpVersion, address: Address) -> bool {
        self.local.iter().any(|range| range.contains(version, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_range_holds_its_own_family_only() {
        let range: Cidr = "10.0.0.0/8".parse().unwrap();
        assert!(range.contains(IpVersion::V4, address("10.255.0.1")));
        assert!(!range.contains(IpVersion::V4, address("11.0.0.1")));
        assert!(!range.contains(IpVersion::V6, address("::ffff:10.0.0.1")));
        assert_eq!(range.to_string(), "10.0.0.0/8");
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(IpVersion::V4, address("192.0.2.1")));
        let six: Cidr = "2001:db8::/32".parse().unwrap();
        assert!(six.contains(IpVersion::V6, address("2001:db8::1")));
        assert!(!six.contains(IpVersion::V6, address("2001:db9::1")));
    }

    #[test]
    fn errors_name_the_mistake() {
        assert_eq!(
            "10.0.0.1/8".parse::<Cidr>().unwrap_err().to_string(),
            "`10.0.0.1/8` has bits set beyond its prefix; did you mean 10.0.0.0/8?"
        );
        assert_eq!(
            "10.0.0.0/33".parse::<Cidr>().unwrap_err().to_string(),
            "`33` is not a prefix length (0 to 32)"
        );
        assert_eq!("lan".parse::<Cidr>().unwrap_err().to_string(), "`lan` is not an IP address");
    }

    #[test]
    fn the_longest_prefix_names_the_interface() {
        let mut topology = Topology::new();
        topology.add_interface("wan", "0.0.0.0/0".parse().unwrap());
        let lan = topology.add_interface("lan", "10.0.0.0/8".parse().unwrap());
        assert_eq!(topology.towards(IpVersion::V4, address("10.1.2.3")), Some(lan));
        assert_eq!(
            topology.towards(IpVersion::V4, address("192.0.2.1")).and_then(|i| topology.name(i)),
            Some("wan")
        );
        assert_eq!(topology.towards(IpVersion::V6, address("2001:db8::1")), None);
    }
}
