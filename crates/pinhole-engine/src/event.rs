//! What the engine says: an outcome for every frame, and events about conns, expectations and helpers.
//!
//! This is the data that `explain` is made of. Nothing is formatted here; an outcome is plain `Copy` data, and events are made only when
//! something changes.

use crate::InterfaceId;
use crate::defrag::DefragDrop;
use crate::nat::{NatFailure, TranslatedBy};
use pinhole_helper::{AddressMatch, BlindReason, Condition, Name, Refusal, Span};
use pinhole_nat::BindingError;
use pinhole_nat::rewrite::RewriteError;
use pinhole_ruleset::{BaseChainId, RejectWith, RuleId};
use pinhole_track::{
    ConnId, ConnSnapshot, DestroyCause, EndCause, Expectation, ExpectationId, Invalid, Known, State, Tracked,
    Tuple,
};
use pinhole_wire::link::LinkError;
use pinhole_wire::{Direction, LinkType, ParseError, Time};

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It passes.
    Accept,
    /// It is dropped without an answer.
    Drop,
    /// It is dropped, and its sender is told.
    Reject(RejectWith),
    /// A fragment, kept until its datagram is complete; or a segment that NAT holds until its line is complete.
    Held,
    /// Not an IP datagram: outside the firewall's language.
    NotIp,
}

impl Verdict {
    /// Lower-case name, for output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Reject(_) => "reject",
            Self::Held => "held",
            Self::NotIp => "not-ip",
        }
    }
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleRef {
    /// A rule.
    Rule(RuleId),
    /// The policy of a base chain that no rule of which decided.
    Policy(BaseChainId),
}

/// Why a packet fared as it did, beyond what a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The link layer cannot be read.
    #[error("{0}")]
    Link(LinkError),
    /// The datagram cannot be parsed.
    #[error("{0}")]
    Parse(ParseError),
    /// A fragment whose datagram is not complete yet.
    #[error("fragment: waiting for the rest of its datagram")]
    FragmentHeld,
    /// A fragment whose datagram was given up.
    #[error("fragment: {0}")]
    Defragment(DefragDrop),
    /// The packet is invalid.
    #[error("{0}")]
    Invalid(Invalid),
    /// No room for another conn.
    #[error("conntrack table is full")]
    TableFull,
    /// No port was free for its conn's translation.
    #[error("NAT: every port is in use")]
    NatExhausted,
    /// The interface has no address to masquerade as or to redirect to, or the address cannot be translated.
    #[error("NAT: there is no address to translate to")]
    NatNoAddress,
    /// It belongs to a translated conn, and cannot be translated.
    #[error("NAT: {0}")]
    Untranslatable(BindingError),
    /// It announces an endpoint that its receiver could not be told: no port is free, or the NAT helper cannot write it.
    #[error("NAT: the announcement cannot be rewritten")]
    AnnouncementRefused,
    /// Its payload cannot be rewritten.
    #[error("NAT: {0}")]
    Unwritable(RewriteError),
    /// A segment that ends within a line that may have to be rewritten: it leaves when the line is complete.
    #[error("NAT: waiting for the rest of a line that may have to be rewritten")]
    LineHeld,
    /// A segment whose predecessor is missing, which may have to be rewritten: the sender repeats both.
    #[error("NAT: bytes before it are missing and may have to be rewritten")]
    SegmentAhead,
    /// More edits than are remembered wait to be acknowledged: the sender repeats it.
    #[error("NAT: too many edits are not acknowledged yet")]
    EditsFull,
    /// It passes, and completes an announcement of which a part had been forwarded: a message longer than what is held.
    #[error(
        "NAT: what it announces is not translated, because the message was too long to be held until it was complete"
    )]
    EditsLate,
    /// The helper of its conn, a module, did what it must not, and nothing is to pass unread ([`OnFault::Drop`](crate::OnFault::Drop)).
    #[error("the helper that reads its connection was quarantined")]
    HelperQuarantined,
    /// Another packet's conn took the tuple first.
    #[error("another connection took the tuple first")]
    Clash,
    /// Its source cannot be behind the interface that it came in by.
    #[error("martian source: such addresses are not behind this interface")]
    Martian,
    /// There is no route to its destination.
    #[error("no route to its destination")]
    NoRoute,
    /// It has passed as many routers as it may.
    #[error("hop limit exceeded")]
    HopLimit,
    /// It is longer than the next link's MTU, and may not be fragmented.
    #[error("longer than the next link's MTU")]
    TooBig,
    /// The next router, or its destination, does not answer on the link.
    #[error("the next hop does not answer on its link")]
    HostUnreachable,
}

impl Reason {
    /// A short stable name, for machine-readable output.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Link(_) => "link-layer",
            Self::Parse(_) => "malformed",
            Self::FragmentHeld => "fragment-held",
            Self::Defragment(_) => "fragment-dropped",
            Self::Invalid(why) => why.name(),
            Self::TableFull => "table-full",
            Self::NatExhausted => "nat-exhausted",
            Self::NatNoAddress => "nat-no-address",
            Self::Untranslatable(_) => "nat-untranslatable",
            Self::AnnouncementRefused => "nat-announcement-refused",
            Self::Unwritable(_) => "nat-unwritable",
            Self::LineHeld => "nat-line-held",
            Self::SegmentAhead => "nat-segment-ahead",
            Self::EditsFull => "nat-edits-full",
            Self::EditsLate => "nat-edits-late",
            Self::HelperQuarantined => "helper-quarantined",
            Self::Clash => "clash",
            Self::Martian => "martian-source",
            Self::NoRoute => "no-route",
            Self::HopLimit => "hop-limit",
            Self::TooBig => "too-big",
            Self::HostUnreachable => "host-unreachable",
        }
    }
}

/// What became of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// State of the packet; `None` if it never came to tracking.
    pub state: Option<State>,
    /// Its conn. `None` for invalid and untracked packets, and for first packets that did not survive.
    pub conn: Option<ConnId>,
    /// The conn whose state an invalid packet does not fit.
    pub about: Option<ConnId>,
    /// Direction in that conn.
    pub direction: Direction,
    /// The rule or policy that decided; `None` if no ruleset is loaded or the packet never came to the rules.
    pub rule: Option<RuleRef>,
    /// Why, beyond the rule.
    pub reason: Option<Reason>,
    /// The frame is not to be sent as it came: what leaves in its stead is in [`Engine::output`](crate::Engine::output).
    pub rewritten: bool,
}

impl Outcome {
    /// Of an accepted packet of an established conn, about which its state decided.
    #[inline(always)]
    pub(crate) const fn of_steady(conn: ConnId, direction: Direction, rule: Option<RuleRef>) -> Self {
        Self {
            verdict: Verdict::Accept,
            state: Some(State::Established),
            conn: Some(conn),
            about: None,
            direction,
            rule,
            reason: None,
            rewritten: false,
        }
    }

    /// The same, of a packet that leaves translated.
    #[inline(always)]
    pub(crate) const fn of_passing(conn: ConnId, direction: Direction, rule: Option<RuleRef>) -> Self {
        Self { rewritten: true, ..Self::of_steady(conn, direction, rule) }
    }

    /// Of an accepted packet of a known conn, about which its state decided.
    #[inline]
    pub(crate) fn of_known(known: &Known, verdict: Verdict, rule: Option<RuleRef>) -> Self {
        let Known { conn, state, direction, .. } = *known;
        Self {
            verdict,
            state: Some(state),
            conn: Some(conn),
            about: None,
            direction,
            rule,
            reason: None,
            rewritten: false,
        }
    }

    /// Of a packet that came to tracking and to the rules.
    #[inline]
    pub(crate) fn of(tracked: &Tracked, verdict: Verdict, rule: Option<RuleRef>) -> Self {
        Self {
            verdict,
            state: Some(tracked.state),
            conn: tracked.conn,
            about: tracked.about,
            direction: tracked.direction,
            rule,
            reason: tracked.invalid.map(Reason::Invalid),
            rewritten: false,
        }
    }

    /// Of a packet that is dropped before it comes to tracking.
    pub const fn dropped(reason: Reason) -> Self {
        Self::early(Verdict::Drop, Some(reason))
    }

    pub(crate) const fn early(verdict: Verdict, reason: Option<Reason>) -> Self {
        Self {
            verdict,
            state: None,
            conn: None,
            about: None,
            direction: Direction::Original,
            rule: None,
            reason,
            rewritten: false,
        }
    }
}

/// What stands in place of a helper's name in the [`Provenance`] of an expectation that a rule entered.
pub const RULE: Name = Name::new("ct expectation");

/// Where an expectation came from.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Name of the helper; [`RULE`] if no helper announced it but a `ct expectation set` rule.
    pub helper: Name,
    /// Number of the packet that brought the announcement's last byte, as counted by the caller.
    pub packet: u64,
    /// Its arrival.
    pub time: Time,
    /// Number of the packet with which it could be read: a later one if the bytes had to wait for earlier ones.
    pub read_with: u64,
    /// Direction of the announcement in the master.
    pub direction: Direction,
    /// Where it stands in that direction's stream.
    pub span: Span,
    /// The announcing bytes (bounded).
    pub bytes: Box<[u8]>,
    /// The rule that attached the helper, or entered the expectation; `None` if an explicit setting did.
    pub attached_by: Option<RuleId>,
}

/// An expectation and its origin.
#[derive(Clone, Debug)]
pub struct ExpectationRecord {
    /// The expectation as entered.
    pub expectation: Expectation,
    /// Its origin.
    pub provenance: Provenance,
}

/// An announcement that opens nothing.
#[derive(Clone, Debug)]
pub struct RefusalRecord {
    /// The conn that announced it.
    pub master: ConnId,
    /// Why.
    pub reason: Refusal,
    /// Its origin.
    pub provenance: Provenance,
}

/// Something that changed. `packet` is the number of the frame being handled, as counted by the caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A conn entered the table.
    ConnNew {
        /// By this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: Box<ConnSnapshot>,
    },
    /// A conn's status or protocol state changed.
    ConnUpdate {
        /// By this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: Box<ConnSnapshot>,
    },
    /// A conn ended.
    ConnDestroy {
        /// While this packet was handled.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: Box<ConnSnapshot>,
        /// Why.
        cause: DestroyCause,
    },
    /// A helper reads a conn from now on.
    HelperAttached {
        /// With this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: ConnId,
        /// The helper.
        helper: Name,
        /// The rule that said so; `None` if an explicit setting did.
        rule: Option<RuleId>,
    },
    /// A helper stopped reading a conn.
    HelperBlind {
        /// With this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: ConnId,
        /// The helper.
        helper: Name,
        /// Why.
        reason: BlindReason,
    },
    /// A helper can, or cannot, read a conn for now.
    HelperCondition {
        /// With this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: ConnId,
        /// The helper.
        helper: Name,
        /// What.
        condition: Condition,
    },
    /// An expectation was entered.
    ExpectationNew(Box<ExpectationRecord>),
    /// An inactive expectation matches from now on.
    ExpectationActive {
        /// By this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// Which.
        id: ExpectationId,
    },
    /// An expectation admits another source from now on.
    ExpectationAimed {
        /// By this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// Which.
        id: ExpectationId,
        /// Who may come.
        source: AddressMatch,
    },
    /// A conn fulfilled an expectation.
    ExpectationHit {
        /// By this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// Which.
        id: ExpectationId,
        /// The expected conn.
        conn: ConnId,
    },
    /// An expectation ended.
    ExpectationEnd {
        /// While this packet was handled.
        packet: u64,
        /// At this time.
        time: Time,
        /// Which.
        id: ExpectationId,
        /// Why.
        cause: EndCause,
    },
    /// An announcement was refused.
    Refusal(Box<RefusalRecord>),
    /// The packets of a new conn are translated.
    ConnTranslated {
        /// From this packet on.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: ConnId,
        /// What asked for another source; `None` if nothing did: it is its own, follows the master's translation, or would clash.
        source: Option<TranslatedBy>,
        /// What asked for another destination.
        destination: Option<TranslatedBy>,
    },
    /// A translated conn is read by a helper whose NAT half is not loaded: its payload is left alone.
    NatHelperMissing {
        /// With this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The conn.
        conn: ConnId,
        /// The helper.
        helper: Name,
    },
    /// No translation was found for a new conn, whose first packet is dropped.
    NatFailed {
        /// This packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// What its packets would have left bearing, as far as that was decided.
        tuple: Box<Tuple>,
        /// Why.
        reason: NatFailure,
    },
    /// A `log` statement.
    Log {
        /// For this packet.
        packet: u64,
        /// At this time.
        time: Time,
        /// The rule.
        rule: RuleId,
        /// What is to be logged.
        logged: Box<Logged>,
    },
}

/// A packet that a `log` statement names.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The statement's prefix.
    pub prefix: Box<str>,
    /// The statement's level, from 0 (emergency) to 7 (debug), or 8 (audit).
    pub level: u8,
    /// Link layer of the bytes.
    pub link: LinkType,
    /// The beginning of the frame: its headers.
    pub bytes: Box<[u8]>,
    /// Length of the whole frame.
    pub length: u32,
    /// The interface that it came in by, if known; none in the output hook.
    pub ingress: Option<InterfaceId>,
    /// The interface that it will leave by, if known; none before routing and in the input hook.
    pub egress: Option<InterfaceId>,
}
