//! Edits on the payload of one UDP datagram.

use super::length::{longest_payload, write_length};
use super::{Edit, RewriteError};
use crate::ChecksumField;
use crate::checksum::{update_field, write_field};
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Packet, Protocol, Transport};

const UDP_HEADER: usize = 8;
const LENGTH: usize = 4;
const CHECKSUM: usize = 6;

/// Applies `edits`, which are in the order of the payload and do not overlap, to the UDP datagram that `packet` was parsed from,
/// and sets its lengths and checksums (RFC 768). A checksum of zero stays zero. What follows the datagram in the frame (padding) is
/// cut off. A replacement may be empty here.
///
/// # Errors
/// See [`RewriteError`]; the frame is unchanged then.
pub fn edit_datagram(
    frame: &mut Vec<u8>,
    packet: &Packet,
    edits: &[Edit<'_>],
    checksum: ChecksumField,
) -> Result<(), RewriteError> {
    let Transport::Udp(udp) = &packet.transport else { return Err(RewriteError::NotWhole) };
    let in_pieces = packet.fragment.is_some_and(|fragment| !fragment.is_atomic());
    if packet.protocol != Protocol::UDP || in_pieces {
        return Err(RewriteError::NotWhole);
    }
    if edits.is_empty() {
        return Ok(());
    }
    let (start, end) = (packet.payload as usize, packet.end as usize);
    let old_length = usize::from(udp.length);
    let data = old_length.checked_sub(UDP_HEADER).ok_or(RewriteError::NotWhole)?;
    if packet.missing != 0 || frame.len() < end || end - start < data {
        return Err(RewriteError::Missing);
    }
    let length = UDP_HEADER + new_length(edits, data)?;
    // What lies between the end of UDP and that of IP moves along.
    let surplus = end - start - data;
    if length + surplus > longest_payload(packet) + UDP_HEADER || length > usize::from(u16::MAX) {
        return Err(RewriteError::TooLong);
    }

    let first = edits.first().map_or(0, |edit| edit.span.start as usize);
    let unchanged = start + first;
    let mut delta =
        Delta::NONE.replace_bytes(first, frame.get(unchanged..start + data).unwrap_or_default(), &[]);
    frame.truncate(end);
    for edit in edits.iter().rev() {
        let span = start + edit.span.start as usize..start + edit.span.end as usize;
        frame.splice(span, edit.replacement.iter().copied());
    }
    let changed = frame.get(unchanged..start + length - UDP_HEADER).unwrap_or_default();
    delta = delta.replace_bytes(first, &[], changed);
    write_length(frame, packet, 0);

    let Some(header) = frame.get_mut(packet.transport_offset as usize..) else { return Ok(()) };
    // The length stands in the header and in the pseudo-header.
    let lengths = write_field(header, LENGTH, length as u16, Delta::NONE);
    match checksum {
        ChecksumField::Full => {
            let delta = delta.replace_u16(udp.length, length as u16).replace_u16(udp.length, length as u16);
            update_field(header, CHECKSUM, |field| delta.apply_udp(field));
        }
        ChecksumField::Partial => update_field(header, CHECKSUM, |field| lengths.apply_partial(field)),
    }
    Ok(())
}

/// Length of the payload after the edits, if these are in order and within its `data` bytes.
fn new_length(edits: &[Edit<'_>], data: usize) -> Result<usize, RewriteError> {
    let mut at = 0;
    let mut length = data;
    for edit in edits {
        let (start, end) = (edit.span.start, edit.span.end);
        if start < at || start >= end || end > data as u64 {
            return Err(RewriteError::Misplaced);
        }
        at = end;
        length = length - (end - start) as usize + edit.replacement.len();
    }
    Ok(length)
}
