//! Translation of whole prefixes, one address to one address, without state.
//!
//! * [`Netmap`]: the leading bits are replaced, the others kept (netfilter's `netmap`, nftables' `snat ip prefix to`). Checksums
//!   change.
//! * [`Nptv6`]: RFC 6296. The leading bits are replaced and one 16-bit word is adjusted, so that the sum of the address stays what
//!   it was: no checksum changes, whatever protocol is carried.
//!
//! Both are invertible: the translation from outside to inside undoes the one from inside to outside.

#[cfg(test)]
mod tests;

use pinhole_wire::checksum::Sum;
use pinhole_wire::{Address, IpVersion};

/// The leading `length` bits of addresses of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    version: IpVersion,
    /// The bits beyond the prefix are zero.
    bits: u128,
    /// Of 128 bits: that of an IPv4 prefix counts the 96 before.
    length: u8,
}

/// Why a translation cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PrefixError {
    /// The prefix is longer than an address, for NPTv6 longer than 64 bits.
    #[error("the prefix is too long")]
    Length,
    /// The two prefixes differ in length or IP version, or NPTv6 is asked for IPv4.
    #[error("the prefixes are not of one kind")]
    Unequal,
    /// The address is not in the prefix.
    #[error("the address is not in the prefix")]
    Outside,
    /// NPTv6: every word that may be adjusted is 0xffff (RFC 6296 §3.5), or the interface identifier is or becomes zero.
    #[error("the address cannot be translated without changing checksums")]
    NotAdjustable,
}

impl Prefix {
    /// The first `length` bits of `address`, whose other bits do not matter.
    ///
    /// # Errors
    /// [`PrefixError::Length`] if `length` is more than 32 (IPv4) or 128 (IPv6).
    pub fn new(version: IpVersion, address: Address, length: u8) -> Result<Self, PrefixError> {
        let (before, longest) = match version {
            IpVersion::V4 => (96, 32),
            IpVersion::V6 => (0, 128),
        };
        if length > longest {
            return Err(PrefixError::Length);
        }
        let length = length + before;
        Ok(Self { version, bits: u128::from_be_bytes(address.0) & mask(length), length })
    }

    /// Whether an address of this prefix's IP version is in it.
    pub fn contains(&self, address: Address) -> bool {
        u128::from_be_bytes(address.0) & mask(self.length) == self.bits
    }

    /// `address` with these leading bits.
    fn put_on(&self, address: Address) -> u128 {
        u128::from_be_bytes(address.0) & !mask(self.length) | self.bits
    }
}

/// The leading `length` bits, at most 128.
const fn mask(length: u8) -> u128 {
    match length {
        0 => 0,
        1..128 => u128::MAX << (128 - length),
        _ => u128::MAX,
    }
}

/// Replaces one prefix by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Netmap {
    inside: Prefix,
    outside: Prefix,
}

impl Netmap {
    /// Between two prefixes of one length and IP version.
    ///
    /// # Errors
    /// [`PrefixError::Unequal`].
    pub fn new(inside: Prefix, outside: Prefix) -> Result<Self, PrefixError> {
        if (inside.version, inside.length) == (outside.version, outside.length) {
            Ok(Self { inside, outside })
        } else {
            Err(PrefixError::Unequal)
        }
    }

    /// From inside to outside.
    ///
    /// # Errors
    /// [`PrefixError::Outside`] if the address is not in the inner prefix.
    pub fn outward(&self, address: Address) -> Result<Address, PrefixError> {
        translate(address, &self.inside, &self.outside)
    }

    /// From outside to inside.
    ///
    /// # Errors
    /// [`PrefixError::Outside`] if the address is not in the outer prefix.
    pub fn inward(&self, address: Address) -> Result<Address, PrefixError> {
        translate(address, &self.outside, &self.inside)
    }
}

fn translate(address: Address, from: &Prefix, to: &Prefix) -> Result<Address, PrefixError> {
    if !from.contains(address) {
        return Err(PrefixError::Outside);
    }
    Ok(Address(to.put_on(address).to_be_bytes()))
}

/// Checksum-neutral IPv6 prefix translation (RFC 6296).
///
/// With prefixes of up to 48 bits the word of bits 48 to 63, the subnet, is adjusted (§3.4); with longer ones the first word of the
/// interface identifier that is not 0xffff (§3.5). An identifier of zero, the subnet-router anycast address, is not translated
/// then, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nptv6 {
    inside: Prefix,
    outside: Prefix,
    /// Sum of the inner prefix less that of the outer, in one's complement.
    adjustment: u16,
}

impl Nptv6 {
    /// Between two IPv6 prefixes of one length of at most 64 bits.
    ///
    /// # Errors
    /// [`PrefixError::Unequal`], [`PrefixError::Length`].
    pub fn new(inside: Prefix, outside: Prefix) -> Result<Self, PrefixError> {
        if inside.version != IpVersion::V6 || outside.version != IpVersion::V6 {
            return Err(PrefixError::Unequal);
        }
        if inside.length != outside.length {
            return Err(PrefixError::Unequal);
        }
        if inside.length > 64 {
            return Err(PrefixError::Length);
        }
        let sum = |prefix: &Prefix| Sum::of(&prefix.bits.to_be_bytes()).fold();
        let adjustment = Sum::ZERO.add_u16(sum(&inside)).add_u16(!sum(&outside)).fold();
        Ok(Self { inside, outside, adjustment })
    }

    /// From inside to outside.
    ///
    /// # Errors
    /// [`PrefixError::Outside`], [`PrefixError::NotAdjustable`].
    pub fn outward(&self, address: Address) -> Result<Address, PrefixError> {
        self.adjusted(translate(address, &self.inside, &self.outside)?, self.adjustment)
    }

    /// From outside to inside.
    ///
    /// # Errors
    /// [`PrefixError::Outside`], [`PrefixError::NotAdjustable`].
    pub fn inward(&self, address: Address) -> Result<Address, PrefixError> {
        self.adjusted(translate(address, &self.outside, &self.inside)?, !self.adjustment)
    }

    fn adjusted(&self, address: Address, adjustment: u16) -> Result<Address, PrefixError> {
        let Address(mut bytes) = address;
        let has_identifier = |bytes: &[u8; 16]| bytes.iter().skip(8).any(|byte| *byte != 0);
        let by_identifier = self.inside.length > 48;
        if by_identifier && !has_identifier(&bytes) {
            return Err(PrefixError::NotAdjustable);
        }
        let (words, _) = bytes.as_chunks_mut::<2>();
        let adjustable = if by_identifier { 4..8 } else { 3..4 };
        let word = words
            .get_mut(adjustable)
            .unwrap_or_default()
            .iter_mut()
            .find(|word| **word != [0xff; 2])
            .ok_or(PrefixError::NotAdjustable)?;
        let sum = Sum::ZERO.add_u16(u16::from_be_bytes(*word)).add_u16(adjustment).fold();
        // The two zeros of one's complement are one number: it is written 0x0000.
        *word = if sum == 0xffff { [0; 2] } else { sum.to_be_bytes() };
        if by_identifier && !has_identifier(&bytes) {
            return Err(PrefixError::NotAdjustable);
        }
        Ok(Address(bytes))
    }
}
