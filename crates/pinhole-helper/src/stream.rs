//! One direction of a TCP conn as a helper reads it: bytes in order, once, however they were cut into segments.
//!
//! ```text
//!              base        read          end            pending[0]
//!   …forgotten │  history  │   unread    │     hole     │ out of order …
//! ```
//!
//! *Life cycle.* [`Stream::open`] anchors the stream at its SYN (or at the first byte seen, for a lenient pick-up). [`Stream::feed`]
//! takes each segment and shows its reader what has become readable; a reader that consumes a segment whole reads it from the packet
//! itself. [`Stream::acknowledge`] forgets history that the receiver has confirmed. [`Stream::release`] ends it.
//!
//! *Overlaps: the first copy wins.* A later copy of a byte that is still held and not yet acknowledged must equal the first one, or
//! the stream is in [`BlindReason::Conflict`]: the two ends may have read different text. Copies of acknowledged bytes are ignored,
//! as the receiver ignores them (this includes the garbage byte of a keep-alive, RFC 9293 §3.8.4).
//!
//! *Invariants.* `base <= read <= end`; `held` is exactly `[base, end)`; pending chunks are sorted, disjoint, not adjacent, and lie
//! beyond `end`; no more than [`MAX_PENDING_BYTES`] in [`MAX_PENDING_CHUNKS`] of them; at most [`MAX_HISTORY`] bytes of history.

use crate::{BlindReason, Pickup, Span};
use alloc::vec::Vec;
use core::ops::ControlFlow;
use serde::{Deserialize, Serialize};

/// Most bytes held beyond a hole.
pub const MAX_PENDING_BYTES: usize = 32 * 1024;
/// Most separate runs of bytes held beyond a hole.
pub const MAX_PENDING_CHUNKS: usize = 256;
/// Most consumed but unacknowledged bytes that are kept for comparison with later copies.
pub const MAX_HISTORY: usize = 4 * 1024;
/// Data segments that a strict stream lets pass before a hole that the receiver has acknowledged counts as a gap. (The receiver has
/// those bytes, so they will not be sent again; only a capture that is out of order can still bring them.)
pub const GAP_PATIENCE: u8 = 8;
/// Capacity that an idle stream may keep, so that line after line is read without allocating.
const KEPT_CAPACITY: usize = 2 * 1024;

/// What [`Stream::feed`] shows its reader.
#[derive(Debug, PartialEq, Eq)]
pub enum Readable<'a> {
    /// The unread bytes, the first of them at `offset`. The reader answers how many it consumed.
    Bytes {
        /// Stream offset of the first byte.
        offset: u64,
        /// At least one byte.
        bytes: &'a [u8],
    },
    /// Bytes are missing; what follows does not continue what was shown before. Unread bytes before the gap are dropped.
    Gap,
}

/// In-order view of one direction of a TCP conn.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Stream {
    /// Sequence number of stream offset 0, once known.
    origin: Option<u32>,
    /// Offset of `held[0]`.
    base: u64,
    /// Offset after the last byte that the reader consumed.
    read: u64,
    /// History and unread bytes.
    held: Vec<u8>,
    /// Offset up to which the receiver has acknowledged.
    acknowledged: u64,
    /// Offset of the FIN, once seen.
    fin: Option<u64>,
    /// Runs of bytes beyond a hole.
    pending: Vec<Chunk>,
    /// Data segments seen since the current hole was acknowledged.
    waited: u8,
}

/// A run of bytes beyond a hole.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Chunk {
    offset: u64,
    bytes: Vec<u8>,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl Stream {
    /// Anchors the stream: `sequence` is that of its first byte. Before any byte has been seen, a later SYN (a new attempt with
    /// another initial sequence number) anchors it anew. `false`: the stream is anchored elsewhere.
    pub fn open(&mut self, sequence: u32) -> bool {
        if self.end() == 0 && self.pending.is_empty() {
            self.origin = Some(sequence);
            self.acknowledged = 0;
            self.fin = None;
        }
        self.origin == Some(sequence)
    }

    /// Whether the stream is anchored.
    pub fn is_open(&self) -> bool {
        self.origin.is_some()
    }

    /// Offset after the last consumed byte.
    pub fn position(&self) -> u64 {
        self.read
    }

    /// Bytes shown but not yet consumed.
    pub fn unread(&self) -> usize {
        usize::try_from(self.end() - self.read).unwrap_or(usize::MAX)
    }

    /// Those bytes themselves.
    pub fn unread_bytes(&self) -> &[u8] {
        // Not before the base, and at most all that is held.
        self.held.get((self.read - self.base) as usize..).unwrap_or_default()
    }

    /// Where a segment's bytes stand, if they come before their turn: bytes before them are missing.
    pub fn out_of_turn(&self, sequence: u32, length: usize) -> Option<Span> {
        let start = self.offset_of(sequence)?;
        (start > self.end() && length > 0).then(|| Span { start, end: start + length as u64 })
    }

    /// Whether the invariants hold, of a stream whose fields were read from a file.
    pub(crate) fn is_sound(&self) -> bool {
        // No conn carries so many bytes; sums of offsets and lengths stay far below what a number holds.
        const FAR: u64 = 1 << 62;
        let offsets = [self.base, self.read, self.acknowledged, self.fin.unwrap_or_default()];
        if offsets.iter().any(|offset| *offset >= FAR)
            || !(self.base..=self.end()).contains(&self.read)
            || self.pending.len() > MAX_PENDING_CHUNKS
        {
            return false;
        }
        let mut end = self.end();
        self.pending.iter().all(|chunk| {
            let follows = (end + 1..FAR).contains(&chunk.offset) && !chunk.bytes.is_empty();
            end = chunk.offset.saturating_add(chunk.bytes.len() as u64);
            follows
        })
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        let pending: usize = self.pending.iter().map(|chunk| chunk.bytes.capacity()).sum();
        self.held.capacity() + pending + self.pending.capacity() * size_of::<Chunk>()
    }

    /// Forgets everything and gives the memory back.
    pub fn release(&mut self) {
        *self = Self::default();
    }

    /// Notes that the receiver has acknowledged everything before this sequence number.
    pub fn acknowledge(&mut self, sequence: u32) {
        let Some(offset) = self.offset_of(sequence) else { return };
        let offset = self.fin.map_or(offset, |fin| offset.min(fin));
        if offset > self.acknowledged {
            self.acknowledged = offset;
            self.forget_history();
        }
    }

    /// Notes the sender's FIN, whose sequence number is given.
    pub fn finish(&mut self, sequence: u32) {
        self.fin = self.fin.or(self.offset_of(sequence));
    }

    /// Takes one segment's payload, whose first byte has this sequence number, and shows `reader` what can be read now. The reader
    /// answers with the number of bytes consumed, or breaks off; after a break the stream must be released.
    ///
    /// # Errors
    /// [`BlindReason::Conflict`], and for [`Pickup::Strict`] [`BlindReason::Gap`] and [`BlindReason::BufferFull`] (a lenient stream
    /// shows a [`Readable::Gap`] instead). The stream must be released then.
    pub fn feed(
        &mut self,
        sequence: u32,
        payload: &[u8],
        pickup: Pickup,
        reader: &mut dyn FnMut(Readable<'_>) -> ControlFlow<(), usize>,
    ) -> Result<(), BlindReason> {
        let Some((offset, payload)) = self.place(sequence, payload) else { return Ok(()) };
        self.compare(offset, payload)?;
        let end = self.end();
        if offset > end {
            self.keep(offset, payload);
            return self.mind_the_gap(pickup, reader);
        }
        // `offset <= end`, so the subtraction and the narrowing are exact.
        let fresh = payload.get((end - offset) as usize..).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(());
        }
        self.waited = 0;
        if self.append(fresh, reader).is_continue() {
            // After a break the reader is shown nothing more, and that is all it asks.
            let _ = self.join(reader);
        }
        Ok(())
    }

    /// The stream offset of a sequence number, if it is not before the stream's beginning.
    fn offset_of(&self, sequence: u32) -> Option<u64> {
        let end = self.end();
        let at_end = self.origin?.wrapping_add(end as u32);
        let distance = i64::from(sequence.wrapping_sub(at_end).cast_signed());
        end.checked_add_signed(distance)
    }

    /// Offset and bytes of a segment, less what lies before the held bytes.
    fn place<'a>(&self, sequence: u32, payload: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let end = self.end();
        let at_end = self.origin?.wrapping_add(end as u32);
        let distance = i64::from(sequence.wrapping_sub(at_end).cast_signed());
        // Both are far below 2^63: `end` counts bytes that passed by.
        let start = end.cast_signed().saturating_add(distance);
        let before = self.base.cast_signed().saturating_sub(start);
        if before <= 0 {
            return (!payload.is_empty()).then_some((start.cast_unsigned(), payload));
        }
        let rest = payload.get(usize::try_from(before).ok()?..)?;
        (!rest.is_empty()).then_some((self.base, rest))
    }

    /// Compares a segment with every unacknowledged byte that is held at the same offsets.
    fn compare(&self, offset: u64, payload: &[u8]) -> Result<(), BlindReason> {
        let from = self.acknowledged.max(offset);
        let same = |at: u64, bytes: &[u8]| {
            let start = from.max(at);
            let end = (offset + payload.len() as u64).min(at + bytes.len() as u64);
            // Offsets inside both slices, or an empty range.
            start >= end
                || payload.get((start - offset) as usize..(end - offset) as usize)
                    == bytes.get((start - at) as usize..(end - at) as usize)
        };
        let agrees =
            same(self.base, &self.held) && self.pending.iter().all(|chunk| same(chunk.offset, &chunk.bytes));
        if agrees { Ok(()) } else { Err(BlindReason::Conflict) }
    }

    /// Adds bytes at the end and shows them; straight from the segment if nothing is waiting before them.
    fn append(
        &mut self,
        fresh: &[u8],
        reader: &mut dyn FnMut(Readable<'_>) -> ControlFlow<(), usize>,
    ) -> ControlFlow<()> {
        let offset = self.read;
        let consumed = if self.unread() == 0 {
            let consumed = reader(Readable::Bytes { offset, bytes: fresh })?.min(fresh.len());
            self.held.extend_from_slice(fresh);
            consumed
        } else {
            self.held.extend_from_slice(fresh);
            let bytes = self.held.get((self.read - self.base) as usize..).unwrap_or_default();
            reader(Readable::Bytes { offset, bytes })?.min(bytes.len())
        };
        self.read += consumed as u64;
        self.forget_history();
        ControlFlow::Continue(())
    }

    /// Reads pending chunks that the held bytes have reached.
    fn join(&mut self, reader: &mut dyn FnMut(Readable<'_>) -> ControlFlow<(), usize>) -> ControlFlow<()> {
        while self.pending.first().is_some_and(|chunk| chunk.offset <= self.end()) {
            let chunk = self.pending.remove(0);
            let known = (self.end() - chunk.offset) as usize;
            if let Some(fresh) = chunk.bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
                self.append(fresh, reader)?;
            }
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        ControlFlow::Continue(())
    }

    /// Keeps bytes that lie beyond a hole, merged with the chunks that they touch. Where both hold a byte they agree.
    fn keep(&mut self, offset: u64, payload: &[u8]) {
        let end = offset + payload.len() as u64;
        let first = self.pending.partition_point(|chunk| chunk.end() < offset);
        let last = self.pending.partition_point(|chunk| chunk.offset <= end);
        let mut merged = Chunk { offset, bytes: Vec::new() };
        for chunk in self.pending.drain(first..last) {
            if chunk.offset <= merged.offset {
                merged = chunk;
            } else {
                merged.extend_to(chunk.offset, offset, payload);
                merged.extend_to(chunk.end(), chunk.offset, &chunk.bytes);
            }
        }
        merged.extend_to(end, offset, payload);
        self.pending.insert(first, merged);
    }

    /// Decides whether the hole at the end is one that will not fill.
    fn mind_the_gap(
        &mut self,
        pickup: Pickup,
        reader: &mut dyn FnMut(Readable<'_>) -> ControlFlow<(), usize>,
    ) -> Result<(), BlindReason> {
        let bytes: usize = self.pending.iter().map(|chunk| chunk.bytes.len()).sum();
        let full = bytes > MAX_PENDING_BYTES || self.pending.len() > MAX_PENDING_CHUNKS;
        if self.hole_is_acknowledged() {
            self.waited = self.waited.saturating_add(1);
        }
        match pickup {
            Pickup::Strict if full => return Err(BlindReason::BufferFull),
            Pickup::Strict if self.waited > GAP_PATIENCE => return Err(BlindReason::Gap),
            Pickup::Lenient if full && self.skip(reader).is_break() => return Ok(()),
            _ => {}
        }
        while pickup == Pickup::Lenient && self.hole_is_acknowledged() {
            if self.skip(reader).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Whether the receiver has bytes that were not seen here, while later ones were.
    fn hole_is_acknowledged(&self) -> bool {
        !self.pending.is_empty() && self.acknowledged > self.end()
    }

    /// Gives up what is missing: goes on with the first pending chunk.
    fn skip(&mut self, reader: &mut dyn FnMut(Readable<'_>) -> ControlFlow<(), usize>) -> ControlFlow<()> {
        let Some(offset) = self.pending.first().map(|chunk| chunk.offset) else {
            return ControlFlow::Continue(());
        };
        self.held.clear();
        self.base = offset;
        self.read = offset;
        self.waited = 0;
        reader(Readable::Gap)?;
        self.join(reader)
    }

    /// Drops consumed bytes that are acknowledged or too many.
    fn forget_history(&mut self) {
        let oldest = self.read.saturating_sub(MAX_HISTORY as u64);
        let base = self.acknowledged.min(self.read).max(oldest).max(self.base);
        let forgotten = ((base - self.base) as usize).min(self.held.len());
        if forgotten == self.held.len() {
            self.held.clear();
            if self.held.capacity() > KEPT_CAPACITY {
                self.held = Vec::new();
            }
        } else if forgotten > 0 {
            self.held.drain(..forgotten);
        }
        self.base = base;
    }

    /// Offset after the last byte received in order.
    fn end(&self) -> u64 {
        self.base + self.held.len() as u64
    }
}

impl Chunk {
    /// Appends the part of `bytes` (which lie at `offset`) between this chunk's end and `to`.
    fn extend_to(&mut self, to: u64, offset: u64, bytes: &[u8]) {
        let (start, end) = (self.end(), to.min(offset + bytes.len() as u64));
        if start < end && start >= offset {
            let fresh = bytes.get((start - offset) as usize..(end - offset) as usize);
            self.bytes.extend_from_slice(fresh.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;
