//! The key under which a conn is found, the same for both of its directions.
//!
//! A key holds the two ends of a conn in an order that does not depend on who sends: the lesser (address, port) first. Which way a
//! packet goes is said beside it, by one bit: *flipped* packets go from the greater end to the lesser. A conn remembers that bit of its
//! first packet; a later packet with the same bit is in the original direction. So one entry of the index serves both directions, and
//! the inverse of a tuple has the tuple's own key.
//!
//! A conn from an end to itself has one tuple both ways. As in netfilter, all its packets but the first count as replies; so it remembers
//! the bit that its packets never have.
//!
//! A translated conn has two tuples that are not each other's inverse, hence two keys; each counts for one direction bit only, and
//! the other bit of the same key may be another conn's.
//!
//! ICMP queries have no ports: the request goes one way and the reply the other, so *flipped* means reply, and the key records the
//! identifier, the code, the kind of query and which end asks.

use crate::Tuple;
use crate::hash::Secret;
use pinhole_wire::{Address, IpVersion, Protocol};

/// Direction-independent identity of a conn: five words.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Key(pub(crate) [u64; 5]);

/// Without branches: keys with one tag are nearly always equal.
impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        let ([a, b, c, d, e], [f, g, h, i, j]) = (self.0, other.0);
        (a ^ f) | (b ^ g) | (c ^ h) | (d ^ i) | (e ^ j) == 0
    }
}

impl Eq for Key {}

impl Key {
    /// Hash of the key: of all but the IP version, which the length of what is hashed tells, and of IPv4 addresses what can differ.
    #[inline(always)]
    pub(crate) fn hash(&self, secret: Secret) -> u64 {
        let [a, low, c, high, rest] = self.0;
        if rest >> 56 == IpVersion::V4 as u64 {
            secret.hash(&[low >> 32 | high & !0xffff_ffff], rest)
        } else {
            secret.hash_long(&[a, low, c, high], rest)
        }
    }

    pub(crate) const fn is_v4(&self) -> bool {
        self.0[4] >> 56 == IpVersion::V4 as u64
    }

    /// Both ports, that of the lesser end in the lower half.
    pub(crate) const fn ports(&self) -> u32 {
        self.0[4] as u32
    }

    /// A key of the same protocol, version and zone.
    #[inline(always)]
    pub(crate) const fn with(&self, [a, b, c, d]: [u64; 4], ports: u32) -> Self {
        Self([a, b, c, d, self.0[4] & !0xffff_ffff | ports as u64])
    }

    pub(crate) const fn zone(&self) -> u16 {
        (self.0[4] >> 32) as u16
    }

    /// Whether both ends are one and the same, so that the directions cannot be told apart.
    pub(crate) const fn is_its_own_inverse(&self) -> bool {
        let [a, b, c, d, rest] = self.0;
        a == c && b == d && rest as u16 == (rest >> 16) as u16 && !is_icmp(self.protocol())
    }

    pub(crate) const fn protocol(&self) -> Protocol {
        Protocol((self.0[4] >> 48) as u8)
    }
}

/// A key, and which way the packet goes.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub(crate) struct Oriented {
    pub(crate) key: Key,
    pub(crate) flipped: bool,
}

impl PartialEq for Oriented {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.flipped == other.flipped
    }
}

/// Addresses and ports of an IPv4 packet: the little-endian numbers whose bytes stand in its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndsV4 {
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Source port, then destination port.
    pub ports: u32,
}

impl EndsV4 {
    /// Those of a packet with such a key: both addresses, the lesser in the lower half, and both ports, that of the lesser end in the lower half.
    #[inline(always)]
    pub(crate) const fn of_key(addresses: u64, ports: u32, flipped: bool) -> Self {
        let turn = if flipped { 32 } else { 0 };
        let addresses = addresses.rotate_right(turn);
        Self {
            source: addresses as u32,
            destination: (addresses >> 32) as u32,
            ports: ports.swap_bytes().rotate_left(16 - turn / 2),
        }
    }

    /// Where the packet goes.
    #[inline]
    pub const fn to(&self) -> Address {
        Address::v4(self.destination.to_le_bytes())
    }

    /// Those of an IPv4 tuple with ports.
    #[inline]
    pub fn of(tuple: &Tuple) -> Self {
        let [low, high] =
            [tuple.source_port, tuple.destination_port].map(|port| u32::from(port.swap_bytes()));
        Self {
            source: u32::from_le_bytes(tuple.source.v4_octets()),
            destination: u32::from_le_bytes(tuple.destination.v4_octets()),
            ports: high << 16 | low,
        }
    }
}

/// The ICMP queries that netfilter follows, request and reply types (RFC 792, RFC 950).
const QUERIES_V4: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
/// The same of ICMPv6 (RFC 4443 §4, RFC 4620).
const QUERIES_V6: [(u8, u8); 2] = [(128, 129), (139, 140)];

/// In the second "port" of an ICMP key: the lesser address is the one that asks.
const LESSER_ASKS: u16 = 1 << 15;

fn queries(version: IpVersion) -> &'static [(u8, u8)] {
    match version {
        IpVersion::V4 => &QUERIES_V4,
        IpVersion::V6 => &QUERIES_V6,
    }
}

const fn is_icmp(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::ICMP | Protocol::ICMPV6)
}

/// Ends of a packet whose protocol has ports, or zeros in their place.
#[derive(Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) version: IpVersion,
    pub(crate) zone: u16,
}

impl Ends {
    /// The key of a packet with ports.
    #[inline(always)]
    pub(crate) fn oriented(&self) -> Oriented {
        let ([s0, s1], [d0, d1]) = (self.source.words(), self.destination.words());
        let flipped = if s1 != d1 {
            s1 > d1
        } else if s0 != d0 {
            s0 > d0
        } else {
            self.source_port > self.destination_port
        };
        self.keyed(flipped, flipped, self.source_port, self.destination_port)
    }

    /// The key of an ICMP query or its reply; `None` for other types. The ports are not looked at.
    pub(crate) fn oriented_query(&self, kind: u8, code: u8, identifier: u16) -> Option<Oriented> {
        let position = |query: &(u8, u8)| query.0 == kind || query.1 == kind;
        let number = queries(self.version).iter().position(position)?;
        let reply = queries(self.version)[number].1 == kind;
        let source = u128::from_le_bytes(self.source.0);
        let destination = u128::from_le_bytes(self.destination.0);
        let swapped = source > destination;
        let lesser_asks = if source == destination || swapped != reply { 0 } else { LESSER_ASKS };
        let query = (number as u16) << 8 | u16::from(code) | lesser_asks;
        let (first, second) = if swapped { (query, identifier) } else { (identifier, query) };
        Some(self.keyed(swapped, reply, first, second))
    }

    /// `swapped`: the destination is the lesser end.
    #[inline(always)]
    fn keyed(&self, swapped: bool, flipped: bool, source_port: u16, destination_port: u16) -> Oriented {
        let (source, destination) = (self.source.words(), self.destination.words());
        let (low, high, low_port, high_port) = if swapped {
            (destination, source, destination_port, source_port)
        } else {
            (source, destination, source_port, destination_port)
        };
        let rest = u64::from(low_port)
            | u64::from(high_port) << 16
            | u64::from(self.zone) << 32
            | u64::from(self.protocol.0) << 48
            | (self.version as u64) << 56;
        Oriented { key: Key([low[0], low[1], high[0], high[1], rest]), flipped }
    }
}

impl Oriented {
    /// The key of a packet that has this tuple; `None` if no packet of its protocol can have it.
    pub(crate) fn of(tuple: &Tuple) -> Option<Self> {
        let ends = Ends {
            source: tuple.source,
            destination: tuple.destination,
            source_port: tuple.source_port,
            destination_port: tuple.destination_port,
            protocol: tuple.protocol,
            version: tuple.version,
            zone: tuple.zone,
        };
        if !is_icmp(tuple.protocol) {
            return Some(ends.oriented());
        }
        let [kind, code] = tuple.destination_port.to_be_bytes();
        ends.oriented_query(kind, code, tuple.source_port)
    }

    /// The tuple of the packet that has this key and direction.
    pub(crate) fn tuple(&self) -> Tuple {
        if !self.is_query() {
            return self.tuple_with_ports();
        }
        let rest = self.key.0[4];
        let (low_port, high_port) = (rest as u16, (rest >> 16) as u16);
        let lesser_asks = high_port & LESSER_ASKS != 0;
        let of_version = Self { key: self.key, flipped: lesser_asks == self.flipped }.tuple_with_ports();
        let (request, reply) =
            queries(of_version.version).get(usize::from(high_port >> 8 & 0x7f)).copied().unwrap_or_default();
        let kind = if self.flipped { reply } else { request };
        Tuple {
            source_port: low_port,
            destination_port: u16::from(kind) << 8 | (high_port & 0xff),
            ..of_version
        }
    }

    /// As [`tuple`](Self::tuple), for what is not ICMP.
    #[inline(always)]
    pub(crate) fn tuple_with_ports(&self) -> Tuple {
        let [a, b, c, d, rest] = self.key.0;
        let (low, high) = (Address::from_words([a, b]), Address::from_words([c, d]));
        let (low_port, high_port) = (rest as u16, (rest >> 16) as u16);
        let (source, destination, source_port, destination_port) =
            if self.flipped { (high, low, high_port, low_port) } else { (low, high, low_port, high_port) };
        Tuple {
            source,
            destination,
            source_port,
            destination_port,
            protocol: Protocol((rest >> 48) as u8),
            version: if rest >> 56 == IpVersion::V6 as u64 { IpVersion::V6 } else { IpVersion::V4 },
            zone: (rest >> 32) as u16,
        }
    }

    /// Whether it is of an ICMP query or the reply to one.
    pub(crate) const fn is_query(&self) -> bool {
        is_icmp(self.key.protocol())
    }

    /// What answers to a packet that bears this bear. From an end to itself it is the same.
    pub(crate) const fn answer(self) -> Self {
        if self.key.is_its_own_inverse() { self } else { self.inverse() }
    }

    /// The ends of an IPv4 packet with ports, as it bears them.
    #[inline(always)]
    pub(crate) const fn ends_v4(&self) -> EndsV4 {
        EndsV4::of_key(self.addresses_v4(), self.key.ports(), self.flipped)
    }

    /// Both addresses of an IPv4 key in one word, the lesser in the lower half.
    #[inline(always)]
    pub(crate) const fn addresses_v4(&self) -> u64 {
        let [_, b, _, d, _] = self.key.0;
        b >> 32 | d & !0xffff_ffff
    }

    /// The IPv4 key with these addresses and ports that is otherwise like another.
    #[inline(always)]
    pub(crate) const fn of_v4(addresses: u64, ports: u32, like: &Key, flipped: bool) -> Self {
        let [a, b] = Address::v4([0; 4]).words();
        let key = like.with([a, b | addresses << 32, a, b | addresses & !0xffff_ffff], ports);
        Self { key, flipped }
    }

    /// The other direction of the same key.
    pub(crate) const fn inverse(self) -> Self {
        Self { key: self.key, flipped: !self.flipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ends_of_a_key_are_those_of_its_tuple(addresses: [[u8; 4]; 2], ports: [u16; 2], protocol: u8) {
            let [source, destination] = addresses.map(Address::v4);
            let [source_port, destination_port] = ports;
            let (protocol, version) = (Protocol(protocol), IpVersion::V4);
            prop_assume!(!is_icmp(protocol));
            let ends = Ends { source, destination, source_port, destination_port, protocol, version, zone: 0 };
            let oriented = ends.oriented();
            for oriented in [oriented, oriented.inverse()] {
                prop_assert_eq!(oriented.ends_v4(), EndsV4::of(&oriented.tuple()));
                let (addresses, ports) = (oriented.addresses_v4(), oriented.key.ports());
                prop_assert_eq!(Oriented::of_v4(addresses, ports, &oriented.key, oriented.flipped), oriented);
            }
        }
    }
}
