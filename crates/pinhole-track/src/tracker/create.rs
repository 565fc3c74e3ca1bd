//! New conns: what opens one, early drop when the table is full.

use super::lookup::{Prepared, count};
use super::{TableFull, Tracked, Tracker};
use crate::event::DestroyCause;
use crate::l4::{self, CALL_UNREPLIED, Step, View};
use crate::table::entry::Entry;
use crate::{ConnId, Invalid, State, Status};
use pinhole_wire::{Direction, Protocol, Time};

/// Slots of the index that early drop looks at, and conns among them.
const EARLY_DROP_SLOTS: usize = 64;
const EARLY_DROP_CONNS: usize = 8;

impl Tracker {
    /// Creates an unconfirmed conn for a packet that belongs to none.
    #[inline(never)]
    pub(super) fn create(&mut self, view: View<'_>, prepared: &Prepared) -> Result<Tracked, TableFull> {
        let now = view.now;
        let mut l4 = match l4::open(view, &self.settings.l4) {
            Ok(l4) => l4,
            Err(why) => return Ok(Tracked::invalid(why, None)),
        };
        let (settings, timeouts) = (&self.settings.l4, &self.settings.timeouts);
        let first = l4::update(&mut l4, view, Direction::Original, Status::empty(), settings, timeouts);
        let (timeout, assure) = match first {
            Step::Accept { timeout, assure, .. } => (timeout, assure),
            Step::Invalid(why) | Step::InvalidClose { reason: why, .. } => {
                return Ok(Tracked::invalid(why, None));
            }
            // A packet that opened a conn just now cannot be out of step with it.
            Step::Ignore | Step::Reopen | Step::Kill => {
                return Ok(Tracked::invalid(Invalid::Malformed, None));
            }
        };
        if self.len >= self.settings.max_conns && !self.drop_early(now, prepared.tag) {
            self.statistics.full += 1;
            return Err(TableFull);
        }

        let mut entry = Entry::new(prepared.oriented, l4, now);
        entry.deadline = now.plus_seconds(u64::from(timeout));
        if assure {
            entry.insert_status(Status::ASSURED);
        }
        count(&mut entry, Direction::Original, view.packet.datagram_length());
        let index = self.conns.add(entry);
        self.len += 1;
        self.fresh = Some((index, prepared.tag));

        let mut tracked =
            Tracked { state: State::New, conn: Some(self.id(index)), created: true, ..Tracked::UNTRACKED };
        if !self.expectations.is_empty() {
            self.fulfils(now, index, prepared, &mut tracked);
        }
        Ok(tracked)
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
