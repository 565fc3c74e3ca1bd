//! The wheel: which conns end when, without work on the packet path.
//!
//! A hierarchical timing wheel (Varghese and Lauck, 1987). Time is counted in ticks of 2^27 ns (134 ms); level 0 has one slot a tick, a
//! slot of each further level covers all slots of the level below. A conn is parked in the slot of its deadline as it was then. Packets
//! move deadlines later and leave the wheel alone; when the slot comes due, [`Wheel::pop_due`] hands the conn out, and the caller ends
//! it or parks it anew. Only a deadline that moves before the slot needs [`Wheel::hasten`].
//!
//! The slots are lists through the conns themselves ([`Parked`]), so that parking allocates nothing and removal is O(1).
//!
//! Invariants: `elapsed` never goes back; every parked conn lies in a slot that starts at or after `elapsed`, except that the slot of an
//! upper level that starts exactly there may still be being emptied; on level 0 the slot at `elapsed` itself may be filled.

use pinhole_wire::Time;

/// No conn.
pub(crate) const NONE: u32 = u32::MAX;

const TICK_SHIFT: u32 = 27;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// 64^7 ticks are more than 2^64 ns.
const LEVELS: usize = 7;

/// Neighbours in a list of conns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) previous: u32,
    pub(crate) next: u32,
}

impl Default for Link {
    fn default() -> Self {
        Self { previous: NONE, next: NONE }
    }
}

/// Whatever holds the links of the parked things.
pub(crate) trait Parked {
    fn link(&mut self, index: u32) -> &mut Link;
    /// The wheel's slot in which it lies.
    fn slot(&mut self, index: u32) -> &mut u16;
}

pub(crate) struct Wheel {
    elapsed: u64,
    /// First of each slot's list.
    heads: Box<[u32; LEVELS * SLOTS]>,
    /// One bit a slot.
    occupied: [u64; LEVELS],
    /// No slot comes due before this tick. Removals leave it behind; then it is found to be early once, and set anew.
    quiet_until: u64,
}

/// Position of a slot: its level and its number within it.
#[derive(Clone, Copy)]
struct Place {
    level: usize,
    number: usize,
}

impl Place {
    const fn flat(self) -> usize {
        self.level * SLOTS + self.number
    }
}

/// The first tick that starts at or after `time`.
#[inline]
const fn tick_after(time: Time) -> u64 {
    (time.0 >> TICK_SHIFT) + (time.0 & ((1 << TICK_SHIFT) - 1) != 0) as u64
}

#[inline]
const fn tick_before(time: Time) -> u64 {
    time.0 >> TICK_SHIFT
}

const fn start_of(tick: u64) -> Time {
    // The last tick of all may start beyond what a `Time` holds.
    Time(if tick > u64::MAX >> TICK_SHIFT { u64::MAX } else { tick << TICK_SHIFT })
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let heads = Box::new([NONE; LEVELS * SLOTS]);
        Self { elapsed: 0, heads, occupied: [0; LEVELS], quiet_until: u64::MAX }
    }

    /// The slot for a deadline: the level is that of the highest bit in which it differs from now.
    #[inline]
    fn place(&self, deadline: Time) -> Place {
        let tick = tick_after(deadline).max(self.elapsed);
        let differing = (tick ^ self.elapsed) | (SLOTS as u64 - 1);
        let level = ((63 - differing.leading_zeros()) / SLOT_BITS) as usize;
        Place { level, number: (tick >> (SLOT_BITS * level as u32)) as usize & (SLOTS - 1) }
    }

    /// First tick of a slot.
    #[inline]
    const fn start(&self, place: Place) -> u64 {
        let shift = SLOT_BITS * place.level as u32;
        (self.elapsed >> (shift + SLOT_BITS) << (shift + SLOT_BITS)) | (place.number as u64) << shift
    }

    /// Parks a thing that is not parked.
    pub(crate) fn park(&mut self, things: &mut impl Parked, index: u32, deadline: Time) {
        let place = self.place(deadline);
        let head = &mut self.heads[place.flat()];
        *things.link(index) = Link { previous: NONE, next: *head };
        *things.slot(index) = place.flat() as u16;
        if *head != NONE {
            things.link(*head).previous = index;
        }
        *head = index;
        self.occupied[place.level] |= 1 << place.number;
        self.quiet_until = self.quiet_until.min(self.start(place));
    }

    /// Parks a thing anew if `deadline` comes before the slot in which it lies.
    #[inline]
    pub(crate) fn hasten(&mut self, things: &mut impl Parked, index: u32, deadline: Time) {
        let flat = usize::from(*things.slot(index));
        let parked = self.start(Place { level: flat / SLOTS, number: flat % SLOTS });
        if tick_after(deadline) < parked {
            self.remove(things, index);
            self.park(things, index, deadline);
        }
    }

    /// Takes a parked thing out.
    pub(crate) fn remove(&mut self, things: &mut impl Parked, index: u32) {
        let flat = usize::from(*things.slot(index));
        let Link { previous, next } = std::mem::take(things.link(index));
        if next != NONE {
            things.link(next).previous = previous;
        }
        if previous != NONE {
            things.link(previous).next = next;
        } else {
            self.heads[flat] = next;
            if next == NONE {
                self.occupied[flat / SLOTS] &= !(1 << (flat % SLOTS));
            }
        }
    }

    /// The next slot in time that is not empty.
    fn next_place(&self) -> Option<Place> {
        // A slot of an upper level that is being emptied comes before what has been parked below it.
        for level in (1..LEVELS).rev() {
            let number = (self.elapsed >> (SLOT_BITS * level as u32)) as usize & (SLOTS - 1);
            if self.occupied[level] & (1 << number) != 0 {
                return Some(Place { level, number });
            }
        }
        (0..LEVELS)
            .find(|&level| self.occupied[level] != 0)
            .map(|level| Place { level, number: self.occupied[level].trailing_zeros() as usize })
    }

    /// Whether [`pop_due`](Self::pop_due) has nothing yet.
    #[inline]
    const fn is_quiet(&self, now: Time) -> bool {
        tick_before(now) < self.quiet_until
    }

    /// Until when [`pop_due`](Self::pop_due) has nothing. Changes when a thing is parked, and with `pop_due`.
    #[inline]
    pub(crate) const fn quiet_until(&self) -> Time {
        start_of(self.quiet_until)
    }

    /// When [`pop_due`](Self::pop_due) will next have something; never later than that.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.next_place().map(|place| start_of(self.start(place).max(self.elapsed)))
    }

    /// Takes out one thing whose slot has come due. Its deadline may be later; then it is to be parked anew.
    pub(crate) fn pop_due(&mut self, things: &mut impl Parked, now: Time) -> Option<u32> {
        if self.is_quiet(now) {
            return None;
        }
        let now = tick_before(now);
        let place = match self.next_place() {
            Some(place) if self.start(place) <= now => place,
            later => {
                self.elapsed = self.elapsed.max(now);
                self.quiet_until = later.map_or(u64::MAX, |place| self.start(place));
                return None;
            }
        };
        self.elapsed = self.elapsed.max(self.start(place));
        let index = self.heads[place.flat()];
        self.remove(things, index);
        Some(index)
    }
}
