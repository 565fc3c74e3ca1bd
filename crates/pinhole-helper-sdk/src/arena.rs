//! An allocator whose memory is one run of bytes that can be taken away and put back.
//!
//! ```text
//! 0      root, top, first free block
//! 16     block │ block │ free block │ block │              top: the end of what is in use
//! ```
//!
//! A block begins with its size; a free one goes on with the offset of the next free one, in the order of offsets. Free neighbours are
//! joined, and a free block at the end lowers the top, so that what a session remembers stays short. First fit: a session has few blocks.

use core::marker::PhantomData;

const ROOT: u32 = 0;
const TOP: u32 = 4;
const FREE: u32 = 8;
const HEADER: u32 = 16;
/// Bytes of a block before its content, and the alignment of content.
const PREFIX: u32 = 8;
/// Bytes of the smallest block.
const LEAST: u32 = 16;

/// An allocator over memory that somebody else owns.
pub struct Arena<'a> {
    base: *mut u8,
    capacity: u32,
    memory: PhantomData<&'a mut [u8]>,
}

impl Arena<'_> {
    /// The arena that lies in this memory. It is what [`reset`](Self::reset) and later calls made of it.
    ///
    /// # Safety
    /// `base` is a multiple of 8 and the first of `capacity` bytes, which nobody but arenas and the owners of blocks use.
    pub unsafe fn new(base: *mut u8, capacity: u32) -> Self {
        Self { base, capacity, memory: PhantomData }
    }

    /// Forgets all blocks.
    pub fn reset(&mut self) {
        self.store(ROOT, 0);
        self.store(TOP, HEADER);
        self.store(FREE, 0);
    }

    /// A number that the arena keeps for its user.
    pub fn root(&self) -> u32 {
        self.load(ROOT)
    }

    /// Keeps a number.
    pub fn set_root(&mut self, root: u32) {
        self.store(ROOT, root);
    }

    /// Bytes in use, from the beginning.
    pub fn top(&self) -> u32 {
        self.load(TOP)
    }

    /// The offset of `size` bytes at a multiple of 8; `None` if there is no room.
    pub fn allocate(&mut self, size: usize) -> Option<u32> {
        let size = u32::try_from(size).ok()?.checked_add(PREFIX)?.checked_next_multiple_of(8)?.max(LEAST);
        let (mut before, mut free) = (FREE, self.load(FREE));
        while free != 0 {
            let (found, next) = (self.load(free), self.load(free + 4));
            if found >= size {
                let rest = found - size;
                if rest >= LEAST {
                    self.store(free + size, rest);
                    self.store(free + size + 4, next);
                    self.store(before, free + size);
                    self.store(free, size);
                } else {
                    self.store(before, next);
                }
                return Some(free + PREFIX);
            }
            (before, free) = (free + 4, next);
        }
        let block = self.top();
        let top = block.checked_add(size).filter(|&top| top <= self.capacity)?;
        self.store(TOP, top);
        self.store(block, size);
        Some(block + PREFIX)
    }

    /// Gives the bytes at an offset back.
    pub fn free(&mut self, content: u32) {
        let block = content - PREFIX;
        let (mut before, mut next) = (FREE, self.load(FREE));
        // Where the offset of the block before is kept, to lower the top if both are free.
        let mut link = FREE;
        while next != 0 && next < block {
            link = before;
            before = next + 4;
            next = self.load(before);
        }
        let mut size = self.load(block);
        if next != 0 && block + size == next {
            size += self.load(next);
            next = self.load(next + 4);
        }
        let mut start = block;
        if before != FREE && (before - 4) + self.load(before - 4) == block {
            start = before - 4;
            size += self.load(start);
            before = link;
        }
        if start + size == self.top() {
            self.store(TOP, start);
            self.store(before, 0);
            return;
        }
        self.store(start, size);
        self.store(start + 4, next);
        self.store(before, start);
    }

    /// Makes the bytes at an offset more or fewer where they are. `false`: there is no room.
    pub fn resize(&mut self, content: u32, size: usize) -> bool {
        let block = content - PREFIX;
        let old = self.load(block);
        let wanted =
            u32::try_from(size).ok().and_then(|size| size.checked_add(PREFIX)?.checked_next_multiple_of(8));
        let Some(wanted) = wanted.map(|wanted| wanted.max(LEAST)) else { return false };
        if wanted <= old {
            return true;
        }
        if block + old != self.top() || block.checked_add(wanted).is_none_or(|top| top > self.capacity) {
            return false;
        }
        self.store(block, wanted);
        self.store(TOP, block + wanted);
        true
    }

    fn load(&self, at: u32) -> u32 {
        debug_assert!(at.is_multiple_of(4) && at + 4 <= self.capacity);
        // SAFETY: offsets of headers are multiples of 4 inside the memory, which `new` was promised.
        unsafe { self.base.add(at as usize).cast::<u32>().read() }
    }

    fn store(&mut self, at: u32, value: u32) {
        debug_assert!(at.is_multiple_of(4) && at + 4 <= self.capacity);
        // SAFETY: as above.
        unsafe { self.base.add(at as usize).cast::<u32>().write(value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAPACITY: usize = 4096;

    fn arena(memory: &mut [u64]) -> Arena<'_> {
        let capacity = (memory.len() * 8) as u32;
        // SAFETY: the memory is the slice's own, aligned to 8.
        unsafe { Arena::new(memory.as_mut_ptr().cast(), capacity) }
    }

    proptest! {
        /// Blocks do not overlap, lie below the top, and all memory comes back.
        #[test]
        fn blocks(steps in proptest::collection::vec((any::<bool>(), 0..400usize, any::<prop::sample::Index>()), 0..200)) {
            let mut memory = vec![0; CAPACITY / 8];
            let mut arena = arena(&mut memory);
            arena.reset();
            let mut held: Vec<(u32, usize)> = Vec::new();
            for (take, size, which) in steps {
                if take {
                    if let Some(at) = arena.allocate(size) {
                        prop_assert!(at.is_multiple_of(8) && at as usize + size <= arena.top() as usize);
                        prop_assert!(arena.top() as usize <= CAPACITY);
                        for &(other, length) in &held {
                            let apart = at as usize + size <= other as usize || other as usize + length <= at as usize;
                            prop_assert!(apart, "{at}+{size} and {other}+{length}");
                        }
                        held.push((at, size));
                    }
                } else if !held.is_empty() {
                    let index = which.index(held.len());
                    let (at, _) = held[index];
                    if size % 2 == 0 && arena.resize(at, size) {
                        held[index].1 = size.max(held[index].1);
                        prop_assert!(at as usize + held[index].1 <= arena.top() as usize);
                    } else {
                        arena.free(at);
                        held.swap_remove(index);
                    }
                }
            }
            for (at, _) in held {
                arena.free(at);
            }
            prop_assert_eq!((arena.top(), arena.load(FREE)), (HEADER, 0));
        }
    }

    #[test]
    fn no_room() {
        let mut memory = vec![0; CAPACITY / 8];
        let mut arena = arena(&mut memory);
        arena.reset();
        assert_eq!(arena.allocate(CAPACITY), None);
        assert_eq!(arena.allocate(usize::MAX), None);
        let all = arena.allocate(CAPACITY - 24);
        assert_eq!((all, arena.allocate(1)), (Some(24), None));
    }
}
