//! A segment without the end of its payload.

use super::length::write_length;
use crate::ChecksumField;
use crate::checksum::update_field;
use pinhole_wire::checksum::Delta;
use pinhole_wire::{Packet, Transport};

const CHECKSUM: usize = 16;

/// Takes away what is beyond the first `keep` bytes of a TCP segment's payload, of which the frame holds all; lengths and checksums follow.
/// `false`: it is no such segment, and nothing has changed.
pub fn cut(frame: &mut Vec<u8>, packet: &mut Packet, keep: u32, checksum: ChecksumField) -> bool {
    let Packet { transport_offset, payload, end: old_end, missing, .. } = *packet;
    let end = payload.saturating_add(keep);
    let Transport::Tcp(tcp) = &mut packet.transport else { return false };
    let Some(gone) = frame.get(end as usize..old_end as usize).filter(|_| missing == 0) else { return false };
    let upper = |end: u32| end.saturating_sub(transport_offset) as u16;
    let length = Delta::NONE.replace_u16(upper(old_end), upper(end));
    let content = Delta::NONE.replace_bytes(usize::from(upper(end)), gone, &[]);
    tcp.payload_length = keep;
    packet.end = end;
    frame.truncate(end as usize);
    write_length(frame, packet, 0);
    let header = frame.get_mut(transport_offset as usize..).unwrap_or_default();
    update_field(header, CHECKSUM, |field| match checksum {
        ChecksumField::Full => content.apply(length.apply(field)),
        ChecksumField::Partial => length.apply_partial(field),
    });
    true
}
