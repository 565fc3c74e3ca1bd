//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
//!
//! * [`Sum`] adds up slices of any length at any parity, and pseudo-headers.
//! * [`Delta`] collects changes to covered fields and applies them to a checksum without reading the rest.
//! * [`verify_transport`] says whether the checksum of a packet's upper layer is right, or why that cannot be said.

mod crc32c;
#[cfg(test)]
mod tests;
mod verify;

pub use crc32c::crc32c;
pub use verify::{Checksum, verify_transport};

use crate::{Address, IpVersion, Protocol};

/// A one's complement sum of 16-bit words in network byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Not yet folded. Each addition adds less than 2^33, so that a sum has room for two billion of them.
    words: u64,
    /// An odd number of bytes was added: the next byte is the low half of a word.
    odd: bool,
}

impl Sum {
    /// The empty sum.
    pub const ZERO: Self = Self { words: 0, odd: false };

    /// The sum of `bytes`.
    #[inline]
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::ZERO.add_bytes(bytes)
    }

    /// The sum of the pseudo-header of a datagram (RFC 9293 §3.1; RFC 8200 §8.1); `length` is that of the upper layer in bytes.
    #[inline]
    #[must_use]
    pub fn pseudo_header(
        version: IpVersion,
        source: Address,
        destination: Address,
        protocol: Protocol,
        length: u32,
    ) -> Self {
        Self::ZERO
            .add_address(version, source)
            .add_address(version, destination)
            .add_u16(u16::from(protocol.0))
            .add_u32(length)
    }

    /// Adds bytes that follow those already added, at whatever parity these ended.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let sum = sum_words(bytes);
        let sum = if self.odd { sum.swap_bytes() } else { sum };
        Self { words: self.words + u64::from(sum), odd: self.odd ^ (bytes.len() & 1 == 1) }
    }

    /// Adds a 16-bit field. Fields are aligned to the words of the sum whatever was added before.
    #[inline]
    #[must_use]
    pub const fn add_u16(self, field: u16) -> Self {
        Self { words: self.words + field as u64, ..self }
    }

    /// Adds a 32-bit field.
    #[inline]
    #[must_use]
    pub const fn add_u32(self, field: u32) -> Self {
        Self { words: self.words + (field >> 16) as u64 + (field & 0xffff) as u64, ..self }
    }

    /// Adds an address as it stands in a header of this IP version: 4 or 16 bytes.
    #[inline]
    #[must_use]
    pub fn add_address(self, version: IpVersion, address: Address) -> Self {
        match version {
            IpVersion::V4 => self.add_u32(u32::from_be_bytes(address.v4_octets())),
            IpVersion::V6 => {
                let (words, _) = address.0.as_chunks::<4>();
                words.iter().fold(self, |sum, word| sum.add_u32(u32::from_be_bytes(*word)))
            }
        }
    }

    /// The sum in 16 bits. Over a message that includes a right checksum it is `0xffff`.
    #[inline]
    #[must_use]
    pub const fn fold(self) -> u16 {
        fold(self.words)
    }

    /// The checksum field for a message with this sum (computed with the field as zero).
    #[inline]
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// The checksum field for UDP, where zero means "no checksum" and `0xffff` stands for it (RFC 768).
    #[inline]
    #[must_use]
    pub const fn udp_checksum(self) -> u16 {
        udp_field(self.checksum())
    }
}

/// Changes to fields that a checksum covers, collected to be applied to it at once (RFC 1624 equation 3).
///
/// The fields are those of a header, which start at an even offset of the message; for others use
/// [`replace_bytes`](Self::replace_bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta(Sum);

impl Delta {
    /// No change.
    pub const NONE: Self = Self(Sum::ZERO);

    /// The change that is the sum of less than 2^31 32-bit words, complements of old ones and new ones. Numbers of either byte order will do, if
    /// the field that it is applied to is one, too (RFC 1071 §2 B).
    #[inline]
    #[must_use]
    pub const fn of_words(sum: u64) -> Self {
        Self(Sum { words: sum, odd: false })
    }

    /// A 16-bit field changes.
    #[inline]
    #[must_use]
    pub const fn replace_u16(self, old: u16, new: u16) -> Self {
        Self(self.0.add_u16(!old).add_u16(new))
    }

    /// A 32-bit field changes.
    #[inline]
    #[must_use]
    pub const fn replace_u32(self, old: u32, new: u32) -> Self {
        Self(self.0.add_u32(!old).add_u32(new))
    }

    /// An address changes, both old and new of this IP version.
    #[inline]
    #[must_use]
    pub fn replace_address(self, version: IpVersion, old: Address, new: Address) -> Self {
        Self(self.0.add_address(version, Address(old.0.map(|byte| !byte))).add_address(version, new))
    }

    /// Bytes at offset `offset` of the message change; the message's length does not, unless they are its tail.
    #[inline]
    #[must_use]
    pub fn replace_bytes(self, offset: usize, old: &[u8], new: &[u8]) -> Self {
        let at_parity = |bytes: &[u8]| {
            let sum = sum_words(bytes);
            if offset & 1 == 1 { sum.swap_bytes() } else { sum }
        };
        Self(self.0.add_u16(!at_parity(old)).add_u16(at_parity(new)))
    }

    /// Whether nothing that matters to a checksum has changed.
    #[inline]
    pub const fn is_none(&self) -> bool {
        let sum = self.0.fold();
        sum == 0 || sum == 0xffff
    }

    /// The new value of a checksum field.
    #[inline(always)]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        self.0.add_u16(!checksum).checksum()
    }

    /// The new value of a UDP checksum field: none stays none, and a sum of zero is written as `0xffff` (RFC 768).
    #[inline(always)]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 { 0 } else { udp_field(self.apply(checksum)) }
    }

    /// The new value of a field that holds the sum of the pseudo-header, left for hardware to complete. The changes must all be to
    /// fields of the pseudo-header.
    #[inline]
    #[must_use]
    pub const fn apply_partial(self, sum: u16) -> u16 {
        self.0.add_u16(sum).fold()
    }
}

const fn udp_field(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

/// Adds the halves, and what is carried out at the end again: that carries no further, and makes no zero of anything else.
#[inline(always)]
const fn fold(words: u64) -> u16 {
    let (sum, carry) = (words as u32).overflowing_add((words >> 32) as u32);
    let sum = sum + carry as u32;
    let (sum, carry) = (sum as u16).overflowing_add((sum >> 16) as u16);
    sum + carry as u16
}

/// The folded sum of the big-endian words of `bytes`, an odd last byte padded with zero.
///
/// The sum does not depend on byte order (RFC 1071 §2 B), so it is taken over native 32-bit words, in lanes that the compiler
/// turns into vector instructions, and swapped at the end.
#[inline]
fn sum_words(bytes: &[u8]) -> u16 {
    const LANES: usize = 8;
    let (blocks, tail) = bytes.as_chunks::<{ 4 * LANES }>();
    let mut lanes = [0u64; LANES];
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let (words, tail) = tail.as_chunks::<4>();
    let mut sum = lanes.iter().map(|lane| (lane >> 32) + (lane & 0xffff_ffff)).sum::<u64>();
    sum += words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum::<u64>();
    let (pairs, last) = tail.as_chunks::<2>();
    sum += pairs.iter().map(|pair| u64::from(u16::from_ne_bytes(*pair))).sum::<u64>();
    sum += last.iter().map(|&byte| u64::from(u16::from_ne_bytes([byte, 0]))).sum::<u64>();
    u16::from_be(fold(sum))
}
