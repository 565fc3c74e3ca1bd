//! The index: from a key's hash to the slab index of its conn.
//!
//! Open addressing with linear probing. A slot is one word: the upper 32 bits are the conn's tag (its hash, of which the lower bits
//! choose the home slot), the lower 32 its slab index plus one; zero is empty. Eight slots share a cache line, and growing needs the
//! slots alone, not the conns. Removal shifts later slots back, so there are no tombstones and the index does not age.
//!
//! Invariant: at least a quarter of the slots is empty, so every probe ends.

const EMPTY: u64 = 0;
const LEAST_SLOTS: usize = 64;

pub(crate) struct Index {
    slots: Vec<u64>,
    len: usize,
}

const fn slot(tag: u32, index: u32) -> u64 {
    (tag as u64) << 32 | (index as u64 + 1)
}

const fn tag_of(slot: u64) -> u32 {
    (slot >> 32) as u32
}

const fn index_of(slot: u64) -> u32 {
    (slot as u32).wrapping_sub(1)
}

impl Index {
    /// An empty index that holds `conns` without growing.
    pub(crate) fn with_capacity(conns: usize) -> Self {
        let slots = (conns + conns / 3 + 1).next_power_of_two().max(LEAST_SLOTS);
        Self { slots: vec![EMPTY; slots], len: 0 }
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    /// Finds the conn with this tag of which `is` holds.
    #[inline]
    pub(crate) fn find(&self, tag: u32, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.mask();
        let mut at = tag as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                return None;
            }
            if tag_of(slot) == tag && is(index_of(slot)) {
                return Some(index_of(slot));
            }
            at = (at + 1) & mask;
        }
    }

    /// What the home slot holds.
    #[inline]
    pub(crate) fn home(&self, tag: u32) -> u64 {
        self.slots[tag as usize & self.mask()]
    }

    /// The conn that is likely to be found: the first with this tag.
    #[inline]
    pub(crate) fn peek(&self, tag: u32) -> Option<u32> {
        self.find(tag, |_| true)
    }

    /// Adds a conn. The caller has made sure that its key is not there yet.
    pub(crate) fn insert(&mut self, tag: u32, index: u32) {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.place(slot(tag, index));
        self.len += 1;
    }

    fn place(&mut self, slot: u64) {
        let mask = self.mask();
        let mut at = tag_of(slot) as usize & mask;
        while self.slots[at] != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let larger = vec![EMPTY; self.slots.len() * 2];
        let slots = std::mem::replace(&mut self.slots, larger);
        for slot in slots.into_iter().filter(|&slot| slot != EMPTY) {
            self.place(slot);
        }
    }

    /// Removes a conn; `false` if it is not there.
    pub(crate) fn remove(&mut self, tag: u32, index: u32) -> bool {
        let mask = self.mask();
        let wanted = slot(tag, index);
        let mut hole = tag as usize & mask;
        while self.slots[hole] != wanted {
            if self.slots[hole] == EMPTY {
                return false;
            }
            hole = (hole + 1) & mask;
        }
        // Move back whatever would not be found any more across the hole.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == EMPTY {
                break;
            }
            let home = tag_of(slot) as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = EMPTY;
        self.len -= 1;
        true
    }

    /// Conns that lie at and after the home slot of `tag`, from at most `slots` slots.
    pub(crate) fn near(&self, tag: u32, slots: usize) -> impl Iterator<Item = u32> + '_ {
        let mask = self.mask();
        (0..slots.min(self.slots.len()))
            .map(move |step| self.slots[(tag as usize).wrapping_add(step) & mask])
            .filter(|&slot| slot != EMPTY)
            .map(index_of)
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<u64>()
    }
}
