//! The ruleset in force: which chains a packet meets on its way, in which order, and what its objects mean here.
//!
//! Chains are sorted once, at the start, into a list for each path and IP version, so that a packet only walks lists. Chains of a priority below
//! conntrack's own (-200) run before tracking, as in netfilter.

mod steps;

pub(crate) use steps::Steps;

use crate::event::{RuleRef, Verdict};
use crate::host::Host;
use crate::scene::{self, AfterTracking, BeforeTracking, Scene};
use crate::settings::SetupError;
use crate::topology::Topology;
use pinhole_helper::{AddressMatch, Class, Expect, Span};
use pinhole_ruleset::{
    BaseChainId, ChainKind, Decision as ChainDecision, Effects, Family, Field, HelperObject, Hook,
    LogStatement, NatAction, ObjectId, RuleId, Ruleset, RulesetState, Subject, TimeoutObject,
};
use pinhole_track::{ConnId, ExpectationId, Request, State, Timeouts, Tracker};
use pinhole_wire::{Address, IpVersion, Packet, Protocol, Time};
use std::net::SocketAddr;
use steps::Leg;

/// Priority of conntrack in prerouting and output (`NF_IP_PRI_CONNTRACK`).
const CONNTRACK_PRIORITY: i32 = -200;

/// Number under which expectations from `ct expectation` objects stand in the tracker: no helper announced them.
const NO_HELPER: u16 = u16::MAX;

/// The way of a packet through the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// From another host to another host.
    Forward,
    /// To the firewall itself.
    Input,
    /// From the firewall itself.
    Output,
    /// From the firewall to itself.
    Loopback,
}

impl Path {
    const ALL: [Self; 4] = [Self::Forward, Self::Input, Self::Output, Self::Loopback];

    /// The path of a packet between two addresses.
    #[inline]
    pub(crate) fn of(topology: &Topology, version: IpVersion, source: Address, destination: Address) -> Self {
        if !topology.has_local() {
            return Self::Forward;
        }
        Self::between(topology.is_local(version, source), topology.is_local(version, destination))
    }

    pub(crate) const fn between(from_us: bool, to_us: bool) -> Self {
        match (from_us, to_us) {
            (false, false) => Self::Forward,
            (false, true) => Self::Input,
            (true, false) => Self::Output,
            (true, true) => Self::Loopback,
        }
    }

    pub(crate) const fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Forward => &[Hook::Prerouting, Hook::Forward, Hook::Postrouting],
            Self::Input => &[Hook::Prerouting, Hook::Input],
            Self::Output => &[Hook::Output, Hook::Postrouting],
            Self::Loopback => &[Hook::Output, Hook::Postrouting, Hook::Prerouting, Hook::Input],
        }
    }
}

/// A path and an IP version, by which plans are kept: below [`Way::COUNT`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way(u8);

impl Way {
    pub(crate) const COUNT: usize = 8;
    pub(crate) const FIRST: Self = Self(0);

    #[inline]
    pub(crate) const fn new(path: Path, version: IpVersion) -> Self {
        Self((path as u8) << 1 | matches!(version, IpVersion::V6) as u8)
    }

    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize % Self::COUNT
    }

    #[inline]
    pub(crate) const fn version(self) -> IpVersion {
        if self.0 & 1 == 0 { IpVersion::V4 } else { IpVersion::V6 }
    }
}

/// What the chains of a way make of a packet that a known conn accepts, as far as that is known beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtOnce {
    /// No chain is to be run before tracking.
    pub(crate) tracks_first: bool,
    /// States (nft's bits) that all chains accept, without looking at anything else.
    states: u32,
    /// The rule that does.
    pub(crate) rule: Option<RuleRef>,
    /// No chain is to be run for an established packet at all.
    pub(crate) accepts_established: bool,
    /// No chain asks more of a new conn than its state: they can be run before there is one.
    pub(crate) runs_before_conn: bool,
}

impl AtOnce {
    /// Without rules everything is accepted.
    pub(crate) const WITHOUT_RULES: Self = Self::new(true, u32::MAX, None, false);

    const fn new(tracks_first: bool, states: u32, rule: Option<RuleRef>, asks_conn: bool) -> Self {
        let accepts_established = tracks_first && states & State::Established.nft_bit() != 0;
        Self { tracks_first, states, rule, accepts_established, runs_before_conn: tracks_first && !asks_conn }
    }

    /// Whether all chains accept a packet of this state.
    #[inline]
    pub(crate) const fn accepts(&self, state: State) -> bool {
        self.states & state.nft_bit() != 0
    }
}

/// What the chains of a path came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    pub(crate) verdict: Verdict,
    pub(crate) rule: Option<RuleRef>,
}

impl Decision {
    pub(crate) const ACCEPT: Self = Self { verdict: Verdict::Accept, rule: None };

    /// What this and the decision of chains further on come to: the last rule that accepted is named.
    pub(crate) fn then(self, next: Self) -> Self {
        let by_rule = matches!(next.rule, Some(RuleRef::Rule(_)));
        let named = matches!(self.rule, Some(RuleRef::Rule(_)));
        let keeps = next.verdict == Verdict::Accept && (next.rule.is_none() || (named && !by_rule));
        if keeps { self } else { next }
    }
}

/// Chains of one path and IP version.
#[derive(Default)]
struct Plan {
    /// Before tracking.
    raw: Vec<BaseChainId>,
    /// After tracking; chains of type `nat` see only the packet that creates a conn.
    main: Vec<(BaseChainId, ChainKind)>,
}

/// A ruleset with its counters, plans and objects.
pub(crate) struct Rules {
    ruleset: Ruleset,
    state: RulesetState,
    /// By [`Way`].
    plans: [Plan; Way::COUNT],
    /// The chains after tracking of IPv4 and IPv6, hook by hook, cut where NAT happens.
    legs: [Vec<Leg>; 2],
    /// The same by IP version and hook, to be walked.
    steps: [[Steps; Hook::ALL.len()]; 2],
    helpers: Vec<ForConns>,
    timeouts: Vec<ForConns>,
}

/// What an object sets for conns of some kind.
struct ForConns {
    object: ObjectId,
    family: Option<Family>,
    protocol: Protocol,
    /// Number of the helper, or of the tracker's timeout policy.
    number: u16,
}

impl ForConns {
    /// What an object sets for the conn of this packet; `None`: it is for others.
    fn find(list: &[Self], object: ObjectId, packet: &Packet) -> Option<u16> {
        let family = if packet.version == IpVersion::V4 { Family::Ip } else { Family::Ip6 };
        let fits = |it: &&Self| {
            it.object == object && it.protocol == packet.protocol && it.family.is_none_or(|f| f == family)
        };
        list.iter().find(fits).map(|it| it.number)
    }
}

impl Rules {
    /// Makes the plans, and gives the ruleset's objects their meaning.
    pub(crate) fn new(ruleset: Ruleset, host: &Host, tracker: &mut Tracker) -> Result<Self, Vec<SetupError>> {
        let mut plans = std::array::from_fn(|_| Plan::default());
        for path in Path::ALL {
            for (version, family) in [(IpVersion::V4, Family::Ip), (IpVersion::V6, Family::Ip6)] {
                plans[Way::new(path, version).index()] = plan(&ruleset, path, family);
            }
        }
        let mut errors = Vec::new();
        let mut helpers = Vec::new();
        for object in ruleset.helpers() {
            match helper_number(object, host) {
                Ok(number) => helpers.push(ForConns {
                    object: object.id,
                    family: object.family,
                    protocol: Protocol(object.l4_protocol),
                    number,
                }),
                Err(error) => errors.push(error),
            }
        }
        let mut timeouts = Vec::new();
        for object in ruleset.timeouts() {
            match timeout_policy(object) {
                Ok(policy) => timeouts.push(ForConns {
                    object: object.id,
                    family: object.family,
                    protocol: Protocol(object.l4_protocol),
                    number: tracker.add_timeout_policy(policy),
                }),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let state = RulesetState::new(&ruleset);
        let legs = [steps::legs(&ruleset, Family::Ip), steps::legs(&ruleset, Family::Ip6)];
        let steps = [0, 1].map(|version| Hook::ALL.map(|hook| Steps::of(&legs[version], hook)));
        Ok(Self { ruleset, state, plans, legs, steps, helpers, timeouts })
    }
}

impl Rules {
    pub(crate) fn ruleset(&self) -> &Ruleset {
        &self.ruleset
    }

    pub(crate) fn state(&self) -> &RulesetState {
        &self.state
    }

    /// What each way's chains after tracking make of a packet of an existing conn, where its state alone decides.
    pub(crate) fn at_once(&self) -> [AtOnce; Way::COUNT] {
        let asks_conn = self.ruleset.loads(|field| scene::is_of_conn(field) && field != Field::CtState);
        std::array::from_fn(|way| {
            let plan = &self.plans[way];
            let (states, rule) = accepted(&self.ruleset, &plan.main).unwrap_or((0, None));
            AtOnce::new(plan.raw.is_empty(), states, rule, asks_conn)
        })
    }

    /// Runs the chains that come before tracking.
    pub(crate) fn run_raw(
        &mut self,
        way: Way,
        now: Time,
        subject: &BeforeTracking<'_>,
        log: &mut dyn FnMut(RuleId, &LogStatement),
    ) -> Decision {
        let plan = &self.plans[way.index()];
        let (helpers, timeouts, scene) = (&self.helpers, &self.timeouts, subject.0);
        let effects = Wishing { helpers, timeouts, scene, tracked: false, log };
        let chains = plan.raw.iter().copied();
        walk(&self.ruleset, &mut self.state, chains, subject, effects, now)
    }

    /// Runs the chains that come after tracking.
    pub(crate) fn run(
        &mut self,
        way: Way,
        now: Time,
        subject: &AfterTracking<'_>,
        log: &mut dyn FnMut(RuleId, &LogStatement),
    ) -> Decision {
        let plan = &self.plans[way.index()];
        let (helpers, timeouts, scene) = (&self.helpers, &self.timeouts, subject.scene);
        let effects = Wishing { helpers, timeouts, scene, tracked: true, log };
        let first = subject.tracked.created;
        let chains =
            plan.main.iter().filter(|(_, kind)| first || *kind != ChainKind::Nat).map(|&(chain, _)| chain);
        walk(&self.ruleset, &mut self.state, chains, subject, effects, now)
    }

    /// Whether there is a chain of type `nat`: without one, netfilter does not look at conns' tuples at all.
    pub(crate) fn has_nat(&self) -> bool {
        self.legs.iter().flatten().any(|leg| leg.translates.is_some() && !leg.chains.is_empty())
    }

    /// The parts of a hook in order.
    pub(crate) fn steps(&self, version: IpVersion, hook: Hook) -> Steps {
        self.steps[usize::from(version == IpVersion::V6)][hook as usize]
    }

    /// Runs the chains of one part of a hook. Of those that translate, none is run after one that said how.
    pub(crate) fn run_leg(
        &mut self,
        number: usize,
        now: Time,
        subject: &AfterTracking<'_>,
        log: &mut dyn FnMut(RuleId, &LogStatement),
    ) -> Decision {
        let (helpers, timeouts, scene) = (&self.helpers, &self.timeouts, subject.scene);
        let version = scene.packet().version;
        let Some(leg) = self.legs[usize::from(version == IpVersion::V6)].get(number) else {
            return Decision::ACCEPT;
        };
        let effects = Wishing { helpers, timeouts, scene, tracked: true, log };
        let is_said = || leg.translates.is_some() && scene.wishes().nat.get().is_some();
        let chains = leg.chains.iter().copied().take_while(|_| !is_said());
        walk(&self.ruleset, &mut self.state, chains, subject, effects, now)
    }

    /// The helper that an object attaches to the conn of this packet, if it reads that protocol.
    pub(crate) fn helper(&self, object: ObjectId, packet: &Packet) -> Option<u16> {
        ForConns::find(&self.helpers, object, packet)
    }

    /// The tracker's number of a timeout object, if it is for the conn of this packet.
    pub(crate) fn timeout_policy(&self, object: ObjectId, packet: &Packet) -> Option<u16> {
        ForConns::find(&self.timeouts, object, packet)
    }

    /// Enters the expectation that a `ct expectation` object describes: from the conn's responder to its initiator, to a fixed port. `None`:
    /// the tracker refused it, and counted that.
    pub(crate) fn enter_expectation(
        &self,
        object: ObjectId,
        tracker: &mut Tracker,
        conn: ConnId,
        now: Time,
    ) -> Option<ExpectationId> {
        let object = self.ruleset.expectations().iter().find(|o| o.id == object)?;
        let reply = tracker.reply(conn)?;
        let expect = Expect::to(
            Protocol(object.l4_protocol),
            AddressMatch::Exact(reply.source.ip(reply.version)),
            SocketAddr::new(reply.destination.ip(reply.version), object.port),
            Span::default(),
        );
        let class = Class {
            name: crate::event::RULE,
            max: object.size,
            timeout: object.timeout_milliseconds.div_ceil(1000),
        };
        let request = Request::new(expect, class, NO_HELPER);
        tracker.expect(now, conn, &[request]).ok()?.first().copied()
    }
}

/// Carries what rules set into the packet's wishes. What is set for a conn has no effect before tracking, and a zone or `notrack` none
/// on a packet that has its conn.
struct Wishing<'a, 'b> {
    helpers: &'a [ForConns],
    timeouts: &'a [ForConns],
    scene: &'a Scene<'a>,
    tracked: bool,
    log: &'b mut dyn FnMut(RuleId, &LogStatement),
}

impl Effects for Wishing<'_, '_> {
    fn set_ct_mark(&mut self, mark: u32) {
        if self.tracked {
            self.scene.wishes().conn_mark.set(Some(mark));
        }
    }

    fn set_packet_mark(&mut self, mark: u32) {
        self.scene.wishes().packet_mark.set(mark);
    }

    /// The first helper stays.
    fn set_helper(&mut self, object: ObjectId, rule: RuleId) {
        let wish = &self.scene.wishes().helper;
        let fits = ForConns::find(self.helpers, object, self.scene.packet()).is_some();
        if self.tracked && fits && wish.get().is_none() {
            wish.set(Some((object, rule)));
        }
    }

    /// The last policy counts.
    fn set_timeout_policy(&mut self, object: ObjectId, _rule: RuleId) {
        let fits = ForConns::find(self.timeouts, object, self.scene.packet()).is_some();
        if self.tracked && fits {
            self.scene.wishes().timeout.set(Some(object));
        }
    }

    fn set_expectation(&mut self, object: ObjectId, rule: RuleId) {
        if self.tracked {
            self.scene.wishes().expectation.set(Some((object, rule)));
        }
    }

    fn notrack(&mut self) {
        self.scene.wishes().notrack.set(true);
    }

    fn set_zone(&mut self, zone: u16) {
        if !self.tracked {
            self.scene.wishes().zone.set(Some(zone));
        }
    }

    fn set_label(&mut self, bits: u128) {
        if self.tracked {
            let labels = &self.scene.wishes().labels;
            labels.set(labels.get() | bits);
        }
    }

    fn nat(&mut self, action: &NatAction, rule: RuleId) {
        self.scene.wishes().nat.set(Some((*action, rule)));
    }

    fn log(&mut self, statement: &LogStatement, rule: RuleId) {
        (self.log)(rule, statement);
    }
}

/// Runs chains in order until one drops. An accept ends its own chain only, so the last chain that accepted by a rule is named.
fn walk(
    ruleset: &Ruleset,
    state: &mut RulesetState,
    chains: impl Iterator<Item = BaseChainId>,
    subject: &impl Subject,
    mut effects: Wishing<'_, '_>,
    now: Time,
) -> Decision {
    let mut decision = Decision::ACCEPT;
    for chain in chains {
        if let Some(base) = ruleset.base_chain(chain) {
            effects.scene.enter(base.hook);
        }
        let verdict = ruleset.evaluate(chain, subject, &mut effects, state, now.0);
        let rule = verdict.rule.map_or(RuleRef::Policy(chain), RuleRef::Rule);
        match verdict.decision {
            ChainDecision::Accept => {
                let by_rule = matches!(rule, RuleRef::Rule(_));
                let named = matches!(decision.rule, Some(RuleRef::Rule(_)));
                if by_rule || !named {
                    decision.rule = Some(rule);
                }
            }
            ChainDecision::Drop => return Decision { verdict: Verdict::Drop, rule: Some(rule) },
            ChainDecision::Reject(with) => {
                return Decision { verdict: Verdict::Reject(with), rule: Some(rule) };
            }
        }
    }
    decision
}

fn plan(ruleset: &Ruleset, path: Path, family: Family) -> Plan {
    let mut plan = Plan::default();
    for &hook in path.hooks() {
        let tracks_here = matches!(hook, Hook::Prerouting | Hook::Output);
        for chain in ruleset.base_chains(hook, family) {
            if tracks_here && chain.priority < CONNTRACK_PRIORITY {
                plan.raw.push(chain.id);
            } else {
                plan.main.push((chain.id, chain.kind));
            }
        }
    }
    plan
}

/// The states (nft's bits) that each chain but for the `nat` ones accepts at once, and the last rule that does, as [`walk`] would find it.
fn accepted(ruleset: &Ruleset, chains: &[(BaseChainId, ChainKind)]) -> Option<(u32, Option<RuleRef>)> {
    let mut common = u32::MAX;
    let mut named = None;
    for &(chain, _) in chains.iter().filter(|(_, kind)| *kind != ChainKind::Nat) {
        let (states, rule) = ruleset.accepted_states(chain)?;
        common &= states as u32;
        named = match (rule, named) {
            (Some(rule), _) => Some(RuleRef::Rule(rule)),
            (None, Some(RuleRef::Rule(rule))) => Some(RuleRef::Rule(rule)),
            (None, _) => Some(RuleRef::Policy(chain)),
        };
    }
    Some((common, named))
}

fn helper_number(object: &HelperObject, host: &Host) -> Result<u16, SetupError> {
    let (name, location) = (object.helper.clone(), Some(object.location.clone()));
    let Some((number, helper)) = host.number(&name).and_then(|n| Some((n, host.helper(n)?))) else {
        return Err(SetupError::UnknownHelper { name, location });
    };
    let protocol = Protocol(object.l4_protocol);
    if !helper.spec().protocols.contains(&protocol) {
        return Err(SetupError::HelperProtocol { name, protocol, location });
    }
    Ok(number)
}

fn timeout_policy(object: &TimeoutObject) -> Result<Timeouts, SetupError> {
    let mut timeouts = Timeouts::default();
    let protocol = Protocol(object.l4_protocol).to_string();
    for (key, seconds) in &object.policy {
        timeouts.set(&protocol, key, *seconds).map_err(|error| SetupError::Timeout {
            message: error.to_string(),
            location: Some(object.location.clone()),
        })?;
    }
    Ok(timeouts)
}
