//! Where conns lie: chunks of entries that never move, with a list of free ones.

use super::entry::Entry;
use super::wheel::{Link, NONE, Parked};
use std::ops::{Index, IndexMut};

/// Entries of a chunk. Chunks are filled in order, so a new one costs an allocation and no more.
const CHUNK: usize = 4096;

pub(crate) struct Slab {
    chunks: Vec<Vec<Entry>>,
    /// First free entry, or [`NONE`].
    free: u32,
    /// Entries ever used: the next new index.
    used: u32,
}

impl Slab {
    pub(crate) fn new() -> Self {
        Self { chunks: Vec::new(), free: NONE, used: 0 }
    }

    /// Allocates what `conns` entries need.
    pub(crate) fn preallocate(&mut self, conns: usize) {
        self.chunks.resize_with(conns.div_ceil(CHUNK).max(self.chunks.len()), || Vec::with_capacity(CHUNK));
    }

    /// Adds an entry; its generation is the slot's.
    pub(crate) fn add(&mut self, mut entry: Entry) -> u32 {
        if self.free != NONE {
            let index = self.free;
            let slot = &mut self[index];
            entry.generation = slot.generation;
            let next = slot.link.next;
            *slot = entry;
            self.free = next;
            return index;
        }
        let index = self.used;
        let chunk = index as usize / CHUNK;
        self.preallocate((chunk + 1) * CHUNK);
        self.chunks[chunk].push(entry);
        self.used += 1;
        index
    }

    /// Gives an entry's slot back; ids of it are stale from now on.
    pub(crate) fn release(&mut self, index: u32) {
        let free = self.free;
        let entry = &mut self[index];
        entry.bury();
        entry.link.next = free;
        self.free = index;
    }

    /// What lies at an index, be it a conn or what is left of one.
    #[inline]
    pub(crate) fn peek(&self, index: u32) -> Option<&Entry> {
        self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)
    }

    /// As [`peek`](Self::peek).
    #[inline]
    pub(crate) fn peek_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.chunks.get_mut(index as usize / CHUNK)?.get_mut(index as usize % CHUNK)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Entry> {
        self.peek(index).filter(|entry| entry.is_live())
    }

    /// Entries ever used; every conn's index is below.
    pub(crate) fn used(&self) -> u32 {
        self.used
    }

    /// Indices of all conns.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.used).filter(|&index| self.get(index).is_some())
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        let entries: usize = self.chunks.iter().map(Vec::capacity).sum();
        entries * size_of::<Entry>() + self.chunks.capacity() * size_of::<Vec<Entry>>()
    }
}

impl Index<u32> for Slab {
    type Output = Entry;

    #[inline]
    fn index(&self, index: u32) -> &Entry {
        &self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl IndexMut<u32> for Slab {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

impl Parked for Slab {
    #[inline]
    fn link(&mut self, index: u32) -> &mut Link {
        &mut self[index].link
    }

    #[inline]
    fn slot(&mut self, index: u32) -> &mut u16 {
        &mut self[index].slot
    }
}
