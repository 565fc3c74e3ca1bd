//! New conns: what opens one, early drop when the table is full.

use super::lookup::count;
use super::prepare::{Kind, Prepared};
use super::translate::translated_ends;
use super::{TableFull, Tracked, Tracker};
use crate::event::DestroyCause;
use crate::key::Oriented;
use crate::l4::{self, CALL_UNREPLIED, Opening, View};
use crate::table::entry::Entry;
use crate::{ConnId, State, Status, Tuple};
use pinhole_wire::{Direction, Packet, Protocol, Time};

/// Slots of the index that early drop looks at, and conns among them.
const EARLY_DROP_SLOTS: usize = 64;
const EARLY_DROP_CONNS: usize = 8;

impl Tracker {
    /// Creates an unconfirmed conn for a packet that belongs to none.
    #[inline(never)]
    pub(super) fn create(&mut self, view: View<'_>, prepared: &Prepared) -> Result<Tracked, TableFull> {
        match l4::judge_first(view, &self.settings.l4, &self.settings.timeouts) {
            Ok(opening) => self.create_opened(view.now, view.packet.datagram_length(), prepared, &opening),
            Err(why) => Ok(Tracked::invalid(why, None)),
        }
    }

    /// Creates an unconfirmed conn as a packet of `length` bytes that belongs to none opens it.
    ///
    /// # Errors
    /// The table is full.
    pub fn create_opened(
        &mut self,
        now: Time,
        length: u32,
        prepared: &Prepared,
        opening: &Opening,
    ) -> Result<Tracked, TableFull> {
        if self.len >= self.settings.max_conns && !self.drop_early(now, prepared.tag) {
            self.statistics.full += 1;
            return Err(TableFull);
        }
        let index = self.add(now, length, prepared, opening, Status::empty());
        self.fresh = Some((index, prepared.tag));
        let mut tracked =
            Tracked { state: State::New, conn: Some(self.id(index)), created: true, ..Tracked::UNTRACKED };
        if !self.expectations.is_empty() {
            self.fulfils(now, index, prepared, &mut tracked);
        }
        Ok(tracked)
    }

    #[inline]
    fn add(&mut self, now: Time, length: u32, prepared: &Prepared, opening: &Opening, status: Status) -> u32 {
        let mut entry = Entry::new(prepared.oriented, opening.state, now);
        entry.deadline = now.plus_seconds(u64::from(opening.timeout));
        entry.insert_status(status);
        if opening.assure {
            entry.insert_status(Status::ASSURED);
        }
        count(&mut entry, Direction::Original, length);
        self.len += 1;
        self.conns.add(entry)
    }

    /// The short way of a first packet, by which rules can be asked before there is a conn: what the packet opens. [`enter_opened`](Self::enter_opened) is
    /// next if it survives, or [`give_up`](Self::give_up).
    ///
    /// `None`: the packet takes another way, as it belongs to a conn, or cannot open one, or more is to be looked at than its tuple.
    pub fn open(&self, now: Time, packet: &Packet, bytes: &[u8], prepared: &Prepared) -> Option<Opening> {
        if self.translated > 0 { None } else { self.open_any(now, packet, bytes, prepared) }
    }

    /// As [`open`](Self::open), for a packet whose conn may be translated: [`enter_translating`](Self::enter_translating) is next if it
    /// survives.
    pub fn open_translating(
        &self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
    ) -> Option<Opening> {
        let has_two_ends = !prepared.oriented.key.is_its_own_inverse();
        if has_two_ends { self.open_any(now, packet, bytes, prepared) } else { None }
    }

    #[inline]
    fn open_any(&self, now: Time, packet: &Packet, bytes: &[u8], prepared: &Prepared) -> Option<Opening> {
        let is_simple = matches!(prepared.kind, Kind::Packet) && self.expectations.is_empty();
        if !is_simple || self.len >= self.settings.max_conns || self.search(prepared).is_some() {
            return None;
        }
        l4::judge_first(View { packet, bytes, now }, &self.settings.l4, &self.settings.timeouts).ok()
    }

    /// The first packet survived: its conn enters the table, confirmed.
    pub fn enter_opened(&mut self, now: Time, length: u32, prepared: &Prepared, opening: &Opening) -> ConnId {
        let index = self.add(now, length, prepared, opening, Status::CONFIRMED);
        self.fresh = None;
        self.insert(prepared.tag, index);
        self.park(index);
        self.tell_new(now, index);
        self.id(index)
    }

    /// The first packet survived, and leaves bearing this tuple, which is of its kind: its conn enters the table by both tuples, confirmed, as
    /// [`set_reply`](Self::set_reply) and [`confirm`](Self::confirm) do it.
    ///
    /// `None`: another conn has the reply tuple. There is no conn then, as after [`give_up`](Self::give_up).
    pub fn enter_translating(
        &mut self,
        now: Time,
        length: u32,
        prepared: &Prepared,
        opening: &Opening,
        leaving: &Tuple,
    ) -> Option<ConnId> {
        let original = prepared.oriented;
        let (reply, ends) = match Oriented::of(leaving) {
            Some(leaves) if leaves != original => (leaves.answer(), translated_ends(&original, leaving)),
            _ => (original.inverse(), Status::empty()),
        };
        let is_free = reply != original && !self.is_held(now, &reply);
        let is_apart = !ends.is_empty() && !reply.key.is_v4();
        let cold = if is_free && is_apart { self.add_reply(&reply) } else { None };
        if !is_free || cold.is_some() != is_apart {
            self.statistics.clash += 1;
            self.give_up();
            return None;
        }
        let reply_tag = self.tag_of_vacant(&reply);
        let index = self.add(now, length, prepared, opening, Status::CONFIRMED);
        self.fresh = None;
        self.insert(prepared.tag, index);
        if !ends.is_empty() {
            let entry = &mut self.conns[index];
            entry.set_translated(ends);
            entry.cold = cold;
            if !is_apart {
                entry.set_reply_v4(Some(&reply));
            }
            self.insert(reply_tag, index);
            self.translated += 1;
        }
        self.park(index);
        self.tell_new(now, index);
        Some(self.id(index))
    }

    /// The first packet did not survive: there was no conn.
    pub const fn give_up(&mut self) {
        self.statistics.abandoned += 1;
    }

    /// Makes the new conn the expected one if an expectation matches it.
    fn fulfils(&mut self, now: Time, index: u32, prepared: &Prepared, tracked: &mut Tracked) {
        let tuple = prepared.oriented.tuple();
        let conns = &self.conns;
        let lives = |master: ConnId| {
            conns.get(master.index).is_some_and(|entry| {
                let status = entry.status();
                entry.generation == master.generation
                    && status.contains(Status::CONFIRMED)
                    && !status.contains(Status::DYING)
                    && !entry.has_expired(now)
            })
        };
        let Some(expectation) = self.expectations.find(now, &tuple, lives) else { return };
        let (id, master) = (expectation.id, expectation.master);
        let mark = self.conns[master.index].mark;
        let entry = &mut self.conns[index];
        entry.insert_status(Status::EXPECTED);
        entry.mark = mark;
        if entry.key().protocol() == Protocol::GRE {
            entry.deadline = now.plus_seconds(u64::from(CALL_UNREPLIED));
        }
        if let Some(rare) = self.rare_mut(index) {
            rare.master = Some(master);
            rare.expectation = Some(id);
        }
        tracked.state = State::Related;
        tracked.expectation = Some(id);
    }

    /// Drops one of some neighbours: one that has expired, else one that is not assured, else one that is closing; of those the one that would end
    /// first. Bounded, whatever the table holds.
    fn drop_early(&mut self, now: Time, tag: u32) -> bool {
        let victim = self
            .index
            .near(tag, EARLY_DROP_SLOTS)
            .take(EARLY_DROP_CONNS)
            .filter(|&index| {
                let entry = &self.conns[index];
                let assured = entry.status().contains(Status::ASSURED);
                entry.has_expired(now) || !assured || entry.l4.may_drop_early()
            })
            .min_by_key(|&index| {
                let entry = &self.conns[index];
                // A flood of first packets must not cut off those whose last ones are still to come.
                (!entry.has_expired(now), entry.status().contains(Status::ASSURED), entry.deadline)
            });
        let Some(victim) = victim else { return false };
        if self.conns[victim].has_expired(now) {
            self.end(now, victim, DestroyCause::Timeout);
        } else {
            self.statistics.early_drop += 1;
            self.end(now, victim, DestroyCause::EarlyDrop);
        }
        true
    }
}
