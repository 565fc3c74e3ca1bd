//! The two judges of a packet: the running kernel, and pinhole. Both speak in [`Judgement`]s.

use pinhole_engine::{Engine, Frame, InterfaceId, Outcome, Settings, Topology, Verdict};
use pinhole_helper::Pickup;
use pinhole_io::kernel::{Observation, Oracle, OracleError, OracleSettings, State};
use pinhole_ruleset::{IcmpxCode, RejectWith, Ruleset};
use pinhole_wire::{Direction, IpVersion, LinkType, Packet, Protocol, Time, Transport};
use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;
use std::time::Duration;

/// The devices' names: rules see them as `iifname` and `oifname`.
pub(crate) const INGRESS: &str = "tin";
pub(crate) const EGRESS: &str = "tout";

/// Every `reject` is to be heard, however many there are.
const UNLIMITED: [(&str, &str); 4] = [
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.icmp_msgs_per_sec", "1000000"),
    ("net.ipv4.icmp_msgs_burst", "1000000"),
    ("net.ipv6.icmp.ratelimit", "0"),
];

/// How late an answer may come.
const LATE: Duration = Duration::from_millis(200);

/// What a judge made of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Conntrack's state; none if the packet never came there.
    pub(crate) state: Option<&'static str>,
    /// Direction, where there is a conn.
    pub(crate) direction: Option<Direction>,
    pub(crate) fate: Fate,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Accept,
    Drop,
    Reject(Answer),
}

/// How a sender is told of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Reset,
    /// Type and code, of ICMP or ICMPv6 as the packet is.
    Icmp(u8, u8),
    Unknown,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = self.direction.map_or_else(|| "-".to_owned(), |d| d.to_string());
        write!(f, "{} {direction} {:?}", self.state.unwrap_or("unseen"), self.fate)
    }
}

/// Packets and bytes by the comment of the counting rule.
pub(crate) type Counts = BTreeMap<String, (u64, u64)>;

/// The running kernel.
pub(crate) struct Kernel(Oracle);

impl Kernel {
    /// Takes the calling thread into a network namespace.
    pub(crate) fn start(ruleset: &str) -> Result<Self, OracleError> {
        Oracle::start(&OracleSettings {
            ruleset: Some(ruleset.to_owned()),
            ingress: INGRESS.to_owned(),
            egress: EGRESS.to_owned(),
            sysctls: UNLIMITED.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            ..OracleSettings::default()
        })
        .map(Self)
    }

    /// `None`: the kernel does not take it for a packet.
    pub(crate) fn judge(&mut self, datagram: &[u8]) -> Option<Judgement> {
        match self.0.packet(datagram) {
            Ok(observation) => Some(judgement_of(&observation)),
            Err(OracleError::Refused(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// What became of the latest packet after all: a busy machine may put the sending of an answer off.
    pub(crate) fn late_fate(&mut self, datagram: &[u8]) -> Fate {
        fate_of(&self.0.look_again(datagram, LATE).unwrap())
    }

    /// The counters of all rules that have a comment; none where `nft` cannot list what it took (1.0.6 has rulesets on which it fails).
    /// To be called on the thread that started this.
    pub(crate) fn counts(&self) -> Counts {
        let output = Command::new("nft").args(["-j", "list", "ruleset"]).output().unwrap();
        let Ok(listing) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else {
            return Counts::new();
        };
        let rules = listing["nftables"].as_array().unwrap().iter().map(|object| &object["rule"]);
        rules
            .filter_map(|rule| {
                let comment = rule["comment"].as_str()?.to_owned();
                let counter = rule["expr"].as_array()?.iter().find_map(|e| e.get("counter"))?;
                Some((comment, (counter["packets"].as_u64()?, counter["bytes"].as_u64()?)))
            })
            .collect()
    }
}

/// Whether an error says that there is no kernel to ask here.
pub(crate) fn cannot_ask(error: &OracleError) -> bool {
    match error {
        OracleError::Namespace(_) | OracleError::Tun { .. } => true,
        OracleError::Program { message, .. } => message.contains("cannot run it"),
        _ => false,
    }
}

fn judgement_of(observation: &Observation) -> Judgement {
    let state = observation.state.map(|state| match state {
        State::New => "new",
        State::Established => "established",
        State::Related => "related",
        State::Invalid => "invalid",
        State::Untracked => "untracked",
    });
    Judgement { state, direction: observation.direction, fate: fate_of(observation) }
}

fn fate_of(observation: &Observation) -> Fate {
    match observation.answers.first() {
        _ if observation.is_forwarded() => Fate::Accept,
        Some(answer) => Fate::Reject(read_answer(answer)),
        None => Fate::Drop,
    }
}

fn read_answer(datagram: &[u8]) -> Answer {
    match Packet::parse(datagram, 0).map(|packet| packet.transport) {
        Ok(Transport::Tcp(tcp)) if tcp.flags.contains(pinhole_wire::TcpFlags::RST) => Answer::Reset,
        Ok(Transport::Icmp(icmp)) => Answer::Icmp(icmp.kind, icmp.code),
        _ => Answer::Unknown,
    }
}

/// Our engine, under a clock that stands still.
pub(crate) struct Pinhole {
    engine: Engine,
    ingress: InterfaceId,
    egress: InterfaceId,
    number: u64,
}

impl Pinhole {
    pub(crate) fn start(ruleset: Ruleset) -> Self {
        let mut topology = Topology::new();
        let ingress = topology.interface(INGRESS);
        let egress = topology.interface(EGRESS);
        // The kernel's helpers read conns whose beginning they did not see.
        let settings = Settings { topology, pickup: Pickup::Lenient, ..Settings::default() };
        let engine = Engine::new(settings, pinhole_helpers::registry(), Some(ruleset)).unwrap();
        Self { engine, ingress, egress, number: 0 }
    }

    pub(crate) fn judge(&mut self, datagram: &[u8]) -> Judgement {
        self.number += 1;
        let outcome = self.engine.handle(&Frame {
            number: self.number,
            time: Time::from_seconds(1_000_000_000),
            link: LinkType::RAW,
            bytes: datagram,
            ingress: Some(self.ingress),
            egress: Some(self.egress),
            checksum: pinhole_engine::FrameChecksum::Unknown,
        });
        while self.engine.next_event().is_some() {}
        our_judgement(&outcome, datagram)
    }

    /// The counters of all rules that have a comment.
    pub(crate) fn counts(&self) -> Counts {
        let (ruleset, state) = (self.engine.ruleset().unwrap(), self.engine.ruleset_state().unwrap());
        let comment = |rule: &str| Some(rule.split_once("comment \"")?.1.split_once('"')?.0.to_owned());
        let readings = ruleset.counters(state);
        readings.filter_map(|r| Some((comment(r.name)?, (r.count.packets, r.count.bytes)))).collect()
    }
}

fn our_judgement(outcome: &Outcome, datagram: &[u8]) -> Judgement {
    let is_v6 = datagram[0] >> 4 == 6;
    let state = outcome.state.map(pinhole_track::State::name);
    let fate = match outcome.verdict {
        Verdict::Accept => Fate::Accept,
        Verdict::Drop | Verdict::Held | Verdict::NotIp => Fate::Drop,
        Verdict::Reject(with) => Fate::Reject(match with {
            RejectWith::TcpReset => Answer::Reset,
            RejectWith::Icmp(code) => Answer::Icmp(3, code),
            RejectWith::Icmp6(code) => Answer::Icmp(1, code),
            RejectWith::Icmpx(code) if is_v6 => Answer::Icmp(
                1,
                match code {
                    IcmpxCode::NoRoute => 0,
                    IcmpxCode::PortUnreachable => 4,
                    IcmpxCode::HostUnreachable => 3,
                    IcmpxCode::AdminProhibited => 1,
                },
            ),
            RejectWith::Icmpx(code) => Answer::Icmp(
                3,
                match code {
                    IcmpxCode::NoRoute => 0,
                    IcmpxCode::PortUnreachable => 3,
                    IcmpxCode::HostUnreachable => 1,
                    IcmpxCode::AdminProhibited => 13,
                },
            ),
        }),
    };
    let in_conn = matches!(state, Some("new" | "established" | "related"));
    Judgement { state, direction: in_conn.then_some(outcome.direction), fate }
}

/// Whether the kernel says nothing to the sender of a packet that a rule rejects so: an error about an error, a reset of a reset, or an
/// answer to bytes whose checksum it cannot tell to be right.
pub(crate) fn is_unanswerable(datagram: &[u8], answer: Answer) -> bool {
    let Ok(packet) = Packet::parse(datagram, 0) else { return true };
    match &packet.transport {
        Transport::Tcp(tcp) => answer == Answer::Reset && tcp.flags.contains(pinhole_wire::TcpFlags::RST),
        Transport::Udp(_) => false,
        Transport::Icmp(icmp) if packet.protocol == Protocol::ICMP => !matches!(icmp.kind, 0 | 8 | 13..=18),
        Transport::Icmp(icmp) => icmp.kind < 128,
        _ => packet.version == IpVersion::V4 || packet.protocol != Protocol::SCTP,
    }
}
