//! The host of helper sessions.
//!
//! A session only asks; the host decides. Life cycle of a session: a rule (or an explicit setting) attaches a helper to an unconfirmed
//! conn; when the conn is confirmed the host starts a [`Reader`]; every accepted packet of the conn is shown to it; its requests are
//! checked here, whatever helper made them, and carried out in the tracker; when the conn ends, or the session is blind, the session ends.
//!
//! Invariants: a session opens nothing that `admissible` does not allow; every expectation in the tracker that came from a session has a
//! [`Provenance`] here, as long as it or a conn that it brought in lives.

mod aim;
mod edits;
mod helpers;
mod saved;

use crate::event::{Event, ExpectationRecord, Provenance, RefusalRecord};
use pinhole_helper::{
    Action, AddressMatch, Arrival, BlindReason, Expect, Handle, Helper, Master, Pickup, Policy, PortMatch,
    Reader, Refusal, Registry,
};
use pinhole_ruleset::RuleId;
use pinhole_track::{ConnId, EndCause, ExpectationId, Request, Status, Tracker, Tuple};
use pinhole_wire::{Direction, Packet, Protocol, Time, Transport};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

pub(crate) use edits::{Edit, Follow, Rewriting};
pub use helpers::LoadError;
pub(crate) use saved::{RuleNames, SavedOrigin, SavedSession};

use crate::engine::UnloadError;
use helpers::Helpers;

/// Most of a session's own names for expectations that are remembered; older ones can no longer be activated or cancelled.
const HANDLES: usize = 256;

/// Widest range of destination ports that one expectation may open.
const WIDEST_RANGE: u16 = 64;

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

struct Slot {
    reader: Reader,
    helper: u16,
    rule: Option<RuleId>,
    conn: ConnId,
    master: Master,
    handles: Vec<(Handle, ExpectationId)>,
    /// How long the conn lives at least, whatever passes on it: as its session has asked.
    needed_until: Time,
    /// What was announced in a translated conn.
    announced: Vec<edits::Announced>,
    memory: usize,
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

    fn carry_out(
        &mut self,
        turn: Turn,
        tracker: &mut Tracker,
        actions: &[Action],
        mut rewriting: Option<&mut Rewriting<'_>>,
        events: &mut impl FnMut(Event),
    ) {
        let Turn { at, session, from } = turn;
        let mut rest = actions;
        while let Some((first, others)) = rest.split_first() {
            rest = others;
            let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
            match first {
                Action::Expect(_, expect) => {
                    let members = match expect.group {
                        None => 1,
                        Some((group, _)) => actions_of_group(first, others, group),
                    };
                    let taken = actions.len() - others.len() - 1;
                    let all = actions.get(taken..taken + members).unwrap_or_default();
                    rest = others.get(members - 1..).unwrap_or_default();
                    self.expect(turn, tracker, all, rewriting.as_deref_mut(), events);
                }
                Action::Activate(handle) => {
                    if let Some(id) = slot.known(*handle)
                        && tracker.expectation(id).is_some_and(|e| !e.active)
                        && tracker.activate(id)
                    {
                        events(Event::ExpectationActive { packet: at.packet, time: at.time, id });
                    }
                }
                Action::Extend(handle, seconds) => {
                    if let Some(id) = slot.known(*handle) {
                        tracker.extend(at.time, id, *seconds);
                    }
                }
                Action::Prolong(seconds) => {
                    slot.needed_until = slot.needed_until.max(at.time.plus_seconds(u64::from(*seconds)));
                }
                Action::Lead(handle, source_key, destination_key) => {
                    if let (Some(id), true) = (slot.known(*handle), rewriting.is_some())
                        && let Some(expectation) = tracker.expectation(id)
                        && let Some(origin) = self.origins.get_mut(&id)
                    {
                        let keys = (*source_key, *destination_key);
                        origin.follow = Follow::call(&slot.master, &expectation.expect, keys);
                    }
                }
                Action::Aim(handle, source) => {
                    self.aim(turn, tracker, *handle, *source, events);
                }
                Action::Cancel(handle) => {
                    if let Some(id) = slot.known(*handle) {
                        tracker.cancel(at.time, id);
                    }
                }
                Action::Refuse(reason, span) => {
                    let bytes = slot.reader.quote(from, *span).into();
                    let provenance = slot.provenance(&self.helpers, at, from, *span, bytes);
                    let record = RefusalRecord { master: slot.conn, reason: *reason, provenance };
                    events(Event::Refusal(Box::new(record)));
                }
                Action::Condition(condition) => {
                    let helper = self.helpers.name(slot.helper);
                    let (conn, condition) = (slot.conn, *condition);
                    events(Event::HelperCondition {
                        packet: at.packet,
                        time: at.time,
                        conn,
                        helper,
                        condition,
                    });
                }
                // Without the NAT half, or without NAT, the payload is left alone.
                Action::Locate(_, span, field)
                | Action::Mention(_, span, field)
                | Action::Renumber(span, field, _) => {
                    let endpoint = match first {
                        Action::Renumber(.., number) => {
                            Some(SocketAddr::new(slot.master.sender_seen_by_peer(from).ip(), *number))
                        }
                        Action::Mention(end, ..) => Some(slot.end(*end, from)),
                        Action::Locate(handle, ..) => slot.announced(*handle, from),
                        _ => None,
                    };
                    if let (Some(rewriting), Some(endpoint)) = (rewriting.as_deref_mut(), endpoint)
                        && let Err(reason) =
                            rewriting.write(endpoint, *span, *field, slot.reader.quote(from, *span))
                    {
                        let bytes = slot.reader.quote(from, *span).into();
                        let provenance = slot.provenance(&self.helpers, at, from, *span, bytes);
                        events(Event::Refusal(Box::new(RefusalRecord {
                            master: slot.conn,
                            reason,
                            provenance,
                        })));
                    }
                }
                _ => {}
            }
        }
    }

    /// Enters one expectation, or a group of them together.
    fn expect(
        &mut self,
        turn: Turn,
        tracker: &mut Tracker,
        members: &[Action],
        rewriting: Option<&mut Rewriting<'_>>,
        events: &mut impl FnMut(Event),
    ) {
        let Turn { at, session, from } = turn;
        let Some(slot) = self.slots.get_mut(session as usize).and_then(Option::as_mut) else { return };
        let helper = self.helpers.find(slot.helper);
        let policy = self.helpers.bound(slot.helper, self.policy);
        let asked: Vec<(Handle, &Expect)> = members
            .iter()
            .filter_map(
                |a| if let Action::Expect(handle, expect) = a { Some((*handle, expect)) } else { None },
            )
            .collect();
        let answered = slot.master.protocol != Protocol::TCP
            || tracker.status(slot.conn).is_some_and(|status| status.contains(Status::SEEN_REPLY));
        let requests: Result<Vec<Request>, Refusal> = asked
            .iter()
            .map(|(_, expect)| {
                // All that is known of a conn picked up in mid-stream may be one forged packet.
                // An inactive expectation waits for an answer anyway.
                (answered || !expect.active).then_some(()).ok_or(Refusal::Unanswered)?;
                let introduced = helper.is_some_and(|h| h.introduces(expect.class))
                    || (policy.introductions && from == Direction::Reply);
                admissible(&slot.master, from, expect, &policy, introduced)?;
                let class = self.helpers.class(slot.helper, expect.class).ok_or(Refusal::Policy)?;
                let request = Request::new((*expect).clone(), class, slot.helper);
                Ok(Request { announcer: slot.announcer(from, expect), ..request })
            })
            .collect();
        let entered = requests.and_then(|requests| match rewriting {
            Some(rewriting) => rewriting.expect(at, tracker, slot, from, &asked, &requests),
            None => {
                let ids = tracker.expect(at.time, slot.conn, &requests)?;
                Ok(ids.into_iter().map(|id| (id, None)).collect())
            }
        });
        match entered {
            Ok(ids) => {
                for ((handle, expect), (id, follow)) in asked.iter().zip(ids) {
                    let bytes = slot.reader.quote(from, expect.span).into();
                    let provenance = slot.provenance(&self.helpers, at, from, expect.span, bytes);
                    slot.remember(*handle, id);
                    if let Some(expectation) = tracker.expectation(id).cloned() {
                        let record = ExpectationRecord { expectation, provenance };
                        self.origins
                            .insert(id, Origin { record: record.clone(), end: None, follow, uses: 1 });
                        events(Event::ExpectationNew(Box::new(record)));
                    }
                }
            }
            Err(reason) => {
                for (_, expect) in &asked {
                    let bytes = slot.reader.quote(from, expect.span).into();
                    let provenance = slot.provenance(&self.helpers, at, from, expect.span, bytes);
                    let record = RefusalRecord { master: slot.conn, reason, provenance };
                    events(Event::Refusal(Box::new(record)));
                }
            }
        }
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

impl Slot {
    /// Bytes of memory that it takes.
    fn held(&self) -> usize {
        let handles = self.handles.capacity() * size_of::<(Handle, ExpectationId)>();
        size_of::<Self>() - size_of::<Reader>() + self.reader.memory() + handles
    }

    /// Who answers for what a packet announces: its sender, under the address that it has itself.
    fn announcer(&self, from: Direction, expect: &Expect) -> IpAddr {
        let is_own = expect.destination == self.master.sender_seen_by_peer(from).ip();
        if is_own { self.master.sender(from).ip() } else { expect.destination }
    }

    fn known(&self, handle: Handle) -> Option<ExpectationId> {
        self.handles.iter().rev().find(|(h, _)| *h == handle).map(|&(_, id)| id)
    }

    fn remember(&mut self, handle: Handle, id: ExpectationId) {
        if self.handles.len() >= HANDLES {
            self.handles.remove(0);
        }
        self.handles.push((handle, id));
    }

    fn provenance(
        &self,
        helpers: &Helpers,
        at: Moment,
        direction: Direction,
        span: pinhole_helper::Span,
        bytes: Box<[u8]>,
    ) -> Provenance {
        let arrival = self.reader.arrival(direction, span).unwrap_or(at.arrival());
        Provenance {
            helper: helpers.name(self.helper),
            packet: arrival.packet,
            time: arrival.time,
            read_with: at.packet,
            direction,
            span,
            bytes,
            attached_by: self.rule,
        }
    }
}

/// How many of the actions, from `first` on, belong to its group without interruption.
fn actions_of_group(first: &Action, others: &[Action], group: u32) -> usize {
    debug_assert!(matches!(first, Action::Expect(..)));
    1 + others
        .iter()
        .take_while(|a| matches!(a, Action::Expect(_, e) if e.group.is_some_and(|(g, _)| g == group)))
        .count()
}

/// Whether it is one direction of a PPTP call: GRE between the very ends of the master, with the key of each. Such a pair is asked for at
/// once, when the call is answered, and either end may speak first.
fn is_call_between_ends(master: &Master, expect: &Expect) -> bool {
    let (AddressMatch::Exact(source), PortMatch::Exact(_), PortMatch::Exact(_)) =
        (expect.source, expect.source_port, expect.destination_port)
    else {
        return false;
    };
    let ends = (source, expect.destination);
    let way = |(from, to): (SocketAddr, SocketAddr)| (from.ip(), to.ip()) == ends;
    expect.protocol == Protocol::GRE && (way(master.original) || way(master.reply))
}

/// The security rules that hold for every helper, whatever it asks: the announced address is the announcer's own unless the policy allows
/// third parties, or the helper [introduces](Helper::introduces) the receiver, and nobody else, to one. No port lies below the policy's
/// lowest, but for two of datagrams: the one that the announcer sends the master's from (NetBIOS asks from port 137, and is answered
/// there), and the one that the master itself is addressed to (talk's daemons ask each other, both on port 518).
fn admissible(
    master: &Master,
    from: Direction,
    expect: &Expect,
    policy: &Policy,
    introduced: bool,
) -> Result<(), Refusal> {
    let own = [master.sender(from).ip(), master.sender_seen_by_peer(from).ip()];
    if is_call_between_ends(master, expect) {
        return Ok(());
    }
    let introduced = introduced && expect.source == AddressMatch::Exact(master.receiver(from).ip());
    if !own.contains(&expect.destination) && !policy.third_party && !introduced {
        return Err(Refusal::ForeignAddress);
    }
    let has_ports = !matches!(expect.protocol, Protocol::GRE);
    let master_end = [master.sender(from), master.sender_seen_by_peer(from)];
    let service = [master.original.1.port(), master.reply.0.port()];
    if let PortMatch::Exact(port) = expect.destination_port
        && port != 0
        && expect.protocol == master.protocol
        && expect.protocol != Protocol::TCP
        && own.contains(&expect.destination)
        && (service.contains(&port) || master_end.contains(&SocketAddr::new(expect.destination, port)))
    {
        return Ok(());
    }
    match expect.destination_port {
        PortMatch::Any if has_ports => Err(Refusal::Policy),
        PortMatch::Exact(0) if has_ports => Err(Refusal::PortZero),
        PortMatch::Exact(port) if has_ports && port < policy.lowest_port => Err(Refusal::PrivilegedPort),
        PortMatch::Range(low, high) if low > high || high - low >= WIDEST_RANGE => Err(Refusal::Policy),
        PortMatch::Range(low, _) if low < policy.lowest_port => Err(Refusal::PrivilegedPort),
        _ => Ok(()),
    }
}

fn ends(tuple: &Tuple) -> (SocketAddr, SocketAddr) {
    (
        SocketAddr::new(tuple.source.ip(tuple.version), tuple.source_port),
        SocketAddr::new(tuple.destination.ip(tuple.version), tuple.destination_port),
    )
}
