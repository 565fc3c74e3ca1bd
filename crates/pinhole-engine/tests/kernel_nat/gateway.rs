//! The engine as the recorder's router: the same ruleset, interfaces and addresses.

use super::datagram;
use super::recording::{ExpectationRow, Job};
use pinhole_engine::{
    Attachment, ChecksumPolicy, Engine, Event, ExpectationRecord, Frame, FrameChecksum, InterfaceId,
    NatHelpers, Outcome, Settings, Verdict,
};
use pinhole_helper::{AddressMatch, Pickup, PortMatch};
use pinhole_track::{State, Status, Tuple};
use pinhole_wire::{Direction, LinkType, Protocol, Time};
use std::net::IpAddr;

/// The helpers of the recorder's router and their ports, by the protocol's folder. H.245 has none: it comes with its master.
const HELPERS: &[(&str, &str, &[u16])] = &[
    ("ftp", "ftp", &[21]),
    ("irc", "irc", &[6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 7000]),
    ("sip", "sip", &[5060]),
    ("tftp", "tftp", &[69]),
    ("pptp", "pptp", &[1723]),
    ("sane", "sane", &[6566]),
    ("h323", "Q.931", &[1720]),
    ("h323", "RAS", &[1719]),
    ("h323", "H.245", &[]),
];

/// SIP's datagrams are compared in `sip_translation.rs`, which knows where its texts differ.
const COMPARED_ELSEWHERE: &str = "sip";

/// What became of one datagram.
pub(crate) struct Passed {
    pub(crate) frame: u64,
    outcome: Outcome,
    is_expected: bool,
    /// What left in its place, as a router sends it on.
    pub(crate) left: Vec<Left>,
}

/// A datagram that left.
pub(crate) struct Left {
    /// The frame that it is made of.
    pub(crate) frame: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Passed {
    /// State, direction, and whether the conn was expected, as recordings are compared.
    pub(crate) fn state(&self) -> String {
        let Some(state) = self.outcome.state else { return "none".to_owned() };
        let direction = match (state, self.outcome.direction) {
            (State::Invalid | State::Untracked, _) => "",
            (_, Direction::Original) => "orig",
            (_, Direction::Reply) => "reply",
        };
        let expected = if self.is_expected { "expected" } else { "" };
        format!("{} {direction} {expected}", state.name().to_uppercase())
    }
}

/// Whether jobs of this protocol are for this test.
pub(crate) fn is_compared(protocol: &str) -> bool {
    protocol != COMPARED_ELSEWHERE && has_helper(protocol)
}

/// Whether the helper that a protocol needs is built in.
pub(crate) fn has_helper(protocol: &str) -> bool {
    let registry = pinhole_helpers::registry();
    HELPERS.iter().any(|(folder, helper, _)| *folder == protocol && registry.find(helper).is_some())
}

/// Whether a helper is one of a protocol's.
pub(crate) fn is_helper_of(protocol: &str, helper: &str) -> bool {
    HELPERS.iter().any(|(folder, name, _)| *folder == protocol && *name == helper)
}

pub(crate) struct Gateway {
    engine: Engine,
    inside: InterfaceId,
    outside: InterfaceId,
    expectations: Vec<ExpectationRow>,
}

impl Gateway {
    pub(crate) fn new(job: &Job, is_helped: bool) -> Self {
        let registry = pinhole_helpers::registry();
        let mut settings = Settings {
            checksums: ChecksumPolicy::Ignore,
            pickup: Pickup::Lenient,
            attachments: HELPERS
                .iter()
                .filter(|(_, helper, ports)| {
                    is_helped && !ports.is_empty() && registry.find(helper).is_some()
                })
                .map(|(_, helper, ports)| Attachment { helper: (*helper).to_owned(), ports: ports.to_vec() })
                .collect(),
            ..Settings::default()
        };
        settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
        let topology = &mut settings.topology;
        topology.add_local(job.public.to_string().parse().unwrap());
        let outside = topology.add_interface("tout", "0.0.0.0/0".parse().unwrap());
        let inside = topology.add_interface("tin", job.inside.to_string().parse().unwrap());
        let rules = pinhole_ruleset::compile_text("router.nft", &rules(job)).unwrap();
        let mut engine = Engine::new(settings, registry, Some(rules)).unwrap();
        crate::support::modules::put_in(&mut engine);
        Self { engine, inside, outside, expectations: Vec::new() }
    }

    pub(crate) fn pass(&mut self, number: u64, time: Time, bytes: &[u8], from_inside: bool) -> Passed {
        let ingress = Some(if from_inside { self.inside } else { self.outside });
        let frame = Frame {
            number,
            time,
            link: LinkType::RAW,
            bytes,
            checksum: FrameChecksum::Unknown,
            ingress,
            egress: None,
        };
        let outcome = self.engine.handle(&frame);
        let made = self.engine.output().map(|made| Left { frame: made.frame, bytes: made.packet(bytes) });
        let mut left: Vec<Left> = made.collect();
        if outcome.verdict == Verdict::Accept && !outcome.rewritten {
            left.push(Left { frame: number, bytes: bytes.to_vec() });
        }
        for datagram in &mut left {
            // A router takes one hop off.
            datagram::set_time_to_live(&mut datagram.bytes, 63);
        }
        while let Some(event) = self.engine.next_event() {
            if let Event::ExpectationNew(record) = event {
                self.expectations.extend(self.row(number, &record));
            }
        }
        let is_expected = outcome
            .conn
            .and_then(|conn| self.engine.tracker().status(conn))
            .is_some_and(|status| status.contains(Status::EXPECTED));
        Passed { frame: number, outcome, is_expected, left }
    }

    pub(crate) fn into_expectations(self) -> Vec<ExpectationRow> {
        self.expectations
    }

    /// An expectation as the recorder writes it.
    fn row(&self, frame: u64, record: &ExpectationRecord) -> Option<ExpectationRow> {
        let expect = &record.expectation.expect;
        let any = IpAddr::from([0, 0, 0, 0]);
        let source = match expect.source {
            AddressMatch::Exact(ip) => ip,
            _ => any,
        };
        let port = |port| match port {
            PortMatch::Exact(port) | PortMatch::Range(port, _) => port,
            PortMatch::Any => 0,
        };
        let (from, to) = (port(expect.source_port), port(expect.destination_port));
        let tuple = format!("{}:{source}:{from}>{}:{to}", expect.protocol, expect.destination);
        let master = self.engine.tracker().snapshot(record.expectation.master, Time(0))?;
        let helper = record.provenance.helper.to_owned();
        Some(ExpectationRow { frame, helper: helper.to_string(), tuple, master: ends(&master.original) })
    }
}

/// `tcp:10.0.0.1:4000>192.0.2.1:21`
fn ends(tuple: &Tuple) -> String {
    let Tuple { source, destination, source_port, destination_port, .. } = *tuple;
    let (source, destination) = (source.ip(tuple.version), destination.ip(tuple.version));
    match tuple.protocol {
        Protocol::GRE => format!("gre:{source}:->{destination}:-"),
        protocol => format!("{protocol}:{source}:{source_port}>{destination}:{destination_port}"),
    }
}

/// The rules that the recorder gave to its router, but for the helpers.
fn rules(job: &Job) -> String {
    let (inside, public) = (job.inside, job.public);
    let translation = if job.is_dnat {
        format!("iifname \"tout\" ip daddr {public} dnat to {inside}")
    } else {
        String::new()
    };
    format!(
        "table ip nat {{
            chain postrouting {{
                type nat hook postrouting priority 100; policy accept;
                ip saddr {inside} oifname \"tout\" snat to {public}
            }}
            chain prerouting {{
                type nat hook prerouting priority -110; policy accept;
                {translation}
            }}
        }}
        table inet local {{
            chain input {{ type filter hook input priority 0; policy drop; }}
        }}"
    )
}
