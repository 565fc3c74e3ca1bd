//! What a sender is told whose packet was rejected: a TCP reset, or an ICMP error that quotes the packet.

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

/// Writes the whole frame of the answer to `frame`, in which `packet` was found, to `out`: with the link header's addresses swapped and its tags
/// kept, as from the host that the packet was for. `false`, and nothing of use in `out`: there must be no answer.
pub fn reject(frame: &[u8], packet: &Packet, with: RejectWith, out: &mut Vec<u8>) -> bool {
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
    unreachable(frame, packet, code, out);
    true
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
    network_header(packet, Protocol::TCP, HEADER, out);
    let start = out.len();
    out.extend(tcp.destination_port.to_be_bytes());
    out.extend(tcp.source_port.to_be_bytes());
    out.extend(sequence.to_be_bytes());
    out.extend(acknowledgement.to_be_bytes());
    out.extend([5 << 4, flags.bits(), 0, 0, 0, 0, 0, 0]);
    put_checksum(packet, Protocol::TCP, out, start, 16);
    true
}

/// RFC 792; RFC 4443 §3.1.
fn unreachable(frame: &[u8], packet: &Packet, code: u8, out: &mut Vec<u8>) {
    let (kind, protocol, longest, header) = match packet.version {
        IpVersion::V4 => (UNREACHABLE_V4, Protocol::ICMP, LONGEST_V4, HEADER_V4),
        IpVersion::V6 => (UNREACHABLE_V6, Protocol::ICMPV6, LONGEST_V6, HEADER_V6),
    };
    let datagram = packet.datagram_bytes(frame);
    let quoted = datagram.get(..longest - header - ICMP_HEADER).unwrap_or(datagram);
    network_header(packet, protocol, ICMP_HEADER + quoted.len(), out);
    let start = out.len();
    out.extend([kind, code, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(quoted);
    put_checksum(packet, protocol, out, start, 2);
}

/// The IP header of an answer with so many bytes above it (RFC 791 §3.1; RFC 8200 §3): from the destination to the source.
fn network_header(packet: &Packet, protocol: Protocol, length: usize, out: &mut Vec<u8>) {
    match packet.version {
        IpVersion::V4 => {
            let start = out.len();
            out.extend([0x45, 0]);
            out.extend(((HEADER_V4 + length) as u16).to_be_bytes());
            // May not be fragmented, so that the identification may be zero (RFC 6864 §4.1).
            out.extend([0, 0, 0x40, 0, HOPS, protocol.0, 0, 0]);
            out.extend(packet.destination.v4_octets());
            out.extend(packet.source.v4_octets());
            let checksum = Sum::of(out.get(start..).unwrap_or_default()).checksum();
            put(out, start + 10, checksum);
        }
        IpVersion::V6 => {
            out.extend([0x60, 0, 0, 0]);
            out.extend((length as u16).to_be_bytes());
            out.extend([protocol.0, HOPS]);
            out.extend(packet.destination.0);
            out.extend(packet.source.0);
        }
    }
}

/// Completes the checksum `field` bytes into the message that starts at `start`. ICMP has no pseudo-header.
fn put_checksum(packet: &Packet, protocol: Protocol, out: &mut [u8], start: usize, field: usize) {
    let message = out.get(start..).unwrap_or_default();
    let pseudo = if protocol == Protocol::ICMP {
        Sum::ZERO
    } else {
        let (from, to) = (packet.destination, packet.source);
        Sum::pseudo_header(packet.version, from, to, protocol, message.len() as u32)
    };
    let checksum = pseudo.add_bytes(message).checksum();
    put(out, start + field, checksum);
}

fn put(bytes: &mut [u8], offset: usize, value: u16) {
    if let Some(field) = bytes.get_mut(offset..offset + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
