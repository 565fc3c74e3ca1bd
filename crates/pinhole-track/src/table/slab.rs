//! Where conns lie: entries that never move, with a list of free ones.

use super::chunks::Chunks;
use super::entry::Entry;
use super::wheel::{Link, NONE, Parked};
use std::ops::{Index, IndexMut};

/// Entries of a chunk.
const CHUNK: usize = 4096;

pub(crate) struct Slab {
    entries: Chunks<Entry, CHUNK>,
    /// First free entry, or [`NONE`].
    free: u32,
}

impl Slab {
    pub(crate) fn new() -> Self {
        Self { entries: Chunks::default(), free: NONE }
    }

    /// Allocates what `conns` entries need.
    pub(crate) fn preallocate(&mut self, conns: usize) {
        self.entries.preallocate(conns);
    }

    /// Adds an entry; its generation is the slot's.
    #[inline]
    pub(crate) fn add(&mut self, mut entry: Entry) -> u32 {
        let index = self.free;
        if index == NONE {
            return self.entries.push(entry);
        }
        let slot = &mut self[index];
        entry.generation = slot.generation;
        let next = slot.link.next;
        *slot = entry;
        self.free = next;
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
        self.entries.get(index)
    }

    /// As [`peek`](Self::peek).
    #[inline]
    pub(crate) fn peek_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index)
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Entry> {
        self.peek(index).filter(|entry| entry.is_live())
    }

    /// Entries ever used; every conn's index is below.
    pub(crate) fn used(&self) -> u32 {
        self.entries.len()
    }

    /// Indices of all conns.
    pub(crate) fn indices(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.used()).filter(|&index| self.get(index).is_some())
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.entries.memory()
    }
}

impl Index<u32> for Slab {
    type Output = Entry;

    #[inline]
    fn index(&self, index: u32) -> &Entry {
        &self.entries[index]
    }
}

impl IndexMut<u32> for Slab {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index]
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
