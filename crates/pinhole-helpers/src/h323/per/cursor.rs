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
    pub(super) fn skip(&mut self, bits: usize) -> Result<(), Fault> {
        let to = self.at.checked_add(bits).filter(|to| *to <= self.end).ok_or(Fault::Short)?;
        self.at = to;
        Ok(())
    }

    pub(super) fn bit(&mut self) -> Result<bool, Fault> {
        Ok(self.bits(1)? != 0)
    }

    /// A bit field of at most 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, Fault> {
        let first = self.at;
        self.skip(count as usize)?;
        let mut value: u64 = 0;
        let octets = self.bytes.get(first / 8..self.at.div_ceil(8)).ok_or(Fault::Short)?;
        for &octet in octets {
            value = value << 8 | u64::from(octet);
        }
        let spare = self.at.div_ceil(8) * 8 - self.at;
        let mask = (1u64 << count) - 1;
        Ok((value >> spare & mask) as u32)
    }

    /// Steps to the next octet.
    pub(super) fn align(&mut self) {
        self.at = self.octets().saturating_mul(8).min(self.end);
    }

    /// An octet-aligned field of this many octets; where it stands. None of them: no padding either (§11.3.5).
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

    /// A constrained whole number (§11.5): its offset from the lower bound, which is at most `range`.
    pub(super) fn constrained(&mut self, range: u32) -> Result<u32, Fault> {
        let offset = match range {
            0 => 0,
            1..=254 => self.bits(32 - range.leading_zeros())?,
            255 => self.number(1)?,
            256..=65535 => self.number(2)?,
            _ => {
                // The indefinite length case: as many octets as the offset takes, their count being constrained itself.
                let most = (32 - range.leading_zeros()).div_ceil(8);
                let octets = 1 + self.bits(2)?;
                if octets > most {
                    return Err(Fault::Range);
                }
                self.number(octets as usize)?
            }
        };
        if offset <= range { Ok(offset) } else { Err(Fault::Range) }
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
    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        let first = self.number(1)?;
        match first >> 6 {
            0 | 1 => Ok(first as usize),
            2 => Ok(((first & 0x3f) << 8 | self.number(1)?) as usize),
            _ => Err(Fault::Fragmented),
        }
    }

    /// How many elements, characters or octets a value of this size has.
    pub(super) fn count(&mut self, size: Size) -> Result<usize, Fault> {
        match size {
            Size::Exactly(count) => Ok(count.into()),
            Size::Between(low, high) => {
                Ok(usize::from(low) + self.constrained(u32::from(high.saturating_sub(low)))? as usize)
            }
            Size::Any => self.length(),
        }
    }

    /// An open type (§11.2): reads on behind it, and hands out a cursor that sees nothing beyond it.
    pub(super) fn open_type(&mut self) -> Result<Self, Fault> {
        let octets = self.length()?;
        let place = self.aligned(octets)?;
        Ok(Self { bytes: self.bytes, at: place.start * 8, end: place.end * 8 })
    }

    /// The octets that this cursor still sees; it stands at the first of them.
    pub(super) fn remaining(&self) -> Range<usize> {
        self.octets()..self.end / 8
    }
}
