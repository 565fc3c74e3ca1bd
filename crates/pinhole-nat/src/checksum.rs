//! Checksum fields that must follow a change to what they cover.

use pinhole_wire::checksum::Delta;

/// What a transport checksum field holds; the frame's source knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChecksumField {
    /// A checksum over the whole message, or for UDP zero: none. A wrong one stays wrong by the same amount.
    #[default]
    Full,
    /// The sum of the pseudo-header only: hardware, or the receiver's trust, completes it (`CHECKSUM_PARTIAL`).
    Partial,
}

/// Replaces the 16-bit field at `offset` of `bytes` by what `change` makes of it; nothing happens where there is no such field.
#[inline]
pub(crate) fn update_field(bytes: &mut [u8], offset: usize, change: impl FnOnce(u16) -> u16) {
    if let Some(field) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<2>) {
        *field = change(u16::from_be_bytes(*field)).to_be_bytes();
    }
}

/// Writes a 16-bit field at `offset` of a header and collects the change.
#[inline]
#[must_use]
pub(crate) fn write_field(bytes: &mut [u8], offset: usize, new: u16, delta: Delta) -> Delta {
    let Some(field) = bytes.get_mut(offset..).and_then(<[u8]>::first_chunk_mut::<2>) else { return delta };
    let old = u16::from_be_bytes(*field);
    *field = new.to_be_bytes();
    delta.replace_u16(old, new)
}
