//! The end of conns and expectations: timeouts, requests, and the clockwork.

use super::Tracker;
use crate::event::{DeadConn, DestroyCause, Event};
use crate::table::cold::Rare;
use crate::table::wheel::NONE;
use crate::{ConnId, Status};
use pinhole_wire::Time;

/// The dying that may wait for [`Tracker::advance`]; more of them are released as they come.
const MAX_DYING: u32 = 4096;

impl Tracker {
    /// Ends a confirmed conn. It stays readable by its id until its slot is released.
    pub(super) fn end(&mut self, now: Time, index: u32, cause: DestroyCause) {
        let entry = &mut self.conns[index];
        entry.insert_status(Status::DYING);
        let original = entry.original();
        let tag = self.tag(&original);
        self.index.remove(tag, index);
        if let Some(reply) = self.own_reply(index) {
            let tag = self.tag(&reply);
            self.index.remove(tag, index);
            self.translated -= 1;
        }
        self.wheel.remove(&mut self.conns, index);
        self.len -= 1;
        self.statistics.destroyed += 1;
        if self.settings.events {
            let conn = self.photograph(now, index);
            self.tell(Event::Destroy(Box::new(conn), cause));
        }
        if !self.expectations.is_empty() {
            let id = self.id(index);
            self.expectations.master_gone(id);
            self.tell_expectations_ended();
        }
        if self.has_calls() {
            let (id, key) = (self.id(index), self.conns[index].key());
            self.call_conn_ended(now, id, key);
        }
        self.conns[index].link.next = self.dying;
        self.dying = index;
        self.quiet_until = Time(0);
        self.dying_len += 1;
        if self.dying_len > MAX_DYING {
            self.release_dying(usize::MAX);
        }
    }

    /// Releases dying conns. Returns how many of `budget` are left.
    fn release_dying(&mut self, mut budget: usize) -> usize {
        while budget > 0 && self.dying != NONE {
            let index = self.dying;
            self.dying = self.conns[index].link.next;
            self.dying_len -= 1;
            self.release(index);
            budget -= 1;
        }
        budget
    }

    /// Frees a conn's slot and its cold part.
    pub(super) fn release(&mut self, index: u32) {
        let entry = &mut self.conns[index];
        let (kept, cold) = (entry.kept(), entry.cold);
        if kept.is_some() || cold.is_some() {
            let tuples = (entry.original().tuple(), self.reply_key(index).tuple());
            self.conns[index].cold = None;
            let (apart, Rare { session, expectation, .. }) =
                cold.map(|number| self.cold.remove(number)).unwrap_or_default();
            let translation = kept.or(apart).map(|kept| (kept, tuples));
            if session.is_some() || expectation.is_some() || translation.is_some() {
                let id = self.id(index);
                self.dead.push_back(DeadConn { id, session, expectation, translation });
            }
        }
        self.conns.release(index);
    }

    /// Ends up to `budget` things that are due: releases dying conns, ends conns and expectations whose time is up. Returns whether
    /// more are due. If `now` lies before an earlier call's, nothing is due.
    #[inline]
    pub fn advance(&mut self, now: Time, budget: usize) -> bool {
        !self.is_quiet(now) && self.advance_due(now, budget)
    }

    /// Whether [`advance`](Self::advance) has nothing to do yet: to be asked for every packet.
    #[inline]
    pub fn is_quiet(&self, now: Time) -> bool {
        now < self.quiet_until
    }

    /// Finds out until when nothing is due: for whenever that may have changed.
    pub(super) fn renew_quiet(&mut self) {
        self.quiet_until = if self.dying == NONE {
            self.expectations
                .next_due()
                .map_or(self.wheel.quiet_until(), |due| due.min(self.wheel.quiet_until()))
        } else {
            Time(0)
        };
    }

    #[inline(never)]
    fn advance_due(&mut self, now: Time, budget: usize) -> bool {
        self.end_due(now, budget);
        self.renew_quiet();
        self.next_deadline().is_some_and(|next| next <= now)
    }

    fn end_due(&mut self, now: Time, budget: usize) {
        let mut budget = self.release_dying(budget);
        budget = self.expectations.expire(now, budget);
        self.tell_expectations_ended();
        while budget > 0 {
            let Some(index) = self.wheel.pop_due(&mut self.conns, now) else { return };
            let deadline = self.conns[index].deadline;
            self.wheel.park(&mut self.conns, index, deadline);
            if deadline <= now {
                self.end(now, index, DestroyCause::Timeout);
                self.release_dying(1);
            }
            budget -= 1;
        }
    }

    /// The next time at which [`Self::advance`] has something to do (may be early, never late by more than a wheel tick).
    pub fn next_deadline(&self) -> Option<Time> {
        if self.dying != NONE {
            return Some(Time(0));
        }
        [self.wheel.next_due(), self.expectations.next_due()].into_iter().flatten().min()
    }

    /// Ends a conn. `false`: there is no such confirmed conn.
    pub fn delete(&mut self, now: Time, id: ConnId) -> bool {
        let Some(index) = self.resolve(id) else { return false };
        let status = self.conns[index].status();
        let confirmed = status.contains(Status::CONFIRMED) && !status.contains(Status::DYING);
        if confirmed {
            self.end(now, index, DestroyCause::Request);
        }
        confirmed
    }

    /// Ends every confirmed conn, or those of one zone, and with them their expectations. Takes time in proportion to the table.
    pub fn flush(&mut self, now: Time, zone: Option<u16>) {
        for index in 0..self.conns.used() {
            let Some(entry) = self.conns.get(index) else { continue };
            if zone.is_none_or(|zone| entry.key().zone() == zone) {
                let id = self.id(index);
                self.delete(now, id);
            }
        }
    }
}
