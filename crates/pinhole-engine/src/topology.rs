//! Where packets come from and go to, when the caller has no interfaces to tell: told by addresses.
//!
//! A capture does not say on which side of the firewall it was taken. [`Topology`] answers with address ranges: which addresses are the
//! firewall's own (hence input and output instead of forward), and which interface name a rule's `iifname` and `oifname` see.

use crate::prefixes::PrefixMap;
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
    /// The range of this prefix length (at most 32 or 128) in which an address lies.
    pub fn new(address: IpAddr, length: u8) -> Self {
        let (version, most) = if address.is_ipv4() { (IpVersion::V4, 32) } else { (IpVersion::V6, 128) };
        let length = length.min(most);
        let mask = mask(version, length);
        Self { version, network: u128::from_be_bytes(Address::from(address).0) & mask, mask, length }
    }

    pub(crate) const fn version(&self) -> IpVersion {
        self.version
    }

    pub(crate) const fn network(&self) -> u128 {
        self.network
    }

    pub(crate) const fn mask(&self) -> u128 {
        self.mask
    }

    /// Whether the address of a datagram of this version lies in the range.
    pub fn contains(&self, version: IpVersion, address: Address) -> bool {
        version == self.version && u128::from_be_bytes(address.0) & self.mask == self.network
    }

    /// Whether the addresses are IPv4.
    pub fn is_ipv4(&self) -> bool {
        self.version == IpVersion::V4
    }

    /// The first address.
    pub const fn first(&self) -> Address {
        Address(self.network.to_be_bytes())
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
        let mask = mask(version, length);
        let value = u128::from_be_bytes(Address::from(ip).0);
        if value & !mask != 0 {
            let network = Address((value & mask).to_be_bytes()).ip(version);
            return Err(CidrError::HostBits(text.to_owned(), network, length));
        }
        Ok(Self { version, network: value, mask, length })
    }
}

/// The bits of an address that a prefix of this length (at most 32 or 128) covers.
const fn mask(version: IpVersion, length: u8) -> u128 {
    let host_bits = match version {
        IpVersion::V4 => 32 - length as u32,
        IpVersion::V6 => 128 - length as u32,
    };
    match u128::MAX.checked_shl(host_bits) {
        Some(mask) => mask,
        None => 0,
    }
}

/// Names one interface of a [`Topology`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceId(pub u16);

/// Own addresses and interfaces, by address range.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    local: PrefixMap<()>,
    /// The last bytes that a local address may have, a bit each: most addresses are told to be foreign by it.
    last_bytes: [u64; 4],
    names: Vec<String>,
    /// `None`: what lies there cannot be reached.
    ranges: PrefixMap<Option<InterfaceId>>,
    routed: bool,
}

impl Topology {
    /// A topology without own addresses and interfaces: every packet is forwarded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds addresses of the firewall host itself.
    pub fn add_local(&mut self, range: Cidr) {
        self.local.insert(range, ());
        let (first, last) = (range.network as u8, (range.network | !range.mask) as u8);
        for byte in first..=last {
            if let Some(bits) = self.last_bytes.get_mut(usize::from(byte >> 6)) {
                *bits |= 1 << (byte & 63);
            }
        }
    }

    /// Forgets all own addresses.
    pub fn clear_local(&mut self) {
        self.local = PrefixMap::default();
        self.last_bytes = [0; 4];
    }

    /// Forgets what lies behind interfaces. Their names and ids stay.
    pub fn clear_ranges(&mut self) {
        self.ranges = PrefixMap::default();
    }

    /// Says that a range of addresses lies behind an interface. The longest prefix wins.
    pub fn add_interface(&mut self, name: &str, range: Cidr) -> InterfaceId {
        let id = self.interface(name);
        self.ranges.insert(range, Some(id));
        id
    }

    /// Says that a range of addresses cannot be reached, though a shorter prefix can.
    pub fn add_unreachable(&mut self, range: Cidr) {
        self.ranges.insert(range, None);
    }

    /// Says whether all interfaces are known. Then packets to addresses that lie behind none of them have no route, and meet no chain of
    /// the forward hook.
    pub fn set_routed(&mut self, routed: bool) {
        self.routed = routed;
    }

    /// Whether all interfaces are known.
    pub(crate) fn is_routed(&self) -> bool {
        self.routed
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
        self.ranges.lookup(version, address).copied().flatten()
    }

    /// Whether any address is the firewall's own.
    #[inline]
    pub fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    /// Whether an address is the firewall's own.
    #[inline]
    pub fn is_local(&self, version: IpVersion, address: Address) -> bool {
        let [.., last] = address.0;
        let may_be = self.last_bytes[usize::from(last >> 6) & 3] & 1 << (last & 63) != 0;
        may_be && self.local.lookup(version, address).is_some()
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
    fn local_are_the_addresses_of_its_ranges_and_no_others() {
        let mut topology = Topology::new();
        for range in ["10.0.0.1/32", "192.0.2.64/26", "127.0.0.0/8", "fd00::7/128"] {
            topology.add_local(range.parse().unwrap());
        }
        let is_local = |text: &str| {
            let ip: IpAddr = text.parse().unwrap();
            topology.is_local(if ip.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 }, ip.into())
        };
        for text in ["10.0.0.1", "192.0.2.64", "192.0.2.127", "127.9.8.7", "127.0.0.255", "fd00::7"] {
            assert!(is_local(text), "{text}");
        }
        for text in ["10.0.0.2", "10.0.1.1", "192.0.2.63", "192.0.2.128", "128.0.0.1", "fd00::8", "fd00::1:7"]
        {
            assert!(!is_local(text), "{text}");
        }
        topology.clear_local();
        assert!(!topology.has_local() && !topology.is_local(IpVersion::V4, address("10.0.0.1")));
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
        topology.add_unreachable("10.9.0.0/16".parse().unwrap());
        assert_eq!(topology.towards(IpVersion::V4, address("10.9.2.3")), None);
        assert_eq!(topology.towards(IpVersion::V4, address("10.8.2.3")), Some(lan));
    }
}
