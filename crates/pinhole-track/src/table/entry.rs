//! One conn as it lies in the slab.
//!
//! Two of the five words of an IPv4 key are the same in all of them. In a translated conn of IPv4 they hold the tuple of its replies, so that its
//! packets need no more of memory than those of any other.

use crate::key::{Key, Oriented};
use crate::l4::L4;
use crate::table::wheel::Link;
use crate::{Counters, EndsV4, Status};
use pinhole_wire::{Direction, Time};
use std::num::NonZeroU32;

/// Direction bit of the conn's first packet (see [`crate::key`]); not a bit of netfilter's.
const FLIPPED: u16 = 1 << 14;
/// The slot holds a conn.
const LIVE: u16 = 1 << 15;

/// [`Status::OFFLOAD`], whose own bit is taken here, in the place of one that netfilter does not use any more.
const OFFLOADED: u16 = 1 << 12;

/// Numbers below this are kept in the conn itself, if it is of IPv4.
const KEPT_HERE: u32 = 7;

/// Bits of a conn whose reply tuple has a key of its own.
const TRANSLATED: u16 = (Status::SRC_NAT.bits() | Status::DST_NAT.bits()) as u16;

/// Bits of a conn whose packets change nothing but counters and times, and bits that it must not have.
const STEADY: u16 = LIVE | Status::CONFIRMED.union(Status::SEEN_REPLY).bits() as u16;
const UNSTEADY: u16 = Status::DYING.union(Status::SEQ_ADJUST).union(Status::FIXED_TIMEOUT).bits() as u16;

/// In the word that holds the ports of the replies' tuple: its direction bit, and that there is such a tuple.
const REPLY_FLIPPED: u64 = 1 << 32;
const HAS_REPLY: u64 = 1 << 33;
/// And what the host keeps of the translation, plus one; zero is nothing.
const KEPT_SHIFT: u32 = 34;
const KEPT_MASK: u64 = 7 << KEPT_SHIFT;

/// A conn. What every packet reads comes first; the order of fields is the order in memory.
#[repr(C)]
pub(crate) struct Entry {
    /// Of a translated conn of IPv4 the first and the third word are the replies'.
    words: [u64; 5],
    /// It has ended when this has come, whether or not the wheel has noticed.
    pub(crate) deadline: Time,
    status: u16,
    /// Slot of the wheel in which it is parked.
    pub(crate) slot: u16,
    pub(crate) mark: u32,
    /// What plain conns do not have.
    pub(crate) cold: Option<NonZeroU32>,
    pub(crate) generation: u32,
    pub(crate) counters: [Counters; 2],
    pub(crate) l4: L4,
    /// Neighbours in the wheel's slot; `next` also chains free and ended entries.
    pub(crate) link: Link,
    pub(crate) start: Time,
}

impl Entry {
    /// An unconfirmed conn in a slot that has not been used before.
    pub(crate) fn new(first: Oriented, l4: L4, now: Time) -> Self {
        Self {
            words: first.key.0,
            deadline: now,
            status: LIVE | if first.flipped != first.key.is_its_own_inverse() { FLIPPED } else { 0 },
            slot: 0,
            mark: 0,
            cold: None,
            generation: 0,
            counters: [Counters::default(); 2],
            l4,
            link: Link::default(),
            start: now,
        }
    }

    /// Reads something of each cache line that a packet will need: no two of these fields are more than a line apart. A UDP packet needs
    /// nothing from beyond the kind of the layer-4 state, which stands behind what is UDP's of it.
    #[inline]
    pub(crate) fn touch(&self, is_udp: bool) -> u64 {
        let near = self.words[0] ^ u64::from(self.generation) ^ self.counters[1].bytes;
        let far =
            if is_udp { u64::from(matches!(self.l4, L4::Udp(_))) } else { u64::from(self.link.previous) };
        near ^ far
    }

    /// Its packets change nothing but counters and times: it is as [`is_entered_plainly`](Self::is_entered_plainly) says, has been
    /// answered, and nothing is kept beside it.
    #[inline]
    pub(crate) fn is_steady(&self) -> bool {
        self.status & (STEADY | UNSTEADY | TRANSLATED) == STEADY && self.cold.is_none()
    }

    /// As [`is_steady`](Self::is_steady), for a conn that is translated: its cold part, if it has one, may say otherwise.
    #[inline]
    pub(crate) fn is_steadily_translated(&self) -> bool {
        self.status & (STEADY | UNSTEADY) == STEADY && self.is_translated()
    }

    #[inline]
    pub(crate) fn is_assured(&self) -> bool {
        self.status & Status::ASSURED.bits() as u16 != 0
    }

    /// It is a conn that packets find, both ways by its one key: confirmed, not at its end, neither translated nor adjusted.
    #[inline]
    pub(crate) fn is_entered_plainly(&self) -> bool {
        const CONFIRMED: u16 = Status::CONFIRMED.bits() as u16;
        const OTHER: u16 = Status::DYING.union(Status::SEQ_ADJUST).bits() as u16 | TRANSLATED;
        self.status & (LIVE | CONFIRMED | OTHER) == LIVE | CONFIRMED
    }

    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.status & LIVE != 0
    }

    pub(crate) fn bury(&mut self) {
        self.status = 0;
        self.generation = self.generation.wrapping_add(1);
    }

    #[inline]
    pub(crate) fn status(&self) -> Status {
        let status = Status::from_bits_truncate(u32::from(self.status & !(FLIPPED | LIVE)));
        if self.status & OFFLOADED == 0 { status } else { status | Status::OFFLOAD }
    }

    pub(crate) fn set_offloaded(&mut self, offloaded: bool) {
        self.status = self.status & !OFFLOADED | if offloaded { OFFLOADED } else { 0 };
    }

    #[inline]
    pub(crate) fn insert_status(&mut self, status: Status) {
        self.status |= status.bits() as u16 & !(FLIPPED | LIVE | OFFLOADED);
    }

    /// Whether its reply tuple is not the inverse of the original one: it has a key of its own then, in the words of the conn's own
    /// ([`reply_v4`](Self::reply_v4)), or else in the cold part.
    #[inline]
    pub(crate) fn is_translated(&self) -> bool {
        self.status & TRANSLATED != 0
    }

    /// Which ends are translated; both are decided about.
    pub(crate) fn set_translated(&mut self, ends: Status) {
        let decided = Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
        self.status = self.status & !TRANSLATED | (ends | decided).bits() as u16;
    }

    /// Whether its sequence numbers are adjusted.
    #[inline]
    pub(crate) fn is_adjusted(&self) -> bool {
        self.status & Status::SEQ_ADJUST.bits() as u16 != 0
    }

    /// Key of the original direction; of a conn that is not translated it is that of both.
    #[inline]
    pub(crate) fn key(&self) -> Key {
        let [a, b, c, d, rest] = self.words;
        let own = Key([0, b, 0, d, rest]);
        if own.is_v4() { own } else { Key([a, b, c, d, rest]) }
    }

    /// Whether this is the key of a conn that is not translated.
    #[inline]
    pub(crate) fn is_keyed(&self, key: &Key) -> bool {
        Key(self.words) == *key
    }

    /// Key and direction bit of the conn's first packet.
    #[inline]
    pub(crate) fn original(&self) -> Oriented {
        Oriented { key: self.key(), flipped: self.status & FLIPPED != 0 }
    }

    /// Key of the reply direction of a translated conn of IPv4; `None` for every other.
    #[inline(always)]
    pub(crate) fn reply_v4(&self) -> Option<Oriented> {
        let [addresses, b, rest, d, own] = self.words;
        let own = Key([0, b, 0, d, own]);
        if !own.is_v4() || rest & HAS_REPLY == 0 {
            return None;
        }
        Some(Oriented::of_v4(addresses, rest as u32, &own, rest & REPLY_FLIPPED != 0))
    }

    /// The direction of an IPv4 packet with this key, which has ports, and what it leaves bearing, if it is this conn's. The conn is translated.
    #[inline(always)]
    pub(crate) fn leads_v4(&self, packet: &Oriented) -> Option<(Direction, EndsV4)> {
        let [addresses, b, reply, d, own] = self.words;
        let [_, packet_b, _, packet_d, packet_own] = packet.key.0;
        let (flipped, reply_flipped) = (self.status & FLIPPED != 0, reply & REPLY_FLIPPED != 0);
        if (b ^ packet_b) | (d ^ packet_d) | (own ^ packet_own) == 0 && packet.flipped == flipped {
            return Some((Direction::Original, EndsV4::of_key(addresses, reply as u32, !reply_flipped)));
        }
        // Both keys say zone, protocol and version above their ports.
        let same = (addresses ^ packet.addresses_v4())
            | u64::from(reply as u32 ^ packet_own as u32)
            | (own ^ packet_own) >> 32;
        if same != 0 || packet.flipped != reply_flipped {
            return None;
        }
        Some((Direction::Reply, EndsV4::of_key(b >> 32 | d & !0xffff_ffff, own as u32, !flipped)))
    }

    /// Sets the key of the reply direction, or that there is none. The conn is of IPv4.
    pub(crate) fn set_reply_v4(&mut self, reply: Option<&Oriented>) {
        [self.words[0], self.words[2]] = reply.map_or([0; 2], |reply| {
            let flipped = if reply.flipped { REPLY_FLIPPED } else { 0 };
            [reply.addresses_v4(), u64::from(reply.key.ports()) | flipped | HAS_REPLY]
        });
    }

    /// What the host keeps of the translation, if it is little enough to have its place here.
    #[inline]
    pub(crate) fn kept(&self) -> Option<u32> {
        let is_here = Key(self.words).is_v4() && self.words[2] & HAS_REPLY != 0;
        let number = (self.words[2] & KEPT_MASK) >> KEPT_SHIFT;
        if is_here { (number as u32).checked_sub(1) } else { None }
    }

    /// Keeps what the host keeps of the translation, or that it keeps nothing. `false`: its place is not here, where nothing is then.
    pub(crate) fn keep(&mut self, number: Option<u32>) -> bool {
        if self.reply_v4().is_none() {
            return false;
        }
        let fitting = number.filter(|&number| number < KEPT_HERE);
        let place = fitting.map_or(0, |number| u64::from(number + 1) << KEPT_SHIFT);
        self.words[2] = self.words[2] & !KEPT_MASK | place;
        fitting.is_some()
    }

    #[inline]
    pub(crate) fn direction(&self, flipped: bool) -> Direction {
        if (self.status & FLIPPED != 0) == flipped { Direction::Original } else { Direction::Reply }
    }

    #[inline]
    pub(crate) fn has_expired(&self, now: Time) -> bool {
        self.deadline <= now
    }
}
