//! Restoring: an engine that goes on with what another one saved.
//!
//! The tracker is built beside the engine's and put in its place when it is complete; what was begun with sessions and translations is taken back
//! on an error. So the engine goes on with all of it, or is as it was.

use super::Engine;
use crate::event::Event;
use crate::host::{Host, RuleNames, SavedOrigin};
use crate::nat::{Nat, Reused};
use crate::state::{ConnRecord, Head, Restored, State, StateError};
use pinhole_helper::{BlindReason, Condition};
use pinhole_track::{ConnId, ExpectationId, SavedCall, Tracker, Unrestorable};
use pinhole_wire::Time;
use std::collections::HashMap;

/// Expectations that no helper announced bear this number; it stays.
const NO_HELPER: u16 = u16::MAX;

/// Number of every packet that came before the restart.
const BEFORE: u64 = 0;

/// What is being built, and how numbers of the file translate.
struct Building<'a> {
    now: Time,
    tracker: Tracker,
    host: &'a mut Host,
    nat: &'a mut Nat,
    rules: &'a RuleNames,
    helpers: Vec<Option<u16>>,
    policies: Vec<u16>,
    is_last: bool,
    conns: HashMap<ConnId, ConnId>,
    reused: Vec<Reused>,
    restored: Restored,
}

impl Engine {
    /// Goes on with saved state. The engine must not have seen a packet. Conns keep everything but their ids; [`describe`](Self::describe)
    /// tells what there is.
    ///
    /// # Errors
    /// The state contradicts itself; nothing has changed then.
    pub fn restore(&mut self, state: State, now: Time) -> Result<Restored, StateError> {
        if self.tracker.conns().next().is_some() {
            return Err(StateError::InUse);
        }
        let secret = state.head.secret;
        let rules = RuleNames::of(self.ruleset());
        self.nat.clear(secret, state.head.draws);
        let tracker = self.tracker.emptied(secret);
        match Building::begin(&state.head, tracker, &mut self.host, &mut self.nat, &rules, now).all(state) {
            Ok((tracker, restored)) => {
                self.tracker = tracker;
                self.secret = secret;
                Ok(restored)
            }
            Err(why) => {
                self.host.clear();
                self.nat.clear(self.secret, 0);
                Err(why)
            }
        }
    }

    /// Tells what there is as the events that would have led to it: for whoever begins to listen when conns are there already.
    pub fn describe(&self, now: Time, tell: &mut dyn FnMut(Event)) {
        let mut conns: Vec<_> =
            self.tracker.conns().filter_map(|conn| self.tracker.snapshot(conn, now)).collect();
        conns.sort_by_key(|conn| (conn.start, conn.id));
        let mut fulfilled: HashMap<ExpectationId, Vec<_>> = HashMap::new();
        for conn in conns {
            let (packet, id, time) = (BEFORE, conn.id, conn.start);
            let session = self.tracker.session(id);
            let helper = conn.helper.and_then(|number| self.host.helper(number));
            if let Some(helper) = helper {
                let rule = session.and_then(|session| self.host.rule_of(session));
                let helper = helper.spec().name;
                tell(Event::HelperAttached { packet, time, conn: id, helper, rule });
            }
            if let Some(expectation) = conn.expectation {
                fulfilled.entry(expectation).or_default().push((id, time));
            }
            tell(Event::ConnNew { packet, time, conn: Box::new(conn) });
            let Some(helper) = helper.map(|helper| helper.spec().name) else { continue };
            if let Some(reason) = self.tracker.blind(id) {
                tell(Event::HelperBlind { packet, time, conn: id, helper, reason });
            } else if let Some(condition @ Condition::Encrypted) =
                session.and_then(|session| self.host.condition_of(session))
            {
                tell(Event::HelperCondition { packet, time, conn: id, helper, condition });
            }
        }
        for id in self.host.origin_ids() {
            let Some((record, end)) = self.host.origin(id) else { continue };
            let mut record = record.clone();
            if let Some(waiting) = self.tracker.expectation(id) {
                record.expectation = waiting.clone();
            }
            let time = record.expectation.created;
            tell(Event::ExpectationNew(Box::new(record)));
            for &(conn, time) in fulfilled.get(&id).into_iter().flatten() {
                tell(Event::ExpectationHit { packet: BEFORE, time, id, conn });
            }
            if let Some(cause) = end {
                tell(Event::ExpectationEnd { packet: BEFORE, time, id, cause });
            }
        }
    }
}

impl<'a> Building<'a> {
    fn begin(
        head: &Head,
        mut tracker: Tracker,
        host: &'a mut Host,
        nat: &'a mut Nat,
        rules: &'a RuleNames,
        now: Time,
    ) -> Self {
        // The tracker's own policy is the one of this engine's settings, whatever that of the file was.
        let policies = head.policies.iter().skip(1).map(|policy| tracker.add_timeout_policy(policy.clone()));
        let policies = [0].into_iter().chain(policies).collect();
        Self {
            now,
            tracker,
            helpers: head.helpers.iter().map(|name| host.number(name)).collect(),
            host,
            nat,
            rules,
            policies,
            is_last: head.is_last,
            conns: HashMap::new(),
            reused: Vec::new(),
            restored: Restored { saved: head.saved, ..Restored::default() },
        }
    }

    fn all(mut self, state: State) -> Result<(Tracker, Restored), StateError> {
        let State { mut conns, origins, calls, end, .. } = state;
        if !self.tracker.skip_expectations(end.next_expectation) {
            return Err(StateError::Unsound("no engine sees so many expectations"));
        }
        // Where a tuple was used again while the state was being written, the later conn is the one that lives.
        conns.sort_by_key(|record| std::cmp::Reverse(record.conn.start));
        for record in conns {
            self.conn(record)?;
        }
        self.masters();
        self.reused.sort_by_key(|reused| reused.start);
        for reused in &self.reused {
            self.nat.restore_reuse(reused);
        }
        self.origins(origins)?;
        self.calls(&calls)?;
        Ok((self.tracker, self.restored))
    }

    /// The number here of a helper of the file; `None`: this build has none of that name.
    fn helper(&self, number: u16) -> Result<Option<u16>, StateError> {
        self.helpers
            .get(usize::from(number))
            .copied()
            .ok_or(StateError::Unsound("a helper has a number that is nobody's"))
    }

    fn conn(&mut self, record: ConnRecord) -> Result<(), StateError> {
        let ConnRecord { mut conn, session, translation } = record;
        let known = self.policies.get(usize::from(conn.policy));
        conn.policy = *known.ok_or(StateError::Unsound("a timeout policy is not there"))?;
        conn.helper = conn.helper.map(|number| self.helper(number)).transpose()?.flatten();
        if translation.is_some() != conn.reply.is_some() {
            return Err(StateError::Unsound("a connection is translated, and is not"));
        }
        if !self.is_last {
            conn.forget_windows();
        }
        let blind = session.is_some() && conn.helper.is_some();
        let id = match self.tracker.restore_conn(self.now, &conn) {
            Ok(id) => id,
            Err(why) => return self.leave_out(why, "a connection cannot be"),
        };
        if self.conns.insert(conn.id, id).is_some() {
            return Err(StateError::Unsound("two connections have one number"));
        }
        self.restored.conns += 1;
        if let Some(translation) = translation {
            let restored = self.nat.restore(&mut self.tracker, id, translation);
            self.reused.extend(restored.ok_or(StateError::Unsound("a translation cannot be"))?);
        }
        if let (Some(session), Some(number)) = (session, conn.helper)
            && self.host.restore_session(&mut self.tracker, id, number, session, self.rules)
        {
            self.restored.sessions += 1;
        } else if blind {
            self.tracker.set_blind(id, BlindReason::Restarted);
            self.restored.blind += 1;
        }
        Ok(())
    }

    fn leave_out(&mut self, why: Unrestorable, unsound: &'static str) -> Result<(), StateError> {
        match why {
            Unrestorable::Expired => self.restored.expired += 1,
            Unrestorable::Full | Unrestorable::Taken => self.restored.left_out += 1,
            Unrestorable::Unsound => return Err(StateError::Unsound(unsound)),
        }
        Ok(())
    }

    /// Puts the new ids of masters in the place of the old ones. Who is gone stays gone.
    fn masters(&mut self) {
        for &id in self.conns.values() {
            if let Some(old) = self.tracker.master(id) {
                self.tracker.set_master(id, self.conns.get(&old).copied());
            }
        }
    }

    fn origins(&mut self, origins: Vec<SavedOrigin>) -> Result<(), StateError> {
        let mut brought: HashMap<ExpectationId, u32> = HashMap::new();
        for &id in self.conns.values() {
            if let Some(expectation) = self.tracker.expectation_of(id) {
                *brought.entry(expectation).or_default() += 1;
            }
        }
        for mut origin in origins {
            let expectation = &mut origin.expectation;
            if expectation.helper != NO_HELPER {
                let number = self.helpers.get(usize::from(expectation.helper)).copied();
                let Some(number) = number.ok_or(StateError::Unsound("an expectation is nobody's"))? else {
                    self.restored.left_out += 1;
                    continue;
                };
                expectation.helper = number;
            }
            // Nobody can be told who announced it if its master is gone.
            let Some(&master) = self.conns.get(&expectation.master) else { continue };
            expectation.master = master;
            let mut uses = brought.get(&expectation.id).copied().unwrap_or_default();
            if origin.end.is_none() {
                match self.tracker.restore_expectation(self.now, expectation.clone()) {
                    Ok(()) => {
                        uses += 1;
                        self.restored.expectations += 1;
                    }
                    Err(why) => self.leave_out(why, "an expectation cannot be")?,
                }
            }
            if uses > 0 && !self.host.restore_origin(origin, uses, self.rules) {
                return Err(StateError::Unsound("an expectation comes from nobody"));
            }
        }
        Ok(())
    }

    fn calls(&mut self, calls: &[SavedCall]) -> Result<(), StateError> {
        for call in calls {
            let Some(&master) = self.conns.get(&call.master) else { continue };
            let call = SavedCall { master, ..call.clone() };
            if !self.tracker.restore_call(&call) {
                return Err(StateError::Unsound("a call cannot be"));
            }
        }
        Ok(())
    }
}
