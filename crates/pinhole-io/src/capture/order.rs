//! Numbers in the byte order that a file or section declares.

/// The byte order of a capture's numbers: that of the machine that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    #[inline]
    pub(super) fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline]
    pub(super) fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }

    /// The first 16 of the 32 bits that a word holds, as they stand in the file.
    #[inline]
    pub(super) fn first_half(self, word: u32) -> u16 {
        match self {
            Self::Little => word as u16,
            Self::Big => (word >> 16) as u16,
        }
    }

    /// The words of a fixed header, each four bytes.
    #[inline]
    pub(super) fn words<const BYTES: usize, const WORDS: usize>(self, bytes: &[u8; BYTES]) -> [u32; WORDS] {
        const { assert!(BYTES == WORDS * 4) };
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = self.u32(*chunk);
        }
        words
    }
}
