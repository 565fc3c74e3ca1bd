//! Things that never move: chunks that are filled in order, so that a new one costs an allocation and no more.

use std::ops::{Index, IndexMut};

/// `SIZE` things a chunk.
pub(super) struct Chunks<T, const SIZE: usize> {
    chunks: Vec<Vec<T>>,
    /// Things ever added: the next index.
    len: u32,
}

impl<T, const SIZE: usize> Default for Chunks<T, SIZE> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

impl<T, const SIZE: usize> Chunks<T, SIZE> {
    /// Allocates what `things` of them need.
    pub(super) fn preallocate(&mut self, things: usize) {
        self.chunks.resize_with(things.div_ceil(SIZE).max(self.chunks.len()), || Vec::with_capacity(SIZE));
    }

    /// Adds a thing and returns its index.
    #[inline]
    pub(super) fn push(&mut self, thing: T) -> u32 {
        let index = self.len;
        let chunk = index as usize / SIZE;
        if chunk >= self.chunks.len() {
            self.preallocate((chunk + 1) * SIZE);
        }
        self.chunks[chunk].push(thing);
        self.len += 1;
        index
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.chunks.get(index as usize / SIZE)?.get(index as usize % SIZE)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.chunks.get_mut(index as usize / SIZE)?.get_mut(index as usize % SIZE)
    }

    /// Things ever added; every index is below.
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Bytes held.
    pub(super) fn memory(&self) -> usize {
        let things: usize = self.chunks.iter().map(Vec::capacity).sum();
        things * size_of::<T>() + self.chunks.capacity() * size_of::<Vec<T>>()
    }
}

impl<T, const SIZE: usize> Index<u32> for Chunks<T, SIZE> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.chunks[index as usize / SIZE][index as usize % SIZE]
    }
}

impl<T, const SIZE: usize> IndexMut<u32> for Chunks<T, SIZE> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.chunks[index as usize / SIZE][index as usize % SIZE]
    }
}
