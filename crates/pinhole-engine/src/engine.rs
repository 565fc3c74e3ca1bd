//! The engine: one shard's whole path from frame to outcome.
//!
//! A frame goes through [`Engine::handle`], or many through [`Engine::handle_batch`], which does the same work in passes (parse all, hash
//! all, touch all, then act) so that the memory of many conns is fetched at once. Both give the same outcomes.
//!
//! Invariants: a conn that [`Tracker::track`] created is confirmed or abandoned before the next packet is tracked; events that the tracker
//! queues are taken after every packet, so that sessions and origins never outlive their conns.

mod rewrite;
mod translate;

use crate::defrag::{Defragmenter, Outcome as Reassembly};
use crate::event::{Event, ExpectationRecord, Outcome, Provenance, RULE, Reason, RuleRef, Verdict};
use crate::host::{Host, Moment, Seen};
use crate::nat::{Emission, Nat, NatStatistics};
use crate::rules::{AtOnce, Decision, Path, Rules, Way};
use crate::scene::{AfterTracking, BeforeTracking, Scene, Wishes};
use crate::settings::{ChecksumPolicy, Settings, SetupError};
use crate::stage::{self, Next, Stage};
use crate::{InterfaceId, Topology};
use pinhole_helper::{Pickup, Registry, Span};
use pinhole_ruleset::{ObjectId, RuleId, Ruleset, RulesetState};
use pinhole_track::{
    ConnId, Event as TrackEvent, ExpectationId, Invalid, Known, Prepared, State, TableFull, Tracked, Tracker,
    Unusual,
};
use pinhole_wire::checksum::{self, Checksum};
use pinhole_wire::{Direction, IpVersion, LinkType, Packet, ParseError, Protocol, TcpFlags, Time, Transport};
use std::cell::Cell;
use std::collections::VecDeque;

/// Packets that one pass of [`Engine::handle_batch`] works on.
pub const BATCH: usize = 32;

/// Expiry steps done per packet handled; bounds what a packet can be made to pay for others' timeouts.
const EXPIRY_PER_PACKET: usize = 4;

/// What is known of a frame's transport checksum before anybody reads its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameChecksum {
    /// Nothing.
    #[default]
    Unknown,
    /// It is right: a network card verified it, or the frame never was on a wire.
    Verified,
    /// The field holds the pseudo-header's sum, and is completed on the way out.
    Partial,
}

/// One frame, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The caller's count of frames; comes back in events.
    pub number: u64,
    /// Arrival.
    pub time: Time,
    /// Link layer of the bytes.
    pub link: LinkType,
    /// The frame, from its link header on, as far as it was captured.
    pub bytes: &'a [u8],
    /// The interface it came in by, if known; else the topology tells by source address.
    pub ingress: Option<InterfaceId>,
    /// The interface it will leave by, if known; else the topology tells by destination address.
    pub egress: Option<InterfaceId>,
    /// What whoever received the frame knows of its transport checksum.
    pub checksum: FrameChecksum,
}

/// Counters of what happened before tracking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Frames handled.
    pub frames: u64,
    /// Frames that are not IP.
    pub not_ip: u64,
    /// Datagrams that cannot be parsed.
    pub malformed: u64,
    /// Fragments kept or put together.
    pub fragments: u64,
    /// Transport checksums that are wrong.
    pub bad_checksums: u64,
    /// Events dropped because nobody took them.
    pub events_dropped: u64,
}

/// One shard of a stateful firewall.
pub struct Engine {
    tracker: Tracker,
    defragmenter: Defragmenter,
    nat: Nat,
    /// The checksum of the packet at hand was left to the network card.
    partial: bool,
    rules: Option<Rules>,
    /// By [`Way`]: what the rules make of most packets.
    at_once: [AtOnce; Way::COUNT],
    host: Host,
    events: VecDeque<Event>,
    max_events: usize,
    topology: Topology,
    checksums: ChecksumPolicy,
    pickup: Pickup,
    /// (protocol, port, helper number), from explicit settings.
    attachments: Vec<(Protocol, u16, u16)>,
    statistics: Statistics,
    stages: Vec<Stage>,
    datagram: Vec<u8>,
}

impl Engine {
    /// Sets up an engine. Without a ruleset everything is accepted and tracked.
    ///
    /// # Errors
    /// The ruleset or the settings name helpers or timeouts that do not exist; all such errors are returned.
    pub fn new(
        settings: Settings,
        registry: &Registry,
        ruleset: Option<Ruleset>,
    ) -> Result<Self, Vec<SetupError>> {
        let mut tracker = Tracker::new(settings.track, settings.secret);
        let host = Host::new(registry, settings.pickup, settings.policy, settings.helper_memory);
        let mut errors = Vec::new();
        let rules =
            ruleset.and_then(|r| Rules::new(r, &host, &mut tracker).map_err(|e| errors.extend(e)).ok());
        let mut attachments = Vec::new();
        for attachment in &settings.attachments {
            let Some((number, helper)) =
                host.number(&attachment.helper).and_then(|n| Some((n, host.helper(n)?)))
            else {
                errors.push(SetupError::UnknownHelper { name: attachment.helper.clone(), location: None });
                continue;
            };
            let spec = helper.spec();
            let ports = if attachment.ports.is_empty() { spec.ports } else { &attachment.ports };
            for &protocol in spec.protocols {
                attachments.extend(ports.iter().map(|&port| (protocol, port, number)));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            tracker,
            defragmenter: Defragmenter::new(settings.defrag),
            nat: Nat::new(settings.nat, rules.as_ref().is_some_and(Rules::has_nat), settings.secret),
            partial: false,
            at_once: at_once(rules.as_ref()),
            rules,
            host,
            events: VecDeque::new(),
            max_events: settings.max_events,
            topology: settings.topology,
            checksums: settings.checksums,
            pickup: settings.pickup,
            attachments,
            statistics: Statistics::default(),
            stages: (0..BATCH).map(|_| Stage::default()).collect(),
            datagram: Vec::new(),
        })
    }

    /// Handles one frame.
    pub fn handle(&mut self, frame: &Frame<'_>) -> Outcome {
        self.nat.output.clear();
        let mut stage = Stage::default();
        self.statistics.frames += 1;
        stage.prepare(frame, &self.tracker, &self.topology, &mut self.statistics);
        match self.accept_known(frame, &mut stage) {
            Some((known, rule)) => Outcome::of_known(&known, Verdict::Accept, rule),
            None => self.act(frame, &mut stage),
        }
    }

    /// Handles frames in order; one outcome each is appended.
    pub fn handle_batch(&mut self, frames: &[Frame<'_>], outcomes: &mut Vec<Outcome>) {
        self.nat.output.clear();
        let mut stages = std::mem::take(&mut self.stages);
        outcomes.reserve(frames.len());
        for chunk in frames.chunks(BATCH) {
            let (stages, _) = stages.split_at_mut(chunk.len().min(BATCH));
            self.statistics.frames += chunk.len() as u64;
            for (frame, stage) in chunk.iter().zip(&mut *stages) {
                stage.prepare(frame, &self.tracker, &self.topology, &mut self.statistics);
            }
            for stage in &*stages {
                self.tracker.touch_slot(&stage.prepared);
            }
            for stage in &mut *stages {
                self.tracker.touch(&mut stage.prepared);
            }
            for (frame, stage) in chunk.iter().zip(stages) {
                // Two places, so that an outcome of the usual kind is written where it belongs, and not moved there.
                match self.accept_known(frame, stage) {
                    Some((known, rule)) => outcomes.push(Outcome::of_known(&known, Verdict::Accept, rule)),
                    None => outcomes.push(self.act(frame, stage)),
                }
            }
        }
        self.stages = stages;
    }

    /// Lets time pass without a packet: ends up to `budget` things that are due. Returns whether more are due.
    pub fn advance(&mut self, now: Time, budget: usize) -> bool {
        self.nat.output.clear();
        self.defragmenter.advance(now);
        self.expire_holds(now);
        let more = self.tracker.advance(now, budget);
        self.take_tracker_events(Moment { packet: 0, time: now });
        more || self.defragmenter.next_deadline().is_some_and(|next| next <= now)
    }

    /// When [`Self::advance`] should be called next if no packet comes.
    pub fn next_deadline(&self) -> Option<Time> {
        [self.tracker.next_deadline(), self.defragmenter.next_deadline(), self.nat.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Puts another ruleset into force, or none. Conns, expectations and sessions stay; rules decide about their next packets anew.
    /// Counters start at zero.
    ///
    /// # Errors
    /// As [`new`](Self::new); nothing has changed then.
    pub fn replace_ruleset(&mut self, ruleset: Option<Ruleset>) -> Result<(), Vec<SetupError>> {
        self.rules = ruleset.map(|ruleset| Rules::new(ruleset, &self.host, &mut self.tracker)).transpose()?;
        self.nat.ruled = self.rules.as_ref().is_some_and(Rules::has_nat);
        self.at_once = at_once(self.rules.as_ref());
        Ok(())
    }

    /// Own addresses and interfaces, to be changed when the host's change.
    pub fn topology_mut(&mut self) -> &mut Topology {
        &mut self.topology
    }

    /// Ends a conn on request; its events follow. `false`: there is no such conn.
    pub fn delete(&mut self, now: Time, conn: ConnId) -> bool {
        let deleted = self.tracker.delete(now, conn);
        self.take_tracker_events(Moment { packet: 0, time: now });
        deleted
    }

    /// Ends all conns on request.
    pub fn flush(&mut self, now: Time) {
        self.tracker.flush(now, None);
        self.take_tracker_events(Moment { packet: 0, time: now });
    }

    /// The conn table.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The packets that the last call ([`handle`](Self::handle), [`handle_batch`](Self::handle_batch) or [`advance`](Self::advance))
    /// made, in the order in which they are to be sent. A frame whose outcome says that it was
    /// [rewritten](Outcome::rewritten) is among them; others are sent as they came.
    pub fn output(&self) -> impl Iterator<Item = Emission<'_>> {
        self.nat.output.iter()
    }

    /// Counters of NAT.
    pub fn nat_statistics(&self) -> NatStatistics {
        self.nat.statistics
    }

    /// Ports in use by conns whose source is translated.
    pub fn nat_ports(&self) -> u64 {
        self.nat.ports()
    }

    /// The fragments that wait for the rest of their datagrams.
    pub fn defragmenter(&self) -> &Defragmenter {
        &self.defragmenter
    }

    /// The helper sessions.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The ruleset in force.
    pub fn ruleset(&self) -> Option<&Ruleset> {
        self.rules.as_ref().map(Rules::ruleset)
    }

    /// Counters of the ruleset in force.
    pub fn ruleset_state(&self) -> Option<&RulesetState> {
        self.rules.as_ref().map(Rules::state)
    }

    /// Counters of what happened before tracking.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// What is to be done about most packets: a known conn accepts them, its state decides, and there is nothing to carry out. `None`: there
    /// is more to be done, and [`act`](Self::act) goes on.
    #[inline(always)]
    fn accept_known(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Option<(Known, Option<RuleRef>)> {
        if !matches!(stage.next, Next::Plain) || !self.at_once[stage.way.index()].tracks_first {
            return None;
        }
        if self.checksums == ChecksumPolicy::Verify && self.is_corrupt_plain(frame, stage) {
            stage.next = Next::Corrupt;
            return None;
        }
        let at_once = &self.at_once[stage.way.index()];
        let Some(known) =
            self.tracker.follow_plain(frame.time, &stage.bounds, frame.bytes, &mut stage.prepared)
        else {
            stage.next = Next::Unusual;
            return None;
        };
        if !known.plain || !at_once.accepts(known.state) {
            stage.next = Next::Known(known);
            return None;
        }
        let rule = at_once.rule;
        self.after(frame);
        Some((known, rule))
    }

    #[inline(never)]
    fn is_corrupt_plain(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> bool {
        let Stage { packet, bounds, .. } = stage;
        packet.parse_plain(frame.bytes, bounds).is_ok() && self.is_corrupt(frame, packet, frame.bytes)
    }

    #[inline(never)]
    fn act(&mut self, frame: &Frame<'_>, stage: &mut Stage) -> Outcome {
        let Stage { next, packet, prepared, bounds, .. } = stage;
        if let Next::Plain | Next::Known(_) | Next::Unusual = next
            && let Err(why) = packet.parse_plain(frame.bytes, bounds)
        {
            return Outcome::early(Verdict::Drop, Some(Reason::Parse(why)));
        }
        let outcome = match *next {
            Next::Plain | Next::Track => self.pass(frame, packet, frame.bytes, Some(prepared)),
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

    /// Ends what is due, and takes the tracker's events.
    #[inline(always)]
    fn after(&mut self, frame: &Frame<'_>) {
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
    fn accepts_at_once(&self, path: Path, version: IpVersion, state: State) -> Option<Decision> {
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
            let mut log = |rule| push(events, max, statistics, log_event(frame, rule));
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
        let scene = Scene::new(frame, packet, bytes, &self.topology, wishes);
        let mut decision = Decision::ACCEPT;
        if let Some(rules) = &mut self.rules {
            let (events, max, statistics) = (&mut self.events, self.max_events, &mut self.statistics);
            let mut log = |rule| push(events, max, statistics, log_event(frame, rule));
            let (tracker, host, now) = (&self.tracker, &self.host, frame.time);
            let subject = AfterTracking { scene: &scene, tracker, host, tracked, now };
            decision = rules.run(Way::new(path, packet.version), frame.time, &subject, &mut log);
        }
        let outcome = self.settle(frame, packet, wishes, tracked, decision);
        if outcome.verdict == Verdict::Accept {
            self.show(frame, packet, bytes, tracked);
        }
        outcome
    }

    fn path(&self, packet: &Packet) -> Path {
        Path::of(&self.topology, packet.version, packet.source, packet.destination)
    }

    /// After the rules: a new conn is confirmed or never was.
    fn settle(
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
    fn show(&mut self, frame: &Frame<'_>, packet: &Packet, bytes: &[u8], tracked: &Tracked) {
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
        self.host.adopt(id, provenance.clone());
        self.push(Event::ExpectationNew(Box::new(ExpectationRecord { expectation, provenance })));
    }

    /// The helper that an expectation asked for, to read the conn that it brings in.
    fn expected_helper(&self, tracked: &Tracked) -> Option<u16> {
        let expectation = self.tracker.expectation(tracked.expectation?)?;
        self.host.number(expectation.expect.helper?)
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
    fn take_tracker_events(&mut self, at: Moment) {
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
            if let Some(translation) = dead.translation {
                self.nat.end(translation);
            }
        }
    }

    fn push(&mut self, event: Event) {
        push(&mut self.events, self.max_events, &mut self.statistics, event);
    }
}

fn at_once(rules: Option<&Rules>) -> [AtOnce; Way::COUNT] {
    rules.map_or([AtOnce::WITHOUT_RULES; Way::COUNT], Rules::at_once)
}

fn invalid(why: Invalid) -> Tracked {
    Tracked { state: State::Invalid, invalid: Some(why), ..Tracked::UNTRACKED }
}

fn push(events: &mut VecDeque<Event>, max: usize, statistics: &mut Statistics, event: Event) {
    if events.len() >= max {
        events.pop_front();
        statistics.events_dropped += 1;
    }
    events.push_back(event);
}

fn log_event(frame: &Frame<'_>, rule: RuleId) -> Event {
    Event::Log { packet: frame.number, time: frame.time, rule }
}
