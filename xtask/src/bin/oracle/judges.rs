//! The two judges of a packet: the running kernel, and pinhole.

use crate::Fault;
use clap::Args;
use pinhole_engine::{Attachment, Engine, Frame, InterfaceId, Outcome, Settings, Topology, Verdict};
use pinhole_helper::Pickup;
use pinhole_helpers::registry;
use pinhole_io::kernel::{HelperAssignment, Observation, Oracle, OracleError, OracleSettings};
use pinhole_wire::{Direction, LinkType, Protocol, Time};
use std::error::Error;
use std::fmt;
use std::fs;
use std::path::PathBuf;

/// Settings that keep the kernel from limiting the rate of its ICMP messages.
const UNLIMITED: [(&str, &str); 4] = [
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.icmp_msgs_per_sec", "1000000"),
    ("net.ipv4.icmp_msgs_burst", "1000000"),
    ("net.ipv6.icmp.ratelimit", "0"),
];

/// What holds for both judges.
#[derive(Args)]
pub(crate) struct Conditions {
    /// The nft ruleset; without one everything passes
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Attach the helpers that both have (FTP, IRC) by their customary ports
    #[arg(long)]
    helpers: bool,
    /// Name of the interface that every packet comes in by
    #[arg(long, value_name = "NAME", default_value = "tin")]
    ingress: String,
    /// Name of the interface that every packet leaves by
    #[arg(long, value_name = "NAME", default_value = "tout")]
    egress: String,
}

/// What a judge made of a packet, in words that both have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Conntrack's state, or `unseen`.
    pub(crate) state: &'static str,
    /// Direction, or nothing where there is no conn.
    pub(crate) direction: &'static str,
    /// `accept`, `drop` or `reject`.
    pub(crate) verdict: &'static str,
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<11} {:<8} {:<6}", self.state, self.direction, self.verdict)
    }
}

/// The running kernel.
pub(crate) struct Kernel(Oracle);

impl Kernel {
    /// Takes the calling thread into a network namespace.
    pub(crate) fn start(conditions: &Conditions) -> Result<Self, Fault> {
        let mut settings = OracleSettings {
            ruleset: conditions.rules.as_ref().map(fs::read_to_string).transpose()?,
            ingress: conditions.ingress.clone(),
            egress: conditions.egress.clone(),
            // Every `reject` is to be heard.
            sysctls: UNLIMITED.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            ..OracleSettings::default()
        };
        if conditions.helpers {
            settings.helpers = vec![
                HelperAssignment::new("ftp", Protocol::TCP, &[21..=21]),
                HelperAssignment::new("irc", Protocol::TCP, &[6667..=6667]),
            ];
        }
        Ok(Self(Oracle::start(&settings)?))
    }

    /// `None`: the kernel does not take it for a packet.
    pub(crate) fn judge(&mut self, datagram: &[u8]) -> Result<Option<Judgement>, OracleError> {
        match self.0.packet(datagram) {
            Ok(observation) => Ok(Some(judgement_of(&observation))),
            Err(OracleError::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn judgement_of(observation: &Observation) -> Judgement {
    use pinhole_io::kernel::State;
    let state = observation.state.map_or("unseen", |state| match state {
        State::New => "new",
        State::Established => "established",
        State::Related => "related",
        State::Invalid => "invalid",
        State::Untracked => "untracked",
    });
    let verdict = match (observation.is_forwarded(), observation.answers.is_empty()) {
        (true, _) => "accept",
        (false, true) => "drop",
        (false, false) => "reject",
    };
    Judgement { state, direction: observation.direction.map_or("", direction), verdict }
}

/// Our engine, under a clock that stands still.
pub(crate) struct Pinhole {
    engine: Engine,
    ingress: InterfaceId,
    egress: InterfaceId,
}

impl Pinhole {
    pub(crate) fn start(conditions: &Conditions) -> Result<Self, Fault> {
        let ruleset = conditions.rules.as_deref().map(pinhole::files::load).transpose();
        let ruleset = ruleset.map_err(|problems| {
            problems.iter().map(|problem| problem.render(false)).collect::<Vec<_>>().join("\n")
        })?;
        let mut topology = Topology::new();
        let ingress = topology.interface(&conditions.ingress);
        let egress = topology.interface(&conditions.egress);
        // The kernel's helpers read conns whose beginning they did not see.
        let mut settings = Settings { topology, pickup: Pickup::Lenient, ..Settings::default() };
        if conditions.helpers {
            let attach = |helper: &str, port| Attachment { helper: helper.to_owned(), ports: vec![port] };
            settings.attachments = vec![attach("ftp", 21), attach("irc", 6667)];
        }
        let engine = Engine::new(settings, registry(), ruleset)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
        Ok(Self { engine, ingress, egress })
    }

    /// The judgement, and the short name of its reason.
    pub(crate) fn judge(&mut self, number: u64, datagram: &[u8]) -> (Judgement, &'static str) {
        let outcome = self.engine.handle(&Frame {
            number,
            time: Time::from_seconds(1_000_000_000),
            link: LinkType::RAW,
            bytes: datagram,
            ingress: Some(self.ingress),
            egress: Some(self.egress),
            checksum: pinhole_engine::FrameChecksum::Unknown,
        });
        while self.engine.next_event().is_some() {}
        (Judgement::from(&outcome), outcome.reason.as_ref().map_or("", |reason| reason.name()))
    }
}

impl From<&Outcome> for Judgement {
    fn from(outcome: &Outcome) -> Self {
        let state = outcome.state.map_or("unseen", |state| state.name());
        let verdict = match outcome.verdict {
            Verdict::Accept => "accept",
            Verdict::Drop | Verdict::Held | Verdict::NotIp => "drop",
            Verdict::Reject(_) => "reject",
        };
        let has_direction = matches!(state, "new" | "established" | "related");
        Self { state, direction: if has_direction { direction(outcome.direction) } else { "" }, verdict }
    }
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Original => "original",
        Direction::Reply => "reply",
    }
}

/// Whether an error says that there is no kernel to ask here.
pub(crate) fn cannot_ask(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<OracleError>() {
        Some(OracleError::Namespace(_) | OracleError::Tun { .. }) => true,
        Some(OracleError::Program { message, .. }) => message.contains("cannot run it"),
        _ => false,
    }
}
