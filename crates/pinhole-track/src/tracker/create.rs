//! New conns: what opens one, early drop when the table is full.

use super::lookup::count;
use super::prepare::{Kind, Prepared};
use super::{TableFull, Tracked, Tracker};
use crate::event::DestroyCause;
use crate::l4::{self, CALL_UNREPLIED, Opening, View};
use crate::table::entry::Entry;
use crate::{ConnId, State, Status};
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
        let is_simple =
            matches!(prepared.kind, Kind::Packet) && self.translated == 0 && self.expectations.is_empty();
        if !is_simple || self.len >= self.settings.max_conns || self.search(prepared).is_some() {
            return None;
        }
        l4::judge_first(View { packet, bytes, now }, &self.settings.l4, &self.settings.timeouts).ok()
    }

    /// The first packet survived: its conn enters the table, confirmed.
    pub fn enter_opened(&mut self, now: Time, length: u32, prepared: &Prepared, opening: &Opening) -> ConnId {
        let index = self.add(now, length, prepared, opening, Status::CONFIRMED);
        self.fresh = None;
        self.index.insert(prepared.tag, index);
        self.park(index);
        self.tell_new(now, index);
        self.id(index)
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
        if entry.key.protocol() == Protocol::GRE {
            entry.deadline = now.plus_seconds(u64::from(CALL_UNREPLIED));
        }
        if let Some(cold) = self.cold_mut(index) {
            cold.master = Some(master);
            cold.expectation = Some(id);
        }
        tracked.state = State::Related;
        tracked.expectation = Some(id);
    }

    /// Drops one of some neighbours, the one that would end first of those that are not assured, or closing. Bounded, whatever the
    /// table holds.
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
            .min_by_key(|&index| self.conns[index].deadline);
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
