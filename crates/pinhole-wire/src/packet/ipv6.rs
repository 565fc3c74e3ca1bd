//! The IPv6 header and its extension headers (RFC 8200 §3, §4).

use super::{Fragment, Layer, Packet, ParseError};
use crate::{Address, IpVersion, Protocol};

const FIXED_HEADER: usize = 40;

/// How many extension headers a datagram may carry. RFC 8200 §4.1 knows seven positions.
pub const EXTENSION_LIMIT: usize = 8;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// Whether `protocol` is an IPv6 extension header that this crate walks over (IANA "IPv6 Extension Header Types", without ESP,
/// whose contents are out of sight).
pub const fn is_extension_header(protocol: Protocol) -> bool {
    matches!(
        protocol.0,
        HOP_BY_HOP
            | ROUTING
            | FRAGMENT
            | AUTHENTICATION
            | DESTINATION_OPTIONS
            | MOBILITY
            | HOST_IDENTITY
            | SHIM6
    )
}

/// Reads the IPv6 header at the start of `datagram`, which lies at offset `network` of its frame and is no longer than
/// `u32::MAX - network` bytes.
#[inline(always)]
pub(super) fn read(datagram: &[u8], network: u32) -> Result<Layer, ParseError> {
    let (header, rest) = datagram.split_first_chunk::<FIXED_HEADER>().ok_or(ParseError::HeaderCut)?;
    let payload_length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let claimed = claimed_payload(payload_length, header[6], rest.len());
    let present = rest.get(..claimed).unwrap_or(rest);
    let missing = (claimed - present.len()) as u32;

    let chain = if is_extension_header(Protocol(header[6])) {
        walk(header[6], present, missing)?
    } else {
        Chain { next: header[6], length: 0, fragment: None }
    };
    let upper = network + FIXED_HEADER as u32;
    let (source, destination) = (header[8..24].first_chunk(), header[24..40].first_chunk());
    let (Some(source), Some(destination)) = (source, destination) else {
        return Err(ParseError::HeaderCut);
    };
    Ok(Layer {
        version: IpVersion::V6,
        protocol: Protocol(chain.next),
        source: Address::v6(*source),
        destination: Address::v6(*destination),
        hop_limit: header[7],
        traffic_class: header[0] << 4 | header[1] >> 4,
        network,
        upper: upper + chain.length,
        end: upper + present.len() as u32,
        missing,
        fragment: chain.fragment.map(|fragment| Fragment { header: upper + fragment.header, ..fragment }),
    })
}

/// Payload length in bytes. Zero stands for a jumbogram (RFC 2675), which is refused because its hop-by-hop header then lies
/// beyond the end, unless it is a segmentation-offload superframe without that header and too long for the field.
#[inline]
fn claimed_payload(payload_length: usize, next: u8, available: usize) -> usize {
    if payload_length == 0 && next != HOP_BY_HOP && available > usize::from(u16::MAX) {
        available
    } else {
        payload_length
    }
}

/// What lies between the fixed header and the upper layer.
struct Chain {
    /// Protocol of the upper layer.
    next: u8,
    /// Bytes of all extension headers.
    length: u32,
    /// The fragment header, its `header` relative to the end of the fixed header.
    fragment: Option<Fragment>,
}

/// Walks the extension headers in `present`, the datagram after its fixed header.
///
/// In a fragment the chain may end beyond the bytes: then the walk stops before the header that is cut, and reports it as `next`.
#[inline(never)]
fn walk(first: u8, present: &[u8], missing: u32) -> Result<Chain, ParseError> {
    let mut chain = Chain { next: first, length: 0, fragment: None };
    let mut rest = present;
    for _ in 0..EXTENSION_LIMIT {
        let Some((next, body, after)) = split_extension(chain.next, rest) else {
            return match chain.fragment {
                Some(fragment) if fragment.more && missing == 0 => Ok(chain),
                _ => Err(ParseError::ExtensionHeader),
            };
        };
        if is_final(chain.next, next) {
            return Ok(chain);
        }
        if chain.next == FRAGMENT {
            if chain.fragment.is_some() {
                return Err(ParseError::ExtensionHeader);
            }
            chain.fragment = Some(read_fragment(body, chain.length)?);
        }
        chain.next = next;
        chain.length += body.len() as u32;
        rest = after;
        let middle_fragment = chain.fragment.is_some_and(|fragment| fragment.offset != 0);
        if middle_fragment || !is_extension_header(Protocol(next)) {
            return Ok(chain);
        }
    }
    Err(ParseError::ExtensionLimit)
}

/// Mobility, HIP and Shim6 control messages end the chain ("no next header"): they are then the upper layer themselves
/// (RFC 6275 §6.1.1, RFC 7401 §5.1, RFC 5533 §5.3).
const fn is_final(kind: u8, next: u8) -> bool {
    matches!(kind, MOBILITY | HOST_IDENTITY | SHIM6) && next == NO_NEXT_HEADER
}

/// Splits one extension header off `bytes`: its next-header field, the whole header, and what follows.
#[inline]
fn split_extension(kind: u8, bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [next, length, ..] = *bytes else { return None };
    let size = match kind {
        FRAGMENT => 8,
        // RFC 4302 §2.2: in 4-byte units, minus 2.
        AUTHENTICATION => (usize::from(length) + 2) * 4,
        // RFC 8200 §4.3 and others: in 8-byte units, not counting the first.
        _ => (usize::from(length) + 1) * 8,
    };
    let (header, after) = bytes.split_at_checked(size)?;
    Some((next, header, after))
}

/// RFC 8200 §4.5.
fn read_fragment(header: &[u8], at: u32) -> Result<Fragment, ParseError> {
    let fields = header.first_chunk::<8>().ok_or(ParseError::ExtensionHeader)?;
    let offset_and_flags = u16::from_be_bytes([fields[2], fields[3]]);
    Ok(Fragment {
        offset: offset_and_flags & !7,
        more: offset_and_flags & 1 != 0,
        identification: u32::from_be_bytes([fields[4], fields[5], fields[6], fields[7]]),
        header: at,
    })
}

/// One extension header of a datagram that was parsed.
struct Extension<'a> {
    kind: u8,
    /// Offset in the frame of the next-header field that announced it.
    announced_at: u32,
    /// Offset in the frame of the header.
    offset: u32,
    header: &'a [u8],
}

/// The extension headers of `packet`, in order.
fn extensions<'a>(packet: &Packet, bytes: &'a [u8]) -> impl Iterator<Item = Extension<'a>> + use<'a> {
    const NEXT_HEADER: u32 = 6;
    let headers = bytes.get(packet.network as usize..packet.transport_offset as usize).unwrap_or_default();
    let (mut kind, mut rest) = match headers.split_first_chunk::<FIXED_HEADER>() {
        Some((fixed, rest)) => (fixed[NEXT_HEADER as usize], rest),
        None => (NO_NEXT_HEADER, Default::default()),
    };
    let mut announced_at = packet.network + NEXT_HEADER;
    let mut offset = packet.network + FIXED_HEADER as u32;
    core::iter::from_fn(move || {
        let (next, header, after) = split_extension(kind, rest)?;
        let extension = Extension { kind, announced_at, offset, header };
        (kind, rest, announced_at) = (next, after, offset);
        offset += header.len() as u32;
        Some(extension)
    })
}

/// Whether the datagram still has a hop of a routing header before it (RFC 8200 §4.4): its destination address is then not the
/// final one, which the pseudo-header is made of.
pub(crate) fn has_segments_left(packet: &Packet, bytes: &[u8]) -> bool {
    extensions(packet, bytes).any(|extension| {
        extension.kind == ROUTING && extension.header.get(3).is_some_and(|&segments_left| segments_left != 0)
    })
}

/// Offset of the next-header field that announces the fragment header.
pub(super) fn announcement_of_fragment(packet: &Packet, bytes: &[u8]) -> Option<u32> {
    let fragment = packet.fragment?;
    extensions(packet, bytes)
        .find(|extension| extension.offset == fragment.header)
        .map(|extension| extension.announced_at)
}

/// Whether `data` starts with a whole extension header of this kind.
pub(super) fn is_whole_extension(kind: Protocol, data: &[u8]) -> bool {
    split_extension(kind.0, data).is_some()
}
