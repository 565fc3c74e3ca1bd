//! The IPv4 header (RFC 791 §3.1).

use super::{Fragment, Layer, ParseError};
use crate::checksum::Sum;
use crate::{Address, IpVersion, Protocol};

const MINIMUM_HEADER: u32 = 20;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET_MASK: u16 = 0x1fff;

/// Reads the IPv4 header at the start of `datagram`, which lies at offset `network` of its frame and is no longer than
/// `u32::MAX - network` bytes.
#[inline(always)]
pub(super) fn read(datagram: &[u8], network: u32) -> Result<Layer, ParseError> {
    let header = datagram.first_chunk::<20>().ok_or(ParseError::HeaderCut)?;
    let header_length = u32::from(header[0] & 0x0f) * 4;
    if header_length < MINIMUM_HEADER {
        return Err(ParseError::HeaderLength);
    }
    let available = datagram.len() as u32;
    let claimed = match u32::from(u16::from_be_bytes([header[2], header[3]])) {
        0 => available,
        total_length => total_length,
    };
    if claimed < header_length {
        return Err(ParseError::TotalLength);
    }
    if available < header_length {
        return Err(ParseError::HeaderCut);
    }
    let present = claimed.min(available);

    let flags_and_offset = u16::from_be_bytes([header[6], header[7]]);
    let fragment = (flags_and_offset & (MORE_FRAGMENTS | OFFSET_MASK) != 0).then(|| Fragment {
        offset: (flags_and_offset & OFFSET_MASK) << 3,
        more: flags_and_offset & MORE_FRAGMENTS != 0,
        identification: u32::from(u16::from_be_bytes([header[4], header[5]])),
        header: 0,
    });

    Ok(Layer {
        version: IpVersion::V4,
        protocol: Protocol(header[9]),
        source: Address::v4([header[12], header[13], header[14], header[15]]),
        destination: Address::v4([header[16], header[17], header[18], header[19]]),
        hop_limit: header[8],
        traffic_class: header[1],
        network,
        upper: network + header_length,
        end: network + present,
        missing: claimed - present,
        fragment,
    })
}

/// Whether the checksum of the IPv4 header at the start of `bytes` is right, options included. False as well when the header is
/// cut short or its length is impossible.
#[inline]
pub fn ipv4_header_checksum_ok(bytes: &[u8]) -> bool {
    let Some(first) = bytes.first() else { return false };
    let header_length = usize::from(first & 0x0f) * 4;
    match bytes.get(..header_length) {
        Some(header) if header_length >= MINIMUM_HEADER as usize => Sum::of(header).fold() == 0xffff,
        _ => false,
    }
}
