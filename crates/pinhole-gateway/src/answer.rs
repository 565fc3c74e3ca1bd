//! What a sender is told whose packet was rejected, or cannot be passed on: a TCP reset, or an ICMP error that quotes the packet.

use pinhole_ruleset::RejectWith;
use pinhole_wire::checksum::Sum;
use pinhole_wire::{Address, IpVersion, Packet, Protocol, TcpFlags, Transport};

/// Hop limit of answers.
const HOPS: u8 = 64;

/// Longest ICMP error, as a datagram: RFC 1812 §4.3.2.3; RFC 4443 §2.4 (c).
const LONGEST_V4: usize = 576;
const LONGEST_V6: usize = 1280;

const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;
const ICMP_HEADER: usize = 8;

const UNREACHABLE_V4: u8 = 3;
const UNREACHABLE_V6: u8 = 1;

/// Why a router does not pass a packet on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It has passed as many routers as it may.
    HopLimit,
    /// There is no route.
    NoRoute,
    /// The host cannot be reached.
    HostUnreachable,
    /// It is not allowed.
    Prohibited,
    /// It is longer than this, the next link's MTU.
    TooBig(u32),
}

impl Problem {
    /// Type, code, and the word behind the checksum: RFC 792, RFC 1191 §4, RFC 1812 §5.2.7; RFC 4443 §3.
    const fn message(self, version: IpVersion) -> (u8, u8, u32) {
        const TIME_EXCEEDED_V4: u8 = 11;
        const TIME_EXCEEDED_V6: u8 = 3;
        const TOO_BIG_V6: u8 = 2;
        match (version, self) {
            (IpVersion::V4, Self::HopLimit) => (TIME_EXCEEDED_V4, 0, 0),
            (IpVersion::V4, Self::NoRoute) => (UNREACHABLE_V4, 0, 0),
            (IpVersion::V4, Self::HostUnreachable) => (UNREACHABLE_V4, 1, 0),
            (IpVersion::V4, Self::Prohibited) => (UNREACHABLE_V4, 13, 0),
            (IpVersion::V4, Self::TooBig(mtu)) => (UNREACHABLE_V4, 4, mtu & 0xffff),
            (IpVersion::V6, Self::HopLimit) => (TIME_EXCEEDED_V6, 0, 0),
            (IpVersion::V6, Self::NoRoute) => (UNREACHABLE_V6, 0, 0),
            (IpVersion::V6, Self::HostUnreachable) => (UNREACHABLE_V6, 3, 0),
            (IpVersion::V6, Self::Prohibited) => (UNREACHABLE_V6, 1, 0),
            (IpVersion::V6, Self::TooBig(mtu)) => (TOO_BIG_V6, 0, mtu),
        }
    }
}

/// Writes the whole frame of the answer to `frame`, in which `packet` was found, to `out`: with the link header's addresses swapped and its tags
/// kept. An ICMP error comes from `own`; without such an address, as a TCP reset always does, from the host that the packet was for. `false`,
/// and nothing of use in `out`: there must be no answer.
pub fn reject(
    frame: &[u8],
    packet: &Packet,
    with: RejectWith,
    own: Option<Address>,
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    let answerable = may_be_answered(frame, packet);
    if !answerable || !turn_link_header(frame, packet, out) {
        return false;
    }
    let code = match (with, packet.version) {
        (RejectWith::TcpReset, _) => return reset(packet, out),
        (RejectWith::Icmp(code), IpVersion::V4) | (RejectWith::Icmp6(code), IpVersion::V6) => code,
        (RejectWith::Icmpx(code), IpVersion::V4) => code.icmp(),
        (RejectWith::Icmpx(code), IpVersion::V6) => code.icmp6(),
        (RejectWith::Icmp(_) | RejectWith::Icmp6(_), _) => return false,
    };
    let kind = if packet.version == IpVersion::V4 { UNREACHABLE_V4 } else { UNREACHABLE_V6 };
    icmp(frame, packet, own.unwrap_or(packet.destination), (kind, code, 0), out);
    true
}

/// Writes the whole frame that tells the sender of `frame`, in which `packet` was found, of a problem with it, as [`reject`] does. `false`: there must be
/// no answer.
pub fn tell(frame: &[u8], packet: &Packet, problem: Problem, own: Address, out: &mut Vec<u8>) -> bool {
    out.clear();
    let answerable = may_be_answered(frame, packet) && turn_link_header(frame, packet, out);
    if answerable {
        icmp(frame, packet, own, problem.message(packet.version), out);
    }
    answerable
}

/// RFC 1122 §3.2.2 and RFC 4443 §2.4 (e): no answer to errors, to what was sent to many, from nobody, or to later fragments.
fn may_be_answered(frame: &[u8], packet: &Packet) -> bool {
    let to_many = frame.first().is_none_or(|first| first & 1 != 0);
    let later = packet.fragment.is_some_and(|fragment| fragment.offset != 0);
    let error = matches!(&packet.transport, Transport::Icmp(icmp) if icmp.is_error(packet.version));
    let one_host = |address: Address| match address.ip(packet.version) {
        std::net::IpAddr::V4(ip) => !ip.is_multicast() && !ip.is_broadcast() && !ip.is_unspecified(),
        std::net::IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_unspecified(),
    };
    !to_many && !later && !error && one_host(packet.source) && one_host(packet.destination)
}

/// The link header, the other way round.
fn turn_link_header(frame: &[u8], packet: &Packet, out: &mut Vec<u8>) -> bool {
    let header = frame.get(..packet.network as usize).unwrap_or_default();
    let Some((&[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5], rest)) = header.split_first_chunk::<12>()
    else {
        return false;
    };
    out.extend([s0, s1, s2, s3, s4, s5, d0, d1, d2, d3, d4, d5]);
    out.extend_from_slice(rest);
    true
}

/// RFC 9293 §3.10.7.1: what a host sends on which nothing listens.
fn reset(packet: &Packet, out: &mut Vec<u8>) -> bool {
    const HEADER: usize = 20;
    let Transport::Tcp(tcp) = &packet.transport else { return false };
    if tcp.flags.contains(TcpFlags::RST) {
        return false;
    }
    let (sequence, acknowledgement, flags) = if tcp.flags.contains(TcpFlags::ACK) {
        (tcp.acknowledgement, 0, TcpFlags::RST)
    } else {
        let controls =
            u32::from(tcp.flags.contains(TcpFlags::SYN)) + u32::from(tcp.flags.contains(TcpFlags::FIN));
        let end = tcp.sequence.wrapping_add(tcp.payload_length).wrapping_add(controls);
        (0, end, TcpFlags::RST | TcpFlags::ACK)
    };
    network_header(packet, packet.destination, Protocol::TCP, HEADER, out);
    let start = out.len();
    out.extend(tcp.destination_port.to_be_bytes());
    out.extend(tcp.source_port.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(acknowledgement.to_be_bytes());
    out.extend([5 << 4, flags.bits(), 0, 0, 0, 0, 0, 0]);
    put_checksum(packet, packet.destination, Protocol::TCP, out, start, 16);
    true
}

/// An error message: RFC 792; RFC 4443 §2.1 and §3.
fn icmp(frame: &[u8], packet: &Packet, from: Address, message: (u8, u8, u32), out: &mut Vec<u8>) {
    let (protocol, longest, header) = match packet.version {
        IpVersion::V4 => (Protocol::ICMP, LONGEST_V4, HEADER_V4),
        IpVersion::V6 => (Protocol::ICMPV6, LONGEST_V6, HEADER_V6),
    };
    let datagram = packet.datagram_bytes(frame);
    let quoted = datagram.get(..longest - header - ICMP_HEADER).unwrap_or(datagram);
    network_header(packet, from, protocol, ICMP_HEADER + quoted.len(), out);
    let start = out.len();
    let (kind, code, word) = message;
    out.extend([kind, code, 0, 0]);
    out.extend(word.to_be_bytes());
    out.extend_from_slice(quoted);
    put_checksum(packet, from, protocol, out, start, 2);
}

/// The IP header of an answer with so many bytes above it (RFC 791 §3.1; RFC 8200 §3): to the packet's source.
fn network_header(packet: &Packet, from: Address, protocol: Protocol, length: usize, out: &mut Vec<u8>) {
    match packet.version {
        IpVersion::V4 => {
            let start = out.len();
            out.extend([0x45, 0]);
            out.extend(((HEADER_V4 + length) as u16).to_be_bytes());
            // May not be fragmented, so that the identification may be zero (RFC 6864 §4.1).
            out.extend([0, 0, 0x40, 0, HOPS, protocol.0, 0, 0]);
            out.extend(from.v4_octets());
            out.extend(packet.source.v4_octets());
            let checksum = Sum::of(out.get(start..).unwrap_or_default()).checksum();
            put(out, start + 10, checksum);
        }
        IpVersion::V6 => {
            out.extend([0x60, 0, 0, 0]);
            out.extend((length as u16).to_be_bytes());
            out.extend([protocol.0, HOPS]);
            out.extend(from.0);
            out.extend(packet.source.0);
        }
    }
}

/// Completes the checksum `field` bytes into the message that starts at `start`. ICMP has no pseudo-header.
fn put_checksum(
    packet: &Packet,
    from: Address,
    protocol: Protocol,
    out: &mut [u8],
    start: usize,
    field: usize,
) {
    let message = out.get(start..).unwrap_or_default();
    let pseudo = if protocol == Protocol::ICMP {
        Sum::ZERO
    } else {
        Sum::pseudo_header(packet.version, from, packet.source, protocol, message.len() as u32)
    };
    let checksum = pseudo.add_bytes(message).checksum();
    put(out, start + field, checksum);
}

fn put(bytes: &mut [u8], offset: usize, value: u16) {
    if let Some(field) = bytes.get_mut(offset..offset + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
