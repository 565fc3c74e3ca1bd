//! An acknowledgement in the receiver's name, for a sender that waits for it before it completes its line.

use pinhole_wire::checksum::Sum;
use pinhole_wire::{IpVersion, Packet, Protocol, Tcp};

const TCP_HEADER: usize = 20;
const HOP_LIMIT: u8 = 64;

/// Writes a pure ACK to the sender of `packet`, which was parsed from `frame`, for all before number `next`. It bears the frame's addresses
/// turned round, and numbers as the sender knows them. Link headers that are not Ethernet's are copied.
pub(crate) fn acknowledgement(
    frame: &[u8],
    packet: &Packet,
    tcp: &Tcp,
    next: u32,
    window: u16,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(frame.get(..packet.network as usize).unwrap_or_default());
    if let Some((first, rest)) = out.split_first_chunk_mut::<6>()
        && packet.network >= 14
        && let Some(second) = rest.first_chunk_mut::<6>()
    {
        std::mem::swap(first, second);
    }
    let (source, destination) = (packet.destination, packet.source);
    match packet.version {
        IpVersion::V4 => {
            let mut header =
                [0x45, 0, 0, 40, 0, 0, 0x40, 0, HOP_LIMIT, Protocol::TCP.0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            header[12..16].copy_from_slice(&source.v4_octets());
            header[16..20].copy_from_slice(&destination.v4_octets());
            let sum = Sum::of(&header).checksum().to_be_bytes();
            header[10..12].copy_from_slice(&sum);
            out.extend_from_slice(&header);
        }
        IpVersion::V6 => {
            out.extend_from_slice(&[0x60, 0, 0, 0, 0, TCP_HEADER as u8, Protocol::TCP.0, HOP_LIMIT]);
            out.extend_from_slice(&source.0);
            out.extend_from_slice(&destination.0);
        }
    }
    let mut header = [0; TCP_HEADER];
    header[0..2].copy_from_slice(&tcp.destination_port.to_be_bytes());
    header[2..4].copy_from_slice(&tcp.source_port.to_be_bytes());
    header[4..8].copy_from_slice(&tcp.acknowledgement.to_be_bytes());
    header[8..12].copy_from_slice(&next.to_be_bytes());
    header[12] = (TCP_HEADER as u8 / 4) << 4;
    header[13] = pinhole_wire::TcpFlags::ACK.bits();
    header[14..16].copy_from_slice(&window.to_be_bytes());
    let pseudo = Sum::pseudo_header(packet.version, source, destination, Protocol::TCP, TCP_HEADER as u32);
    let sum = pseudo.add_bytes(&header).checksum().to_be_bytes();
    header[16..18].copy_from_slice(&sum);
    out.extend_from_slice(&header);
}
