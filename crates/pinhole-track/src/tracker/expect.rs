//! Expectations as the tracker's callers see them.

use super::Tracker;
use crate::event::Event;
use crate::{ConnId, EndCause, Expectation, ExpectationId, Request, Status};
use pinhole_helper::{AddressMatch, Refusal};
use pinhole_wire::Time;

impl Tracker {
    /// Enters expectations of one master, together or not at all.
    ///
    /// A request that equals an expectation of the same master and class replaces it (it gets a new id and a new deadline); so does one
    /// that equals an expectation of the conn that announced the master, by the same helper. Where a class is full, the master's oldest of that class give way; nobody else's ever do.
    ///
    /// # Errors
    /// Why none was entered: [`Refusal::Limit`], [`Refusal::Clash`] with another expectation or within the request,
    /// [`Refusal::AddressFamily`] or [`Refusal::BadNumber`] for what could never match, [`Refusal::Policy`] if the master is not a
    /// confirmed, living conn.
    pub fn expect(
        &mut self,
        now: Time,
        master: ConnId,
        requests: &[Request],
    ) -> Result<Vec<ExpectationId>, Refusal> {
        let index = self.resolve(master).ok_or(Refusal::Policy)?;
        let entry = &self.conns[index];
        if !entry.status().contains(Status::CONFIRMED) || entry.status().contains(Status::DYING) {
            return Err(Refusal::Policy);
        }
        let zone = entry.key().zone();
        let parent = self.master(master);
        self.expectations.expire(now, usize::MAX);
        self.tell_expectations_ended();
        let admitted = self.calls.admit(zone, master, requests);
        let entered = admitted.and_then(|()| self.expectations.enter(now, (master, parent), zone, requests));
        self.tell_expectations_ended();
        if let Ok(ids) = &entered {
            self.calls.enter(zone, master, ids, requests);
            self.renew_quiet();
        }
        match &entered {
            Ok(ids) => {
                self.statistics.expect_new += ids.len() as u64;
                self.events.extend(ids.iter().map(|&id| Event::ExpectationNew(id)));
            }
            Err(Refusal::Limit) => self.statistics.expect_limit += 1,
            Err(Refusal::Clash) => self.statistics.expect_clash += 1,
            Err(_) => {}
        }
        entered
    }

    /// Lets an expectation admit another source than before.
    ///
    /// # Errors
    /// Another one is in the way, the source is of the other IP version, or the expectation is gone; it stays as it was.
    pub fn aim(&mut self, id: ExpectationId, source: AddressMatch) -> Result<(), Refusal> {
        self.expectations.aim(id, source)
    }

    /// Lets an inactive expectation match; `false` if it is gone.
    pub fn activate(&mut self, id: ExpectationId) -> bool {
        self.expectations.activate(id)
    }

    /// Lets an expectation live `seconds` from `now` on, instead of what it had left; `false` if it is gone.
    pub fn extend(&mut self, now: Time, id: ExpectationId, seconds: u32) -> bool {
        let found = self.expectations.extend(now, id, seconds);
        self.renew_quiet();
        found
    }

    /// Removes an expectation; `false` if it is gone. That of a PPTP call takes the call with it: its sibling, and the GRE conn if one of
    /// the two has been fulfilled.
    pub fn cancel(&mut self, now: Time, id: ExpectationId) -> bool {
        if self.has_calls() && self.end_call_of(now, id) {
            return true;
        }
        let found = self.expectations.remove(id, EndCause::Cancelled);
        self.tell_expectations_ended();
        found
    }

    /// An expectation that has not ended.
    pub fn expectation(&self, id: ExpectationId) -> Option<&Expectation> {
        self.expectations.at(id)
    }

    /// All expectations, oldest first.
    pub fn expectations(&self) -> impl Iterator<Item = &Expectation> {
        self.expectations.iter()
    }

    pub(super) fn tell_expectations_ended(&mut self) {
        if !self.expectations.has_ended() {
            return;
        }
        for (id, cause) in self.expectations.take_ended() {
            if self.has_calls() {
                self.call_expectation_ended(id, cause);
            }
            self.statistics.expect_ended += u64::from(cause != EndCause::Fulfilled);
            self.events.push_back(Event::ExpectationEnd(id, cause));
        }
    }
}
