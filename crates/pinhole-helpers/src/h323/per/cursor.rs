//! A position in an encoding, in bits, and the primitive fields of X.691 clauses 11.3 to 11.9.

use super::{Fault, Size};
use std::ops::Range;

/// Reads bit fields and octet-aligned fields, from the most significant bit of each octet on.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    /// Bits before the next one.
    at: usize,
    /// Bits that there are.
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len().saturating_mul(8) }
    }

    /// The bit that comes next.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Octets of the message up to here, a started one included.
    pub(super) fn octets(&self) -> usize {
        self.at.div_ceil(8)
    }

    /// Steps over this many bits.
    #[inline]
    pub(super) fn skip(&mut self, bits: usize) -> Result<(), Fault> {
        let to = self.at.checked_add(bits).filter(|to| *to <= self.end).ok_or(Fault::Short)?;
        self.at = to;
        Ok(())
    }

    #[inline]
    pub(super) fn bit(&mut self) -> Result<bool, Fault> {
        let octet = self.bytes.get(self.at / 8).filter(|_| self.at < self.end).ok_or(Fault::Short)?;
        let bit = octet << (self.at % 8) & 0x80 != 0;
        self.at += 1;
        Ok(bit)
    }

    /// A bit field of at most 32 bits.
    #[inline]
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, Fault> {
        let first = self.at;
        self.skip(count as usize)?;
        let word = self.word(first);
        Ok(word.checked_shr(64 - count).unwrap_or_default() as u32)
    }

    /// The bits from a position on, at the top of a word: at least 57, as far as the message goes.
    #[inline]
    fn word(&self, position: usize) -> u64 {
        let rest = self.bytes.get(position / 8..).unwrap_or_default();
        let word = match (rest.first_chunk::<8>(), self.bytes.last_chunk::<8>()) {
            (Some(octets), _) => u64::from_be_bytes(*octets),
            // The last octets of a message, with those before them shifted out.
            (None, Some(octets)) => {
                u64::from_be_bytes(*octets).checked_shl(64 - 8 * rest.len() as u32).unwrap_or_default()
            }
            (None, None) => {
                rest.iter().fold(0, |word, &octet| word << 8 | u64::from(octet)) << (8 * (8 - rest.len()))
            }
        };
        word << (position % 8)
    }

    /// Steps over bits that say which components are there; they are read apart from the components themselves.
    #[inline]
    pub(super) fn presence(&mut self, count: usize) -> Result<Presence<'a>, Fault> {
        let bits = *self;
        self.skip(count)?;
        Ok(Presence { bits, word: 0, left: 0 })
    }

    /// Steps to the next octet.
    #[inline]
    pub(super) fn align(&mut self) {
        self.at = self.octets().saturating_mul(8).min(self.end);
    }

    /// An octet-aligned field of this many octets; where it stands. None of them: no padding either (§11.3.5).
    #[inline]
    pub(super) fn aligned(&mut self, octets: usize) -> Result<Range<usize>, Fault> {
        if octets > 0 {
            self.align();
        }
        let start = self.octets();
        self.skip(octets.checked_mul(8).ok_or(Fault::Short)?)?;
        Ok(start..start + octets)
    }

    /// A number of at most four octets, octet-aligned.
    fn number(&mut self, octets: usize) -> Result<u32, Fault> {
        let place = self.aligned(octets)?;
        let octets = self.bytes.get(place).ok_or(Fault::Short)?;
        Ok(octets.iter().fold(0, |value, &octet| value << 8 | u32::from(octet)))
    }

    /// A number of one octet, or of two, octet-aligned.
    #[inline]
    fn short<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let start = self.octets();
        let octets = self.bytes.get(start..).and_then(<[u8]>::first_chunk::<N>).ok_or(Fault::Short)?;
        let end = (start + N) * 8;
        if end > self.end {
            return Err(Fault::Short);
        }
        self.at = end;
        Ok(*octets)
    }

    /// A constrained whole number (§11.5): its offset from the lower bound, which is at most `range`.
    #[inline]
    pub(super) fn constrained(&mut self, range: u32) -> Result<u32, Fault> {
        let offset = match range {
            0 => 0,
            1..=254 => self.bits(32 - range.leading_zeros())?,
            255 => self.short().map(|[octet]| u32::from(octet))?,
            256..=65535 => self.short().map(u16::from_be_bytes)?.into(),
            _ => self.long(range)?,
        };
        if offset <= range { Ok(offset) } else { Err(Fault::Range) }
    }

    /// The indefinite length case: as many octets as the offset takes, their count being constrained itself.
    fn long(&mut self, range: u32) -> Result<u32, Fault> {
        let most = (32 - range.leading_zeros()).div_ceil(8);
        let octets = 1 + self.bits(2)?;
        if octets > most {
            return Err(Fault::Range);
        }
        self.number(octets as usize)
    }

    /// A normally small whole number (§11.6): what follows an extension marker.
    pub(super) fn normally_small(&mut self) -> Result<u32, Fault> {
        if !self.bit()? {
            return self.bits(6);
        }
        let octets = self.length()?;
        if octets > 4 {
            return Err(Fault::Range);
        }
        self.number(octets)
    }

    /// A normally small length (§11.9.3.4): how many extension additions there may be.
    pub(super) fn normally_small_length(&mut self) -> Result<usize, Fault> {
        if self.bit()? { self.length() } else { Ok(self.bits(6)? as usize + 1) }
    }

    /// An unconstrained length (§11.9.3.5 to §11.9.3.8), octet-aligned.
    #[inline]
    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        let [first] = self.short()?;
        match first >> 6 {
            0 | 1 => Ok(first.into()),
            2 => self.short().map(|[second]| usize::from(u16::from_be_bytes([first & 0x3f, second]))),
            _ => Err(Fault::Fragmented),
        }
    }

    /// How many elements, characters or octets a value of this size has.
    #[inline]
    pub(super) fn count(&mut self, size: Size) -> Result<usize, Fault> {
        match size {
            Size::Exactly(count) => Ok(count.into()),
            Size::Between(low, high) => {
                Ok(usize::from(low) + self.constrained(u32::from(high.saturating_sub(low)))? as usize)
            }
            Size::Any => self.length(),
        }
    }

    /// An open type (§11.2): reads on behind it; where it stands.
    #[inline]
    pub(super) fn open_type(&mut self) -> Result<Range<usize>, Fault> {
        let octets = self.length()?;
        self.aligned(octets)
    }

    /// Reads on in some octets of the message, and sees nothing beyond them.
    pub(super) fn enter(&mut self, octets: &Range<usize>) {
        (self.at, self.end) = (octets.start * 8, octets.end * 8);
    }
}

/// The bits that say which components are there.
pub(super) struct Presence<'a> {
    bits: Cursor<'a>,
    word: u64,
    left: u32,
}

impl Presence<'_> {
    /// Whether the next component is there. Never asked more often than there are bits.
    #[inline]
    pub(super) fn next(&mut self) -> bool {
        if self.left == 0 {
            (self.word, self.left) = (self.bits.word(self.bits.at), 57);
            self.bits.at += 57;
        }
        let is_there = self.word >> 63 != 0;
        (self.word, self.left) = (self.word << 1, self.left - 1);
        is_there
    }
}
