//! What the host keeps of a session.

use super::edits::Announced;
use super::helpers::Helpers;
use super::{Moment, Turn};
use crate::event::{Event, Provenance, RefusalRecord};
use pinhole_helper::{Action, Expect, Handle, Master, Reader, Refusal, Span};
use pinhole_ruleset::RuleId;
use pinhole_track::{ConnId, ExpectationId};
use pinhole_wire::{Direction, Time};
use std::net::{IpAddr, SocketAddr};

/// Most of a session's own names for expectations that are remembered; older ones can no longer be activated or cancelled.
pub(super) const HANDLES: usize = 256;

/// A session, and what belongs to it.
pub(super) struct Slot {
    pub(super) reader: Reader,
    pub(super) helper: u16,
    pub(super) rule: Option<RuleId>,
    pub(super) conn: ConnId,
    pub(super) master: Master,
    pub(super) handles: Vec<(Handle, ExpectationId)>,
    /// How long the conn lives at least, whatever passes on it: as its session has asked.
    pub(super) needed_until: Time,
    /// What was announced in a translated conn.
    pub(super) announced: Vec<Announced>,
    pub(super) memory: usize,
}

impl Slot {
    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        let handles = self.handles.capacity() * size_of::<(Handle, ExpectationId)>();
        size_of::<Self>() - size_of::<Reader>() + self.reader.memory() + handles
    }

    /// Who answers for what a packet announces: its sender, under the address that it has itself.
    pub(super) fn announcer(&self, from: Direction, expect: &Expect) -> IpAddr {
        let is_own = expect.destination == self.master.sender_seen_by_peer(from).ip();
        if is_own { self.master.sender(from).ip() } else { expect.destination }
    }

    pub(super) fn known(&self, handle: Handle) -> Option<ExpectationId> {
        self.handles.iter().rev().find(|(h, _)| *h == handle).map(|&(_, id)| id)
    }

    pub(super) fn remember(&mut self, handle: Handle, id: ExpectationId) {
        if self.handles.len() >= HANDLES {
            self.handles.remove(0);
        }
        self.handles.push((handle, id));
    }

    pub(super) fn provenance(
        &self,
        helpers: &Helpers,
        at: Moment,
        direction: Direction,
        span: Span,
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
    /// An announcement that is refused, as it is told.
    pub(super) fn refusal(&self, helpers: &Helpers, turn: Turn, reason: Refusal, span: Span) -> Event {
        let bytes = self.reader.quote(turn.from, span).into();
        let provenance = self.provenance(helpers, turn.at, turn.from, span, bytes);
        Event::Refusal(Box::new(RefusalRecord { master: self.conn, reason, provenance }))
    }

    /// What is to be written for a request that says where an endpoint stands.
    pub(super) fn endpoint_of(&self, request: &Action, from: Direction) -> Option<SocketAddr> {
        match request {
            Action::Renumber(.., number) => {
                Some(SocketAddr::new(self.master.sender_seen_by_peer(from).ip(), *number))
            }
            Action::Mention(end, ..) => self.end(*end, from),
            Action::Locate(handle, ..) => self.announced(*handle, from),
            _ => None,
        }
    }
}
