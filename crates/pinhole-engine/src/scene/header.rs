//! Fields of headers, as rules load them.

use pinhole_ruleset::Field;
use pinhole_wire::{IpVersion, LinkType, Packet, Protocol, Transport};

/// Loads a field that the packet itself holds. `None`: it has no such field.
pub(super) fn load(field: Field, packet: &Packet, bytes: &[u8], link: LinkType) -> Option<u128> {
    match field {
        Field::L4Protocol => Some(packet.protocol.0.into()),
        Field::NfProtocol => Some(match packet.version {
            IpVersion::V4 => 2,
            IpVersion::V6 => 10,
        }),
        Field::EtherProtocol => Some(match packet.version {
            IpVersion::V4 => 0x0800,
            IpVersion::V6 => 0x86dd,
        }),
        Field::Length => Some(packet.datagram_length().into()),
        Field::SourcePort => {
            packet.source_port().map_or_else(|| raw(packet, bytes, 0, 2), |p| Some(p.into()))
        }
        Field::DestinationPort => {
            packet.destination_port().map_or_else(|| raw(packet, bytes, 2, 2), |p| Some(p.into()))
        }
        Field::PacketType | Field::EtherSource | Field::EtherDestination | Field::EtherType => {
            ethernet(field, packet, bytes, link)
        }
        _ => match packet.version {
            IpVersion::V4 => ipv4(field, packet, bytes),
            IpVersion::V6 => ipv6(field, packet, bytes),
        }
        .or_else(|| transport(field, packet, bytes)),
    }
}

/// IEEE 802.3. A datagram put together from fragments has no frame of its own any more.
fn ethernet(field: Field, packet: &Packet, bytes: &[u8], link: LinkType) -> Option<u128> {
    if link != LinkType::ETHERNET || packet.network < 14 {
        return (field == Field::PacketType).then(|| packet_type_by_address(packet));
    }
    match field {
        Field::EtherDestination => number(bytes, 0, 6),
        Field::EtherSource => number(bytes, 6, 6),
        Field::EtherType => number(bytes, 12, 2),
        _ => Some(match number(bytes, 0, 6)? {
            0xffff_ffff_ffff => 1,
            destination if destination >> 40 & 1 == 1 => 2,
            _ => 0,
        }),
    }
}

/// 0 host, 1 broadcast, 2 multicast, as far as the address tells.
fn packet_type_by_address(packet: &Packet) -> u128 {
    match packet.destination.ip(packet.version) {
        std::net::IpAddr::V4(a) if a.is_broadcast() => 1,
        ip if ip.is_multicast() => 2,
        _ => 0,
    }
}

/// RFC 791 §3.1.
fn ipv4(field: Field, packet: &Packet, bytes: &[u8]) -> Option<u128> {
    let at = packet.network as usize;
    Some(match field {
        Field::Ip4Source => u32::from_be_bytes(packet.source.v4_octets()).into(),
        Field::Ip4Destination => u32::from_be_bytes(packet.destination.v4_octets()).into(),
        Field::Ip4Protocol => packet.protocol.0.into(),
        Field::Ip4Ttl => packet.hop_limit.into(),
        Field::Ip4Dscp => (packet.traffic_class >> 2).into(),
        Field::Ip4Ecn => (packet.traffic_class & 3).into(),
        Field::Ip4Version => number(bytes, at, 1)? >> 4,
        Field::Ip4HeaderLength => number(bytes, at, 1)? & 15,
        Field::Ip4Length => number(bytes, at + 2, 2)?,
        Field::Ip4Id => number(bytes, at + 4, 2)?,
        Field::Ip4FragmentOffset => number(bytes, at + 6, 2)?,
        Field::Ip4Checksum => number(bytes, at + 10, 2)?,
        _ => return None,
    })
}

/// RFC 8200 §3.
fn ipv6(field: Field, packet: &Packet, bytes: &[u8]) -> Option<u128> {
    let at = packet.network as usize;
    Some(match field {
        Field::Ip6Source => u128::from_be_bytes(packet.source.0),
        Field::Ip6Destination => u128::from_be_bytes(packet.destination.0),
        Field::Ip6HopLimit => packet.hop_limit.into(),
        Field::Ip6Dscp => (packet.traffic_class >> 2).into(),
        Field::Ip6Ecn => (packet.traffic_class & 3).into(),
        Field::Ip6Version => number(bytes, at, 1)? >> 4,
        Field::Ip6FlowLabel => number(bytes, at, 4)? & 0xf_ffff,
        Field::Ip6Length => number(bytes, at + 4, 2)?,
        Field::Ip6NextHeader => number(bytes, at + 6, 1)?,
        Field::HasHopByHop => has_extension(packet, bytes, 0)?,
        Field::HasRouting => has_extension(packet, bytes, 43)?,
        Field::HasFragment => has_extension(packet, bytes, 44)?,
        Field::HasDestinationOptions => has_extension(packet, bytes, 60)?,
        Field::HasMobility => has_extension(packet, bytes, 135)?,
        _ => return None,
    })
}

/// 1 if an extension header of this type stands before the upper layer, else 0 (RFC 8200 §4). The packet was parsed, so the chain is
/// whole and short.
fn has_extension(packet: &Packet, bytes: &[u8], kind: u8) -> Option<u128> {
    const FRAGMENT: u8 = 44;
    const AUTHENTICATION: u8 = 51;
    let mut at = packet.network as usize + 40;
    let mut next = *bytes.get(packet.network as usize + 6)?;
    while at < packet.transport_offset as usize {
        if next == kind {
            return Some(1);
        }
        let length = usize::from(*bytes.get(at + 1)?);
        let header = at;
        at += match next {
            FRAGMENT => 8,
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        next = *bytes.get(header)?;
    }
    Some(0)
}

fn transport(field: Field, packet: &Packet, bytes: &[u8]) -> Option<u128> {
    match &packet.transport {
        Transport::Tcp(tcp) => Some(match field {
            Field::TcpSequence => tcp.sequence.into(),
            Field::TcpAcknowledgement => tcp.acknowledgement.into(),
            Field::TcpDataOffset => (tcp.header_length / 4).into(),
            Field::TcpFlags => tcp.flags.bits().into(),
            Field::TcpWindow => tcp.window.into(),
            Field::TcpChecksum => tcp.checksum.into(),
            Field::TcpUrgentPointer => tcp.urgent.into(),
            Field::TcpMaximumSegment => {
                tcp.options(bytes, packet).find_map(|o| o.maximum_segment_size())?.into()
            }
            _ => return None,
        }),
        Transport::Udp(udp) => match field {
            Field::UdpLength => Some(udp.length.into()),
            Field::UdpChecksum => Some(udp.checksum.into()),
            _ => None,
        },
        Transport::Sctp(sctp) => (field == Field::SctpVerificationTag).then(|| sctp.verification_tag.into()),
        Transport::Dccp(dccp) => (field == Field::DccpType).then(|| dccp.kind.into()),
        Transport::Icmp(icmp) if packet.protocol == Protocol::ICMP => icmp4(field, packet, bytes, icmp),
        Transport::Icmp(icmp) => icmp6(field, packet, bytes, icmp),
        _ => cut_transport(field, packet, bytes),
    }
}

/// Fields of a transport header that as a whole cannot be read: rules see of it what there is.
fn cut_transport(field: Field, packet: &Packet, bytes: &[u8]) -> Option<u128> {
    let raw = |at, length| raw(packet, bytes, at, length);
    match (packet.protocol, field) {
        (Protocol::TCP, Field::TcpSequence) => raw(4, 4),
        (Protocol::TCP, Field::TcpAcknowledgement) => raw(8, 4),
        (Protocol::TCP, Field::TcpDataOffset) => Some(raw(12, 1)? >> 4),
        (Protocol::TCP, Field::TcpFlags) => raw(13, 1),
        (Protocol::TCP, Field::TcpWindow) => raw(14, 2),
        (Protocol::TCP, Field::TcpChecksum) => raw(16, 2),
        (Protocol::TCP, Field::TcpUrgentPointer) => raw(18, 2),
        (Protocol::UDP, Field::UdpLength) => raw(4, 2),
        (Protocol::UDP, Field::UdpChecksum) => raw(6, 2),
        (Protocol::SCTP, Field::SctpVerificationTag) => raw(4, 4),
        (Protocol::ICMP, Field::IcmpType) | (Protocol::ICMPV6, Field::Icmp6Type) => raw(0, 1),
        (Protocol::ICMP, Field::IcmpCode) | (Protocol::ICMPV6, Field::Icmp6Code) => raw(1, 1),
        (Protocol::ICMP, Field::IcmpChecksum) | (Protocol::ICMPV6, Field::Icmp6Checksum) => raw(2, 2),
        _ => None,
    }
}

/// Bytes of the transport layer, whatever protocol it is (`th sport` of an ICMP message is its type and code).
fn raw(packet: &Packet, bytes: &[u8], at: usize, length: usize) -> Option<u128> {
    number(bytes.get(..packet.end as usize)?, packet.transport_offset as usize + at, length)
}

/// RFC 792.
fn icmp4(field: Field, packet: &Packet, bytes: &[u8], icmp: &pinhole_wire::Icmp) -> Option<u128> {
    const ECHO_REPLY: u8 = 0;
    const UNREACHABLE: u8 = 3;
    const REDIRECT: u8 = 5;
    const ECHO: u8 = 8;
    let at = packet.transport_offset as usize;
    let echo = matches!(icmp.kind, ECHO | ECHO_REPLY);
    match field {
        Field::IcmpType => Some(icmp.kind.into()),
        Field::IcmpCode => Some(icmp.code.into()),
        Field::IcmpChecksum => Some(icmp.checksum.into()),
        Field::IcmpId if echo => Some(icmp.identifier.into()),
        Field::IcmpSequence if echo => number(bytes, at + 6, 2),
        Field::IcmpMtu if icmp.kind == UNREACHABLE => number(bytes, at + 6, 2),
        Field::IcmpGateway if icmp.kind == REDIRECT => number(bytes, at + 4, 4),
        _ => None,
    }
}

/// RFC 4443; multicast listener messages: RFC 2710, RFC 3810.
fn icmp6(field: Field, packet: &Packet, bytes: &[u8], icmp: &pinhole_wire::Icmp) -> Option<u128> {
    const TOO_BIG: u8 = 2;
    const PARAMETER_PROBLEM: u8 = 4;
    let at = packet.transport_offset as usize;
    let echo = matches!(icmp.kind, 128 | 129);
    let listener = matches!(icmp.kind, 130..=132 | 143);
    match field {
        Field::Icmp6Type => Some(icmp.kind.into()),
        Field::Icmp6Code => Some(icmp.code.into()),
        Field::Icmp6Checksum => Some(icmp.checksum.into()),
        Field::Icmp6Id if echo => Some(icmp.identifier.into()),
        Field::Icmp6Sequence if echo => number(bytes, at + 6, 2),
        Field::Icmp6Mtu if icmp.kind == TOO_BIG => number(bytes, at + 4, 4),
        Field::Icmp6ParameterProblem if icmp.kind == PARAMETER_PROBLEM => number(bytes, at + 4, 4),
        Field::Icmp6MaximumDelay if listener => number(bytes, at + 4, 2),
        _ => None,
    }
}

/// The big-endian number in `length` bytes from `at` on.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u128> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    Some(field.iter().fold(0, |value, &byte| value << 8 | u128::from(byte)))
}
