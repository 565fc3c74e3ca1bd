//! Cutting datagrams into fragments that fit a link.

use pinhole_wire::checksum::Sum;
use pinhole_wire::{Packet, ipv4_header_checksum_ok};

const HEADER_V4: usize = 20;
const HEADER_V6: usize = 40;
const FRAGMENT_HEADER: usize = 8;

/// Fragments of a datagram of 64 kB for a link that carries the 68 bytes that every link must (RFC 791 §3.2).
const MOST_FRAGMENTS: usize = 8192;

/// Cuts an IPv4 datagram, which may be a fragment itself, into fragments of at most `mtu` bytes (RFC 791 §3.2), and hands each to `each`. `false`:
/// it cannot be cut.
pub(super) fn ipv4(datagram: &[u8], mtu: usize, mut each: impl FnMut(&[u8])) -> bool {
    const MORE: u16 = 0x2000;
    const OFFSET: u16 = 0x1fff;
    let Some(first) = datagram.first_chunk::<HEADER_V4>() else { return false };
    let header_length = usize::from(first[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([first[2], first[3]]));
    let (Some(header), Some(data)) = (datagram.get(..header_length), datagram.get(header_length..total))
    else {
        return false;
    };
    let room = mtu.saturating_sub(header_length) / 8 * 8;
    if header_length < HEADER_V4 || room == 0 || !ipv4_header_checksum_ok(datagram) {
        return false;
    }
    let place = u16::from_be_bytes([first[6], first[7]]);
    let mut fragment = Vec::with_capacity(mtu);
    let count = data.len().div_ceil(room);
    for (index, piece) in data.chunks(room).enumerate().take(MOST_FRAGMENTS) {
        fragment.clear();
        fragment.extend_from_slice(header);
        if index > 0 {
            drop_uncopied_options(fragment.get_mut(HEADER_V4..).unwrap_or_default());
        }
        let more = if index + 1 < count { MORE } else { place & MORE };
        let offset = (place & OFFSET).wrapping_add((index * room / 8) as u16) & OFFSET;
        put(&mut fragment, 2, (header_length + piece.len()) as u16);
        put(&mut fragment, 6, place & !(MORE | OFFSET) | more | offset);
        put(&mut fragment, 10, 0);
        let checksum = Sum::of(&fragment).checksum();
        put(&mut fragment, 10, checksum);
        fragment.extend_from_slice(piece);
        each(&fragment);
    }
    true
}

/// Overwrites options that stand in the first fragment only (RFC 791 §3.1, the copied flag) with no-operation.
fn drop_uncopied_options(mut options: &mut [u8]) {
    const END: u8 = 0;
    const NO_OPERATION: u8 = 1;
    const COPIED: u8 = 0x80;
    while let Some(&kind) = options.first() {
        let length = match kind {
            END => return,
            NO_OPERATION => 1,
            _ => usize::from(options.get(1).copied().unwrap_or(0)).max(2).min(options.len()),
        };
        let (option, rest) = options.split_at_mut(length);
        if kind & COPIED == 0 {
            option.fill(NO_OPERATION);
        }
        options = rest;
    }
}

/// Cuts an IPv6 datagram that was put together from fragments into fragments of at most `mtu` bytes again (RFC 8200 §4.5). `false`: it cannot be cut.
pub(super) fn ipv6(datagram: &[u8], mtu: usize, identification: u32, mut each: impl FnMut(&[u8])) -> bool {
    const FRAGMENT: u8 = 44;
    let Some((head_length, next_header_place)) = unfragmentable(datagram) else { return false };
    let end = Packet::parse_network(datagram, 0).map_or(0, |packet| packet.end as usize);
    let (Some(head), Some(data)) = (datagram.get(..head_length), datagram.get(head_length..end)) else {
        return false;
    };
    let Some(&next_header) = head.get(next_header_place) else { return false };
    let room = mtu.saturating_sub(head_length + FRAGMENT_HEADER) / 8 * 8;
    if room == 0 {
        return false;
    }
    let count = data.len().div_ceil(room);
    let mut fragment = Vec::with_capacity(mtu);
    for (index, piece) in data.chunks(room).enumerate().take(MOST_FRAGMENTS) {
        let more = u16::from(index + 1 < count);
        fragment.clear();
        fragment.extend_from_slice(head);
        if let Some(announcement) = fragment.get_mut(next_header_place) {
            *announcement = FRAGMENT;
        }
        put(&mut fragment, 4, (head_length - HEADER_V6 + FRAGMENT_HEADER + piece.len()) as u16);
        fragment.extend([next_header, 0]);
        fragment.extend(((index * room) as u16 | more).to_be_bytes());
        fragment.extend(identification.to_be_bytes());
        fragment.extend_from_slice(piece);
        each(&fragment);
    }
    true
}

/// The length of the headers that every fragment must have: the IPv6 header and what routers on the way read (RFC 8200 §4.5); and where the last of
/// them says what comes next.
fn unfragmentable(datagram: &[u8]) -> Option<(usize, usize)> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const DESTINATION: u8 = 60;
    let mut next = *datagram.get(6)?;
    let (mut offset, mut place) = (HEADER_V6, 6);
    let mut unfragmentable = (offset, place);
    while matches!(next, HOP_BY_HOP | ROUTING | DESTINATION) {
        let kind = next;
        next = *datagram.get(offset)?;
        place = offset;
        offset += (usize::from(*datagram.get(offset + 1)?) + 1) * 8;
        // Destination options are for routers only in front of a routing header.
        if kind != DESTINATION {
            unfragmentable = (offset, place);
        }
    }
    Some(unfragmentable)
}

fn put(bytes: &mut [u8], offset: usize, value: u16) {
    if let Some(field) = bytes.get_mut(offset..offset + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}
