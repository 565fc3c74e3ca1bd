//! A set of the 32768 ports of one parity, with a summary of its full words.

const WORDS: usize = 512;
const SUMMARIES: usize = WORDS / 64;

/// Which of the numbers 0 to 32767 are taken.
#[derive(Clone, Debug)]
pub(super) struct Bitmap {
    taken: [u64; WORDS],
    /// Bit w of all: word w has no free number.
    full: [u64; SUMMARIES],
}

impl Default for Bitmap {
    fn default() -> Self {
        Self { taken: [0; WORDS], full: [0; SUMMARIES] }
    }
}

/// The bits of a word at and after position `from`.
const fn bits_from(from: u16) -> u64 {
    u64::MAX << (from % 64)
}

impl Bitmap {
    /// Adds a number; `false` if it was there.
    pub(super) fn insert(&mut self, number: u16) -> bool {
        let index = usize::from(number / 64) % WORDS;
        let bit = 1 << (number % 64);
        let word = &mut self.taken[index];
        let was_free = *word & bit == 0;
        *word |= bit;
        if *word == u64::MAX {
            self.full[index / 64] |= 1 << (index % 64);
        }
        was_free
    }

    /// Takes a number out; `false` if it was not there.
    pub(super) fn remove(&mut self, number: u16) -> bool {
        let index = usize::from(number / 64) % WORDS;
        let bit = 1 << (number % 64);
        let was_taken = self.taken[index] & bit != 0;
        self.taken[index] &= !bit;
        self.full[index / 64] &= !(1 << (index % 64));
        was_taken
    }

    /// The least free number from `from` on.
    pub(super) fn next_free(&self, from: u16) -> Option<u16> {
        let index = usize::from(from / 64);
        let here = !self.taken.get(index)? & bits_from(from);
        if here != 0 {
            return Some(from / 64 * 64 + here.trailing_zeros() as u16);
        }
        let word = self.next_open_word(index as u16 + 1)?;
        let free = !self.taken[usize::from(word) % WORDS];
        Some(word * 64 + free.trailing_zeros() as u16)
    }

    /// The least word from `from` on that has a free number.
    fn next_open_word(&self, from: u16) -> Option<u16> {
        let index = usize::from(from / 64);
        let here = !self.full.get(index)? & bits_from(from);
        if here != 0 {
            return Some(from / 64 * 64 + here.trailing_zeros() as u16);
        }
        let beyond = self.full.iter().enumerate().skip(index + 1).find(|(_, full)| **full != u64::MAX);
        beyond.map(|(summary, full)| summary as u16 * 64 + (!full).trailing_zeros() as u16)
    }
}
