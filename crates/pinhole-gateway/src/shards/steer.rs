//! Which shard a packet belongs to, by its two addresses alone: a pure function on which both directions of a conn, its fragments and
//! errors about it agree.
//!
//! Ports are not looked at, so what two hosts expect of each other comes to the shard of their control connection by itself. Addresses that
//! are declared *inside* count for nothing: a conn is known by its outside ends. What translates inside addresses only, whichever way,
//! changes nothing then, and two conns that could take each other's tuple are always in one shard.

use pinhole_engine::Cidr;
use pinhole_track::Tuple;
use pinhole_wire::link::{self, Network, NetworkKind};
use pinhole_wire::{Address, IpVersion, LinkType, Packet, Protocol};

/// Of frames that are not IP.
const FIRST: usize = 0;

/// Where IPv4 has its protocol and addresses (RFC 791 §3.1), IPv6 its next header and addresses (RFC 8200 §3).
const V4_PROTOCOL: usize = 9;
const V4_ADDRESSES: usize = 12;
const V6_NEXT_HEADER: usize = 6;
const V6_ADDRESSES: usize = 8;

/// How packets are spread.
#[derive(Clone, Debug)]
pub struct Steering {
    count: u32,
    secret: u32,
    inside: Vec<Cidr>,
}

impl Steering {
    /// Over so many shards, at least one. Who does not know the secret cannot tell which addresses share a shard from one pair alone; it does not
    /// keep anybody from finding out by trying.
    pub fn new(count: u8, secret: u32, inside: Vec<Cidr>) -> Self {
        Self { count: u32::from(count.max(1)), secret: secret | 1, inside }
    }

    /// How many shards there are.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// The shard of packets between two addresses.
    pub fn home(&self, version: IpVersion, one: Address, other: Address) -> usize {
        let folded = self.fold(version, one) ^ self.fold(version, other);
        ((folded.wrapping_mul(self.secret) >> 16) % self.count) as usize
    }

    /// The shard of packets that bear a tuple.
    pub fn of_tuple(&self, tuple: &Tuple) -> usize {
        self.home(tuple.version, tuple.source, tuple.destination)
    }

    /// The shard of an Ethernet frame. An error belongs to the conn that it is about, unless it came in fragments.
    pub fn of_frame(&self, frame: &[u8]) -> usize {
        let Ok(Network { offset, kind, .. }) = link::strip(LinkType::ETHERNET, frame) else { return FIRST };
        let header = frame.get(offset as usize..).unwrap_or_default();
        let protocol_at = if kind == NetworkKind::Ipv4 { V4_PROTOCOL } else { V6_NEXT_HEADER };
        let plain = header
            .get(protocol_at)
            .is_some_and(|&protocol| [Protocol::TCP, Protocol::UDP].contains(&Protocol(protocol)));
        if !plain
            && let Ok(packet) = Packet::parse(frame, offset)
            && packet.fragment.is_none()
            && let Some(Ok(quoted)) = packet.quoted(frame)
        {
            return self.home(quoted.version, quoted.source, quoted.destination);
        }
        let ends = match kind {
            NetworkKind::Ipv4 => v4(header).map(|ends| (IpVersion::V4, ends)),
            NetworkKind::Ipv6 => v6(header).map(|ends| (IpVersion::V6, ends)),
            NetworkKind::Other(_) => None,
        };
        ends.map_or(FIRST, |(version, [one, other])| self.home(version, one, other))
    }

    fn fold(&self, version: IpVersion, address: Address) -> u32 {
        if self.inside.iter().any(|range| range.contains(version, address)) {
            return 0;
        }
        if version == IpVersion::V4 {
            return u32::from_be_bytes(address.v4_octets());
        }
        let [first, last] = address.words();
        let both = first ^ last;
        (both >> 32) as u32 ^ both as u32
    }
}

fn v4(header: &[u8]) -> Option<[Address; 2]> {
    let (source, rest) = header.get(V4_ADDRESSES..)?.split_first_chunk()?;
    Some([Address::v4(*source), Address::v4(*rest.first_chunk()?)])
}

fn v6(header: &[u8]) -> Option<[Address; 2]> {
    let (source, rest) = header.get(V6_ADDRESSES..)?.split_first_chunk()?;
    Some([Address::v6(*source), Address::v6(*rest.first_chunk()?)])
}
