//! The headers of plain packets, at once: see [`pinhole_wire::Plain`].

use crate::ChecksumField;
use pinhole_track::Tuple;
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Bounds, IpVersion, Protocol};

/// Offset of the transport header behind the beginning of the IP header.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const PORTS: usize = 4;

const fn number(bytes: [u8; 2]) -> u16 {
    u16::from_be_bytes(bytes)
}

/// Makes the plain packet that lies in `bytes` at `bounds`, and bears `came`, bear `leaves`, a tuple of the same protocol and IP version: what
/// [`Binding::translate`](super::Binding::translate) does, for packets that were found by their tuple. Their own ends are not read again.
///
/// `None`: there is no such packet; nothing was changed then.
#[inline(always)]
pub fn translate_plain(
    bytes: &mut [u8],
    bounds: &Bounds,
    came: &Tuple,
    leaves: &Tuple,
    checksum: ChecksumField,
) -> Option<()> {
    let datagram = bytes.get_mut(bounds.network as usize..bounds.end as usize)?;
    match leaves.version {
        IpVersion::V4 => {
            let (header, transport) = datagram.split_first_chunk_mut::<IPV4_HEADER>()?;
            let (ports, rest) = transport.split_first_chunk_mut::<PORTS>()?;
            let field = checksum_field(rest, leaves.protocol)?;
            let pseudo = write_ipv4(header, came, leaves);
            write_transport(ports, field, (came, leaves), pseudo, checksum);
        }
        IpVersion::V6 => {
            let (header, transport) = datagram.split_first_chunk_mut::<IPV6_HEADER>()?;
            let (ports, rest) = transport.split_first_chunk_mut::<PORTS>()?;
            let field = checksum_field(rest, leaves.protocol)?;
            let pseudo = write_ipv6(header, came, leaves);
            write_transport(ports, field, (came, leaves), pseudo, checksum);
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
#[inline(always)]
fn write_ipv4(h: &mut [u8; IPV4_HEADER], came: &Tuple, leaves: &Tuple) -> Delta {
    let delta = Delta::NONE.replace_address(IpVersion::V4, came.source, leaves.source).replace_address(
        IpVersion::V4,
        came.destination,
        leaves.destination,
    );
    [h[10], h[11]] = delta.apply(number([h[10], h[11]])).to_be_bytes();
    [h[12], h[13], h[14], h[15]] = leaves.source.v4_octets();
    [h[16], h[17], h[18], h[19]] = leaves.destination.v4_octets();
    delta
}

/// Returns the change to the pseudo-header. There is no header checksum (RFC 8200 §3).
#[inline]
fn write_ipv6(header: &mut [u8; IPV6_HEADER], came: &Tuple, leaves: &Tuple) -> Delta {
    let (addresses, _) = header[8..].as_chunks_mut::<16>();
    for (address, new) in addresses.iter_mut().zip([leaves.source, leaves.destination]) {
        *address = new.0;
    }
    Delta::NONE.replace_address(IpVersion::V6, came.source, leaves.source).replace_address(
        IpVersion::V6,
        came.destination,
        leaves.destination,
    )
}

#[inline(always)]
fn write_transport(
    ports: &mut [u8; PORTS],
    field: &mut [u8; 2],
    (came, leaves): (&Tuple, &Tuple),
    pseudo: Delta,
    checksum: ChecksumField,
) {
    let all = pseudo
        .replace_u16(came.source_port, leaves.source_port)
        .replace_u16(came.destination_port, leaves.destination_port);
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
