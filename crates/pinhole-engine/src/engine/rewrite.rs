//! Packets of translated conns whose payload may be rewritten: read, edited, held, released.

use super::{Engine, Frame, Moment, push};
use crate::event::{Event, Outcome, Reason, Verdict};
use crate::host::{Edit, Rewriting, Seen};
use crate::nat::{self, AT_ONCE, EmissionKind, Entered, Held, Payload, acknowledgement};
use pinhole_nat::rewrite::{Decision, Due, Edit as Replacement, cut, edit_datagram};
use pinhole_nat::{Binding, ChecksumField};
use pinhole_track::Tracked;
use pinhole_wire::{Direction, LinkType, Packet, TcpFlags, Time, Transport};

/// A packet that leaves: where it came from, and what it becomes.
struct Leaving<'a> {
    frame: u64,
    link: LinkType,
    kind: EmissionKind,
    packet: &'a Packet,
    bytes: &'a [u8],
}

impl Engine {
    /// A conn that a helper reads was translated: its payload may have to be rewritten.
    pub(super) fn prepare_payload(&mut self, frame: &Frame<'_>, tracked: &Tracked) {
        let Some(conn) = tracked.conn.filter(|&conn| self.tracker.session(conn).is_some()) else { return };
        let helper = self.tracker.helper(conn).and_then(|number| self.host.helper(number));
        let Some(name) = helper.map(|helper| helper.spec().name) else { return };
        match self.nat.halves.number(&name) {
            Some(half) => {
                let slot = self.tracker.translation(conn);
                if let Some(translation) = slot.and_then(|slot| self.nat.translation_mut(slot)) {
                    translation.payload = Some(Box::new(Payload::new(half)));
                }
            }
            None => {
                let (packet, time) = (frame.number, frame.time);
                self.push(Event::NatHelperMissing { packet, time, conn, helper: name });
            }
        }
    }

    /// An accepted packet of a conn whose payload may be rewritten.
    pub(super) fn rewrite(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        tracked: &Tracked,
        outcome: Outcome,
        slot: u32,
    ) -> Outcome {
        let Some((mut payload, binding)) = self.take_payload(slot) else { return outcome };
        let link = if packet.network == 0 { LinkType::RAW } else { frame.link };
        let leaving = Leaving { frame: frame.number, link, kind: EmissionKind::Translated, packet, bytes };
        let outcome = match &packet.transport {
            Transport::Tcp(_) => {
                self.rewrite_segment(frame, &leaving, tracked, outcome, &binding, &mut payload)
            }
            _ => self.rewrite_datagram(frame, &leaving, tracked, outcome, &binding, &payload),
        };
        if payload.adjusted
            && let Some(conn) = tracked.conn
        {
            self.tracker.set_adjusted(conn);
        }
        if payload.sides.iter().any(|side| !side.held.is_empty()) {
            self.nat.note_holding(slot);
        }
        if let Some(translation) = self.nat.translation_mut(slot) {
            translation.payload = Some(payload);
        }
        outcome
    }

    /// Takes a translation's payload out, to be put back.
    fn take_payload(&mut self, slot: u32) -> Option<(Box<Payload>, Binding)> {
        let translation = self.nat.translation_mut(slot)?;
        let binding = nat::binding(&self.tracker, translation.conn)?;
        Some((translation.payload.take()?, binding))
    }

    fn rewrite_datagram(
        &mut self,
        frame: &Frame<'_>,
        leaving: &Leaving<'_>,
        tracked: &Tracked,
        outcome: Outcome,
        binding: &Binding,
        payload: &Payload,
    ) -> Outcome {
        let read = self.read_for_edits(frame, leaving.packet, leaving.bytes, tracked, payload);
        let Ok(edits) = read else { return refused(outcome, Reason::AnnouncementRefused) };
        let checksum = self.checksum_field();
        let mut scratch = std::mem::take(&mut self.nat.scratch);
        scratch.clear();
        scratch.extend_from_slice(leaving.bytes);
        let replacements: Vec<_> = edits.iter().map(replacement).collect();
        let direction = tracked.direction;
        let done = binding
            .translate(direction, &mut scratch, leaving.packet, checksum)
            .map_err(Reason::Untranslatable)
            .and_then(|()| {
                edit_datagram(&mut scratch, leaving.packet, &replacements, checksum)
                    .map_err(Reason::Unwritable)
            });
        let outcome = match done {
            Ok(()) => {
                self.nat.output.add(leaving.frame, leaving.kind, leaving.link, &scratch);
                self.nat.statistics.packets += 1;
                Outcome { rewritten: true, ..outcome }
            }
            Err(reason) => refused(outcome, reason),
        };
        self.nat.scratch = scratch;
        outcome
    }

    fn rewrite_segment(
        &mut self,
        frame: &Frame<'_>,
        leaving: &Leaving<'_>,
        tracked: &Tracked,
        outcome: Outcome,
        binding: &Binding,
        payload: &mut Payload,
    ) -> Outcome {
        let Transport::Tcp(tcp) = &leaving.packet.transport else { return outcome };
        let (from, conn) = (tracked.direction, tracked.conn);
        payload.arrive(from, tcp);
        if payload.is_refused(from, tcp) {
            return refused(outcome, Reason::AnnouncementRefused);
        }
        if let Some(part) = payload.forwarded_part(from, tcp) {
            return self.repeat_forwarded(leaving, tracked, outcome, binding, payload, part);
        }
        if payload.holds_all_of(from, tcp) {
            payload.side(from).hold.repeat(frame.time);
            return Outcome { verdict: Verdict::Held, reason: Some(Reason::LineHeld), ..outcome };
        }
        let reads = conn.is_some_and(|conn| self.tracker.session(conn).is_some());
        if reads && payload.must_wait(from, tcp) {
            return refused(outcome, Reason::SegmentAhead);
        }
        let mut seen = *leaving.packet;
        payload.conversation.receive(from, &mut [], &mut seen);
        let Ok(edits) = self.read_for_edits(frame, &seen, leaving.bytes, tracked, payload) else {
            payload.refuse(from, tcp);
            return refused(outcome, Reason::AnnouncementRefused);
        };

        let session = conn.and_then(|conn| self.tracker.session(conn));
        let incomplete = tcp.payload_length > 0
            && !tcp.flags.intersects(TcpFlags::FIN | TcpFlags::RST)
            && session.is_some_and(|session| self.host.is_within_message(session, from));
        let policy = self.nat.settings.hold;
        let side = payload.side(from);
        let decision = match tcp.payload_length {
            0 if !tcp.flags.intersects(TcpFlags::FIN | TcpFlags::RST) => Decision::Forward,
            length => side.hold.arrive(frame.time, &policy, length, incomplete),
        };
        let owed = match decision {
            Decision::Hold => {
                if !side.held.is_empty() || self.nat.may_hold(&self.tracker, binding) {
                    // What is complete in front of the incomplete line is edited when it leaves.
                    side.pending.extend(edits);
                    side.held.push(Held {
                        frame: leaving.frame,
                        link: leaving.link,
                        packet: *leaving.packet,
                        bytes: leaving.bytes.to_vec(),
                    });
                    return Outcome { verdict: Verdict::Held, reason: Some(Reason::LineHeld), ..outcome };
                }
                side.hold = Default::default();
                false
            }
            Decision::Complete { owed } | Decision::Overflow { owed } => owed,
            Decision::Forward => false,
        };
        if decision == Decision::Forward && !side.held.is_empty() {
            // An acknowledgement: what waits to be edited waits on.
            return match self.emit(leaving, from, binding, payload) {
                Ok(()) => Outcome { rewritten: true, ..outcome },
                Err(reason) => refused(outcome, reason),
            };
        }
        let owes = side.held_numbers().filter(|_| owed).map(|(start, _)| (start, side.held_bytes()));
        let held = if decision == Decision::Forward { Vec::new() } else { std::mem::take(&mut side.held) };
        let many = payload.side(from).pending.len() + edits.len() > AT_ONCE;
        let edits = if many {
            payload.gather(from, edits, tcp, leaving.packet.payload_bytes(leaving.bytes), &held)
        } else {
            edits
        };
        let late = match payload.enter(from, edits, owes) {
            Entered::All => None,
            Entered::Never => {
                self.nat.statistics.late += 1;
                Some(Reason::EditsLate)
            }
            Entered::Later if payload.has_no_more_room(from) => {
                payload.refuse(from, tcp);
                return refused(outcome, Reason::AnnouncementRefused);
            }
            Entered::Later => return refused(outcome, Reason::EditsFull),
        };
        for held in &held {
            let held = Leaving {
                frame: held.frame,
                link: held.link,
                kind: EmissionKind::Released,
                packet: &held.packet,
                bytes: &held.bytes,
            };
            // What cannot be written is lost: its sender repeats it.
            let _ = self.emit(&held, from, binding, payload);
        }
        match self.emit(leaving, from, binding, payload) {
            Ok(()) => Outcome { rewritten: true, reason: late.or(outcome.reason), ..outcome },
            Err(reason) => refused(outcome, reason),
        }
    }

    /// A retransmission, of which the first `part` bytes were forwarded, and others are held: those leave again.
    fn repeat_forwarded(
        &mut self,
        leaving: &Leaving<'_>,
        tracked: &Tracked,
        outcome: Outcome,
        binding: &Binding,
        payload: &mut Payload,
        part: u32,
    ) -> Outcome {
        let (mut packet, mut bytes) = (*leaving.packet, leaving.bytes.to_vec());
        if !cut(&mut bytes, &mut packet, part, self.checksum_field()) {
            return Outcome { verdict: Verdict::Held, reason: Some(Reason::LineHeld), ..outcome };
        }
        let leaving = Leaving { packet: &packet, bytes: &bytes, ..*leaving };
        match self.emit(&leaving, tracked.direction, binding, payload) {
            Ok(()) => Outcome { rewritten: true, ..outcome },
            Err(reason) => refused(outcome, reason),
        }
    }

    /// Lets the conn's session read a packet, and collects what it has to say to the NAT half. An error: it announces what cannot be
    /// announced to its receiver.
    fn read_for_edits(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        tracked: &Tracked,
        payload: &Payload,
    ) -> Result<Vec<Edit>, ()> {
        let Some(session) = tracked.conn.and_then(|conn| self.tracker.session(conn)) else {
            return Ok(Vec::new());
        };
        let at = Moment { packet: frame.number, time: frame.time };
        let Self { events, max_events, statistics, nat, host, tracker, .. } = self;
        let mut tell = |event| push(events, *max_events, statistics, event);
        let (halves, draws, shard) = nat.for_rewriting();
        let mut draw = || draws.draw();
        let seen = Seen { from: tracked.direction, packet, bytes };
        let Some(half) = halves.find(payload.half) else {
            host.read(at, tracker, session, seen, None, &mut tell);
            return Ok(Vec::new());
        };
        let mut rewriting = Rewriting { half, edits: Vec::new(), failed: false, draw: &mut draw, shard };
        host.read(at, tracker, session, seen, Some(&mut rewriting), &mut tell);
        if rewriting.failed { Err(()) } else { Ok(rewriting.edits) }
    }

    /// Writes a segment, translated and edited, to the output.
    fn emit(
        &mut self,
        leaving: &Leaving<'_>,
        from: Direction,
        binding: &Binding,
        payload: &mut Payload,
    ) -> Result<(), Reason> {
        let checksum = self.checksum_field();
        let nat = &mut self.nat;
        nat.scratch.clear();
        nat.scratch.extend_from_slice(leaving.bytes);
        binding
            .translate(from, &mut nat.scratch, leaving.packet, checksum)
            .map_err(Reason::Untranslatable)?;
        let ends = binding.leaves(from);
        let packet = Packet { source: ends.source, destination: ends.destination, ..*leaving.packet };
        let Transport::Tcp(tcp) = &packet.transport else { return Ok(()) };
        let longest = usize::from(nat.settings.longest_segment).max(tcp.payload_length as usize);
        let emitted = payload
            .conversation
            .translate(from, &mut nat.scratch, &packet, checksum, longest, &mut nat.further)
            .map_err(Reason::Unwritable)?;
        nat.output.add(leaving.frame, leaving.kind, leaving.link, &nat.scratch);
        if emitted.further_length > 0 {
            for further in nat.further.chunks(emitted.further_length) {
                nat.output.add(leaving.frame, EmissionKind::Continued, leaving.link, further);
            }
        }
        nat.statistics.packets += 1;
        Ok(())
    }

    /// Lines that were held long enough.
    pub(super) fn expire_holds(&mut self, now: Time) {
        for slot in self.nat.holding_until(now) {
            let Some((mut payload, binding)) = self.take_payload(slot) else { continue };
            for from in [Direction::Original, Direction::Reply] {
                self.expire_hold(now, from, &binding, &mut payload);
            }
            let still = payload.sides.iter().any(|side| !side.held.is_empty());
            if let Some(translation) = self.nat.translation_mut(slot) {
                translation.payload = Some(payload);
            }
            if still {
                self.nat.note_holding(slot);
            }
        }
    }

    fn expire_hold(&mut self, now: Time, from: Direction, binding: &Binding, payload: &mut Payload) {
        let policy = self.nat.settings.hold;
        match payload.side(from).hold.expire(now, &policy) {
            None => {}
            // An acknowledgement covers what was before, too: not until the receiver has that.
            Some(Due::Acknowledge) if !payload.is_received_up_to_held(from) => {
                payload.side(from).hold.repeat(now);
            }
            Some(Due::Acknowledge) => {
                let window = payload.side(from.opposite()).window;
                let side = payload.side(from);
                let (Some((_, next)), Some(last)) = (side.held_numbers(), side.held.last()) else { return };
                let Transport::Tcp(tcp) = &last.packet.transport else { return };
                let window = window.saturating_sub(u16::try_from(side.hold.bytes()).unwrap_or(u16::MAX));
                acknowledgement(&last.bytes, &last.packet, tcp, next, window, &mut self.nat.scratch);
                let kind = EmissionKind::Acknowledgement;
                self.nat.output.add(last.frame, kind, last.link, &self.nat.scratch);
            }
            Some(Due::Release { owed }) => {
                let side = payload.side(from);
                let owes = side.held_numbers().filter(|_| owed).map(|(start, _)| (start, side.held_bytes()));
                let held = std::mem::take(&mut side.held);
                let _ = payload.enter(from, Vec::new(), owes);
                for held in &held {
                    let leaving = Leaving {
                        frame: held.frame,
                        link: held.link,
                        kind: EmissionKind::Released,
                        packet: &held.packet,
                        bytes: &held.bytes,
                    };
                    let _ = self.emit(&leaving, from, binding, payload);
                }
            }
        }
    }

    pub(super) const fn checksum_field(&self) -> ChecksumField {
        if self.partial { ChecksumField::Partial } else { ChecksumField::Full }
    }
}

fn replacement(edit: &Edit) -> Replacement<'_> {
    Replacement { span: edit.span, replacement: &edit.text, owed: false }
}

fn refused(outcome: Outcome, reason: Reason) -> Outcome {
    Outcome { verdict: Verdict::Drop, reason: Some(reason), ..outcome }
}
