//! The host of helper sessions.
//!
//! A session only asks; the host decides. Life cycle of a session: a rule (or an explicit setting) attaches a helper to an unconfirmed
//! conn; when the conn is confirmed the host starts a [`Reader`]; every accepted packet of the conn is shown to it; its requests are
//! checked (`admissible`), whatever helper made them, and carried out in the tracker; when the conn ends, or the session is blind, the session ends.
//!
//! Invariants: a session opens nothing that `admissible` does not allow; every expectation in the tracker that came from a session has a
//! [`Provenance`] here, as long as it or a conn that it brought in lives.

mod admissible;
mod aim;
mod edits;
mod helpers;
mod requests;
mod saved;
mod slot;

use crate::event::{Event, ExpectationRecord, Provenance};
use pinhole_helper::{Action, Arrival, BlindReason, Helper, Pickup, Policy, Reader, Registry};
use pinhole_ruleset::RuleId;
use pinhole_track::{ConnId, EndCause, ExpectationId, Tracker, Tuple};
use pinhole_wire::{Direction, Packet, Time, Transport};
use std::collections::HashMap;
use std::net::SocketAddr;

pub(crate) use edits::{Edit, Follow, Rewriting};
pub use helpers::LoadError;
pub(crate) use saved::{RuleNames, SavedOrigin, SavedSession};

use crate::engine::UnloadError;
use helpers::Helpers;
use slot::Slot;

/// Where in time and input a call happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) packet: u64,
    pub(crate) time: Time,
}

impl Moment {
    fn arrival(self) -> Arrival {
        Arrival { time: self.time, packet: self.packet }
    }
}

/// An accepted packet, as a session is shown it.
#[derive(Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) from: Direction,
    pub(crate) packet: &'a Packet,
    pub(crate) bytes: &'a [u8],
}

/// A session's read: when, whose, and of which direction.
#[derive(Clone, Copy)]
struct Turn {
    at: Moment,
    session: u32,
    from: Direction,
}

/// All sessions of one engine.
pub struct Host {
    helpers: Helpers,
    pickup: Pickup,
    policy: Policy,
    memory_limit: usize,
    memory: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    origins: HashMap<ExpectationId, Origin>,
    actions: Vec<Action>,
}

/// A provenance, and how many things still point to it: the expectation itself and the conns that it brought in.
struct Origin {
    record: ExpectationRecord,
    /// How the expectation ended, if a conn that it brought in outlives it.
    end: Option<EndCause>,
    /// Where the expected conn is led, if its master is translated.
    follow: Option<Follow>,
    uses: u32,
}

impl Host {
    pub(crate) fn new(registry: Registry, pickup: Pickup, policy: Policy, memory_limit: usize) -> Self {
        Self {
            helpers: Helpers::new(registry),
            pickup,
            policy,
            memory_limit,
            memory: 0,
            slots: Vec::new(),
            free: Vec::new(),
            origins: HashMap::new(),
            actions: Vec::new(),
        }
    }

    /// The number under which a helper is known to the tracker.
    pub fn number(&self, name: &str) -> Option<u16> {
        self.helpers.number(name)
    }

    /// The helper of a number, if it is loaded.
    pub fn helper(&self, number: u16) -> Option<&dyn Helper> {
        self.helpers.find(number)
    }

    /// The loaded helpers, and how many sessions of each are reading.
    pub fn helpers(&self) -> impl Iterator<Item = (&dyn Helper, usize)> {
        self.helpers.iter()
    }

    pub(crate) fn load(&mut self, helper: Box<dyn Helper>) -> Result<(), LoadError> {
        self.helpers.load(helper)
    }

    /// Takes a helper out. Its sessions, if that is to be in spite of them, are blind.
    pub(crate) fn unload(
        &mut self,
        at: Moment,
        tracker: &mut Tracker,
        name: &str,
        force: bool,
        events: &mut impl FnMut(Event),
    ) -> Result<usize, UnloadError> {
        let number = self.number(name).ok_or(UnloadError::Unknown)?;
        let sessions = self.helpers.sessions(number);
        if sessions > 0 && !force {
            return Err(UnloadError::InUse(sessions));
        }
        for session in 0..self.slots.len() {
            // There are no more slots than that.
            let session = session as u32;
            if let Some(slot) = self.slot_mut(session).filter(|slot| slot.helper == number) {
                slot.reader.disarm(BlindReason::Unloaded);
                self.settle(at, tracker, session, events);
            }
        }
        self.helpers.unload(number);
        Ok(sessions)
    }

    /// Where an expectation came from, as long as it or a conn that it brought in lives.
    pub fn provenance(&self, id: ExpectationId) -> Option<&Provenance> {
        self.origins.get(&id).map(|origin| &origin.record.provenance)
    }

    /// Where the conn that an expectation brings in is led.
    pub(crate) fn follow(&self, id: ExpectationId) -> Option<Follow> {
        self.origins.get(&id)?.follow
    }

    /// Whether a session has seen a part of a message in which something may have to be rewritten, and waits for the rest.
    pub(crate) fn is_within_message(&self, session: u32, from: Direction) -> bool {
        let slot = self.slots.get(session as usize).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.reader.awaits_announcement(from))
    }

    /// Bytes held by all sessions.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Sessions that are reading.
    pub fn sessions(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Starts a session for a conn that was just confirmed.
    pub(crate) fn attach(
        &mut self,
        at: Moment,
        tracker: &mut Tracker,
        conn: ConnId,
        number: u16,
        rule: Option<RuleId>,
    ) -> Option<Event> {
        let helper = self.helper(number)?;
        let master = saved::master_of(tracker, conn)?;
        let reader = Reader::new(helper, master, helper.bound(self.policy), self.pickup);
        let name = helper.spec().name;
        let slot = Slot {
            reader,
            helper: number,
            rule,
            conn,
            master,
            handles: Vec::new(),
            needed_until: Time(0),
            announced: Vec::new(),
            memory: 0,
        };
        let session = self.keep(slot)?;
        tracker.set_session(conn, Some(session));
        Some(Event::HelperAttached { packet: at.packet, time: at.time, conn, helper: name, rule })
    }

    /// Gives a session its number.
    fn keep(&mut self, slot: Slot) -> Option<u32> {
        let helper = slot.helper;
        let session = match self.free.pop() {
            Some(session) => {
                if let Some(place) = self.slots.get_mut(session as usize) {
                    *place = Some(slot);
                }
                session
            }
            None => {
                let session = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(Some(slot));
                session
            }
        };
        self.helpers.session_began(helper);
        Some(session)
    }

    /// Ends the session of a conn that is gone, or that is not read any more.
    pub(crate) fn detach(&mut self, session: u32) {
        if let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::take) {
            self.memory -= slot.memory;
            self.helpers.session_ended(slot.helper);
            self.free.push(session);
        }
    }

    /// Shows an accepted packet to the session of its conn.
    pub(crate) fn read(
        &mut self,
        at: Moment,
        tracker: &mut Tracker,
        session: u32,
        Seen { from, packet, bytes }: Seen<'_>,
        mut rewriting: Option<&mut Rewriting<'_>>,
        events: &mut impl FnMut(Event),
    ) {
        let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
        let payload = packet.payload_bytes(bytes);
        let mut actions = std::mem::take(&mut self.actions);
        match &packet.transport {
            Transport::Tcp(tcp) => {
                let missing =
                    tcp.payload_length.saturating_sub(u32::try_from(payload.len()).unwrap_or(u32::MAX));
                slot.reader.segment(at.arrival(), from, tcp, payload, missing, &mut actions);
            }
            _ => slot.reader.datagram(at.arrival(), from, payload, &mut actions),
        }
        let turn = Turn { at, session, from };
        self.carry_out(turn, tracker, &actions, rewriting.as_deref_mut(), events);
        if let (Some(rewriting), Some(slot)) =
            (rewriting, self.slots.get(session as usize).and_then(Option::as_ref))
        {
            rewriting.write_lengths(&actions, |span| slot.reader.quote(from, span).to_vec());
        }
        actions.clear();
        self.actions = actions;
        self.settle(at, tracker, session, events);
    }

    /// After a read: stops the session when all together hold too much, and ends one that reads no more.
    fn settle(&mut self, at: Moment, tracker: &mut Tracker, session: u32, events: &mut impl FnMut(Event)) {
        let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
        // Each packet has given the conn its usual time anew.
        if slot.needed_until > at.time {
            let nanoseconds = slot.needed_until.since(at.time);
            let seconds = u32::try_from(nanoseconds.div_ceil(1_000_000_000)).unwrap_or(u32::MAX);
            tracker.prolong(at.time, slot.conn, seconds);
        }
        let held = slot.held();
        self.memory = self.memory - slot.memory + held;
        slot.memory = held;
        if self.memory > self.memory_limit {
            slot.reader.disarm(BlindReason::BufferFull);
        }
        if slot.reader.is_reading() {
            return;
        }
        let (conn, number) = (slot.conn, slot.helper);
        if let Some(reason) = slot.reader.blind() {
            let helper = self.helpers.name(number);
            tracker.set_blind(conn, reason);
            events(Event::HelperBlind { packet: at.packet, time: at.time, conn, helper, reason });
        }
        tracker.set_session(conn, None);
        self.detach(session);
    }

    fn slot_mut(&mut self, session: u32) -> Option<&mut Slot> {
        self.slots.get_mut(session as usize)?.as_mut()
    }

    /// An expectation that no session asked for.
    pub(crate) fn adopt(&mut self, record: ExpectationRecord) {
        self.origins.insert(record.expectation.id, Origin { record, end: None, follow: None, uses: 1 });
    }

    /// A conn was brought in by an expectation: its origin must outlive it.
    pub(crate) fn origin_used(&mut self, id: ExpectationId) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.uses += 1;
        }
    }

    /// An expectation, or a conn that it brought in, is gone.
    pub(crate) fn origin_released(&mut self, id: ExpectationId) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.uses = origin.uses.saturating_sub(1);
            if origin.uses == 0 {
                self.origins.remove(&id);
            }
        }
    }

    /// An expectation ended.
    pub(crate) fn expectation_ended(&mut self, id: ExpectationId, cause: EndCause) {
        if let Some(origin) = self.origins.get_mut(&id) {
            origin.end = Some(cause);
        }
        self.origin_released(id);
    }
}

fn ends(tuple: &Tuple) -> (SocketAddr, SocketAddr) {
    (
        SocketAddr::new(tuple.source.ip(tuple.version), tuple.source_port),
        SocketAddr::new(tuple.destination.ip(tuple.version), tuple.destination_port),
    )
}
