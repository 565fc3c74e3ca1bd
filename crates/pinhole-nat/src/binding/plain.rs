//! The headers of plain packets, at once: see [`pinhole_wire::Plain`].

use crate::ChecksumField;
use pinhole_track::{EndsV4, Tuple};
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Bounds, IpVersion, Protocol};

/// Offset of the transport header behind the beginning of the IP header.
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const PORTS: usize = 4;

/// Makes the plain packet that lies in `bytes` at `bounds`, and bears `came`, bear `leaves`, a tuple of the same protocol and IP version: what
/// [`Binding::translate`](super::Binding::translate) does, for packets that were found by their tuple. Their own ends are not read again.
///
/// `None`: there is no such packet; nothing was changed then.
#[inline]
pub fn translate_plain(
    bytes: &mut [u8],
    bounds: &Bounds,
    came: &Tuple,
    leaves: &Tuple,
    checksum: ChecksumField,
) -> Option<()> {
    if leaves.version == IpVersion::V4 {
        let ends = [&EndsV4::of(came), &EndsV4::of(leaves)];
        return translate_plain_v4(bytes, bounds, leaves.protocol, ends, checksum);
    }
    let datagram = bytes.get_mut(bounds.network as usize..bounds.end as usize)?;
    let (header, transport) = datagram.split_first_chunk_mut::<IPV6_HEADER>()?;
    let (ports, rest) = transport.split_first_chunk_mut::<PORTS>()?;
    let field = checksum_field(rest, leaves.protocol)?;
    let pseudo = write_ipv6(header, came, leaves);
    let all = pseudo
        .replace_u16(came.source_port, leaves.source_port)
        .replace_u16(came.destination_port, leaves.destination_port);
    let [source, destination] = [leaves.source_port, leaves.destination_port].map(u16::to_be_bytes);
    *ports = [source[0], source[1], destination[0], destination[1]];
    let changed = changed(u16::from_be_bytes(*field), leaves.protocol, all, pseudo, checksum);
    *field = changed.to_be_bytes();
    Some(())
}

/// As [`translate_plain`], for IPv4: the same sums, in the order in which the bytes lie (RFC 1071 §2(B)).
///
/// `None`: there is no such packet; nothing was changed then.
#[inline(always)]
pub fn translate_plain_v4(
    bytes: &mut [u8],
    bounds: &Bounds,
    protocol: Protocol,
    [came, leaves]: [&EndsV4; 2],
    checksum: ChecksumField,
) -> Option<()> {
    let datagram = bytes.get_mut(bounds.network as usize..bounds.end as usize)?;
    let (header, transport) = datagram.split_first_chunk_mut::<IPV4_HEADER>()?;
    let (ports, rest) = transport.split_first_chunk_mut::<PORTS>()?;
    let field = checksum_field(rest, protocol)?;
    let pseudo = u64::from(!came.source)
        + u64::from(leaves.source)
        + u64::from(!came.destination)
        + u64::from(leaves.destination);
    let all = Delta::of_words(pseudo + u64::from(!came.ports) + u64::from(leaves.ports));
    let pseudo = Delta::of_words(pseudo);
    let header_checksum = u16::from_le_bytes([header[10], header[11]]);
    [header[10], header[11]] = pseudo.apply(header_checksum).to_le_bytes();
    [header[12], header[13], header[14], header[15]] = leaves.source.to_le_bytes();
    [header[16], header[17], header[18], header[19]] = leaves.destination.to_le_bytes();
    *ports = leaves.ports.to_le_bytes();
    let changed = changed(u16::from_le_bytes(*field), protocol, all, pseudo, checksum);
    *field = changed.to_le_bytes();
    Some(())
}

/// The checksum field in a transport header, of which `rest` is what follows the ports (RFC 768; RFC 9293 §3.1).
#[inline]
fn checksum_field(rest: &mut [u8], protocol: Protocol) -> Option<&mut [u8; 2]> {
    let offset = if protocol == Protocol::UDP { 6 } else { 16 } - PORTS;
    rest.get_mut(offset..)?.first_chunk_mut()
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

/// The checksum of a transport header, whatever the byte order of all.
#[inline(always)]
fn changed(old: u16, protocol: Protocol, all: Delta, pseudo: Delta, checksum: ChecksumField) -> u16 {
    match checksum {
        ChecksumField::Full if protocol == Protocol::UDP => all.apply_udp(old),
        ChecksumField::Full => all.apply(old),
        ChecksumField::Partial => pseudo.apply_partial(old),
    }
}
