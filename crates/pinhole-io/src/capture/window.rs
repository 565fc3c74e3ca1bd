//! A sliding view over a capture's bytes.
//!
//! One buffer of fixed size; records are parsed where they lie in it. What was returned stays valid until the next call
//! that may move the buffer, which the borrow checker enforces.

use std::ops::Range;

use super::WINDOW;
use super::error::Problem;
use super::source::Source;

/// Invariant: `start <= end <= buffer.len()`, and `offset` is the file offset of `buffer[start]`.
pub(super) struct Window {
    source: Source,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    offset: u64,
    mark: u64,
    at_end: bool,
}

impl Window {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            buffer: vec![0; WINDOW].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            mark: 0,
            at_end: false,
        }
    }

    /// Notes that a structure starts here; an error within it is reported at this offset.
    #[inline]
    pub(super) fn set_mark(&mut self) {
        self.mark = self.offset;
    }

    /// The offset that was noted last.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// Bytes taken from the underlying (compressed) input so far.
    pub(super) fn consumed(&self) -> u64 {
        self.source.consumed()
    }

    /// The next bytes without consuming them: at least `length` (at most [`WINDOW`]) of them, unless the file ends before.
    #[inline]
    pub(super) fn peek(&mut self, length: usize) -> Result<&[u8], Problem> {
        if self.end - self.start < length {
            self.refill(length)?;
        }
        Ok(self.buffer.get(self.start..self.end).unwrap_or_default())
    }

    /// The next `N` bytes without consuming them; `what` names them in the error when the file ends before.
    #[inline]
    pub(super) fn peek_array<const N: usize>(&mut self, what: &'static str) -> Result<&[u8; N], Problem> {
        let bytes = self.peek(N)?;
        let found = bytes.len() as u64;
        bytes.first_chunk().ok_or(Problem::Truncated { what, expected: N as u64, found })
    }

    /// Whether nothing is left.
    #[inline]
    pub(super) fn is_at_end(&mut self) -> Result<bool, Problem> {
        Ok(self.peek(1)?.is_empty())
    }

    /// Makes `length` bytes (at most [`WINDOW`]) present without consuming them.
    #[inline]
    pub(super) fn require(&mut self, length: usize, what: &'static str) -> Result<(), Problem> {
        let found = self.peek(length)?.len();
        if found < length {
            return Err(Problem::Truncated { what, expected: length as u64, found: found as u64 });
        }
        Ok(())
    }

    /// Consumes `length` bytes that [`Self::require`] made present and tells where in the buffer they lie.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Range<usize> {
        let from = self.start;
        self.start = self.end.min(from + length);
        self.offset += (self.start - from) as u64;
        from..self.start
    }

    /// The bytes of a range that [`Self::take`] returned, as long as nothing was peeked at since.
    #[inline]
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(range).unwrap_or_default()
    }

    /// Consumes `length` bytes, however many, without keeping them.
    pub(super) fn skip(&mut self, length: u64, what: &'static str) -> Result<(), Problem> {
        let mut left = length;
        while left > 0 {
            let present = self.peek(1)?.len() as u64;
            if present == 0 {
                return Err(Problem::Truncated { what, expected: length, found: length - left });
            }
            let step = present.min(left);
            self.take(step as usize);
            left -= step;
        }
        Ok(())
    }

    /// Moves what is unread to the front and reads until `length` bytes are present or the file ends.
    #[cold]
    fn refill(&mut self, length: usize) -> Result<(), Problem> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < length && !self.at_end {
            let free = self.buffer.get_mut(self.end..).unwrap_or_default();
            if free.is_empty() {
                break;
            }
            let count = self.source.read(free)?.min(free.len());
            self.end += count;
            self.at_end = count == 0;
        }
        Ok(())
    }
}
