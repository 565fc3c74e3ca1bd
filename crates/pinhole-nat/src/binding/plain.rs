//! The headers of plain packets, at once: see [`pinhole_wire::Plain`].

use crate::ChecksumField;
use pinhole_track::Tuple;
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Address, Bounds, IpVersion, Protocol};

/// Offset of the transport header behind the beginning of the IP header.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const PORTS: usize = 4;

const fn number(bytes: [u8; 2]) -> u16 {
    u16::from_be_bytes(bytes)
}

/// Makes the plain packet that lies in `bytes` at `bounds` bear `leaves`, a tuple of its own protocol and IP version: what
/// [`Binding::translate`](super::Binding::translate) does, for packets that were found by their tuple.
///
/// `None`: there is no such packet; nothing was changed then.
#[inline]
pub fn translate_plain(
    bytes: &mut [u8],
    bounds: &Bounds,
    leaves: &Tuple,
    checksum: ChecksumField,
) -> Option<()> {
    let datagram = bytes.get_mut(bounds.network as usize..bounds.end as usize)?;
    match leaves.version {
        IpVersion::V4 => {
            let (header, transport) = datagram.split_first_chunk_mut::<IPV4_HEADER>()?;
            let (ports, rest) = transport.split_first_chunk_mut::<PORTS>()?;
            let field = checksum_field(rest, leaves.protocol)?;
            let pseudo = write_ipv4(header, leaves);
            write_transport(ports, field, leaves, pseudo, checksum);
        }
        IpVersion::V6 => {
            let (header, transport) = datagram.split_first_chunk_mut::<IPV6_HEADER>()?;
            let (ports, rest) = transport.split_first_chunk_mut::<PORTS>()?;
            let field = checksum_field(rest, leaves.protocol)?;
            let pseudo = write_ipv6(header, leaves);
            write_transport(ports, field, leaves, pseudo, checksum);
        }
    }
    Some(())
}

/// The checksum field in a transport header, of which `rest` is what follows the ports (RFC 768; RFC 9293 §3.1).
#[inline]
fn checksum_field(rest: &mut [u8], protocol: Protocol) -> Option<&mut [u8; 2]> {
    let offset = if protocol == Protocol::UDP { 6 } else { 16 } - PORTS;
    rest.get_mut(offset..)?.first_chunk_mut()
}

/// Returns the change to the pseudo-header.
#[inline]
fn write_ipv4(h: &mut [u8; IPV4_HEADER], leaves: &Tuple) -> Delta {
    let old = [[h[12], h[13], h[14], h[15]], [h[16], h[17], h[18], h[19]]];
    let new = [leaves.source.v4_octets(), leaves.destination.v4_octets()];
    let delta = Delta::NONE
        .replace_u32(u32::from_be_bytes(old[0]), u32::from_be_bytes(new[0]))
        .replace_u32(u32::from_be_bytes(old[1]), u32::from_be_bytes(new[1]));
    [h[10], h[11]] = delta.apply(number([h[10], h[11]])).to_be_bytes();
    [h[12], h[13], h[14], h[15]] = new[0];
    [h[16], h[17], h[18], h[19]] = new[1];
    delta
}

/// Returns the change to the pseudo-header. There is no header checksum (RFC 8200 §3).
#[inline]
fn write_ipv6(header: &mut [u8; IPV6_HEADER], leaves: &Tuple) -> Delta {
    let mut delta = Delta::NONE;
    let (addresses, _) = header[8..].as_chunks_mut::<16>();
    for (address, new) in addresses.iter_mut().zip([leaves.source, leaves.destination]) {
        delta = delta.replace_address(IpVersion::V6, Address(*address), new);
        *address = new.0;
    }
    delta
}

#[inline]
fn write_transport(
    ports: &mut [u8; PORTS],
    field: &mut [u8; 2],
    leaves: &Tuple,
    pseudo: Delta,
    checksum: ChecksumField,
) {
    let all = pseudo
        .replace_u16(number([ports[0], ports[1]]), leaves.source_port)
        .replace_u16(number([ports[2], ports[3]]), leaves.destination_port);
    [ports[0], ports[1]] = leaves.source_port.to_be_bytes();
    [ports[2], ports[3]] = leaves.destination_port.to_be_bytes();
    let old = number(*field);
    *field = match checksum {
        ChecksumField::Full if leaves.protocol == Protocol::UDP => all.apply_udp(old),
        ChecksumField::Full => all.apply(old),
        ChecksumField::Partial => pseudo.apply_partial(old),
    }
    .to_be_bytes();
}
