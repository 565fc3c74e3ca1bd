//! Datagrams of every transport, made by hand with sums of their own, and whether such sums are right.

use super::conversation::udp;
use pinhole_wire::Packet;
use std::net::{IpAddr, SocketAddr};

/// A datagram of this upper layer.
pub(crate) fn ip(source: IpAddr, destination: IpAddr, protocol: u8, upper: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    match (source, destination) {
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + upper.len() as u16).to_be_bytes());
            bytes.extend([0, 1, 0x40, 0, 64, protocol, 0, 0]);
            bytes.extend(s.octets());
            bytes.extend(d.octets());
            let sum = !folded(&bytes, 0);
            bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((upper.len() as u16).to_be_bytes());
            bytes.extend([protocol, 64]);
            bytes.extend(s.octets());
            bytes.extend(d.octets());
        }
        _ => panic!("addresses of two families"),
    }
    bytes.extend(upper);
    bytes
}

/// The sum of 16-bit words (RFC 1071).
pub(crate) fn folded(bytes: &[u8], start: u64) -> u16 {
    let mut sum = bytes.chunks(2).fold(start, |sum, pair| {
        sum + u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
    });
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum of a pseudo-header.
pub(crate) fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u16 {
    let mut bytes = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    folded(&bytes, u64::from(protocol) + length as u64)
}

/// CRC-32C, bit by bit (RFC 9260 Appendix A).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 })
    })
}

pub(crate) fn ports(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat()
}

/// With a checksum at `field` that covers pseudo-header and all of `upper`.
pub(crate) fn summed(
    source: SocketAddr,
    destination: SocketAddr,
    protocol: u8,
    field: usize,
    upper: &[u8],
) -> Vec<u8> {
    let mut upper = upper.to_vec();
    let start = u64::from(pseudo(source.ip(), destination.ip(), protocol, upper.len()));
    let sum = !folded(&upper, start);
    upper[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    ip(source.ip(), destination.ip(), protocol, &upper)
}

pub(crate) fn tcp(source: SocketAddr, destination: SocketAddr, is_answer: bool) -> Vec<u8> {
    let mut upper = ports(source, destination);
    upper.extend(if is_answer { [0, 0, 0x20, 0, 0, 0, 0x10, 1] } else { [0, 0, 0x10, 0, 0, 0, 0, 0] });
    upper.extend([0x50, if is_answer { 0x12 } else { 2 }, 0xff, 0xff, 0, 0, 0, 0]);
    summed(source, destination, 6, 16, &upper)
}

pub(crate) fn udp_lite(source: SocketAddr, destination: SocketAddr, _: bool) -> Vec<u8> {
    let mut upper = ports(source, destination);
    upper.extend([0, 0, 0, 0]);
    upper.extend(b"all of it is covered");
    summed(source, destination, 136, 6, &upper)
}

pub(crate) fn dccp(source: SocketAddr, destination: SocketAddr, is_answer: bool) -> Vec<u8> {
    let mut upper = ports(source, destination);
    // A Request or a Response (RFC 4340 §5): header with 48-bit numbers, in an answer those of the request, service code.
    let kind = u8::from(is_answer);
    upper.extend([if is_answer { 7 } else { 5 }, 0, 0, 0, kind << 1 | 1, 0, 0, 0, 0, 0, 0, 9]);
    if is_answer {
        upper.extend([0, 0, 0, 0, 0, 0, 0, 9]);
    }
    upper.extend(b"serv");
    summed(source, destination, 33, 6, &upper)
}

pub(crate) fn sctp(source: SocketAddr, destination: SocketAddr, is_answer: bool) -> Vec<u8> {
    let mut upper = ports(source, destination);
    // INIT, or INIT ACK with the tag that the INIT asked for (RFC 9260 §3.3.2).
    upper.extend(if is_answer { [0, 0, 0, 5] } else { [0; 4] });
    upper.extend([0; 4]);
    upper.extend([if is_answer { 2 } else { 1 }, 0, 0, 20, 0, 0, 0, if is_answer { 6 } else { 5 }]);
    upper.extend([0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let crc = crc32c(&upper).to_le_bytes();
    upper[8..12].copy_from_slice(&crc);
    ip(source.ip(), destination.ip(), 132, &upper)
}

pub(crate) fn plain_udp(source: SocketAddr, destination: SocketAddr, _: bool) -> Vec<u8> {
    udp(source, destination, b"data")
}

pub(crate) type Make = fn(SocketAddr, SocketAddr, bool) -> Vec<u8>;

pub(crate) const TRANSPORTS: [(&str, Make); 5] =
    [("tcp", tcp), ("udp", plain_udp), ("udp-lite", udp_lite), ("sctp", sctp), ("dccp", dccp)];

/// Checksums are those that an independent sum gives, in every header.
#[track_caller]
pub(crate) fn assert_sound(name: &str, datagram: &[u8]) {
    let packet = Packet::parse(datagram, 0).unwrap();
    let upper = &datagram[packet.transport_offset as usize..];
    let (source, destination) = (packet.source.ip(packet.version), packet.destination.ip(packet.version));
    if source.is_ipv4() {
        assert_eq!(folded(&datagram[..20], 0), 0xffff, "{name}: header");
    }
    match packet.protocol.0 {
        132 => {
            let mut zeroed = upper.to_vec();
            zeroed[8..12].fill(0);
            assert_eq!(upper[8..12], crc32c(&zeroed).to_le_bytes(), "{name}: CRC");
        }
        1 => assert_eq!(folded(upper, 0), 0xffff, "{name}"),
        protocol => {
            let start = pseudo(source, destination, protocol, upper.len());
            assert_eq!(folded(upper, u64::from(start)), 0xffff, "{name}");
        }
    }
}
