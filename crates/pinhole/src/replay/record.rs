//! What a report keeps: conns, expectations, refusals and drops, each with its place in the captures.

use super::Place;
use pinhole_engine::{Provenance, RuleRef, TranslatedBy, Verdict};
use pinhole_helper::{AddressMatch, BlindReason, Condition, Expect, Name, PortMatch, Refusal, Span};
use pinhole_ruleset::RuleId;
use pinhole_track::{
    ConnId, ConnSnapshot, Counters, DestroyCause, EndCause, ExpectationId, State, Status, Tuple,
};
use pinhole_wire::{Address, Direction, Protocol, Time};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

/// A conn, numbered from 1 in the order in which conns entered the table.
#[derive(Clone, Debug)]
pub struct Conn {
    /// Its number in this report.
    pub number: u32,
    /// Its id in the tracker.
    pub id: ConnId,
    /// Original tuple.
    pub original: Tuple,
    /// Reply tuple.
    pub reply: Tuple,
    /// Status bits, as last seen.
    pub status: Status,
    /// Name of the protocol's state, as last seen.
    pub protocol_state: Option<&'static str>,
    /// Packets and bytes, original then reply.
    pub counters: [Counters; 2],
    /// Mark.
    pub mark: u32,
    /// Seconds to live, as last seen.
    pub timeout: u32,
    /// The frame that opened it.
    pub first: Place,
    /// When that was.
    pub start: Time,
    /// What translated its source and its destination.
    pub translated_by: [Option<TranslatedBy>; 2],
    /// The helper that reads it.
    pub helper: Option<Attached>,
    /// The conn that announced it.
    pub master: Option<u32>,
    /// The expectation that it fulfilled.
    pub expectation: Option<ExpectationId>,
    /// How it ended; `None` if it was alive at the end of the captures.
    pub end: Option<(Place, DestroyCause)>,
    /// Whether it has a helper, a master, or is a master: kept whatever the limits.
    pub notable: bool,
}

/// A helper at a conn.
#[derive(Clone, Copy, Debug)]
pub struct Attached {
    /// Its name.
    pub name: Name,
    /// The rule that attached it; `None` for `--helpers`.
    pub rule: Option<RuleId>,
}

impl Conn {
    /// A conn whose number is known, with everything still to be told by [`Self::update`].
    pub(super) fn new(number: u32, snapshot: &ConnSnapshot, first: Place) -> Self {
        let mut conn = Self {
            number,
            id: snapshot.id,
            original: snapshot.original,
            reply: snapshot.reply,
            status: snapshot.status,
            protocol_state: None,
            counters: snapshot.counters,
            mark: 0,
            timeout: 0,
            first,
            start: snapshot.start,
            translated_by: [None; 2],
            helper: None,
            master: None,
            expectation: snapshot.expectation,
            end: None,
            notable: snapshot.helper.is_some() || snapshot.master.is_some(),
        };
        conn.update(snapshot);
        conn
    }

    pub(super) fn update(&mut self, snapshot: &ConnSnapshot) {
        self.status = snapshot.status;
        self.protocol_state = snapshot.l4.state_name();
        self.counters = snapshot.counters;
        self.mark = snapshot.mark;
        self.timeout = snapshot.timeout;
    }

    /// Whether one of its ends is translated.
    pub fn is_translated(&self) -> bool {
        self.status.intersects(Status::SRC_NAT | Status::DST_NAT)
    }

    /// Packets of both directions.
    pub fn packets(&self) -> u64 {
        self.counters.iter().map(|c| c.packets).sum()
    }

    /// Bytes of both directions.
    pub fn bytes(&self) -> u64 {
        self.counters.iter().map(|c| c.bytes).sum()
    }
}

/// The bytes of an announcement and where they stand.
#[derive(Clone, Debug)]
pub struct Quote {
    /// Name of the helper that read them.
    pub helper: Name,
    /// The frame that completed them.
    pub place: Place,
    /// When that was.
    pub time: Time,
    /// Which end of the master sent them.
    pub direction: Direction,
    /// Their offsets in that direction's stream.
    pub span: Span,
    /// The bytes themselves (bounded).
    pub bytes: Box<[u8]>,
    /// The rule that attached the helper.
    pub attached_by: Option<RuleId>,
}

impl From<Provenance> for Quote {
    fn from(origin: Provenance) -> Self {
        Self {
            helper: origin.helper,
            place: Place::from_number(origin.packet),
            time: origin.time,
            direction: origin.direction,
            span: origin.span,
            bytes: origin.bytes,
            attached_by: origin.attached_by,
        }
    }
}

/// An expectation, from its announcement to its end.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its id, from 1.
    pub id: u64,
    /// The master's number.
    pub master: u32,
    /// What is expected.
    pub expect: Expect,
    /// Where it came from.
    pub quote: Quote,
    /// When it times out.
    pub deadline: Time,
    /// Since which frame it matches; `None`: never.
    pub active: Option<Place>,
    /// The conns that it brought in.
    pub fulfilled: Vec<(Place, u32)>,
    /// How it ended.
    pub end: Option<(Place, EndCause)>,
}

impl Expectation {
    /// Whether it would match a conn to this end.
    pub fn covers(&self, protocol: Protocol, destination: IpAddr, port: u16) -> bool {
        self.expect.protocol == protocol
            && self.expect.destination == destination
            && match self.expect.destination_port {
                PortMatch::Exact(p) => p == port,
                PortMatch::Range(low, high) => (low..=high).contains(&port),
                PortMatch::Any => true,
            }
    }

    /// The source address, if only one is admitted.
    pub fn source(&self) -> Option<IpAddr> {
        match self.expect.source {
            AddressMatch::Exact(ip) => Some(ip),
            AddressMatch::Prefix(..) | AddressMatch::Any => None,
        }
    }
}

/// A port match that is one port.
pub fn exact_port(port: PortMatch) -> Option<u16> {
    match port {
        PortMatch::Exact(port) => Some(port),
        PortMatch::Range(..) | PortMatch::Any => None,
    }
}

/// An announcement that opened nothing.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The conn that announced it.
    pub master: u32,
    /// Why it was refused.
    pub reason: Refusal,
    /// The announcement.
    pub quote: Quote,
}

/// A helper that stopped reading a conn, or cannot read it for now.
#[derive(Clone, Copy, Debug)]
pub struct Unread {
    /// Since this frame.
    pub place: Place,
    /// Since then.
    pub time: Time,
    /// The conn.
    pub conn: u32,
    /// The helper.
    pub helper: Name,
    /// Why, or that it reads again.
    pub what: Sight,
}

/// What a helper sees of its conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing, for ever.
    Blind(BlindReason),
    /// A change that may be undone.
    Changed(Condition),
}

/// Packets that did not survive, for the same reason, to the same end.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// What they have in common.
    pub key: DropKey,
    /// How many.
    pub packets: u64,
    /// The first of them.
    pub first: Place,
    /// When that was.
    pub time: Time,
    /// Source port of the first of them.
    pub source_port: Option<u16>,
    /// The last of them.
    pub last: Place,
    /// Why, beyond the rule.
    pub message: Option<Box<str>>,
}

/// What makes two dropped packets alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropKey {
    /// Drop or reject.
    pub verdict: Verdict,
    /// The rule or policy.
    pub rule: Option<RuleRef>,
    /// State.
    pub state: Option<State>,
    /// Stable name of the reason beyond the rule.
    pub reason: Option<&'static str>,
    /// Where they came from and went to; `None` if that could not be read.
    pub ends: Option<Ends>,
}

/// By the ends, in one piece: with a default-drop ruleset this is done for every packet of a flood. What else differs is left to `Eq`.
impl Hash for DropKey {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let mut bytes = [0; 36];
        if let Some(ends) = self.ends {
            let (addresses, rest) = bytes.split_at_mut(32);
            let (source, destination) = addresses.split_at_mut(16);
            source.copy_from_slice(&Address::from(ends.source).0);
            destination.copy_from_slice(&Address::from(ends.destination).0);
            let [high, low] = ends.destination_port.unwrap_or(0).to_be_bytes();
            let state = self.state.map_or(0, |state| state as u8 + 1);
            rest.copy_from_slice(&[high, low, ends.protocol.0, state]);
        }
        hasher.write(&bytes);
    }
}

/// The ends of a packet without its source port, which differs with every attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Layer-4 protocol.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Destination port, if there is one.
    pub destination_port: Option<u16>,
}
