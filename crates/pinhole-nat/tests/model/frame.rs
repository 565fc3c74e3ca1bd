//! Segments as Ethernet frames, and back.

use pinhole_wire::checksum::{Sum, verify_transport};
use pinhole_wire::{
    Address, Checksum, IpVersion, Packet, Protocol, TcpFlags, Transport, ipv4_header_checksum_ok,
};

pub(crate) const LINK: u32 = 14;

#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    pub(crate) sequence: u32,
    pub(crate) acknowledgement: u32,
    pub(crate) fin: bool,
    pub(crate) sack: Vec<(u32, u32)>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) fn build(from: usize, ipv6: bool, partial: bool, segment: &Segment) -> Vec<u8> {
    let mut options = Vec::new();
    if !segment.sack.is_empty() {
        options.extend([1, 1, 5, 2 + 8 * segment.sack.len() as u8]);
        for (left, right) in &segment.sack {
            options.extend(left.to_be_bytes());
            options.extend(right.to_be_bytes());
        }
    }
    let mut tcp = Vec::new();
    let ports: [u16; 2] = if from == 0 { [40000, 21] } else { [21, 40000] };
    tcp.extend(ports[0].to_be_bytes());
    tcp.extend(ports[1].to_be_bytes());
    tcp.extend(segment.sequence.to_be_bytes());
    tcp.extend(segment.acknowledgement.to_be_bytes());
    let flags = 0x10 | u8::from(segment.fin) | if segment.payload.is_empty() { 0 } else { 8 };
    tcp.extend([((20 + options.len()) as u8 / 4) << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    tcp.extend(options);
    tcp.extend(&segment.payload);
    let mut ends = [1u8, 2];
    if from == 1 {
        ends.reverse();
    }
    let mut frame = vec![0; LINK as usize];
    let (version, source, destination) = if ipv6 {
        let address = |last| Address([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
        frame.extend([0x60, 0, 0, 0]);
        frame.extend((tcp.len() as u16).to_be_bytes());
        frame.extend([6, 64]);
        frame.extend(address(ends[0]).0);
        frame.extend(address(ends[1]).0);
        (IpVersion::V6, address(ends[0]), address(ends[1]))
    } else {
        let address = |last| Address::v4([10, 0, 0, last]);
        let mut header = vec![0x45, 0];
        header.extend((20 + tcp.len() as u16).to_be_bytes());
        header.extend([0x12, 0x34, 0, 0, 64, 6, 0, 0]);
        header.extend(address(ends[0]).v4_octets());
        header.extend(address(ends[1]).v4_octets());
        let checksum = Sum::of(&header).checksum().to_be_bytes();
        header[10..12].copy_from_slice(&checksum);
        frame.extend(header);
        (IpVersion::V4, address(ends[0]), address(ends[1]))
    };
    let pseudo = Sum::pseudo_header(version, source, destination, Protocol::TCP, tcp.len() as u32);
    let field = if partial { pseudo.fold() } else { pseudo.add_bytes(&tcp).checksum() };
    tcp[16..18].copy_from_slice(&field.to_be_bytes());
    frame.extend(tcp);
    frame
}

/// Reads a frame back, all of whose lengths and checksums must be right.
pub(crate) fn read(frame: &[u8], partial: bool) -> Segment {
    let packet = Packet::parse(frame, LINK).unwrap();
    assert_eq!((packet.end as usize, packet.missing), (frame.len(), 0));
    let checksum = verify_transport(&packet, frame);
    // A partial sum that happens to be right as a full one is as good.
    assert!(
        checksum == if partial { Checksum::Partial } else { Checksum::Good }
            || partial && checksum == Checksum::Good
    );
    if packet.version == IpVersion::V4 {
        assert!(ipv4_header_checksum_ok(&frame[LINK as usize..]));
    }
    let Transport::Tcp(tcp) = packet.transport else { panic!() };
    let sack =
        tcp.options(frame, &packet).flat_map(|option| option.sack_blocks().collect::<Vec<_>>()).collect();
    Segment {
        sequence: tcp.sequence,
        acknowledgement: tcp.acknowledgement,
        fin: tcp.flags.contains(TcpFlags::FIN),
        sack,
        payload: packet.payload_bytes(frame).to_vec(),
    }
}
