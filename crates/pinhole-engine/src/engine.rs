//! The engine: one shard's whole path from frame to outcome.
//!
//! A frame goes through [`Engine::handle`], or many through [`Engine::handle_batch`], which does the same work in passes (parse all, hash
//! all, touch all, then act) so that the memory of many conns is fetched at once. Both give the same outcomes.
//!
//! Invariants: a conn that [`Tracker::track`] created is confirmed or abandoned before the next packet is tracked; events that the tracker
//! queues are taken after every packet, so that sessions and origins never outlive their conns.

mod admit;
mod carry;
mod loading;
mod open;
mod path;
mod restore;
mod rewrite;
mod save;
mod translate;

pub use loading::UnloadError;
pub use save::Saving;

use crate::defrag::Defragmenter;
use crate::event::{Event, Logged, Outcome};
use crate::frame::Frame;
use crate::host::{Host, Moment};
use crate::nat::{Emission, Nat, NatStatistics};
use crate::rules::{AtOnce, Rules, Way};
use crate::scene::Scene;
use crate::settings::{ChecksumPolicy, OnFault, Settings, SetupError};
use crate::shard::Shard;
use crate::stage::Stage;
use crate::state::expectations_from;
use crate::{InterfaceId, Topology};
use pinhole_helper::{Pickup, Registry};
use pinhole_ruleset::{LogStatement, RuleId, Ruleset, RulesetState};
use pinhole_track::{ConnId, Tracker};
use pinhole_wire::{Protocol, Time};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Packets that one pass of [`Engine::handle_batch`] works on.
pub const BATCH: usize = 32;

/// Expiry steps done per packet handled; bounds what a packet can be made to pay for others' timeouts.
const EXPIRY_PER_PACKET: usize = 4;

/// Bytes of a frame that a `log` statement takes: all headers, unless there are very many.
const LOGGED: usize = 160;

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

/// A ruleset that fits an engine, or none.
pub struct PreparedRuleset(Option<Box<Rules>>);

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
    /// Whether the rules make the same of all packets of a conn in one direction and state.
    decides_by_flow: bool,
    host: Host,
    events: VecDeque<Event>,
    max_events: usize,
    topology: Topology,
    checksums: ChecksumPolicy,
    pickup: Pickup,
    on_fault: OnFault,
    /// (protocol, port, helper number), from explicit settings.
    attachments: Vec<(Protocol, u16, u16)>,
    statistics: Statistics,
    stages: Vec<Stage>,
    datagram: Vec<u8>,
    /// What hashes and draws are keyed with.
    secret: [u64; 2],
}

impl Engine {
    /// Sets up an engine. Without a ruleset everything is accepted and tracked.
    ///
    /// # Errors
    /// The ruleset or the settings name helpers or timeouts that do not exist; all such errors are returned.
    pub fn new(
        settings: Settings,
        registry: Registry,
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
            let ports = if attachment.ports.is_empty() { &*spec.ports } else { &attachment.ports };
            for &protocol in &*spec.protocols {
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
            decides_by_flow: decides_by_flow(rules.as_ref()),
            rules,
            host,
            events: VecDeque::new(),
            max_events: settings.max_events,
            topology: settings.topology,
            checksums: settings.checksums,
            pickup: settings.pickup,
            on_fault: settings.on_fault,
            attachments,
            statistics: Statistics::default(),
            stages: (0..BATCH).map(|_| Stage::default()).collect(),
            datagram: Vec::new(),
            secret: settings.secret,
        })
    }

    /// Handles one frame.
    pub fn handle(&mut self, frame: &Frame<'_>) -> Outcome {
        self.nat.output.clear();
        let mut stage = Stage::default();
        self.statistics.frames += 1;
        stage.prepare(frame, &self.tracker, &self.topology, &mut self.statistics);
        self.tracker.touch(&mut stage.prepared);
        match self.accept_steady(frame, &mut stage) {
            Some((conn, direction, rule)) => Outcome::of_steady(conn, direction, rule),
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
            if self.tracker.translates() && self.tracker.keeps_apart() {
                for stage in &*stages {
                    self.tracker.touch_cold(&stage.prepared);
                }
            }
            for (frame, stage) in chunk.iter().zip(stages) {
                // Two places, so that an outcome of the usual kind is written where it belongs, and not moved there.
                match self.accept_steady(frame, stage) {
                    Some((conn, direction, rule)) => {
                        outcomes.push(Outcome::of_steady(conn, direction, rule));
                    }
                    None if self.tracker.translates() && self.accept_translated(frame, stage, outcomes) => {}
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
        let ruleset = self.prepare_ruleset(ruleset)?;
        self.adopt_ruleset(ruleset);
        Ok(())
    }

    /// Makes a ruleset ready for this engine, whose packets are decided about as before until it is [adopted](Self::adopt_ruleset): for engines that are
    /// to change all together, or not at all.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn prepare_ruleset(&mut self, ruleset: Option<Ruleset>) -> Result<PreparedRuleset, Vec<SetupError>> {
        let rules = ruleset.map(|ruleset| Rules::new(ruleset, &self.host, &mut self.tracker)).transpose()?;
        Ok(PreparedRuleset(rules.map(Box::new)))
    }

    /// Puts into force what this engine has prepared. No helper may have come or gone since.
    pub fn adopt_ruleset(&mut self, PreparedRuleset(rules): PreparedRuleset) {
        self.rules = rules.map(|rules| *rules);
        self.nat.ruled = self.rules.as_ref().is_some_and(Rules::has_nat);
        self.at_once = at_once(self.rules.as_ref());
        self.decides_by_flow = decides_by_flow(self.rules.as_ref());
    }

    /// Own addresses and interfaces.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The firewall's own address on each interface, for `masquerade` and `redirect`, as
    /// [`NatSettings::addresses`](crate::NatSettings::addresses). Conns that are translated already stay as they are.
    pub fn replace_addresses(&mut self, addresses: Vec<(InterfaceId, IpAddr)>) {
        self.nat.settings.addresses = addresses;
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
    /// [rewritten](Outcome::rewritten) is among them, perhaps as no more than what [changes](crate::nat::Content) of it; others are sent as they
    /// came.
    pub fn output(&self) -> impl Iterator<Item = Emission<'_>> {
        self.nat.output.iter()
    }

    /// The packet of [`output`](Self::output) at this position: for who sends them one by one.
    pub fn emission(&self, index: usize) -> Option<Emission<'_>> {
        self.nat.output.get(index)
    }

    /// Makes it one of several, or the only one: which outer ports it may give. Conns that are translated already stay as they are.
    pub fn set_shard(&mut self, shard: Option<Shard>) {
        if let Some(shard) = &shard {
            // So that what all of them saved can be put together.
            self.tracker.skip_expectations(expectations_from(shard.index));
        }
        self.nat.shard = shard.map(Box::new);
    }

    /// Which of several it is.
    pub fn shard(&self) -> Option<&Shard> {
        self.nat.shard.as_deref()
    }

    /// Counters of NAT.
    pub fn nat_statistics(&self) -> NatStatistics {
        self.nat.statistics
    }

    /// Ports in use by conns whose source is translated.
    pub fn nat_ports(&self) -> u64 {
        self.nat.ports()
    }

    /// Inner ends that have one outer end for all remote ends ([`PortMapping::EndpointIndependent`](crate::PortMapping)).
    pub fn nat_mappings(&self) -> usize {
        self.nat.mappings()
    }

    /// Ports that were tried for translated sources so far, free or not: about one for each conn that needed another port than its own, however
    /// full the pools are.
    pub fn nat_ports_tried(&self) -> u64 {
        self.nat.tried()
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

    fn push(&mut self, event: Event) {
        push(&mut self.events, self.max_events, &mut self.statistics, event);
    }
}

fn at_once(rules: Option<&Rules>) -> [AtOnce; Way::COUNT] {
    rules.map_or([AtOnce::WITHOUT_RULES; Way::COUNT], Rules::at_once)
}

fn decides_by_flow(rules: Option<&Rules>) -> bool {
    rules.is_none_or(|rules| rules.ruleset().decides_by_flow())
}

fn push(events: &mut VecDeque<Event>, max: usize, statistics: &mut Statistics, event: Event) {
    if events.len() >= max {
        events.pop_front();
        statistics.events_dropped += 1;
    }
    events.push_back(event);
}

fn log_event(frame: &Frame<'_>, scene: &Scene<'_>, rule: RuleId, statement: &LogStatement) -> Event {
    let (ingress, egress) = scene.interfaces();
    let logged = Logged {
        prefix: statement.prefix.as_str().into(),
        level: statement.level,
        link: frame.link,
        bytes: frame.bytes.get(..LOGGED.min(frame.bytes.len())).unwrap_or_default().into(),
        length: u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX),
        ingress,
        egress,
    };
    Event::Log { packet: frame.number, time: frame.time, rule, logged: Box::new(logged) }
}
