//! SipHash-1-3 (Aumasson and Bernstein, 2012) of a conn's key, unrolled for its fixed length: 15 bytes for IPv4, 39 for IPv6. The last
//! seven of them share a word with the length, as the algorithm has it.
//!
//! Whoever sends packets chooses their tuples. A keyed hash keeps him from choosing ones that fall on the same slots.

/// The per-tracker secret: the state that hashing starts from.
#[derive(Clone, Copy)]
pub(crate) struct Secret(Sip);

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
}

impl Secret {
    pub(crate) const fn new([k0, k1]: [u64; 2]) -> Self {
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
        sip.0[2] ^= 0xff;
        sip.round();
        sip.round();
        sip.round();
        sip.0[0] ^ sip.0[1] ^ sip.0[2] ^ sip.0[3]
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
            }
        }
    }
}
