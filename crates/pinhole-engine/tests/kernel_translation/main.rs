//! The running kernel and pinhole translate alike: the same conns, by chance, through the same rules, over IPv4 and IPv6.
//!
//! Each judge is answered where it said that answers go, as their ports may differ where neither promises one. What is compared: whether a packet
//! leaves, its addresses, who gets an answer or an error and what that quotes, and of a source's port whether it is its own, that of
//! another conn of the source, or a new one, and of which class. `PINHOLE_SEED` makes other conns. Needs root, `nft` and TUN devices; skipped, said aloud, without.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod announcements;
mod calls;
mod conferences;
mod judges;
mod services;
#[path = "../support/mod.rs"]
mod support;
mod trial;

use judges::{Judge, Kernel, Pinhole, cannot_ask};
use pinhole_wire::{Packet, Protocol, Transport};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use support::conversation::{Dice, ping, unreachable};
use support::transports::{TRANSPORTS, folded};

/// Steps of one comparison.
const STEPS: usize = 500;
/// Differences that are shown of one.
const SHOWN: usize = 5;

/// Rules, and whether the hosts are IPv6.
const RULES: &[(&str, &str, &str, bool)] = &[
    ("masquerade", "", "oifname \"tout\" masquerade", false),
    ("one address", "", "ip saddr 10.0.0.0/8 snat to 203.0.113.7", false),
    (
        "four ports",
        "",
        "ip saddr 10.0.0.0/8 meta l4proto { tcp, udp, sctp } snat to 203.0.113.7:2000-2003",
        false,
    ),
    ("random", "", "ip saddr 10.0.0.0/8 snat to 203.0.113.7 random", false),
    ("fully random", "", "ip saddr 10.0.0.0/8 snat to 203.0.113.7 fully-random", false),
    ("prefix", "", "ip saddr 10.0.0.0/24 snat ip prefix to 198.18.5.0/24", false),
    ("forwarding", "ip daddr 192.0.2.1 dnat to 192.0.2.2", "ip saddr 10.0.0.0/8 snat to 203.0.113.7", false),
    (
        "a forwarded port",
        "ip daddr 192.0.2.1 meta l4proto { tcp, udp, sctp } th dport 53 dnat to 192.0.2.2:443",
        "ip saddr 10.0.0.0/8 snat to 203.0.113.7",
        false,
    ),
    ("only chains", "", "", false),
    ("persistent", "", "ip saddr 10.0.0.0/8 snat to 203.0.113.7 persistent", false),
    ("one address, IPv6", "", "ip6 saddr fd00::/16 snat to 2001:db8:ffff::7", true),
    ("prefix, IPv6", "", "ip6 saddr fd00::/64 snat ip6 prefix to 2001:db8:ffff:5::/64", true),
    (
        "forwarding, IPv6",
        "ip6 daddr 2001:db8::1 dnat to 2001:db8::2",
        "ip6 saddr fd00::/16 snat to 2001:db8:ffff::7",
        true,
    ),
];

/// A conn, as the client began it.
struct Flow {
    /// Of [`TRANSPORTS`]; beyond them, an ICMP query.
    transport: usize,
    client: SocketAddr,
    server: SocketAddr,
    /// What left last towards the server, for each judge.
    left: [Option<Vec<u8>>; 2],
    answered: bool,
}

/// DCCP is the last, which kernels from 6.17 on do not track.
const TRACKED: usize = TRANSPORTS.len() - 1;

#[test]
fn conns_by_chance() {
    let mut bad = String::new();
    let seed: u64 = std::env::var("PINHOLE_SEED").map_or(0, |seed| seed.parse().unwrap());
    for (index, &(name, before, after, is_v6)) in RULES.iter().enumerate() {
        let ruleset = ruleset(before, after, is_v6);
        let compare = || match Kernel::start(&ruleset) {
            Ok(kernel) => Ok(compare(
                kernel,
                Pinhole::start(&ruleset),
                &mut Dice(seed << 8 | index as u64),
                is_v6,
                name,
            )),
            Err(error) if cannot_ask(&error) => Err(error.to_string()),
            Err(error) => panic!("{name}: {error}"),
        };
        match thread::scope(|scope| scope.spawn(compare).join()).unwrap() {
            Ok(differences) if differences.is_empty() => {}
            Ok(differences) => {
                let _ = writeln!(bad, "{name}:\n{differences}");
            }
            Err(why) => {
                eprintln!("SKIPPED translations by the kernel: {why}");
                return;
            }
        }
    }
    eprintln!("{} rulesets, {STEPS} steps each", RULES.len());
    assert!(bad.is_empty(), "\n{bad}");
}

fn ruleset(before: &str, after: &str, is_v6: bool) -> String {
    let family = if is_v6 { "ip6" } else { "ip" };
    format!(
        "table {family} nat {{
            chain pre {{ type nat hook prerouting priority dstnat; {before}
            }}
            chain post {{ type nat hook postrouting priority srcnat; {after}
            }}
        }}"
    )
}

fn compare(mut kernel: Kernel, mut pinhole: Pinhole, dice: &mut Dice, is_v6: bool, ruleset: &str) -> String {
    let judges: [&mut dyn Judge; 2] = [&mut kernel, &mut pinhole];
    let mut flows: Vec<Flow> = Vec::new();
    let (mut text, mut shown) = (String::new(), 0);
    for step in 0..STEPS {
        let (what, datagrams, flow) = match dice.below(8) {
            0..4 => open(&mut flows, dice, is_v6),
            4..6 => match answer(&mut flows, dice) {
                Some(step) => step,
                None => continue,
            },
            6 => match error(&flows, dice, is_v6) {
                Some(step) => step,
                None => continue,
            },
            _ => stray(dice, is_v6),
        };
        let mut told = [String::new(), String::new()];
        for (judge, words) in told.iter_mut().enumerate() {
            let left = judges[judge].pass(&datagrams[judge]);
            *words = describe(left.as_deref(), &flows, flow, judge, ruleset);
            if let Some(flow) = flow
                && left.is_some()
            {
                flows[flow].left[judge] = left;
            }
        }
        if told[0] != told[1] {
            shown += 1;
            if shown <= SHOWN {
                let _ = writeln!(text, "  step {step}, {what}: kernel {}, pinhole {}", told[0], told[1]);
            }
        }
        if let Some(flow) = flow
            && flows[flow].left.iter().any(Option::is_none)
        {
            // Dropped by one: nothing follows.
            flows.remove(flow);
        }
    }
    text
}

/// A step in words, the datagram for each judge, and the flow whose first packet it is.
type Step = (String, [Vec<u8>; 2], Option<usize>);

fn address(is_v6: bool, host: &str, number: usize, port: usize) -> SocketAddr {
    let ip: IpAddr = match (is_v6, host) {
        (false, "client") => [10, 0, 0, number as u8].into(),
        (false, _) => [192, 0, 2, number as u8].into(),
        (true, "client") => format!("fd00::{number}").parse().unwrap(),
        (true, _) => format!("2001:db8::{number}").parse().unwrap(),
    };
    SocketAddr::new(ip, port as u16)
}

/// The first packet of a flow, or the same again.
fn open(flows: &mut Vec<Flow>, dice: &mut Dice, is_v6: bool) -> Step {
    let transport = dice.below(TRACKED + 1);
    let port = [123, 700, 5000, 5001, 40_000][dice.below(5)];
    let client = address(is_v6, "client", 5 + dice.below(4), port);
    let server = address(is_v6, "server", 1 + dice.below(3), [53, 443][dice.below(2)]);
    let known = flows.iter().position(|f| (f.transport, f.client, f.server) == (transport, client, server));
    let index = known.unwrap_or_else(|| {
        flows.push(Flow { transport, client, server, left: [None, None], answered: false });
        flows.len() - 1
    });
    let datagram = match TRANSPORTS.get(transport).filter(|_| transport < TRACKED) {
        Some((_, make)) => make(client, server, false),
        None => ping(client.ip(), server.ip(), client.port()),
    };
    let what = format!("transport {transport}, {client} > {server}");
    (what, [datagram.clone(), datagram], Some(index))
}

/// The server's answer to whom it sees.
fn answer(flows: &mut [Flow], dice: &mut Dice) -> Option<Step> {
    if flows.is_empty() {
        return None;
    }
    let index = dice.below(flows.len());
    let flow = &mut flows[index];
    flow.answered = true;
    let mut datagrams = [Vec::new(), Vec::new()];
    for (judge, datagram) in datagrams.iter_mut().enumerate() {
        let (outer, server) = ends(flow.left[judge].as_deref()?);
        *datagram = match TRANSPORTS.get(flow.transport).filter(|_| flow.transport < TRACKED) {
            Some((_, make)) => make(server, outer, true),
            None => pong(server.ip(), outer.ip(), outer.port()),
        };
    }
    Some((format!("answer to {} of {}", flow.client, flow.server), datagrams, None))
}

/// A router's error about what left.
fn error(flows: &[Flow], dice: &mut Dice, is_v6: bool) -> Option<Step> {
    let flow = flows.get(dice.below(flows.len().max(1)))?;
    let router = address(is_v6, "server", 77, 1).ip();
    let mut datagrams = [Vec::new(), Vec::new()];
    for (judge, datagram) in datagrams.iter_mut().enumerate() {
        let left = flow.left[judge].as_deref()?;
        *datagram = unreachable(router, ends(left).0.ip(), left);
    }
    Some((format!("error about {} > {}", flow.client, flow.server), datagrams, None))
}

/// Somebody that nobody asked.
fn stray(dice: &mut Dice, is_v6: bool) -> Step {
    let outer = if is_v6 { "2001:db8:ffff::7" } else { "203.0.113.7" };
    let destination = SocketAddr::new(outer.parse().unwrap(), 60_000 + dice.below(4000) as u16);
    let source = address(is_v6, "server", 99, 53);
    let (_, make) = TRANSPORTS[dice.below(2)];
    let datagram = make(source, destination, false);
    (format!("stray {source} > {destination}"), [datagram.clone(), datagram], None)
}

/// An echo reply.
fn pong(source: IpAddr, destination: IpAddr, id: u16) -> Vec<u8> {
    let mut datagram = ping(source, destination, id);
    let at = if source.is_ipv4() { 20 } else { 40 };
    let (kind, rise) = if source.is_ipv4() { (0, 0x0800u16) } else { (129, 0xfeff) };
    datagram[at] = kind;
    let sum = u16::from_be_bytes([datagram[at + 2], datagram[at + 3]]);
    let sum = folded(&[sum.to_be_bytes(), rise.to_be_bytes()].concat(), 0);
    datagram[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
    datagram
}

fn ends(datagram: &[u8]) -> (SocketAddr, SocketAddr) {
    ends_of(&Packet::parse(datagram, 0).unwrap())
}

fn ends_of(packet: &Packet) -> (SocketAddr, SocketAddr) {
    let (source, destination) = match &packet.transport {
        Transport::Icmp(icmp) => (icmp.identifier, icmp.identifier),
        _ => (packet.source_port().unwrap_or(0), packet.destination_port().unwrap_or(0)),
    };
    let end = |address: pinhole_wire::Address, port| SocketAddr::new(address.ip(packet.version), port);
    (end(packet.source, source), end(packet.destination, destination))
}

/// What left, as far as it is promised.
fn describe(left: Option<&[u8]>, flows: &[Flow], flow: Option<usize>, judge: usize, ruleset: &str) -> String {
    let Some(left) = left else { return "nothing".to_owned() };
    let packet = Packet::parse(left, 0).unwrap();
    let (source, destination) = ends_of(&packet);
    support::transports::assert_sound("what left", left);
    if let Some(quoted) = packet.quoted(left) {
        let (from, to) = ends_of(&quoted.unwrap());
        return format!("{} > {}, about {from} > {to}", source.ip(), destination.ip());
    }
    let Some(flow) = flow.map(|index| &flows[index]) else { return format!("{source} > {destination}") };
    let to = if packet.protocol == Protocol::ICMP || packet.protocol == Protocol::ICMPV6 {
        destination.ip().to_string()
    } else {
        destination.to_string()
    };
    format!("{} {} > {to}", source.ip(), port_in_words(source, flow, flows, judge, ruleset))
}

/// Whose a source's port is; of one that was drawn, only its class.
fn port_in_words(source: SocketAddr, flow: &Flow, flows: &[Flow], judge: usize, ruleset: &str) -> String {
    let is_random = ruleset.contains("random");
    // Another conn to the same server may have drawn the port that this one would have kept.
    let is_drawn_by = |other: &Flow| {
        (other.transport, other.server) == (flow.transport, flow.server)
            && other.client.port() != flow.client.port()
            && other.left[judge]
                .as_deref()
                .map(ends)
                .is_some_and(|(outer, _)| outer == SocketAddr::new(source.ip(), flow.client.port()))
    };
    if !is_random && (source.port() == flow.client.port() || flows.iter().any(is_drawn_by)) {
        return "own port".to_owned();
    }
    // Of few ports chance gives one often enough that another conn has, too.
    match source.port() {
        _ if flow.transport >= TRACKED => return "another identifier".to_owned(),
        0..512 => return "port below 512".to_owned(),
        512..1024 => return "port below 1024".to_owned(),
        2000..2004 if ruleset == "four ports" => return "one of the four ports".to_owned(),
        _ => {}
    }
    let others = flows.iter().filter(|other| {
        (other.transport, other.client) == (flow.transport, flow.client) && other.server != flow.server
    });
    let mut known = others.filter_map(|other| Some(ends(other.left[judge].as_deref()?).0));
    if !is_random && known.any(|other| other == source) { "port of another conn" } else { "other port" }
        .to_owned()
}
