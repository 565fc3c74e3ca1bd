//! The length fields of IP headers, and the IPv4 header checksum.

use crate::checksum::{update_field, write_field};
use pinhole_wire::checksum::Delta;
use pinhole_wire::{IpVersion, Packet};

/// Longest IP datagram that a header can describe, jumbograms aside (RFC 791 §3.1); for IPv6 its header comes on top (RFC 8200 §3).
const LONGEST: usize = 65_535;
const IPV6_HEADER: usize = 40;

/// The longest upper-layer payload that the datagram can have with the headers it has.
pub(super) fn longest_payload(packet: &Packet) -> usize {
    let headers = (packet.payload - packet.network) as usize;
    match packet.version {
        IpVersion::V4 => LONGEST.saturating_sub(headers),
        IpVersion::V6 => (LONGEST + IPV6_HEADER).saturating_sub(headers),
    }
}

/// Writes the length of the datagram that begins at offset `network` and ends with the frame. `identification` is added to the
/// field of that name (IPv4), as it must differ among the segments made of one.
pub(super) fn write_length(frame: &mut [u8], packet: &Packet, identification: u16) {
    const TOTAL_LENGTH: usize = 2;
    const IDENTIFICATION: usize = 4;
    const HEADER_CHECKSUM: usize = 10;
    const PAYLOAD_LENGTH: usize = 4;
    let Some(datagram) = frame.get_mut(packet.network as usize..) else { return };
    // Callers keep it below the longest.
    let length = datagram.len();
    match packet.version {
        IpVersion::V4 => {
            let mut delta = write_field(datagram, TOTAL_LENGTH, length as u16, Delta::NONE);
            let old =
                datagram.get(IDENTIFICATION..).and_then(<[u8]>::first_chunk).copied().map(u16::from_be_bytes);
            let new = old.unwrap_or_default().wrapping_add(identification);
            delta = write_field(datagram, IDENTIFICATION, new, delta);
            update_field(datagram, HEADER_CHECKSUM, |field| delta.apply(field));
        }
        IpVersion::V6 => {
            let payload = length.saturating_sub(IPV6_HEADER);
            let _ = write_field(datagram, PAYLOAD_LENGTH, payload as u16, Delta::NONE);
        }
    }
}
