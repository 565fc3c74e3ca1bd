//! Datagrams made to order, with valid checksums: TCP conversations, UDP, ICMP errors, IP fragments. Built with etherparse, so that
//! pinhole's own notion of a header is not checked against itself.

use etherparse::{IcmpEchoHeader, Icmpv4Type, Icmpv6Type, PacketBuilder, TcpHeader, icmpv4, icmpv6};
use pinhole_wire::{Direction, TcpFlags};
use std::net::{IpAddr, SocketAddr};

/// What of a TCP segment a test may choose.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) flags: TcpFlags,
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) hop_limit: u8,
    pub(crate) payload: &'a [u8],
}

impl Default for Segment<'_> {
    fn default() -> Self {
        Self { flags: TcpFlags::SYN, sequence: 1000, acknowledgement: 0, hop_limit: 64, payload: &[] }
    }
}

/// A TCP segment as a raw IP datagram.
pub(crate) fn tcp(source: SocketAddr, destination: SocketAddr, segment: &Segment<'_>) -> Vec<u8> {
    let has = |flag| segment.flags.contains(flag);
    let mut header = TcpHeader::new(source.port(), destination.port(), segment.sequence, 65_535);
    header.acknowledgment_number = segment.acknowledgement;
    header.syn = has(TcpFlags::SYN);
    header.ack = has(TcpFlags::ACK);
    header.fin = has(TcpFlags::FIN);
    header.rst = has(TcpFlags::RST);
    header.psh = has(TcpFlags::PSH);
    header.urg = has(TcpFlags::URG);
    let mut bytes = Vec::new();
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(s), IpAddr::V4(d)) => PacketBuilder::ipv4(s.octets(), d.octets(), segment.hop_limit),
        (IpAddr::V6(s), IpAddr::V6(d)) => PacketBuilder::ipv6(s.octets(), d.octets(), segment.hop_limit),
        _ => panic!("addresses of two families"),
    }
    .tcp_header(header)
    .write(&mut bytes, segment.payload)
    .unwrap();
    bytes
}

/// The first SYN of a conn.
pub(crate) fn syn(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    tcp(source, destination, &Segment::default())
}

/// A UDP datagram.
pub(crate) fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (source.ip(), destination.ip()) {
        (IpAddr::V4(s), IpAddr::V4(d)) => PacketBuilder::ipv4(s.octets(), d.octets(), 64),
        (IpAddr::V6(s), IpAddr::V6(d)) => PacketBuilder::ipv6(s.octets(), d.octets(), 64),
        _ => panic!("addresses of two families"),
    }
    .udp(source.port(), destination.port())
    .write(&mut bytes, payload)
    .unwrap();
    bytes
}

/// An echo request.
pub(crate) fn ping(source: IpAddr, destination: IpAddr, id: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => PacketBuilder::ipv4(s.octets(), d.octets(), 64)
            .icmpv4(Icmpv4Type::EchoRequest(IcmpEchoHeader { id, seq: 1 }))
            .write(&mut bytes, b"ping"),
        (IpAddr::V6(s), IpAddr::V6(d)) => PacketBuilder::ipv6(s.octets(), d.octets(), 64)
            .icmpv6(Icmpv6Type::EchoRequest(IcmpEchoHeader { id, seq: 1 }))
            .write(&mut bytes, b"ping"),
        _ => panic!("addresses of two families"),
    }
    .unwrap();
    bytes
}

/// "Port unreachable" from a router or host about a datagram.
pub(crate) fn unreachable(source: IpAddr, destination: IpAddr, about: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => PacketBuilder::ipv4(s.octets(), d.octets(), 64)
            .icmpv4(Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port))
            .write(&mut bytes, about),
        (IpAddr::V6(s), IpAddr::V6(d)) => PacketBuilder::ipv6(s.octets(), d.octets(), 64)
            .icmpv6(Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port))
            .write(&mut bytes, about),
        _ => panic!("addresses of two families"),
    }
    .unwrap();
    bytes
}

/// One fragment of a datagram without options or extension headers: its data from `start` to `end` (multiples of eight, but for the last).
pub(crate) fn fragment(datagram: &[u8], identification: u16, start: usize, end: usize) -> Vec<u8> {
    let is_v4 = datagram[0] >> 4 == 4;
    let header = if is_v4 { 20 } else { 40 };
    let data = &datagram[header..];
    let end = end.min(data.len());
    assert!(start.is_multiple_of(8) && (end.is_multiple_of(8) || end == data.len()));
    let more = end < data.len();
    let mut bytes = datagram[..header].to_vec();
    if is_v4 {
        bytes[2..4].copy_from_slice(&((header + end - start) as u16).to_be_bytes());
        bytes[4..6].copy_from_slice(&identification.to_be_bytes());
        bytes[6..8].copy_from_slice(&(u16::from(more) << 13 | (start / 8) as u16).to_be_bytes());
        repair_header(&mut bytes);
    } else {
        const FRAGMENT: u8 = 44;
        let next = std::mem::replace(&mut bytes[6], FRAGMENT);
        bytes[4..6].copy_from_slice(&((8 + end - start) as u16).to_be_bytes());
        bytes.extend([next, 0]);
        bytes.extend((start as u16 | u16::from(more)).to_be_bytes());
        bytes.extend(u32::from(identification).to_be_bytes());
    }
    bytes.extend_from_slice(&data[start..end]);
    bytes
}

/// Computes the checksum of an IPv4 header without options anew.
pub(crate) fn repair_header(datagram: &mut [u8]) {
    datagram[10..12].fill(0);
    let words = datagram[..20].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    datagram[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
}

/// A TCP conversation. Sequence numbers start near the wrap, so that they wrap in it.
#[derive(Clone)]
pub(crate) struct Conversation {
    pub(crate) client: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) hop_limit: u8,
    initial: [u32; 2],
    /// Bytes that each side has sent, and the other side has received.
    sent: [u32; 2],
}

impl Conversation {
    pub(crate) fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self { client, server, hop_limit: 64, initial: [u32::MAX - 20, u32::MAX - 300], sent: [0; 2] }
    }

    /// SYN, SYN-ACK, ACK.
    pub(crate) fn handshake(&self) -> [Vec<u8>; 3] {
        let first = |from: Direction, flags, acknowledgement| {
            let sequence = self.initial[from.index()];
            self.packet(from, &Segment { flags, sequence, acknowledgement, ..Segment::default() })
        };
        let answer = self.initial[0].wrapping_add(1);
        [
            first(Direction::Original, TcpFlags::SYN, 0),
            first(Direction::Reply, TcpFlags::SYN | TcpFlags::ACK, answer),
            self.acknowledge(Direction::Original),
        ]
    }

    /// A SYN with text in it (TCP Fast Open, RFC 7413).
    pub(crate) fn opening(&self, payload: &[u8]) -> Vec<u8> {
        let sequence = self.initial[0];
        self.packet(Direction::Original, &Segment { sequence, payload, ..Segment::default() })
    }

    /// The next bytes of a side in one segment.
    pub(crate) fn say(&mut self, from: Direction, bytes: &[u8]) -> Vec<u8> {
        let packet = self.at(from, self.sent(from), bytes);
        self.deliver(from, self.sent(from) + bytes.len() as u32);
        packet
    }

    /// Bytes at an offset of a side's stream, whether or not they were sent before.
    pub(crate) fn at(&self, from: Direction, offset: u32, bytes: &[u8]) -> Vec<u8> {
        self.flagged(from, TcpFlags::ACK | TcpFlags::PSH, offset, bytes)
    }

    /// As [`Self::at`], with flags of the test's choice.
    pub(crate) fn flagged(&self, from: Direction, flags: TcpFlags, offset: u32, bytes: &[u8]) -> Vec<u8> {
        let peer = from.opposite();
        let acknowledgement = self.sequence(peer, self.sent(peer)) * u32::from(flags.contains(TcpFlags::ACK));
        let sequence = self.sequence(from, offset);
        self.packet(
            from,
            &Segment { flags, sequence, acknowledgement, payload: bytes, hop_limit: self.hop_limit },
        )
    }

    /// A bare ACK of everything received.
    pub(crate) fn acknowledge(&self, from: Direction) -> Vec<u8> {
        self.flagged(from, TcpFlags::ACK, self.sent(from), &[])
    }

    /// A bare ACK of the first `count` bytes of the peer.
    pub(crate) fn acknowledge_to(&self, from: Direction, count: u32) -> Vec<u8> {
        let segment = Segment {
            flags: TcpFlags::ACK,
            sequence: self.sequence(from, self.sent(from)),
            acknowledgement: self.sequence(from.opposite(), count),
            ..Segment::default()
        };
        self.packet(from, &segment)
    }

    /// FIN both ways and the last ACK.
    pub(crate) fn close(&mut self) -> [Vec<u8>; 3] {
        let fin = |this: &mut Self, from| {
            let packet = this.flagged(from, TcpFlags::FIN | TcpFlags::ACK, this.sent(from), &[]);
            this.deliver(from, this.sent(from) + 1);
            packet
        };
        [fin(self, Direction::Original), fin(self, Direction::Reply), self.acknowledge(Direction::Original)]
    }

    /// An RST.
    pub(crate) fn reset(&self, from: Direction) -> Vec<u8> {
        self.flagged(from, TcpFlags::RST | TcpFlags::ACK, self.sent(from), &[])
    }

    /// Notes that the peer has everything before this offset, and acknowledges it with its next segment.
    pub(crate) fn deliver(&mut self, from: Direction, end: u32) {
        self.sent[from.index()] = end;
    }

    /// Bytes that a side has sent.
    pub(crate) fn sent(&self, from: Direction) -> u32 {
        self.sent[from.index()]
    }

    fn sequence(&self, from: Direction, offset: u32) -> u32 {
        self.initial[from.index()].wrapping_add(1).wrapping_add(offset)
    }

    fn packet(&self, from: Direction, segment: &Segment<'_>) -> Vec<u8> {
        match from {
            Direction::Original => tcp(self.client, self.server, segment),
            Direction::Reply => tcp(self.server, self.client, segment),
        }
    }
}

/// A small deterministic random generator (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
