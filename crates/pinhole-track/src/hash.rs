//! SipHash-1-3 (Aumasson and Bernstein, 2012) of a conn's key, unrolled for its fixed length: 15 bytes for IPv4, 39 for IPv6. The last
//! seven of them share a word with the length, as the algorithm has it.
//!
//! Whoever sends packets chooses their tuples. A keyed hash keeps him from choosing ones that fall on the same slots.

use std::hash::Hasher;

/// The secret that hashes are keyed with: the state that hashing starts from.
#[derive(Clone, Copy)]
pub struct Secret(Sip);

/// The same for maps whose keys are words, a fixed number of them: each is taken in as it is, without a buffer, and without the length, which
/// tells such keys nothing.
#[derive(Clone, Copy)]
pub struct WordHasher(Sip);

#[derive(Clone, Copy)]
struct Sip([u64; 4]);

impl Sip {
    #[inline(always)]
    fn round(&mut self) {
        let v = &mut self.0;
        v[0] = v[0].wrapping_add(v[1]);
        v[2] = v[2].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[1]);
        v[0] = v[0].wrapping_add(v[3]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].rotate_left(32);
    }

    #[inline(always)]
    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.0[0] ^= word;
    }

    #[inline(always)]
    fn finish(mut self) -> u64 {
        self.0[2] ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.0[0] ^ self.0[1] ^ self.0[2] ^ self.0[3]
    }
}

impl Hasher for WordHasher {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0.absorb(word);
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            self.0.absorb(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl Secret {
    /// A hasher that starts from this secret.
    #[inline]
    pub const fn hasher(self) -> WordHasher {
        WordHasher(self.0)
    }

    /// Of two words that nobody else knows.
    pub const fn new([k0, k1]: [u64; 2]) -> Self {
        Self(Sip([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]))
    }

    /// As [`hash`](Self::hash), not inlined: for what is rarer.
    #[inline(never)]
    pub(crate) fn hash_long<const N: usize>(self, words: &[u64; N], tail: u64) -> u64 {
        self.hash(words, tail)
    }

    /// Hashes words and then the seven lower bytes of `tail`, as the bytes of their little-endian form.
    #[inline(always)]
    pub(crate) fn hash<const N: usize>(self, words: &[u64; N], tail: u64) -> u64 {
        let mut sip = self.0;
        for &word in words {
            sip.absorb(word);
        }
        sip.absorb((N as u64 * 8 + 7) << 56 | tail & (u64::MAX >> 8));
        sip.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;
    use std::hash::Hasher;

    proptest! {
        #[test]
        fn equals_the_reference_implementation(secret: [u64; 2], words: [u64; 4], tail: u64) {
            for count in [1, 4] {
                let mut bytes: Vec<u8> = words[..count].iter().flat_map(|word| word.to_le_bytes()).collect();
                bytes.extend(&tail.to_le_bytes()[..7]);
                let mut reference = SipHasher13::new_with_keys(secret[0], secret[1]);
                reference.write(&bytes);
                let one = Secret::new(secret).hash(&[words[0]], tail);
                let four = Secret::new(secret).hash(&words, tail);
                prop_assert_eq!(if count == 1 { one } else { four }, reference.finish());
                // The last word is the reference's own: what is left of the bytes, and their number.
                let mut by_word = Secret::new(secret).hasher();
                words[..count].iter().for_each(|word| by_word.write_u64(*word));
                by_word.write_u64((count as u64 * 8 + 7) << 56 | tail & (u64::MAX >> 8));
                prop_assert_eq!(by_word.finish(), reference.finish());
            }
        }
    }
}
