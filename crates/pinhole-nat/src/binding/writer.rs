//! Writing header fields and keeping account of what changed.

use crate::checksum::update_field;
use pinhole_wire::Packet;
use pinhole_wire::checksum::Delta;

/// The bytes of one datagram, of which fields at even offsets are written. A field that is not all there is left alone: an ICMP
/// error may quote no more than eight bytes of a header.
pub(super) struct Writer<'a> {
    bytes: &'a mut [u8],
    /// The sum of all changes, for a checksum that covers them.
    pub(super) written: Delta,
}

impl<'a> Writer<'a> {
    /// Writes to the bytes that `packet` was parsed from, none after its end.
    pub(super) fn new(bytes: &'a mut [u8], packet: &Packet) -> Self {
        let end = bytes.len().min(packet.end as usize);
        Self { bytes: bytes.get_mut(..end).unwrap_or_default(), written: Delta::NONE }
    }

    /// Writes a field at `at`; returns `delta` with the change.
    pub(super) fn put(&mut self, at: u32, new: &[u8], delta: Delta) -> Delta {
        let at = at as usize;
        let Some(field) = self.bytes.get_mut(at..at + new.len()) else { return delta };
        self.written = self.written.replace_bytes(0, field, new);
        let delta = delta.replace_bytes(0, field, new);
        field.copy_from_slice(new);
        delta
    }

    /// As [`put`](Self::put), of two bytes.
    #[inline]
    pub(super) fn put_u16(&mut self, at: u32, new: u16, delta: Delta) -> Delta {
        let field = self.bytes.get_mut(at as usize..).and_then(<[u8]>::first_chunk_mut);
        let Some(field) = field else { return delta };
        let old = u16::from_be_bytes(*field);
        *field = new.to_be_bytes();
        self.written = self.written.replace_u16(old, new);
        delta.replace_u16(old, new)
    }

    /// As [`put`](Self::put), of four bytes.
    #[inline]
    pub(super) fn put_u32(&mut self, at: u32, new: u32, delta: Delta) -> Delta {
        let field = self.bytes.get_mut(at as usize..).and_then(<[u8]>::first_chunk_mut);
        let Some(field) = field else { return delta };
        let old = u32::from_be_bytes(*field);
        *field = new.to_be_bytes();
        self.written = self.written.replace_u32(old, new);
        delta.replace_u32(old, new)
    }

    /// Changes a 16-bit field at `at`, a checksum.
    pub(super) fn change(&mut self, at: u32, change: impl FnOnce(u16) -> u16) {
        let written = self.written;
        let mut all = written;
        update_field(self.bytes, at as usize, |old| {
            let new = change(old);
            all = written.replace_u16(old, new);
            new
        });
        self.written = all;
    }

    /// The bytes from `start` to `end`, if they are there.
    pub(super) fn bytes(&self, start: u32, end: u32) -> Option<&[u8]> {
        self.bytes.get(start as usize..end as usize)
    }
}
