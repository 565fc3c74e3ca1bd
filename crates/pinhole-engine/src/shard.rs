//! Which shard a packet belongs to, where several engines share the work: a pure function of its two ends, on which both directions of a conn, its
//! fragments and errors about it agree.
//!
//! Addresses alone decide, but for *reserved* ports of *outer* addresses. Outer are those that translation gives to sources: behind one port of them a
//! conn may be any shard's. So a part of their ports is divided into classes, a class a shard, and packets to and from such a port belong to the shard of its class.
//!
//! **No two shards give one tuple.** A source gets an outer end only where the packets that answer have their home in the giving shard
//! (`Shard::may_give`): by the addresses of the two ends, which one shard has, or by a port of its class. Nothing is agreed on between shards, and answers come back
//! by themselves.
//!
//! How addresses decide ([`Spread`]) is chosen so that this is rarely felt: where one end is *inside* or outer and the other is not, one of them counts
//! alone, so that hiding a source does not change a conn's home.

mod territory;
#[cfg(test)]
mod tests;

pub use territory::Shard;

use crate::Cidr;
use crate::nat::has_ports;
use pinhole_helper::{AddressMatch, Expect, PortMatch};
use pinhole_nat::ports::PortRange;
use pinhole_track::Tuple;
use pinhole_wire::link::{self, Network, NetworkKind};
use pinhole_wire::{Address, IpVersion, LinkType, Packet, Protocol};

/// Most shards: as many as the least class of ports can be divided among.
pub const MOST_SHARDS: u8 = 32;

/// Of frames that are not IP.
const FIRST: usize = 0;

/// Reserved ports, where not all are: some of each class that translation keeps sources in
/// ([`default_range`](pinhole_nat::ports::default_range)), and none that services are known by.
pub const RESERVED: [PortRange; 3] = [
    PortRange { first: 320, last: 383 },
    PortRange { first: 768, last: 831 },
    PortRange { first: 57_344, last: u16::MAX },
];

/// Ports of one shard that follow each other: below 1024, and from there on. Pairs and groups of media stay together.
pub const RUNS: (u16, u16) = (2, 16);

/// Where IPv4 has its length, fragment, protocol and addresses (RFC 791 §3.1), IPv6 its next header and addresses (RFC 8200 §3).
const V4_FRAGMENT: usize = 6;
const V4_PROTOCOL: usize = 9;
const V4_ADDRESSES: usize = 12;
const V6_NEXT_HEADER: usize = 6;
const V6_ADDRESSES: usize = 8;
const V6_HEADER: usize = 40;

/// What homes are mixed with besides the secret: neighbours are to be spread whatever it is. Programs of the kernel's do the same.
pub const MIX: u32 = 0x2c1b_3c6d;
/// By how much they are shifted before.
pub const MIX_SHIFT: u32 = 15;

/// Ports that are looked at one by one.
const FEW: u16 = 64;

/// Which address counts, of a conn between hosts inside and outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// The one outside: sources keep their ports, which serve many remote ends.
    #[default]
    ByOutside,
    /// The one inside, and all ports of outer addresses are divided: what one inside end has, one shard knows. For endpoint-independent mappings.
    ByInside,
}

/// Addresses from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    version: IpVersion,
    first: Address,
    last: Address,
}

impl AddressRange {
    /// From the first to the last address of a version.
    pub const fn new(version: IpVersion, first: Address, last: Address) -> Self {
        Self { version, first, last }
    }

    /// The version.
    pub const fn version(&self) -> IpVersion {
        self.version
    }

    /// First and last address.
    pub const fn ends(&self) -> (Address, Address) {
        (self.first, self.last)
    }

    /// What is left of it without another.
    pub fn without(self, other: &Self) -> Vec<Self> {
        let number = |address: Address| u128::from_be_bytes(address.0);
        let (first, last) = (number(self.first), number(self.last));
        let (from, to) = (number(other.first), number(other.last));
        if self.version != other.version || to < first || last < from {
            return vec![self];
        }
        let address = |number: u128| Address(number.to_be_bytes());
        let below = from.checked_sub(1).filter(|below| first <= *below);
        let above = to.checked_add(1).filter(|above| *above <= last);
        let below = below.map(|below| Self { last: address(below), ..self });
        let above = above.map(|above| Self { first: address(above), ..self });
        below.into_iter().chain(above).collect()
    }

    fn contains(&self, version: IpVersion, address: Address) -> bool {
        self.version == version && self.first.0 <= address.0 && address.0 <= self.last.0
    }
}

impl From<Cidr> for AddressRange {
    fn from(range: Cidr) -> Self {
        let (first, host) = (range.network(), !range.mask());
        let host = if range.version() == IpVersion::V4 { host & u128::from(u32::MAX) } else { host };
        let address = |number: u128| Address(number.to_be_bytes());
        Self { version: range.version(), first: address(first), last: address(first | host) }
    }
}

/// How packets are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steering {
    count: u32,
    secret: u32,
    spread: Spread,
    inside: Vec<AddressRange>,
    outer: Vec<AddressRange>,
}

impl Steering {
    /// Over so many shards: at least one, at most [`MOST_SHARDS`]. Who does not know the secret cannot tell which addresses share a shard from
    /// one pair alone; it does not keep anybody from finding out by trying.
    pub fn new(count: u8, secret: u32, spread: Spread) -> Self {
        let count = u32::from(count.clamp(1, MOST_SHARDS));
        Self { count, secret: secret | 1, spread, inside: Vec::new(), outer: Vec::new() }
    }

    /// Declares addresses that sources have before they are translated, and after. Order and repetition do not matter.
    #[must_use]
    pub fn with(self, inside: Vec<AddressRange>, outer: Vec<AddressRange>) -> Self {
        Self { inside, outer, ..self }
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// What homes are multiplied with.
    pub const fn secret(&self) -> u32 {
        self.secret
    }

    /// How addresses decide.
    pub const fn spread(&self) -> Spread {
        self.spread
    }

    /// Ranges of addresses that sources are given.
    pub fn outer(&self) -> &[AddressRange] {
        &self.outer
    }

    /// Ranges of addresses that are near: inside, or outer.
    pub fn near(&self) -> impl Iterator<Item = &AddressRange> {
        self.inside.iter().chain(&self.outer)
    }

    /// The shard of packets that bear a tuple.
    pub fn of_tuple(&self, tuple: &Tuple) -> usize {
        // The identifier of a query is its two ends' alike.
        let is_query = matches!(tuple.protocol, Protocol::ICMP | Protocol::ICMPV6);
        let port = if is_query { tuple.source_port } else { tuple.destination_port };
        let (one, other) = ((tuple.source, tuple.source_port), (tuple.destination, port));
        self.of_ends(tuple.version, tuple.protocol, one, other)
    }

    fn of_ends(
        &self,
        version: IpVersion,
        protocol: Protocol,
        one: (Address, u16),
        other: (Address, u16),
    ) -> usize {
        let port = match (self.is_outer(version, one.0), self.is_outer(version, other.0)) {
            (true, false) => Some(one.1),
            (false, true) => Some(other.1),
            _ => None,
        };
        match port.filter(|port| has_ports(protocol) && self.reserves(*port)) {
            Some(port) => self.class(port),
            None => self.of_addresses(version, one.0, other.0),
        }
    }

    /// The shard of packets between two addresses, of protocols without ports, and of fragments.
    pub fn of_addresses(&self, version: IpVersion, one: Address, other: Address) -> usize {
        let (near, far) = match (self.is_near(version, one), self.is_near(version, other)) {
            (true, false) => (one, other),
            (false, true) => (other, one),
            _ => return self.scaled(self.mixed(version, one) ^ self.mixed(version, other)),
        };
        let counts = match self.spread {
            Spread::ByInside if !self.is_outer(version, near) => near,
            _ => far,
        };
        self.scaled(self.mixed(version, counts))
    }

    /// Each address for itself, so that pairs that differ alike are not alike.
    const fn mixed(&self, version: IpVersion, address: Address) -> u32 {
        let word = folded(version, address).wrapping_mul(self.secret);
        word ^ word >> MIX_SHIFT
    }

    const fn scaled(&self, word: u32) -> usize {
        ((word.wrapping_mul(MIX) >> 16) % self.count) as usize
    }

    /// The shard of an Ethernet frame. An error belongs to the conn that it is about, unless it came in fragments.
    pub fn of_frame(&self, frame: &[u8]) -> usize {
        let Ok(Network { offset, kind, .. }) = link::strip(LinkType::ETHERNET, frame) else { return FIRST };
        let datagram = frame.get(offset as usize..).unwrap_or_default();
        let plain = match kind {
            NetworkKind::Ipv4 => self.of_plain_v4(datagram),
            NetworkKind::Ipv6 => self.of_plain_v6(datagram),
            NetworkKind::Other(_) => return FIRST,
        };
        plain.unwrap_or_else(|| self.of_unusual(frame, offset))
    }

    fn of_plain_v4(&self, datagram: &[u8]) -> Option<usize> {
        let protocol = plain_protocol(*datagram.get(V4_PROTOCOL)?)?;
        let fragment = u16::from_be_bytes(*datagram.get(V4_FRAGMENT..)?.first_chunk()?);
        let (source, rest) = datagram.get(V4_ADDRESSES..)?.split_first_chunk()?;
        let (source, destination) = (Address::v4(*source), Address::v4(*rest.first_chunk()?));
        // All but "don't fragment".
        if fragment & 0x3fff != 0 {
            return Some(self.of_addresses(IpVersion::V4, source, destination));
        }
        let header = usize::from(datagram.first()? & 0xf) * 4;
        let [from, to] = ports(datagram.get(header..)?)?;
        Some(self.of_ends(IpVersion::V4, protocol, (source, from), (destination, to)))
    }

    fn of_plain_v6(&self, datagram: &[u8]) -> Option<usize> {
        let protocol = plain_protocol(*datagram.get(V6_NEXT_HEADER)?)?;
        let (source, rest) = datagram.get(V6_ADDRESSES..)?.split_first_chunk()?;
        let (source, destination) = (Address::v6(*source), Address::v6(*rest.first_chunk()?));
        let [from, to] = ports(datagram.get(V6_HEADER..)?)?;
        Some(self.of_ends(IpVersion::V6, protocol, (source, from), (destination, to)))
    }

    fn of_unusual(&self, frame: &[u8], offset: u32) -> usize {
        let parsed = Packet::parse(frame, offset).or_else(|_| Packet::parse_network(frame, offset));
        let Ok(packet) = parsed else { return FIRST };
        if packet.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
            return self.of_addresses(packet.version, packet.source, packet.destination);
        }
        match packet.quoted(frame) {
            Some(Ok(quoted)) => self.of_tuple(&Tuple::of(&quoted)),
            _ => self.of_tuple(&Tuple::of(&packet)),
        }
    }

    /// Whether packets that an expectation admits may have their home there.
    pub fn may_be_home(&self, expect: &Expect, shard: usize) -> bool {
        let version = if expect.destination.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let destination = expect.destination.into();
        let source = match expect.source {
            AddressMatch::Exact(source) => Some(source.into()),
            AddressMatch::Prefix(..) | AddressMatch::Any => None,
        };
        let by_addresses =
            || source.is_none_or(|source| self.of_addresses(version, source, destination) == shard);
        let is_from_outer = source.is_some_and(|source| self.is_outer(version, source));
        let port = match (is_from_outer, self.is_outer(version, destination)) {
            (false, true) => expect.destination_port,
            (true, false) => expect.source_port,
            _ => return by_addresses(),
        };
        let (first, last) = match port {
            PortMatch::Exact(port) => (port, port),
            PortMatch::Range(first, last) if last.saturating_sub(first) < FEW => (first, last),
            PortMatch::Range(..) | PortMatch::Any => return true,
        };
        (first..=last).any(|port| match has_ports(expect.protocol) && self.reserves(port) {
            true => self.class(port) == shard,
            false => by_addresses(),
        })
    }

    fn is_outer(&self, version: IpVersion, address: Address) -> bool {
        self.outer.iter().any(|range| range.contains(version, address))
    }

    fn is_near(&self, version: IpVersion, address: Address) -> bool {
        self.near().any(|range| range.contains(version, address))
    }

    fn reserves(&self, port: u16) -> bool {
        self.spread == Spread::ByInside || RESERVED.iter().any(|range| contains(range, port))
    }

    /// The shard in whose class a port is, reserved or not.
    fn class(&self, port: u16) -> usize {
        (u32::from(port / run(port)) % self.count) as usize
    }
}

const fn plain_protocol(number: u8) -> Option<Protocol> {
    match Protocol(number) {
        protocol @ (Protocol::TCP | Protocol::UDP) => Some(protocol),
        _ => None,
    }
}

fn ports(transport: &[u8]) -> Option<[u16; 2]> {
    let [s0, s1, d0, d1] = *transport.first_chunk()?;
    Some([u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])])
}

const fn folded(version: IpVersion, address: Address) -> u32 {
    let [a, b, c, d] = address.v4_octets();
    let last = u32::from_be_bytes([a, b, c, d]);
    match version {
        IpVersion::V4 => last,
        IpVersion::V6 => {
            let number = u128::from_be_bytes(address.0);
            (number >> 96) as u32 ^ (number >> 64) as u32 ^ (number >> 32) as u32 ^ last
        }
    }
}

const fn run(port: u16) -> u16 {
    if port < 1024 { RUNS.0 } else { RUNS.1 }
}

const fn contains(range: &PortRange, port: u16) -> bool {
    range.first <= port && port <= range.last
}
