//! Well-formed datagrams, checksums included.

use pinhole_wire::checksum::Sum;
use pinhole_wire::{Address, IpVersion, Protocol, TcpFlags};
use std::net::{IpAddr, SocketAddr};

/// What a TCP segment says besides its ports.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Control bits.
    pub flags: TcpFlags,
    /// Window, unscaled.
    pub window: u16,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// Which part of a datagram a fragment carries.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The same for all fragments of a datagram.
    pub identification: u16,
    /// Where its data belongs, in units of eight bytes.
    pub offset: u16,
    /// Whether there are more.
    pub more: bool,
}

/// A TCP segment in an IP datagram.
pub fn tcp(source: SocketAddr, destination: SocketAddr, segment: Segment<'_>) -> Vec<u8> {
    let mut message = ports(source, destination);
    message.extend(segment.sequence.to_be_bytes());
    message.extend(segment.acknowledgement.to_be_bytes());
    message.extend([0x50, segment.flags.bits()]);
    message.extend(segment.window.to_be_bytes());
    message.extend([0; 4]);
    message.extend(segment.payload);
    finish(source.ip(), destination.ip(), Protocol::TCP, message, 16)
}

/// A UDP datagram.
pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut message = ports(source, destination);
    message.extend((8 + payload.len() as u16).to_be_bytes());
    message.extend([0; 2]);
    message.extend(payload);
    finish(source.ip(), destination.ip(), Protocol::UDP, message, 6)
}

/// An ICMP or ICMPv6 message: type, code, the second word of its header, the rest.
pub fn icmp(source: IpAddr, destination: IpAddr, kind: u8, code: u8, word: [u8; 4], rest: &[u8]) -> Vec<u8> {
    let mut message = vec![kind, code, 0, 0];
    message.extend(word);
    message.extend(rest);
    let protocol = if source.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
    finish(source, destination, protocol, message, 2)
}

/// An IP datagram with any upper layer.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: Protocol, message: &[u8]) -> Vec<u8> {
    let mut datagram = header(source, destination, protocol, message.len(), None);
    datagram.extend(message);
    datagram
}

/// A fragment of a datagram.
pub fn fragment(source: IpAddr, destination: IpAddr, protocol: Protocol, part: Part, data: &[u8]) -> Vec<u8> {
    let mut datagram = header(source, destination, protocol, data.len(), Some(part));
    datagram.extend(data);
    datagram
}

fn ports(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat()
}

/// Fills in the checksum at `field`, and puts the message into a datagram.
fn finish(
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    mut message: Vec<u8>,
    field: usize,
) -> Vec<u8> {
    let version = if source.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
    let mut sum = Sum::of(&message);
    if protocol != Protocol::ICMP {
        let length = message.len() as u32;
        let pseudo =
            Sum::pseudo_header(version, Address::from(source), Address::from(destination), protocol, length);
        sum = pseudo.add_bytes(&message);
    }
    let checksum = if protocol == Protocol::UDP { sum.udp_checksum() } else { sum.checksum() };
    message[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    ip(source, destination, protocol, &message)
}

fn header(
    source: IpAddr,
    destination: IpAddr,
    protocol: Protocol,
    length: usize,
    part: Option<Part>,
) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let part = part.unwrap_or(Part { identification: 0, offset: 0, more: false });
            let field = part.offset & 0x1fff | u16::from(part.more) << 13;
            let mut header = vec![0x45, 0];
            header.extend((20 + length as u16).to_be_bytes());
            header.extend(part.identification.to_be_bytes());
            header.extend(field.to_be_bytes());
            header.extend([64, protocol.0, 0, 0]);
            header.extend(source.octets());
            header.extend(destination.octets());
            let checksum = Sum::of(&header).checksum();
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            header
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let extension = if part.is_some() { 8 } else { 0 };
            let next = if part.is_some() { 44 } else { protocol.0 };
            let mut header = vec![0x60, 0, 0, 0];
            header.extend((length as u16 + extension).to_be_bytes());
            header.extend([next, 64]);
            header.extend(source.octets());
            header.extend(destination.octets());
            if let Some(part) = part {
                header.extend([protocol.0, 0]);
                header.extend((part.offset << 3 | u16::from(part.more)).to_be_bytes());
                header.extend(u32::from(part.identification).to_be_bytes());
            }
            header
        }
        _ => panic!("both ends must be of one family"),
    }
}
