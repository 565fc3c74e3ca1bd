//! What follows a decision: a new conn is admitted to the table or forgotten, an accepted packet is shown to the session of its conn, and
//! what ended meanwhile is cleaned up.

use super::{Engine, push};
use crate::event::{Event, ExpectationRecord, Outcome, Provenance, RULE, Reason, Verdict};
use crate::frame::Frame;
use crate::host::{Moment, Seen};
use crate::rules::Decision;
use crate::scene::Wishes;
use pinhole_helper::{Pickup, Span};
use pinhole_ruleset::{ObjectId, RuleId};
use pinhole_track::{ConnId, Event as TrackEvent, ExpectationId, Tracked};
use pinhole_wire::{Direction, Packet, TcpFlags, Transport};
use std::cell::Cell;

impl Engine {
    /// After the rules: a new conn is confirmed or never was.
    pub(super) fn settle(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        wishes: &Wishes,
        tracked: &Tracked,
        decision: Decision,
    ) -> Outcome {
        let outcome = Outcome::of(tracked, decision.verdict, decision.rule);
        let Some(conn) = tracked.conn else { return outcome };
        // What was set for a conn stays, though the packet be dropped.
        if let Some(mark) = wishes.conn_mark.get() {
            self.tracker.set_mark(conn, mark);
        }
        if wishes.labels.get() != 0 {
            let labels = self.tracker.labels(conn).map_or(0, u128::from_le_bytes) | wishes.labels.get();
            self.tracker.set_labels(conn, labels.to_le_bytes());
        }
        if decision.verdict != Verdict::Accept {
            if !tracked.created {
                return outcome;
            }
            self.tracker.abandon(conn);
            return Outcome { conn: None, ..outcome };
        }
        if tracked.created && !self.admit(frame, packet, wishes, tracked, conn) {
            return Outcome { verdict: Verdict::Drop, conn: None, reason: Some(Reason::Clash), ..outcome };
        }
        outcome
    }

    /// Shows an accepted packet to the session of its conn, if there is one.
    #[inline]
    pub(super) fn show(&mut self, frame: &Frame<'_>, packet: &Packet, bytes: &[u8], tracked: &Tracked) {
        if let Some(conn) = tracked.conn
            && let Some(session) = self.tracker.session(conn)
            && !tracked.icmp_error
        {
            self.read(frame, session, Seen { from: tracked.direction, packet, bytes });
        }
    }

    #[inline(never)]
    fn read(&mut self, frame: &Frame<'_>, session: u32, seen: Seen<'_>) {
        let at = Moment { packet: frame.number, time: frame.time };
        let (events, max, statistics) = (&mut self.events, self.max_events, &mut self.statistics);
        let mut tell = |event| push(events, max, statistics, event);
        self.host.read(at, &mut self.tracker, session, seen, None, &mut tell);
    }

    /// A new conn enters the table, with all that the rules set for it. `false`: its tuple was taken meanwhile.
    fn admit(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        wishes: &Wishes,
        tracked: &Tracked,
        conn: ConnId,
    ) -> bool {
        let helper = self.helper_for(packet, wishes).or_else(|| Some((self.expected_helper(tracked)?, None)));
        if let Some((number, _)) = helper {
            self.tracker.attach_helper(conn, number);
        }
        let object = |wish: &Cell<Option<ObjectId>>| Some((self.rules.as_ref()?, wish.get()?));
        let policy = object(&wishes.timeout).and_then(|(rules, object)| rules.timeout_policy(object, packet));
        if let Some(policy) = policy {
            self.tracker.set_timeout_policy(conn, policy);
        }
        if !self.tracker.confirm(frame.time, conn) {
            return false;
        }
        let at = Moment { packet: frame.number, time: frame.time };
        if let Some((number, rule)) = helper
            && let Some(event) = self.host.attach(at, &mut self.tracker, conn, number, rule)
        {
            self.push(event);
        }
        if let Some(id) = tracked.expectation {
            self.host.origin_used(id);
            self.push(Event::ExpectationHit { packet: frame.number, time: frame.time, id, conn });
        }
        if let (Some(rules), Some((object, rule))) = (&self.rules, wishes.expectation.get())
            && let Some(id) = rules.enter_expectation(object, &mut self.tracker, conn, frame.time)
        {
            self.announce_by_rule(at, id, rule);
        }
        true
    }

    /// Tells of an expectation that a `ct expectation set` rule entered.
    fn announce_by_rule(&mut self, at: Moment, id: ExpectationId, rule: RuleId) {
        let Some(expectation) = self.tracker.expectation(id).cloned() else { return };
        let provenance = Provenance {
            helper: RULE,
            packet: at.packet,
            time: at.time,
            read_with: at.packet,
            direction: Direction::Original,
            span: Span::default(),
            bytes: Box::default(),
            attached_by: Some(rule),
        };
        let record = ExpectationRecord { expectation, provenance };
        self.host.adopt(record.clone());
        self.push(Event::ExpectationNew(Box::new(record)));
    }

    /// The helper that an expectation asked for, to read the conn that it brings in.
    fn expected_helper(&self, tracked: &Tracked) -> Option<u16> {
        let expectation = self.tracker.expectation(tracked.expectation?)?;
        self.host.number(&expectation.expect.helper?)
    }

    /// The helper that a rule set for this new conn, or else an explicit setting.
    fn helper_for(&self, packet: &Packet, wishes: &Wishes) -> Option<(u16, Option<RuleId>)> {
        if let (Some(rules), Some((object, rule))) = (&self.rules, wishes.helper.get()) {
            return rules.helper(object, packet).map(|number| (number, Some(rule)));
        }
        if self.attachments.is_empty() {
            return None;
        }
        let (source, destination) = (packet.source_port()?, packet.destination_port()?);
        // A conn picked up in mid-stream may show its server's packet first.
        let middle = self.pickup == Pickup::Lenient
            && matches!(&packet.transport, Transport::Tcp(tcp) if !tcp.flags.contains(TcpFlags::SYN));
        self.attachments
            .iter()
            .find(|&&(protocol, port, _)| {
                protocol == packet.protocol && (port == destination || (middle && port == source))
            })
            .map(|&(_, _, number)| (number, None))
    }

    /// Carries the tracker's events over, and ends what hung on conns and expectations that are gone.
    #[inline(never)]
    pub(super) fn take_tracker_events(&mut self, at: Moment) {
        while let Some(event) = self.tracker.next_event() {
            let (packet, time) = (at.packet, at.time);
            let event = match event {
                TrackEvent::New(conn) => Event::ConnNew { packet, time, conn },
                TrackEvent::Update(conn) => Event::ConnUpdate { packet, time, conn },
                TrackEvent::Destroy(conn, cause) => Event::ConnDestroy { packet, time, conn, cause },
                TrackEvent::ExpectationEnd(id, cause) => {
                    self.host.expectation_ended(id, cause);
                    Event::ExpectationEnd { packet, time, id, cause }
                }
                // Told by the host, with its origin.
                _ => continue,
            };
            self.push(event);
        }
        while let Some(dead) = self.tracker.take_dead() {
            if let Some(session) = dead.session {
                self.host.detach(session);
            }
            if let Some(expectation) = dead.expectation {
                self.host.origin_released(expectation);
            }
            if let Some((kept, (original, reply))) = dead.translation {
                self.nat.end(kept, &original, &reply);
            }
        }
    }
}
