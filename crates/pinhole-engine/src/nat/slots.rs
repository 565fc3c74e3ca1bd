//! Where translations lie: chunks that are filled in order, so that no translation ever moves, and numbers that are used again.

use super::{Kept, Translation};

/// Translations of a chunk.
const CHUNK: usize = 256;

#[derive(Default)]
pub(crate) struct Slots {
    chunks: Vec<Vec<Option<Translation>>>,
    /// Translations that there were at a time.
    used: u32,
    free: Vec<u32>,
}

impl Slots {
    pub(crate) fn get(&self, slot: u32) -> Option<&Translation> {
        let place = slot.checked_sub(Kept::SLOTS)? as usize;
        self.chunks.get(place / CHUNK)?.get(place % CHUNK)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Translation> {
        self.place(slot)?.as_mut()
    }

    /// Keeps a translation; its number, which is none that means something else (see `Kept`). `None`: there are as many already.
    pub(super) fn add(&mut self, translation: Translation) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            if let Some(place) = self.place(slot) {
                *place = Some(translation);
            }
            return Some(slot);
        }
        let place = self.used;
        let slot = place.checked_add(Kept::SLOTS)?;
        self.used += 1;
        if place as usize / CHUNK >= self.chunks.len() {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks.last_mut()?.push(Some(translation));
        Some(slot)
    }

    /// Takes a translation out; its number is free then.
    pub(super) fn remove(&mut self, slot: u32) -> Option<Translation> {
        let gone = self.place(slot)?.take()?;
        self.free.push(slot);
        Some(gone)
    }

    fn place(&mut self, slot: u32) -> Option<&mut Option<Translation>> {
        let place = slot.checked_sub(Kept::SLOTS)? as usize;
        self.chunks.get_mut(place / CHUNK)?.get_mut(place % CHUNK)
    }
}
