//! Saving, and making a tracker of what was saved.
//!
//! What is saved is what packets find: confirmed conns that are not dying. Conns that are restored have other ids; expectations keep
//! theirs. Nothing that is read is trusted: an entry that no tracker could have is [`Unrestorable::Unsound`].

use super::Tracker;
use crate::key::Oriented;
use crate::saved::{SavedCall, SavedConn, Unrestorable};
use crate::table::entry::Entry;
use crate::{ConnId, Counters, Expectation, Status, Timeouts};
use pinhole_wire::Time;

/// Counters above this are none that a conn came by.
const MOST_COUNTED: u64 = 1 << 62;

/// Status bits that say what follows from other fields.
const DERIVED: Status = Status::CONFIRMED
    .union(Status::SRC_NAT)
    .union(Status::DST_NAT)
    .union(Status::DYING)
    .union(Status::HELPER);

impl Tracker {
    /// The conns of the slots from `*from` on, at most `most` slots; `from` moves on. `None`: there are no more slots.
    pub fn save_conns(&self, from: &mut u32, most: u32) -> Option<impl Iterator<Item = SavedConn> + '_> {
        let first = *from;
        let last = first.saturating_add(most).min(self.conns.used());
        *from = last;
        (first < last).then(|| (first..last).filter_map(|index| self.save_conn(index)))
    }

    fn save_conn(&self, index: u32) -> Option<SavedConn> {
        let entry = self.conns.get(index)?;
        let status = entry.status();
        if !status.contains(Status::CONFIRMED) || status.contains(Status::DYING) {
            return None;
        }
        let rare = self.rare(index);
        Some(SavedConn {
            id: self.id(index),
            original: entry.original().tuple(),
            reply: self.own_reply(index).map(|reply| reply.tuple()),
            start: entry.start,
            master: rare.and_then(|rare| rare.master),
            expectation: rare.and_then(|rare| rare.expectation),
            helper: rare.and_then(|rare| rare.helper),
            blind: rare.and_then(|rare| rare.blind),
            policy: rare.map_or(0, |rare| rare.policy),
            status: status.bits(),
            deadline: entry.deadline,
            mark: entry.mark,
            labels: rare.map(|rare| rare.labels).unwrap_or_default(),
            counters: entry.counters,
            l4: entry.l4,
        })
    }

    /// The timeout policies by number; the first is the tracker's own.
    pub fn timeout_policies(&self) -> &[Timeouts] {
        &self.policies
    }

    /// An empty tracker with the same settings and timeout policies.
    #[must_use]
    pub fn emptied(&self, secret: [u64; 2]) -> Self {
        Self { policies: self.policies.clone(), ..Self::new(self.settings.clone(), secret) }
    }

    /// Puts a conn into the table. Its master, helper and policy are taken as they are: who calls has put the numbers of this tracker in
    /// place of those of the file.
    ///
    /// # Errors
    /// See [`Unrestorable`]; the table is as it was.
    pub fn restore_conn(&mut self, now: Time, saved: &SavedConn) -> Result<ConnId, Unrestorable> {
        let original = Oriented::of(&saved.original).ok_or(Unrestorable::Unsound)?;
        let counts = |counters: &Counters| counters.packets.max(counters.bytes) <= MOST_COUNTED;
        if !saved.l4.is_sound(original.key.protocol()) || !saved.counters.iter().all(counts) {
            return Err(Unrestorable::Unsound);
        }
        if saved.deadline <= now {
            return Err(Unrestorable::Expired);
        }
        if self.len >= self.settings.max_conns {
            return Err(Unrestorable::Full);
        }
        if self.is_held(now, &original) {
            return Err(Unrestorable::Taken);
        }
        let mut entry = Entry::new(original, saved.l4, saved.start);
        entry.deadline = saved.deadline;
        entry.mark = saved.mark;
        entry.counters = saved.counters;
        entry.insert_status(Status::from_bits_truncate(saved.status) - DERIVED);
        let index = self.conns.add(entry);
        self.len += 1;
        let id = self.id(index);
        match self.enter(now, id, saved) {
            Ok(()) => Ok(id),
            Err(why) => {
                self.len -= 1;
                if let Some(number) = self.conns[index].cold.take() {
                    self.cold.remove(number);
                }
                self.conns.release(index);
                Err(why)
            }
        }
    }

    /// The rest of what a conn is, and its places in the index and the wheel.
    fn enter(&mut self, now: Time, id: ConnId, saved: &SavedConn) -> Result<(), Unrestorable> {
        if let Some(reply) = &saved.reply {
            self.set_reply(id, reply).map_err(|_| Unrestorable::Unsound)?;
            if !self.is_translated(id) {
                return Err(Unrestorable::Unsound);
            }
        }
        let index = id.index;
        if (saved.reply.is_some() || self.translated > 0) && self.is_held(now, &self.reply_key(index)) {
            return Err(Unrestorable::Taken);
        }
        let plain = saved.master.is_none()
            && saved.expectation.is_none()
            && saved.helper.is_none()
            && saved.policy == 0
            && saved.labels == [0; 16];
        if !plain {
            let rare = self.rare_mut(index).ok_or(Unrestorable::Full)?;
            rare.master = saved.master;
            rare.expectation = saved.expectation;
            rare.blind = saved.blind;
            rare.labels = saved.labels;
            rare.policy = saved.policy;
            if let Some(number) = saved.helper {
                self.attach_helper(id, number);
            }
        }
        let original = self.conns[index].original();
        let tag = self.tag(&original);
        self.insert(tag, index);
        if let Some(reply) = self.own_reply(index) {
            let tag = self.tag(&reply);
            self.insert(tag, index);
            self.translated += 1;
        }
        self.conns[index].insert_status(Status::CONFIRMED);
        self.park(index);
        Ok(())
    }

    /// Sets who announced a conn.
    pub fn set_master(&mut self, id: ConnId, master: Option<ConnId>) {
        if let Some(rare) = self.resolve(id).and_then(|index| self.rare_mut(index)) {
            rare.master = master;
        }
    }

    /// The number that the next expectation gets.
    pub fn next_expectation(&self) -> u64 {
        self.expectations.next()
    }

    /// Makes the numbers of expectations to come begin at least here. `false`: no tracker gets that far.
    pub fn skip_expectations(&mut self, next: u64) -> bool {
        self.expectations.skip_to(next)
    }

    /// Enters an expectation of a conn that was restored, with its old id.
    ///
    /// # Errors
    /// See [`Unrestorable`]; the table is as it was.
    pub fn restore_expectation(&mut self, now: Time, expectation: Expectation) -> Result<(), Unrestorable> {
        let master = self.resolve(expectation.master).ok_or(Unrestorable::Unsound)?;
        if self.conns[master].key().zone() != expectation.zone {
            return Err(Unrestorable::Unsound);
        }
        self.expectations.restore(now, expectation)?;
        self.renew_quiet();
        Ok(())
    }

    /// The calls of PPTP.
    pub fn save_calls(&self) -> impl Iterator<Item = SavedCall> + '_ {
        self.calls.save()
    }

    /// Enters a call of a conn that was restored. `false`: it contradicts itself, or another call.
    pub fn restore_call(&mut self, call: &SavedCall) -> bool {
        self.resolve(call.master).is_some() && self.calls.restore(call)
    }

    /// Why the helper of a conn reads it no more.
    pub fn blind(&self, id: ConnId) -> Option<pinhole_helper::BlindReason> {
        self.rare(self.resolve(id)?)?.blind
    }

    /// Remembers why the helper of a conn reads it no more.
    pub fn set_blind(&mut self, id: ConnId, reason: pinhole_helper::BlindReason) {
        if let Some(rare) = self.resolve(id).and_then(|index| self.rare_mut(index)) {
            rare.blind = Some(reason);
        }
    }
}
