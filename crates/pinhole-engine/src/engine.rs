//! The engine: one shard's whole path from frame to outcome.
//!
//! A frame goes through [`Engine::handle`], or many through [`Engine::handle_batch`], which does the same work in passes (parse all, hash
//! all, touch all, then act) so that the memory of many conns is fetched at once. Both give the same outcomes.
//!
//! Invariants: a conn that [`Tracker::track`] created is confirmed or abandoned before the next packet is tracked; events that the tracker
//! queues are taken after every packet, so that sessions and origins never outlive their conns.

use crate::defrag::{Defragmenter, Outcome as Reassembly};
use crate::event::{Event, ExpectationRecord, Outcome, Provenance, RULE, Reason, Verdict};
use crate::host::{Host, Moment, Seen};
use crate::rules::{Decision, Path, Rules};
use crate::scene::{AfterTracking, BeforeTracking, Scene, Wishes};
use crate::settings::{ChecksumPolicy, Settings, SetupError};
use crate::{InterfaceId, Topology};
use pinhole_helper::{Pickup, Registry, Span};
use pinhole_ruleset::{ObjectId, RuleId, Ruleset, RulesetState};
use pinhole_track::{
    ConnId, Event as TrackEvent, ExpectationId, Invalid, Prepared, State, TableFull, Tracked, Tracker,
};
use pinhole_wire::checksum::{self, Checksum};
use pinhole_wire::link::{self, NetworkKind};
use pinhole_wire::{Direction, IpVersion, LinkType, Packet, ParseError, Protocol, TcpFlags, Time, Transport};
use std::cell::Cell;
use std::collections::VecDeque;

/// Packets that one pass of [`Engine::handle_batch`] works on.
pub const BATCH: usize = 32;

/// Expiry steps done per packet handled; bounds what a packet can be made to pay for others' timeouts.
const EXPIRY_PER_PACKET: usize = 4;

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
    /// Packets for which a NAT statement was met; translation is not carried out yet (ROADMAP.md).
    pub nat_not_done: u64,
    /// Events dropped because nobody took them.
    pub events_dropped: u64,
}

/// One shard of a stateful firewall.
pub struct Engine {
    tracker: Tracker,
    defragmenter: Defragmenter,
    rules: Option<Rules>,
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

/// What the first passes of a batch made of a frame.
enum Stage {
    Done(Outcome),
    Fragment(Packet),
    Ready(Packet, Prepared),
    /// The transport header is bad: there is nothing to track, but rules see the packet as `invalid`.
    Invalid(Packet, ParseError),
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
            rules,
            host,
            events: VecDeque::new(),
            max_events: settings.max_events,
            topology: settings.topology,
            checksums: settings.checksums,
            pickup: settings.pickup,
            attachments,
            statistics: Statistics::default(),
            stages: Vec::with_capacity(BATCH),
            datagram: Vec::new(),
        })
    }

    /// Handles one frame.
    pub fn handle(&mut self, frame: &Frame<'_>) -> Outcome {
        let stage = self.prepare(frame);
        self.act(frame, &stage)
    }

    /// Handles frames in order; one outcome each is appended.
    pub fn handle_batch(&mut self, frames: &[Frame<'_>], outcomes: &mut Vec<Outcome>) {
        let mut stages = std::mem::take(&mut self.stages);
        for chunk in frames.chunks(BATCH) {
            stages.extend(chunk.iter().map(|frame| self.prepare(frame)));
            for stage in &stages {
                if let Stage::Ready(_, prepared) = stage {
                    self.tracker.touch(prepared);
                }
            }
            for (frame, stage) in chunk.iter().zip(stages.drain(..)) {
                outcomes.push(self.act(frame, &stage));
            }
        }
        self.stages = stages;
    }

    /// Lets time pass without a packet: ends up to `budget` things that are due. Returns whether more are due.
    pub fn advance(&mut self, now: Time, budget: usize) -> bool {
        self.defragmenter.advance(now);
        let more = self.tracker.advance(now, budget);
        self.take_tracker_events(Moment { packet: 0, time: now });
        more || self.defragmenter.next_deadline().is_some_and(|next| next <= now)
    }

    /// When [`Self::advance`] should be called next if no packet comes.
    pub fn next_deadline(&self) -> Option<Time> {
        [self.tracker.next_deadline(), self.defragmenter.next_deadline()].into_iter().flatten().min()
    }

    /// The next event, oldest first.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The conn table.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
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

    /// First passes: link layer, parse, hash.
    fn prepare(&mut self, frame: &Frame<'_>) -> Stage {
        self.statistics.frames += 1;
        let network = match link::strip(frame.link, frame.bytes) {
            Ok(network) => network,
            Err(why) => {
                self.statistics.malformed += 1;
                return Stage::Done(Outcome::early(Verdict::Drop, Some(Reason::Link(why))));
            }
        };
        if let NetworkKind::Other(_) = network.kind {
            self.statistics.not_ip += 1;
            return Stage::Done(Outcome::early(Verdict::NotIp, None));
        }
        match parse(frame.bytes, network.offset) {
            Ok(parsed) if !agrees(network.kind, parsed.packet.version) => {
                self.statistics.malformed += 1;
                Stage::Done(Outcome::early(Verdict::Drop, Some(Reason::Parse(ParseError::Version))))
            }
            Ok(parsed) if parsed.packet.fragment.is_some() => Stage::Fragment(parsed.packet),
            Ok(Parsed { packet, malformed: None }) => {
                let prepared = self.tracker.prepare(&packet, frame.bytes, 0);
                Stage::Ready(packet, prepared)
            }
            Ok(Parsed { packet, malformed: Some(why) }) => {
                self.statistics.malformed += 1;
                Stage::Invalid(packet, why)
            }
            Err(why) => {
                self.statistics.malformed += 1;
                Stage::Done(Outcome::early(Verdict::Drop, Some(Reason::Parse(why))))
            }
        }
    }

    fn act(&mut self, frame: &Frame<'_>, stage: &Stage) -> Outcome {
        let outcome = match stage {
            Stage::Done(outcome) => return *outcome,
            Stage::Ready(packet, prepared) => self.pass(frame, packet, frame.bytes, Some(prepared), None),
            Stage::Invalid(packet, why) => self.pass(frame, packet, frame.bytes, None, Some(*why)),
            Stage::Fragment(packet) => self.reassemble(frame, packet),
        };
        let at = Moment { packet: frame.number, time: frame.time };
        self.tracker.advance(frame.time, EXPIRY_PER_PACKET);
        self.take_tracker_events(at);
        outcome
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
        let outcome = match parse(&datagram, 0) {
            Ok(Parsed { packet: whole, malformed }) => {
                let prepared = self.tracker.prepare(&whole, &datagram, 0);
                self.pass(
                    frame,
                    &whole,
                    &datagram,
                    Some(&prepared).filter(|_| malformed.is_none()),
                    malformed,
                )
            }
            Err(why) => {
                self.statistics.malformed += 1;
                Outcome::early(Verdict::Drop, Some(Reason::Parse(why)))
            }
        };
        self.datagram = datagram;
        outcome
    }

    /// The path of one whole datagram. Without `prepared` it cannot be tracked, for the reason `malformed`.
    fn pass(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        prepared: Option<&Prepared>,
        malformed: Option<ParseError>,
    ) -> Outcome {
        let path = self.path(packet);
        let ingress = frame.ingress.or_else(|| self.topology.towards(packet.version, packet.source));
        let egress = frame.egress.or_else(|| self.topology.towards(packet.version, packet.destination));
        let scene = Scene::new(packet, bytes, frame.link, &self.topology, ingress, egress);
        let (events, max, statistics) = (&mut self.events, self.max_events, &mut self.statistics);
        let mut log = |rule| push(events, max, statistics, log_event(frame, rule));

        let mut prepared = prepared.copied();
        if let Some(rules) = self.rules.as_mut().filter(|rules| rules.has_raw(path, packet.version)) {
            let decision = rules.run_raw(path, packet.version, frame.time, &BeforeTracking(&scene), &mut log);
            if decision.verdict != Verdict::Accept {
                return Outcome { rule: decision.rule, ..Outcome::early(decision.verdict, None) };
            }
            if let Some(zone) = scene.wishes().zone.get() {
                prepared = prepared.map(|_| self.tracker.prepare(packet, bytes, zone));
            }
        }

        let tracked = if scene.wishes().notrack.get() {
            Tracked::UNTRACKED
        } else if self.checksums == ChecksumPolicy::Verify
            && checksum::verify_transport(packet, bytes) == Checksum::Bad
        {
            invalid(Invalid::Checksum)
        } else if let Some(prepared) = prepared {
            match self.tracker.track(frame.time, packet, bytes, &prepared) {
                Ok(tracked) => tracked,
                Err(TableFull) => return Outcome::early(Verdict::Drop, Some(Reason::TableFull)),
            }
        } else {
            invalid(Invalid::Malformed)
        };

        let mut decision = Decision::ACCEPT;
        if let Some(rules) = &mut self.rules {
            let subject = AfterTracking {
                scene: &scene,
                tracker: &self.tracker,
                host: &self.host,
                tracked: &tracked,
                now: frame.time,
            };
            decision = rules.run(path, packet.version, frame.time, &subject, &mut log);
        }
        let wishes = scene.into_wishes();
        self.statistics.nat_not_done += u64::from(wishes.nat.get());
        self.statistics.bad_checksums += u64::from(tracked.invalid == Some(Invalid::Checksum));
        let outcome = self.settle(frame, packet, bytes, &wishes, &tracked, decision);
        match malformed {
            Some(why) => Outcome { reason: Some(Reason::Parse(why)), ..outcome },
            None => outcome,
        }
    }

    fn path(&self, packet: &Packet) -> Path {
        let from_us = self.topology.is_local(packet.version, packet.source);
        let to_us = self.topology.is_local(packet.version, packet.destination);
        match (from_us, to_us) {
            (false, false) => Path::Forward,
            (false, true) => Path::Input,
            (true, false) => Path::Output,
            (true, true) => Path::Loopback,
        }
    }

    /// After the rules: a new conn is confirmed or never was; an accepted packet is shown to its helper.
    fn settle(
        &mut self,
        frame: &Frame<'_>,
        packet: &Packet,
        bytes: &[u8],
        wishes: &Wishes,
        tracked: &Tracked,
        decision: Decision,
    ) -> Outcome {
        let outcome = Outcome {
            verdict: decision.verdict,
            state: Some(tracked.state),
            conn: tracked.conn,
            about: tracked.about,
            direction: tracked.direction,
            rule: decision.rule,
            reason: tracked.invalid.map(Reason::Invalid),
        };
        let Some(conn) = tracked.conn else { return outcome };
        if decision.verdict != Verdict::Accept {
            if !tracked.created {
                return outcome;
            }
            self.tracker.abandon(conn);
            return Outcome { conn: None, ..outcome };
        }
        if let Some(mark) = wishes.conn_mark.get() {
            self.tracker.set_mark(conn, mark);
        }
        if wishes.labels.get() != 0 {
            let labels = self.tracker.labels(conn).map_or(0, u128::from_le_bytes) | wishes.labels.get();
            self.tracker.set_labels(conn, labels.to_le_bytes());
        }
        if tracked.created && !self.admit(frame, packet, wishes, tracked, conn) {
            return Outcome { verdict: Verdict::Drop, conn: None, reason: Some(Reason::Clash), ..outcome };
        }
        let session = if tracked.icmp_error { None } else { self.tracker.session(conn) };
        if let Some(session) = session {
            let at = Moment { packet: frame.number, time: frame.time };
            let (events, max, statistics) = (&mut self.events, self.max_events, &mut self.statistics);
            let mut tell = |event| push(events, max, statistics, event);
            let seen = Seen { from: tracked.direction, packet, bytes };
            self.host.read(at, &mut self.tracker, session, seen, &mut tell);
        }
        outcome
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
        let helper = self.helper_for(packet, wishes);
        if let Some((number, _)) = helper {
            self.tracker.attach_helper(conn, number);
        }
        let object = |wish: &Cell<Option<ObjectId>>| Some((self.rules.as_ref()?, wish.get()?));
        let policy = object(&wishes.timeout).and_then(|(rules, object)| rules.timeout_policy(object));
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
            direction: Direction::Original,
            span: Span::default(),
            bytes: Box::default(),
            attached_by: Some(rule),
        };
        self.host.adopt(id, provenance.clone());
        self.push(Event::ExpectationNew(Box::new(ExpectationRecord { expectation, provenance })));
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
        }
    }

    fn push(&mut self, event: Event) {
        push(&mut self.events, self.max_events, &mut self.statistics, event);
    }
}

/// A datagram, and what is wrong with its transport header.
struct Parsed {
    packet: Packet,
    malformed: Option<ParseError>,
}

/// Parses a datagram. A bad IP header is an error, as hosts drop such datagrams before anything looks at them; a bad transport header leaves
/// a packet that rules can still see.
fn parse(bytes: &[u8], network: u32) -> Result<Parsed, ParseError> {
    match Packet::parse(bytes, network) {
        Ok(packet) => Ok(Parsed { packet, malformed: None }),
        Err(why @ (ParseError::TransportCut | ParseError::Transport)) => {
            Ok(Parsed { packet: Packet::parse_network(bytes, network)?, malformed: Some(why) })
        }
        Err(why) => Err(why),
    }
}

/// Whether the IP version is the one that the link layer announced.
const fn agrees(kind: NetworkKind, version: IpVersion) -> bool {
    matches!((kind, version), (NetworkKind::Ipv4, IpVersion::V4) | (NetworkKind::Ipv6, IpVersion::V6))
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
