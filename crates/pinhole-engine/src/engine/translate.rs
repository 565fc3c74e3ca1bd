//! The way of a packet whose conn is translated, or may become so.
//!
//! Chains see a packet as it is where they stand: until the destination is translated as it came, then with its new destination, at the
//! end with its new source. What leaves is put into the output; the frame itself is never changed.

use super::{Engine, Frame, log_event, push};
use crate::event::{Event, Outcome, Reason, Verdict};
use crate::nat::{self, Course, EmissionKind, Refused, Side, TranslatedBy};
use crate::rules::{Decision, Path, Steps, Way};
use crate::scene::{AfterTracking, Scene, Wishes};
use crate::stage::{Next, Stage};
use crate::topology::Topology;
use pinhole_nat::{BindingError, ChecksumField, Patch};
use pinhole_ruleset::{Hook, LogStatement};
use pinhole_track::{ConnId, Passing, Prepared, State, TableFull, Tracked, Unusual};
use pinhole_wire::{Address, Direction, IpVersion, LinkType, Packet};
use std::cell::OnceCell;

/// What the chains made of a packet, and what its conn is to become.
pub(super) struct Walked {
    pub(super) decision: Decision,
    /// What decided about the ends of a new conn, by [`Side`].
    pub(super) translated_by: [Option<TranslatedBy>; 2],
    pub(super) refused: Option<Refused>,
}

impl Engine {
    /// What is to be done about most packets of translated conns: as [`accept_steady`](Self::accept_steady), and the packet leaves with other
    /// headers. Its outcome is written where it belongs. `false`: there is more to be done, and nothing has changed.
    #[inline(always)]
    pub(super) fn accept_translated(
        &mut self,
        frame: &Frame<'_>,
        stage: &mut Stage,
        outcomes: &mut Vec<Outcome>,
    ) -> bool {
        if !matches!(stage.next, Next::Plain | Next::Sound) || !self.at_once[stage.way.index()].tracks_first {
            return false;
        }
        match stage.way.version() {
            IpVersion::V4 => self.accept_translated_v4(frame, stage, outcomes),
            IpVersion::V6 => self.accept_translated_v6(frame, stage, outcomes),
        }
    }

    /// Each IP version has the registers for itself.
    #[inline(never)]
    fn accept_translated_v4(
        &mut self,
        frame: &Frame<'_>,
        stage: &mut Stage,
        outcomes: &mut Vec<Outcome>,
    ) -> bool {
        let Some((passing, ends)) = self.tracker.find_passing_v4(frame.time, &stage.prepared) else {
            return false;
        };
        let patch = |stage: &Stage, checksum| {
            Patch::v4(frame.bytes, &stage.bounds, stage.prepared.protocol(), &ends, checksum)
        };
        self.accept_passing(frame, stage, outcomes, (IpVersion::V4, &passing), || ends.to(), patch)
    }

    #[inline(never)]
    fn accept_translated_v6(
        &mut self,
        frame: &Frame<'_>,
        stage: &mut Stage,
        outcomes: &mut Vec<Outcome>,
    ) -> bool {
        let Some((passing, leaves)) = self.tracker.find_passing_v6(frame.time, &stage.prepared) else {
            return false;
        };
        let patch = |stage: &Stage, checksum| Patch::new(frame.bytes, &stage.bounds, &leaves, checksum);
        self.accept_passing(frame, stage, outcomes, (IpVersion::V6, &passing), || leaves.destination, patch)
    }

    #[inline(always)]
    fn accept_passing(
        &mut self,
        frame: &Frame<'_>,
        stage: &mut Stage,
        outcomes: &mut Vec<Outcome>,
        (version, passing): (IpVersion, &Passing),
        destination: impl FnOnce() -> Address,
        patch: impl FnOnce(&Stage, ChecksumField) -> Option<Patch>,
    ) -> bool {
        let path = if self.topology.has_local() {
            Path::of(&self.topology, version, stage.prepared.source(), destination())
        } else {
            Path::Forward
        };
        let at_once = self.at_once[Way::new(path, version).index()];
        if !at_once.accepts(State::Established) || !self.is_sound(frame, stage) {
            return false;
        }
        let Some(patch) = patch(stage, self.checksum_field()) else { return false };
        let Some(conn) = self.tracker.pass(frame.time, &stage.bounds, frame.bytes, passing) else {
            return false;
        };
        let link = if stage.bounds.network == 0 { LinkType::RAW } else { frame.link };
        self.nat.output.add_patched(frame.number, link, patch);
        self.nat.statistics.packets += 1;
        outcomes.push(Outcome::of_passing(conn, passing.direction, at_once.rule));
        self.after_steady(frame);
        true
    }

    /// A packet that cannot be translated.
    #[cold]
    pub(super) fn untranslatable(&mut self, outcome: Outcome, why: BindingError) -> Outcome {
        self.nat.statistics.untranslatable += 1;
        Outcome { verdict: Verdict::Drop, reason: Some(Reason::Untranslatable(why)), ..outcome }
    }

    /// A packet of a known, translated conn.
    #[inline(never)]
    pub(super) fn pass_translated(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        tracked: &Tracked,
    ) -> Outcome {
        let Some(ends) = tracked.conn.and_then(|conn| self.nat.ends(&self.tracker, conn, tracked, packet))
        else {
            return Outcome::of(tracked, Verdict::Drop, None);
        };
        let path = route(&self.topology, packet, &Packet { destination: ends.destination, ..*packet });
        match self.accepts_at_once(path, packet.version, tracked.state) {
            Some(decision) => {
                let outcome = Outcome::of(tracked, decision.verdict, decision.rule);
                self.deliver(frame, packet, bytes, tracked, outcome)
            }
            None => self.judge_translating(frame, packet, bytes, &Wishes::default(), tracked),
        }
    }

    /// Tracks a packet of a conn whose sequence numbers are adjusted: it is judged by the numbers of its receiver.
    #[inline(never)]
    pub(super) fn track_adjusted(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
        (unusual, conn): (Unusual, ConnId),
    ) -> Result<Tracked, TableFull> {
        let mut received = *packet;
        let mut scratch = std::mem::take(&mut self.nat.scratch);
        scratch.clear();
        scratch.extend_from_slice(bytes);
        let translation = self.tracker.translation(conn).and_then(|slot| self.nat.translation(slot));
        let payload = translation.and_then(|it| it.payload.as_ref());
        if let Some((first, payload)) = self.tracker.original(conn).zip(payload) {
            let is_first = packet.source == first.source && packet.source_port() == Some(first.source_port);
            let from = if is_first { Direction::Original } else { Direction::Reply };
            payload.conversation.receive(from, &mut scratch, &mut received);
        }
        let tracked = self.tracker.track_unusual(frame.time, &received, &scratch, prepared, unusual);
        self.nat.scratch = scratch;
        tracked
    }

    /// A packet of a conn that is new, or translated, and its chains.
    #[inline(never)]
    pub(super) fn judge_translating(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        wishes: &Wishes,
        tracked: &Tracked,
    ) -> Outcome {
        let Some(mut course) = self.course(packet, tracked) else {
            return Outcome::of(tracked, Verdict::Drop, None);
        };
        let walked = self.walk(frame, packet, bytes, wishes, tracked, &mut course);
        self.conclude(frame, packet, bytes, wishes, tracked, (walked, course))
    }

    /// What follows when all chains were run.
    pub(super) fn conclude(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        wishes: &Wishes,
        tracked: &Tracked,
        (walked, mut course): (Walked, Course),
    ) -> Outcome {
        let Walked { decision, translated_by, refused } = walked;
        if let Some(refused) = refused {
            return self.refuse(frame, tracked, wishes, &course, refused);
        }
        let begins = course.is_translated() && decision.verdict == Verdict::Accept;
        if begins {
            self.lease(frame, &mut course);
        }
        let outcome = self.settle(frame, packet, wishes, tracked, decision);
        let kept = match tracked.conn {
            Some(conn) if begins && outcome.verdict == Verdict::Accept => {
                self.nat.begin(&mut self.tracker, conn, &course)
            }
            _ => false,
        };
        if !kept {
            self.nat.give_back(&course.holding);
        } else if let Some(conn) = tracked.conn {
            self.prepare_payload(frame, tracked);
            self.tell_translated(frame, conn, translated_by);
        }
        if outcome.verdict != Verdict::Accept {
            return outcome;
        }
        self.deliver(frame, packet, bytes, tracked, outcome)
    }

    pub(super) fn tell_translated(
        &mut self,
        frame: &Frame<'_>,
        conn: ConnId,
        [destination, source]: [Option<TranslatedBy>; 2],
    ) {
        let (packet, time) = (frame.number, frame.time);
        self.push(Event::ConnTranslated { packet, time, conn, source, destination });
    }

    /// What is known of the ends of this packet's conn, and what is still to be decided.
    fn course(&self, packet: &Packet, tracked: &Tracked) -> Option<Course> {
        let conn = tracked.conn?;
        if !tracked.created {
            return self
                .nat
                .ends(&self.tracker, conn, tracked, packet)
                .map(|ends| Course::decided(conn, ends));
        }
        Some(Course::open(Some(conn), self.tracker.original(conn)?))
    }

    /// Runs the chains of all hooks, and decides about both ends of a new conn on the way.
    pub(super) fn walk(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        wishes: &Wishes,
        tracked: &Tracked,
        course: &mut Course,
    ) -> Walked {
        let Self { tracker, host, nat, rules, topology, events, max_events, statistics, .. } = self;
        let follow = tracked.expectation.filter(|_| tracked.created).and_then(|id| host.follow(id));
        if let Some(follow) = follow
            && let Err(refused) = nat.lead(tracker, frame.time, course, &follow)
        {
            let (decision, translated_by) = (Decision::ACCEPT, [None; 2]);
            return Walked { decision, translated_by, refused: Some(refused) };
        }
        let (version, now) = (packet.version, frame.time);
        let views = [OnceCell::new(), OnceCell::new()];
        let mut scene = Scene::new(frame, packet, bytes, topology, wishes);
        let mut decision = Decision::ACCEPT;
        let mut path = route(topology, packet, packet);
        let mut passed = 0;
        let mut translated_by = [None; 2];
        while let Some(&hook) = path.hooks().get(passed) {
            passed += 1;
            scene.enter(hook);
            if hook == Hook::Forward && scene.has_no_route() {
                return Walked { decision, translated_by, refused: Some(Refused::NoRoute) };
            }
            let steps =
                rules.as_ref().map_or_else(|| Steps::without_rules(hook), |rules| rules.steps(version, hook));
            let is_last_hook = passed == path.hooks().len();
            for (position, step) in steps.as_slice().iter().enumerate() {
                if let Some(rules) = rules.as_mut().filter(|_| step.runs)
                    && step.side.is_none_or(|side| course.is_open(side))
                {
                    let subject = AfterTracking { scene: &scene, tracker, host, tracked, now };
                    let mut log = |rule, statement: &LogStatement| {
                        push(events, *max_events, statistics, log_event(frame, &scene, rule, statement));
                    };
                    decision = decision.then(rules.run_leg(step.number, now, &subject, &mut log));
                    if decision.verdict != Verdict::Accept {
                        return Walked { decision, translated_by, refused: None };
                    }
                }
                let Some(side) = step.side else { continue };
                if course.is_open(side) {
                    let asked = scene.wishes().nat.take();
                    match nat.decide(tracker, now, course, side, hook, asked, &scene) {
                        Ok(by) => translated_by[side as usize] = by,
                        Err(refused) => {
                            return Walked { decision, translated_by, refused: Some(refused) };
                        }
                    }
                }
                // Nobody sees the packet again, or it looks as before.
                if (is_last_hook && position + 1 == steps.as_slice().len())
                    || !course.changes(scene.packet(), side)
                {
                    continue;
                }
                let Some(view) = views.get(side as usize).filter(|view| view.get().is_none()) else {
                    continue;
                };
                let view = view.get_or_init(|| course.shown(scene.packet(), side));
                scene = scene.renewed(view, frame);
                if side == Side::Destination {
                    path = route(topology, packet, view);
                }
            }
        }
        Walked { decision, translated_by, refused: None }
    }

    /// The port of a translated source becomes the conn's own.
    pub(super) fn lease(&mut self, frame: &Frame<'_>, course: &mut Course) {
        if self.nat.lease(&mut self.tracker, frame.time, course) {
            return;
        }
        // Its last holder has ended, perhaps with this very packet, and was not taken note of yet.
        self.tracker.advance(frame.time, super::EXPIRY_PER_PACKET);
        self.take_tracker_events(super::Moment { packet: frame.number, time: frame.time });
        self.nat.lease(&mut self.tracker, frame.time, course);
    }

    /// A first packet whose conn cannot be translated is dropped.
    #[cold]
    fn refuse(
        &mut self,
        frame: &Frame<'_>,
        tracked: &Tracked,
        wishes: &Wishes,
        course: &Course,
        refused: Refused,
    ) -> Outcome {
        self.nat.give_back(&course.holding);
        self.nat.count(refused);
        let drop = Decision { verdict: Verdict::Drop, rule: None };
        let outcome = self.settle(frame, &Packet::default(), wishes, tracked, drop);
        if let (Some(reason), Some(tuple)) = (refused.told(), course.leaving()) {
            let (packet, time) = (frame.number, frame.time);
            self.push(Event::NatFailed { packet, time, tuple: Box::new(tuple), reason });
        }
        Outcome { reason: Some(refused.reason()), ..outcome }
    }

    /// An accepted packet: its helper reads it, and if its conn is translated it leaves translated.
    pub(super) fn deliver(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        tracked: &Tracked,
        outcome: Outcome,
    ) -> Outcome {
        let slot = tracked.conn.and_then(|conn| self.tracker.translation(conn));
        let rewrites = |slot: &u32| self.nat.translation(*slot).is_some_and(|it| it.payload.is_some());
        if let Some(slot) = slot.filter(rewrites).filter(|_| !tracked.icmp_error) {
            return self.rewrite(frame, packet, bytes, tracked, outcome, slot);
        }
        self.show(frame, packet, bytes, tracked);
        let binding = tracked.conn.and_then(|conn| nat::binding(&self.tracker, conn));
        let Some((slot, binding)) = slot.zip(binding) else { return outcome };
        let payload = self.nat.slots.get(slot).and_then(|translation| translation.payload.as_ref());
        let checksum = self.checksum_field();
        let link = if packet.network == 0 { LinkType::RAW } else { frame.link };
        let leaving = self.nat.output.add(frame.number, EmissionKind::Translated, link, bytes);
        match binding.translate(tracked.direction, leaving, packet, checksum) {
            Ok(()) => {
                if let (Some(payload), Some(Ok(quoted))) = (payload, packet.quoted(bytes)) {
                    let against = tracked.direction.opposite();
                    payload.conversation.restore_quoted(against, leaving, packet, &quoted);
                }
                self.nat.statistics.packets += 1;
                Outcome { rewritten: true, ..outcome }
            }
            Err(why) => {
                self.nat.output.withdraw();
                self.untranslatable(outcome, why)
            }
        }
    }

    /// As a frame that was captured behind the translation would have come in before it: for captures of one side.
    ///
    /// The frame's datagram bears what packets of one of the translated conns bear when they *leave*; it is written to `out` as that
    /// conn's packets bear it when they *come*, link header included. The first packet of an expected conn is addressed to the end that was
    /// announced in the real one's stead, and the conn is the expectation's master. `None`: there is no such conn; `out` holds nothing of use.
    pub fn view_from_outside(&self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Option<ConnId> {
        self.nat.view_from_outside(&self.tracker, &self.host, frame, out)
    }
}

/// The way of a packet that came as `came` and goes on as `goes`.
fn route(topology: &Topology, came: &Packet, goes: &Packet) -> Path {
    Path::between(
        topology.is_local(came.version, came.source),
        topology.is_local(came.version, goes.destination),
    )
}
