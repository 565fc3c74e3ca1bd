//! The path of a packet, from its stage to its outcome.
//!
//! A packet of an established conn that its state decides about leaves it at once ([`Engine::accept_steady`]); all others take the long
//! way ([`Engine::act`]): fragments are put together, chains before tracking are run, the conn is found or made, chains after
//! tracking judge.

use super::{EXPIRY_PER_PACKET, Engine, log_event, push};
use crate::defrag::Outcome as Reassembly;
use crate::event::{Outcome, Reason, RuleRef, Verdict};
use crate::frame::{Frame, FrameChecksum};
use crate::host::Moment;
use crate::rules::{Decision, Path, Way};
use crate::scene::{AfterTracking, BeforeTracking, Scene, Wishes};
use crate::settings::{ChecksumPolicy, OnFault};
use crate::stage::{self, Next, Stage};
use pinhole_helper::BlindReason;
use pinhole_ruleset::LogStatement;
use pinhole_track::{ConnId, Invalid, Known, Prepared, State, TableFull, Tracked, Unusual};
use pinhole_wire::checksum::{self, Checksum};
use pinhole_wire::{Direction, IpVersion, Packet, ParseError};

impl Engine {
    /// What is to be done about most packets: their conn is established and simply goes on, its state decides, and there is nothing to carry
    /// out. Returns the conn, the direction and the rule that accepts. `None`: there is more to be done, and [`act`](Self::act) goes on.
    #[inline(always)]
    pub(super) fn accept_steady(
        &mut self,
        frame: &Frame<'_>,
        stage: &mut Stage,
    ) -> Option<(ConnId, Direction, Option<RuleRef>)> {
        if !matches!(stage.next, Next::Plain) || !self.at_once[stage.way.index()].accepts_established {
            return None;
        }
        if self.checksums == ChecksumPolicy::Verify && !self.is_sound(frame, stage) {
            return None;
        }
        let Stage { bounds, prepared, .. } = stage;
        let (conn, direction) = self.tracker.follow_steady(frame.time, bounds, frame.bytes, prepared)?;
        self.after_steady(frame);
        Some((conn, direction, self.at_once[stage.way.index()].rule))
    }

    /// Verifies the checksum of a plain packet, as far as the policy wants it and it was not done before.
    #[inline(always)]
    pub(super) fn is_sound(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> bool {
        if self.checksums == ChecksumPolicy::Ignore && matches!(stage.next, Next::Plain) {
            self.partial = frame.checksum == FrameChecksum::Partial;
            stage.next = Next::Sound;
            return true;
        }
        self.proves_sound(frame, stage)
    }

    #[inline(never)]
    fn proves_sound(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> bool {
        let Stage { next, packet, bounds, .. } = stage;
        if matches!(next, Next::Plain) {
            let is_read = self.checksums == ChecksumPolicy::Ignore
                || frame.checksum != FrameChecksum::Unknown
                || packet.parse_plain(frame.bytes, bounds).is_ok();
            let is_corrupt = is_read && self.is_corrupt(frame, packet, frame.bytes);
            *next = if is_corrupt { Next::Corrupt } else { Next::Sound };
        }
        matches!(next, Next::Sound)
    }

    /// Other plain packets of which no more need be read. The outcome; else what comes next is in the stage.
    fn accept_plain(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Option<Outcome> {
        if !self.at_once[stage.way.index()].tracks_first || !self.is_sound(frame, stage) {
            return None;
        }
        // What no early load has found is most likely of no conn; whatever was found then may have ended since.
        let is_unknown = stage.prepared.is_unknown();
        if is_unknown && let Some(outcome) = self.open(frame, stage) {
            return Some(outcome);
        }
        self.accept_known(frame, stage).or_else(|| {
            let is_first =
                !is_unknown && matches!(stage.next, Next::Unusual) && stage.prepared.unusual.is_apart();
            if is_first { self.open(frame, stage) } else { None }
        })
    }

    /// Asks the tracker about a plain packet. The outcome, if a known conn accepts the packet, its state decides, and there is nothing to carry
    /// out.
    fn accept_known(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Option<Outcome> {
        let at_once = self.at_once[stage.way.index()];
        let Stage { bounds, prepared, .. } = stage;
        let Some(known) = self.tracker.follow_plain(frame.time, bounds, frame.bytes, prepared) else {
            stage.next = Next::Unusual;
            return None;
        };
        if !known.plain || !at_once.accepts(known.state) {
            stage.next = Next::Known(known);
            return None;
        }
        self.after(frame);
        Some(Outcome::of_known(&known, Verdict::Accept, at_once.rule))
    }

    #[inline]
    pub(super) fn act(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Outcome {
        match self.on_fault {
            OnFault::Pass => self.act_unguarded(frame, stage),
            OnFault::Drop => self.act_guarded(frame, stage),
        }
    }

    /// Drops what would pass though the helper of its conn was quarantined, be it by this very packet.
    #[inline(never)]
    fn act_guarded(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Outcome {
        let made = self.nat.output.len();
        let outcome = self.act_unguarded(frame, stage);
        let blind = outcome.conn.and_then(|conn| self.tracker.blind(conn));
        if outcome.verdict != Verdict::Accept || !matches!(blind, Some(BlindReason::Quarantined(_))) {
            return outcome;
        }
        self.nat.output.cut_to(made);
        let (verdict, reason) = (Verdict::Drop, Some(Reason::HelperQuarantined));
        Outcome { verdict, reason, rewritten: false, ..outcome }
    }

    #[inline(never)]
    fn act_unguarded(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Outcome {
        if let Next::Plain | Next::Sound = stage.next
            && let Some(outcome) = self.accept_plain(frame, stage)
        {
            return outcome;
        }
        let Stage { next, packet, prepared, bounds, .. } = stage;
        if let Next::Plain | Next::Corrupt | Next::Known(_) | Next::Unusual = next
            && let Err(why) = packet.parse_plain(frame.bytes, bounds)
        {
            return Outcome::early(Verdict::Drop, Some(Reason::Parse(why)));
        }
        let outcome = match *next {
            Next::Plain | Next::Sound | Next::Track => self.pass(frame, packet, frame.bytes, Some(prepared)),
            Next::Known(known) => self.pass_followed(frame, packet, frame.bytes, prepared, Ok(known)),
            Next::Unusual => self.pass_followed(frame, packet, frame.bytes, prepared, Err(prepared.unusual)),
            Next::Corrupt => {
                let path = self.path(packet);
                let corrupt = invalid(Invalid::Checksum);
                self.judge(frame, path, packet, frame.bytes, &Wishes::default(), &corrupt)
            }
            Next::Invalid(why) => self.pass_malformed(frame, packet, frame.bytes, why),
            Next::Reassemble => self.reassemble(frame, packet),
            Next::Done(outcome) => return outcome,
        };
        self.after(frame);
        outcome
    }

    /// As [`after`](Self::after), behind a packet that changed nothing of note.
    #[inline(always)]
    pub(super) fn after_steady(&mut self, frame: &Frame<'_>) {
        if !self.tracker.is_quiet(frame.time) || self.nat.is_holding() {
            self.after(frame);
        }
    }

    /// Ends what is due, and takes the tracker's events.
    pub(super) fn after(&mut self, frame: &Frame<'_>) {
        if self.nat.is_holding() {
            self.expire_holds(frame.time);
        }
        self.tracker.advance(frame.time, EXPIRY_PER_PACKET);
        if self.tracker.has_news() {
            self.take_tracker_events(Moment { packet: frame.number, time: frame.time });
        }
    }

    /// Fragments are tracked as the datagram that they make up, at the fragment that completes it.
    fn reassemble(&mut self, frame: &Frame<'_>, packet: &Packet) -> Outcome {
        self.statistics.fragments += 1;
        let mut datagram = std::mem::take(&mut self.datagram);
        datagram.clear();
        match self.defragmenter.push(frame.time, packet, frame.bytes, 0) {
            Reassembly::Complete(whole) => datagram.extend_from_slice(whole),
            Reassembly::Held => {
                self.datagram = datagram;
                return Outcome::early(Verdict::Held, Some(Reason::FragmentHeld));
            }
            Reassembly::Dropped(why) => {
                self.datagram = datagram;
                return Outcome::early(Verdict::Drop, Some(Reason::Defragment(why)));
            }
        }
        let mut whole = Packet::default();
        let outcome = match stage::parse(&mut whole, &datagram, 0) {
            Ok(None) => {
                let prepared = self.tracker.prepare(&whole, &datagram, 0);
                self.pass(frame, &whole, &datagram, Some(&prepared))
            }
            Ok(Some(why)) => self.pass_malformed(frame, &whole, &datagram, why),
            Err(why) => {
                self.statistics.malformed += 1;
                Outcome::early(Verdict::Drop, Some(Reason::Parse(why)))
            }
        };
        self.datagram = datagram;
        outcome
    }

    /// The path of one whole datagram. Without `prepared` it cannot be tracked, because its transport header is bad.
    fn pass(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        prepared: Option<&Prepared>,
    ) -> Outcome {
        let path = self.path(packet);
        if !self.at_once[Way::new(path, packet.version).index()].tracks_first {
            return self.pass_raw(frame, path, packet, bytes, prepared);
        }
        let tracked = match prepared {
            _ if self.is_corrupt(frame, packet, bytes) => invalid(Invalid::Checksum),
            None => invalid(Invalid::Malformed),
            Some(prepared) => {
                let followed = self.tracker.follow(frame.time, packet, bytes, prepared);
                return self.pass_followed(frame, packet, bytes, prepared, followed);
            }
        };
        self.judge(frame, path, packet, bytes, &Wishes::default(), &tracked)
    }

    /// The rest of the path of a datagram for which the tracker has looked for a conn.
    #[inline]
    fn pass_followed(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
        followed: Result<Known, Unusual>,
    ) -> Outcome {
        let path = self.path(packet);
        let tracked = match followed {
            Ok(known) if known.translated => {
                return self.pass_translated(frame, packet, bytes, &known.into());
            }
            Ok(known) => match self.accepts_at_once(path, packet.version, known.state) {
                Some(decision) => {
                    if !known.plain {
                        self.show(frame, packet, bytes, &known.into());
                    }
                    return Outcome::of_known(&known, decision.verdict, decision.rule);
                }
                None => known.into(),
            },
            Err(unusual) => match self.track_unusual(frame, packet, bytes, prepared, unusual) {
                Ok(tracked) => tracked,
                Err(TableFull) => return Outcome::early(Verdict::Drop, Some(Reason::TableFull)),
            },
        };
        self.judge(frame, path, packet, bytes, &Wishes::default(), &tracked)
    }

    /// Tracks a packet that no known conn simply accepts.
    fn track_unusual(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
        unusual: Unusual,
    ) -> Result<Tracked, TableFull> {
        match unusual.adjusted(&self.tracker) {
            Some(conn) => self.track_adjusted(frame, packet, bytes, prepared, (unusual, conn)),
            None => self.tracker.track_unusual(frame.time, packet, bytes, prepared, unusual),
        }
    }

    /// The decision about a packet of a known conn, if no chain looks at more than its state.
    pub(super) fn accepts_at_once(&self, path: Path, version: IpVersion, state: State) -> Option<Decision> {
        let at_once = self.at_once[Way::new(path, version).index()];
        at_once.accepts(state).then_some(Decision { verdict: Verdict::Accept, rule: at_once.rule })
    }

    /// The path of a datagram whose transport header is bad: rules see it as `invalid`.
    #[cold]
    fn pass_malformed(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        why: ParseError,
    ) -> Outcome {
        let outcome = self.pass(frame, packet, bytes, None);
        let reason = if outcome.state.is_some() { Some(Reason::Parse(why)) } else { outcome.reason };
        Outcome { reason, ..outcome }
    }

    /// The path of a datagram that meets chains before it is tracked.
    #[inline(never)]
    fn pass_raw(
        &mut self,
        frame: &Frame<'_>,
        path: Path,
        packet: &Packet,
        bytes: &[u8],
        prepared: Option<&Prepared>,
    ) -> Outcome {
        let wishes = Wishes::default();
        let scene = Scene::new(frame, packet, bytes, &self.topology, &wishes);
        if let Some(rules) = &mut self.rules {
            let (events, max, statistics) = (&mut self.events, self.max_events, &mut self.statistics);
            let mut log = |rule, statement: &LogStatement| {
                push(events, max, statistics, log_event(frame, &scene, rule, statement));
            };
            let decision =
                rules.run_raw(Way::new(path, packet.version), frame.time, &BeforeTracking(&scene), &mut log);
            if decision.verdict != Verdict::Accept {
                return Outcome { rule: decision.rule, ..Outcome::early(decision.verdict, None) };
            }
        }
        let in_zone = match (wishes.zone.get(), prepared) {
            (Some(zone), Some(_)) => Some(self.tracker.prepare(packet, bytes, zone)),
            _ => None,
        };
        let tracked = match in_zone.as_ref().or(prepared) {
            _ if wishes.notrack.get() => Ok(Tracked::UNTRACKED),
            _ if self.is_corrupt(frame, packet, bytes) => Ok(invalid(Invalid::Checksum)),
            None => Ok(invalid(Invalid::Malformed)),
            Some(prepared) => match self.tracker.follow(frame.time, packet, bytes, prepared) {
                Ok(known) => Ok(known.into()),
                Err(unusual) => self.track_unusual(frame, packet, bytes, prepared, unusual),
            },
        };
        match tracked {
            Ok(tracked) => self.judge(frame, path, packet, bytes, &wishes, &tracked),
            Err(TableFull) => Outcome::early(Verdict::Drop, Some(Reason::TableFull)),
        }
    }

    #[inline]
    fn is_corrupt(&mut self, frame: &Frame<'_>, packet: &Packet, bytes: &[u8]) -> bool {
        if self.checksums == ChecksumPolicy::Ignore {
            self.partial = frame.checksum == FrameChecksum::Partial;
            return false;
        }
        let checksum = match frame.checksum {
            FrameChecksum::Unknown => checksum::verify_transport(packet, bytes),
            FrameChecksum::Verified => Checksum::Good,
            FrameChecksum::Partial => Checksum::Partial,
        };
        self.partial = checksum == Checksum::Partial;
        let corrupt = checksum == Checksum::Bad;
        self.statistics.bad_checksums += u64::from(corrupt);
        corrupt
    }

    /// Runs the chains that come after tracking, and does what they say.
    #[inline(never)]
    fn judge(
        &mut self,
        frame: &Frame<'_>,
        path: Path,
        packet: &Packet,
        bytes: &[u8],
        wishes: &Wishes,
        tracked: &Tracked,
    ) -> Outcome {
        if let Some(conn) = tracked.conn
            && if tracked.created { self.nat.is_active() } else { self.tracker.is_translated(conn) }
        {
            return self.judge_translating(frame, packet, bytes, wishes, tracked);
        }
        if self.has_no_route(frame, path, packet) {
            let drop = Decision { verdict: Verdict::Drop, rule: None };
            let outcome = self.settle(frame, packet, wishes, tracked, drop);
            return Outcome { reason: Some(Reason::NoRoute), ..outcome };
        }
        let decision = self.decide(frame, Way::new(path, packet.version), packet, bytes, wishes, tracked);
        let outcome = self.settle(frame, packet, wishes, tracked, decision);
        if outcome.verdict == Verdict::Accept {
            self.show(frame, packet, bytes, tracked);
        }
        outcome
    }

    /// Whether a packet that is to be forwarded can be sent nowhere.
    #[inline]
    pub(super) fn has_no_route(&self, frame: &Frame<'_>, path: Path, packet: &Packet) -> bool {
        let topology = &self.topology;
        topology.is_routed()
            && path == Path::Forward
            && frame.egress.or_else(|| topology.towards(packet.version, packet.destination)).is_none()
    }

    /// Runs the chains that come after tracking.
    #[inline]
    pub(super) fn decide(
        &mut self,
        frame: &Frame<'_>,
        way: Way,
        packet: &Packet,
        bytes: &[u8],
        wishes: &Wishes,
        tracked: &Tracked,
    ) -> Decision {
        let Some(rules) = &mut self.rules else { return Decision::ACCEPT };
        let scene = Scene::new(frame, packet, bytes, &self.topology, wishes);
        let (events, max, statistics) = (&mut self.events, self.max_events, &mut self.statistics);
        let mut log = |rule, statement: &LogStatement| {
            push(events, max, statistics, log_event(frame, &scene, rule, statement));
        };
        let (tracker, host, now) = (&self.tracker, &self.host, frame.time);
        let subject = AfterTracking { scene: &scene, tracker, host, tracked, now };
        rules.run(way, now, &subject, &mut log)
    }

    #[inline]
    pub(super) fn path(&self, packet: &Packet) -> Path {
        Path::of(&self.topology, packet.version, packet.source, packet.destination)
    }
}

fn invalid(why: Invalid) -> Tracked {
    Tracked { state: State::Invalid, invalid: Some(why), ..Tracked::UNTRACKED }
}
