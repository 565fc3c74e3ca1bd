//! SipHash-1-3 (Aumasson and Bernstein, 2012) of a conn's key, unrolled for its fixed length: two words for IPv4, five for IPv6.
//!
//! Whoever sends packets chooses their tuples. A keyed hash keeps him from choosing ones that fall on the same slots.

/// The per-tracker secret.
#[derive(Clone, Copy)]
pub(crate) struct Secret(pub(crate) [u64; 2]);

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
    /// As [`hash`](Self::hash), not inlined: for what is rare.
    #[inline(never)]
    pub(crate) fn hash_long<const N: usize>(self, words: &[u64; N]) -> u64 {
        self.hash(words)
    }

    /// Hashes words as the bytes of their little-endian form.
    #[inline(always)]
    pub(crate) fn hash<const N: usize>(self, words: &[u64; N]) -> u64 {
        let [k0, k1] = self.0;
        let mut sip = Sip([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]);
        for &word in words {
            sip.absorb(word);
        }
        sip.absorb((N as u64 * 8) << 56);
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
        fn equals_the_reference_implementation(secret: [u64; 2], words: [u64; 5], two: [u64; 2]) {
            let mut reference = SipHasher13::new_with_keys(secret[0], secret[1]);
            for word in words {
                reference.write(&word.to_le_bytes());
            }
            prop_assert_eq!(Secret(secret).hash(&words), reference.finish());
            let mut reference = SipHasher13::new_with_keys(secret[0], secret[1]);
            two.iter().for_each(|word| reference.write(&word.to_le_bytes()));
            prop_assert_eq!(Secret(secret).hash(&two), reference.finish());
        }
    }
}
