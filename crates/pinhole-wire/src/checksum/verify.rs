//! Is the checksum of the upper layer right?

use super::{Sum, crc32c};
use crate::packet::has_segments_left;
use crate::transport::gre_has_checksum;
use crate::{IpVersion, Packet, Protocol, Transport};

/// What a packet's transport checksum turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// It is right.
    Good,
    /// It is wrong.
    Bad,
    /// The packet carries none, and may do so: UDP with a zero field (also over IPv6, where RFC 6935 allows it for tunnels), GRE
    /// without the checksum flag.
    Absent,
    /// The field holds the sum of the pseudo-header: the packet was captured before the network card completed it.
    Partial,
    /// The field is zero although the protocol needs a checksum: left to the network card, or forged.
    Zero,
    /// It cannot be computed: bytes are missing, the datagram is a fragment, a routing header hides its final destination, or
    /// the protocol has no checksum that is known here.
    Unverifiable,
}

/// Verifies the transport checksum of `packet`, which was parsed from `bytes`. Reads all bytes that the checksum covers.
pub fn verify_transport(packet: &Packet, bytes: &[u8]) -> Checksum {
    let in_pieces = packet.fragment.is_some_and(|fragment| !fragment.is_atomic());
    if in_pieces || packet.missing != 0 {
        return Checksum::Unverifiable;
    }
    let message = packet.transport_bytes(bytes);
    match &packet.transport {
        Transport::Tcp(tcp) => with_pseudo_header(packet, bytes, message, message.len(), tcp.checksum),
        Transport::Udp(udp) if packet.protocol == Protocol::UDP => {
            if udp.checksum == 0 {
                return Checksum::Absent;
            }
            let length = usize::from(udp.length);
            with_pseudo_header(packet, bytes, message, length, udp.checksum)
        }
        Transport::Udp(udp) => {
            let coverage = if udp.length == 0 { message.len() } else { usize::from(udp.length) };
            with_pseudo_header(packet, bytes, message, coverage, udp.checksum)
        }
        Transport::Icmp(icmp) if packet.protocol == Protocol::ICMPV6 => {
            with_pseudo_header(packet, bytes, message, message.len(), icmp.checksum)
        }
        Transport::Icmp(icmp) => without_pseudo_header(message, icmp.checksum),
        Transport::Sctp(_) => sctp(message),
        Transport::Dccp(_) => dccp(packet, bytes, message),
        Transport::Gre(_) => gre(message),
        Transport::Other => Checksum::Unverifiable,
    }
}

/// A checksum over the pseudo-header and the first `coverage` bytes of `message`. The pseudo-header holds the length of the
/// whole message, but for UDP, whose own length counts (RFC 768).
#[inline]
fn with_pseudo_header(
    packet: &Packet,
    bytes: &[u8],
    message: &[u8],
    coverage: usize,
    field: u16,
) -> Checksum {
    let Some(covered) = message.get(..coverage) else { return Checksum::Bad };
    let length = if packet.protocol == Protocol::UDP { coverage } else { message.len() };
    let pseudo_header = |length: u32| {
        Sum::pseudo_header(packet.version, packet.source, packet.destination, packet.protocol, length)
    };
    let pseudo = pseudo_header(length as u32);
    if pseudo.add_bytes(covered).fold() == 0xffff {
        Checksum::Good
    } else if packet.version == IpVersion::V6 && has_segments_left(packet, bytes) {
        Checksum::Unverifiable
    } else if field == 0 {
        Checksum::Zero
    } else if field == pseudo.fold() || field == pseudo_header(0).fold() {
        // Some systems leave the length of a segmentation superframe out.
        Checksum::Partial
    } else {
        Checksum::Bad
    }
}

fn without_pseudo_header(message: &[u8], field: u16) -> Checksum {
    match Sum::of(message).fold() {
        0xffff => Checksum::Good,
        _ if field == 0 => Checksum::Zero,
        _ => Checksum::Bad,
    }
}

/// RFC 9260 §6.8: CRC32c over the packet with the checksum field as zero; its least significant byte comes first.
fn sctp(message: &[u8]) -> Checksum {
    let Some((&[header @ .., a, b, c, d], chunks)) = message.split_first_chunk::<12>() else {
        return Checksum::Unverifiable;
    };
    let header: [u8; 8] = header;
    let field = u32::from_le_bytes([a, b, c, d]);
    if crc32c(&[&header, &[0; 4], chunks]) == field {
        Checksum::Good
    } else if field == 0 {
        Checksum::Zero
    } else {
        Checksum::Bad
    }
}

/// RFC 4340 §9: CsCov of zero covers everything, n covers the header and (n - 1) words of data.
fn dccp(packet: &Packet, bytes: &[u8], message: &[u8]) -> Checksum {
    let &[_, _, _, _, data_offset, coverage, high, low, ..] = message else {
        return Checksum::Unverifiable;
    };
    let covered = match usize::from(coverage & 0x0f) {
        0 => message.len(),
        words => (usize::from(data_offset) + words - 1) * 4,
    };
    with_pseudo_header(packet, bytes, message, covered, u16::from_be_bytes([high, low]))
}

/// RFC 2784 §2.5.
fn gre(message: &[u8]) -> Checksum {
    match message {
        &[_, _, _, _, high, low, ..] if gre_has_checksum(message) => {
            without_pseudo_header(message, u16::from_be_bytes([high, low]))
        }
        _ => Checksum::Absent,
    }
}
