//! One capture, both judges, frame by frame.

use crate::Fault;
use crate::divergences::{Divergences, Facts};
use crate::judges::{Conditions, Judgement, Kernel, Pinhole};
use pinhole_io::capture::CaptureReader;
use pinhole_io::kernel::{Repair, repair};
use pinhole_wire::link::strip;
use pinhole_wire::{Address, IpVersion, NetworkKind, Packet, Transport};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

/// How a comparison came out, in frames.
#[derive(Default)]
pub(crate) struct Summary {
    equal: usize,
    /// Frames that are not IP, or that the kernel does not take for a packet.
    left_out: usize,
    named: BTreeMap<String, usize>,
    /// Differences that no divergence names.
    pub(crate) unnamed: usize,
    /// Captures that could not be read, or not to their end.
    pub(crate) damaged: usize,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.equal += other.equal;
        self.left_out += other.left_out;
        self.unnamed += other.unnamed;
        self.damaged += other.damaged;
        for (name, count) in &other.named {
            *self.named.entry(name.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames equal, {} left out, {} differ", self.equal, self.left_out, self.unnamed)?;
        for (name, count) in &self.named {
            write!(f, ", {count} {name}")?;
        }
        if self.damaged > 0 {
            write!(f, "; captures not read to their end: {}", self.damaged)?;
        }
        Ok(())
    }
}

/// Shows every frame of a capture to both judges. Prints the frames that differ (with `all`, every frame).
pub(crate) fn compare(
    capture: &Path,
    conditions: &Conditions,
    divergences: &Divergences,
    all: bool,
) -> Result<Summary, Fault> {
    let mut summary = Summary::default();
    println!("{}", capture.display());
    let mut reader = match CaptureReader::open(capture) {
        Ok(reader) => reader,
        Err(damage) => {
            println!("         not read: {damage}");
            summary.damaged += 1;
            return Ok(summary);
        }
    };
    let mut pinhole = Pinhole::start(conditions)?;
    let mut kernel = Kernel::start(conditions)?;
    let mut diverged = Diverged::default();
    loop {
        let frame = match reader.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break,
            // Captures break off; the frames before that are as good as any.
            Err(damage) => {
                println!("         not read to its end: {damage}");
                summary.damaged += 1;
                break;
            }
        };
        let datagram = match strip(frame.link, frame.bytes) {
            Ok(network) => frame.bytes.get(network.offset as usize..).filter(|it| fits(network.kind, it)),
            Err(_) => None,
        };
        let Some(datagram) = datagram.and_then(|bytes| repair(bytes, Repair::Checksums)) else {
            summary.left_out += 1;
            continue;
        };
        let Some(theirs) = kernel.judge(&datagram)? else {
            summary.left_out += 1;
            continue;
        };
        let (ours, reason) = pinhole.judge(frame.number, &datagram);
        let note = if theirs == ours {
            summary.equal += 1;
            "equal"
        } else if let Some(name) =
            diverged.name(&datagram, divergences.name(&facts(&theirs, &ours, reason, &datagram)))
        {
            *summary.named.entry(name.clone()).or_default() += 1;
            name
        } else {
            summary.unnamed += 1;
            "DIFFERS"
        };
        if all || note == "DIFFERS" {
            println!("{:>7}  kernel {theirs}  pinhole {ours}  {note} {reason}", frame.number);
        }
    }
    println!("         {summary}");
    Ok(summary)
}

/// Whether the kernel's judge, who sees the datagram without its link layer, takes it for what the link layer said, and for no more than a
/// device lets through.
fn fits(kind: NetworkKind, datagram: &[u8]) -> bool {
    let version = datagram.first().map(|byte| byte >> 4);
    let same = match kind {
        NetworkKind::Ipv4 => version == Some(4),
        NetworkKind::Ipv6 => version == Some(6),
        NetworkKind::Other(_) => false,
    };
    same && datagram.len() <= usize::from(u16::MAX)
}

/// Conns in which a named divergence was met: the two judges know different things about them from then on.
#[derive(Default)]
struct Diverged(HashMap<[(Address, u16); 2], String>);

impl Diverged {
    /// The name for a difference: its own, or that of an earlier one of the same conn.
    fn name(&mut self, datagram: &[u8], own: Option<&str>) -> Option<&String> {
        let packet = Packet::parse(datagram, 0).or_else(|_| Packet::parse_network(datagram, 0)).ok()?;
        let source = (packet.source, packet.source_port().unwrap_or_default());
        let destination = (packet.destination, packet.destination_port().unwrap_or_default());
        let ends = [source.min(destination), source.max(destination)];
        if let Some(own) = own {
            self.0.insert(ends, own.to_owned());
        }
        self.0.get(&ends)
    }
}

fn facts(theirs: &Judgement, ours: &Judgement, reason: &'static str, datagram: &[u8]) -> Facts {
    let mut facts: Facts = vec![
        ("kernel", theirs.state.to_owned()),
        ("pinhole", ours.state.to_owned()),
        ("kernel-direction", theirs.direction.to_owned()),
        ("pinhole-direction", ours.direction.to_owned()),
        ("kernel-verdict", theirs.verdict.to_owned()),
        ("pinhole-verdict", ours.verdict.to_owned()),
        ("reason", reason.to_owned()),
    ];
    if let Ok(packet) = Packet::parse_network(datagram, 0) {
        facts.push(("protocol", packet.protocol.0.to_string()));
        facts.push(("protocol", packet.protocol.name().unwrap_or("other").to_owned()));
        facts.push(("cast", cast(&packet).to_owned()));
        if packet.version == IpVersion::V6 {
            facts.extend(datagram.get(6).map(|next| ("first-header", next.to_string())));
        } else if datagram.first().is_some_and(|byte| byte & 15 > 5) {
            facts.push(("options", "present".to_owned()));
        }
    }
    if let Ok(packet) = Packet::parse(datagram, 0) {
        let ports = [packet.source_port(), packet.destination_port()];
        facts.extend(ports.into_iter().flatten().map(|port| ("port", port.to_string())));
        if let Transport::Udp(udp) = packet.transport
            && u32::from(udp.length) < packet.transport_length()
        {
            facts.push(("length", "surplus".to_owned()));
        }
    }
    facts
}

/// What a router makes of the addresses, whatever the rules say.
fn cast(packet: &Packet) -> &'static str {
    let source = packet.source.ip(packet.version);
    let destination = packet.destination.ip(packet.version);
    let nowhere = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 0 || ip.is_loopback() || ip.octets()[0] >= 240,
        IpAddr::V6(ip) => ip.is_unspecified() || ip.is_loopback() || ip.is_unicast_link_local(),
    };
    if destination.is_multicast() {
        "multicast"
    } else if nowhere(source) || source.is_multicast() || nowhere(destination) {
        "martian"
    } else {
        "unicast"
    }
}
