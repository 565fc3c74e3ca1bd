//! The same input gives the same output, to the byte: twice, one by one or in batches of any size, under any secret.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Emission, EmissionKind, Engine, Filtering, Frame, NatBehaviour, PortMapping, Settings};
use pinhole_helper::Pickup;
use pinhole_wire::{Direction, LinkType, Packet, Time};
use std::path::Path;
use support::Captured;
use support::conversation::{Conversation, Dice, fragment, ping, syn, udp, unreachable};
use support::lab::address;

const RULES: &str = r#"table inet firewall {
    ct helper ftp-reader { type "ftp" protocol tcp; }
    ct helper irc-reader { type "irc" protocol tcp; }
    set seen { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 } }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid log drop
        ct state established,related counter accept
        ct state new tcp dport 21 ct helper set "ftp-reader" ct mark set 7 accept
        ct state new tcp dport 6660-7000 ct helper set "irc-reader" accept
        ip saddr @seen limit rate 100/second accept
        meta l4proto { tcp, udp } counter reject
    }
}
"#;

/// How frames are handed over.
#[derive(Clone, Copy)]
enum Manner {
    OneByOne,
    Batches(usize),
    BatchesOfAnySize(u64),
}

/// Outcomes and events of a fresh engine, as text.
fn run(frames: &[Captured], manner: Manner, secret: [u64; 2]) -> (Vec<String>, Vec<String>) {
    run_with(RULES, frames, manner, secret)
}

fn run_with(
    rules: &str,
    frames: &[Captured],
    manner: Manner,
    secret: [u64; 2],
) -> (Vec<String>, Vec<String>) {
    let settings = Settings { secret, pickup: Pickup::Lenient, ..Settings::default() };
    let rules = pinhole_ruleset::compile_text("firewall.nft", rules).unwrap();
    let mut engine = Engine::new(settings, pinhole_helpers::registry(), Some(rules)).unwrap();
    let frames: Vec<Frame<'_>> = frames
        .iter()
        .map(|f| Frame {
            number: f.number,
            time: f.time,
            link: f.link,
            bytes: &f.bytes,
            ingress: None,
            egress: None,
            checksum: pinhole_engine::FrameChecksum::Unknown,
        })
        .collect();
    let (mut outcomes, mut events) = (Vec::new(), Vec::new());
    let mut rest = &frames[..];
    let mut dice = Dice(0);
    while !rest.is_empty() {
        let count = match manner {
            Manner::OneByOne => 1,
            Manner::Batches(size) => size,
            Manner::BatchesOfAnySize(seed) => {
                dice.0 = dice.0.wrapping_add(seed);
                1 + dice.below(200)
            }
        };
        let (batch, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        match manner {
            Manner::OneByOne => outcomes.push(engine.handle(&batch[0])),
            _ => engine.handle_batch(batch, &mut outcomes),
        }
        while let Some(event) = engine.next_event() {
            events.push(format!("{event:?}"));
        }
    }
    assert_eq!(engine.statistics().events_dropped, 0);
    (outcomes.iter().map(|outcome| format!("{outcome:?}")).collect(), events)
}

/// Two runs came to the same; if not, where they part.
fn assert_same(name: &str, one: &(Vec<String>, Vec<String>), other: &(Vec<String>, Vec<String>)) {
    for (one, other) in [(&one.0, &other.0), (&one.1, &other.1)] {
        if let Some(at) = one.iter().zip(other).position(|(a, b)| a != b) {
            panic!("{name}, {at}:\n{}\n{}", one[at], other[at]);
        }
        assert_eq!(one.len(), other.len(), "{name}");
    }
}

fn assert_same_in_every_manner(name: &str, frames: &[Captured]) {
    let secret = Settings::default().secret;
    let first = run(frames, Manner::OneByOne, secret);
    assert_eq!(first.0.len(), frames.len());
    assert_same(name, &first, &run(frames, Manner::OneByOne, secret));
    for size in [1, 7, 32, 33, usize::MAX] {
        assert_same(&format!("{name} by {size}"), &first, &run(frames, Manner::Batches(size), secret));
    }
    for seed in 1..4 {
        assert_same(name, &first, &run(frames, Manner::BatchesOfAnySize(seed), secret));
        assert_same(name, &first, &run(frames, Manner::OneByOne, [seed, !seed]));
    }
}

/// A text without the generations of conns: a first packet that is dropped may or may not have used up one.
fn without_generations(text: &str) -> String {
    without_numbers(text, "generation: ")
}

/// A text without the numbers that follow a word.
fn without_numbers(text: &str, word: &str) -> String {
    let mut parts = text.split(word);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// If a rule looks at the conn, first packets take the long way: it leads where the short one does.
#[test]
fn the_short_way_of_first_packets_leads_where_the_long_one_does() {
    let asks = "\n        ct mark 99 accept\n    }\n}\n";
    let rules_that_ask = format!("{}{asks}", RULES.trim_end().trim_end_matches(['}', ' ', '\n']));
    let strip = |(outcomes, events): (Vec<String>, Vec<String>)| {
        let strip = |texts: Vec<String>| texts.iter().map(|text| without_generations(text)).collect();
        (strip(outcomes), strip(events))
    };
    for seed in 0..4 {
        let (frames, secret) = (mixture(seed), [seed, 1]);
        let short = strip(run(&frames, Manner::Batches(32), secret));
        let long = strip(run_with(&rules_that_ask, &frames, Manner::Batches(32), secret));
        assert_same("short and long", &short, &long);
    }
}

const MASQUERADE: &str = "table ip nat {
    chain postrouting { type nat hook postrouting priority srcnat; oifname wan masquerade; }
}
table ip filter {
    chain forward { type filter hook forward priority filter; policy drop; ct state established accept; udp dport 53 accept; }
}";

fn masquerading() -> Engine {
    let mut settings = Settings::default();
    let wan = settings.topology.add_interface("wan", "192.0.2.0/24".parse().unwrap());
    settings.topology.add_local("203.0.113.7".parse().unwrap());
    settings.nat.addresses.push((wan, "203.0.113.7".parse().unwrap()));
    let rules = pinhole_ruleset::compile_text("nat.nft", MASQUERADE).unwrap();
    Engine::new(settings, pinhole_helpers::registry(), Some(rules)).unwrap()
}

fn frame(captured: &Captured) -> Frame<'_> {
    Frame {
        number: captured.number,
        time: captured.time,
        link: captured.link,
        bytes: &captured.bytes,
        ingress: None,
        egress: None,
        checksum: pinhole_engine::FrameChecksum::Unknown,
    }
}

/// Queries through a masquerading engine and the answers to what left it, with jumps of time and broken checksums.
fn masqueraded(seed: u64) -> Vec<Captured> {
    let mut engine = masquerading();
    let (mut dice, mut now) = (Dice(seed), Time::from_seconds(1_700_000_000));
    let mut left: Vec<Option<Packet>> = vec![None; 8];
    let mut frames: Vec<Captured> = Vec::new();
    while frames.len() < 1500 {
        let index = dice.below(left.len());
        let mut bytes = match left[index] {
            Some(packet) if dice.below(2) == 0 => {
                let end = |ip: pinhole_wire::Address, port: Option<u16>| {
                    (ip.ip(packet.version), port.unwrap()).into()
                };
                let client = end(packet.source, packet.source_port());
                udp(end(packet.destination, packet.destination_port()), client, b"answer")
            }
            _ => udp(address(&format!("10.0.0.{}:4000", 1 + index)), address("192.0.2.1:53"), b"query"),
        };
        if dice.one_in(20) {
            *bytes.last_mut().unwrap() ^= 1;
        }
        now = now.plus_nanos(if dice.one_in(50) { 9_000_000_000 } else { 300_000_000 });
        let captured = Captured { number: frames.len() as u64 + 1, time: now, link: LinkType::RAW, bytes };
        engine.handle(&frame(&captured));
        if let Some(made) = engine.output().next()
            && captured.bytes.ends_with(b"query")
        {
            left[index] = Packet::parse(&made.packet(&captured.bytes), 0).ok();
        }
        frames.push(captured);
    }
    frames
}

/// All that leaves, whether or not it is given out as a whole.
fn whole(made: &Emission<'_>, frame: &[u8]) -> (u64, EmissionKind, LinkType, Vec<u8>) {
    (made.frame, made.kind, made.link, made.packet(frame))
}

/// One by one, packets of translated conns take the long way, in batches the short one.
#[test]
fn translated_packets_leave_alike_in_every_manner() {
    for seed in 0..4 {
        let frames = masqueraded(seed);
        let run = |size: usize| {
            let (mut engine, mut outcomes, mut packets) = (masquerading(), Vec::new(), Vec::new());
            for chunk in frames.chunks(size) {
                let chunk: Vec<Frame<'_>> = chunk.iter().map(frame).collect();
                match &chunk[..] {
                    [one] => outcomes.push(engine.handle(one)),
                    many => engine.handle_batch(many, &mut outcomes),
                }
                let came = |number| &frames[number as usize - 1].bytes;
                packets.extend(engine.output().map(|made| format!("{:?}", whole(&made, came(made.frame)))));
            }
            assert!(engine.nat_statistics().packets > 1000, "{:?}", engine.nat_statistics());
            (outcomes.iter().map(|outcome| format!("{outcome:?}")).collect(), packets)
        };
        let long = run(1);
        for size in [2, 32, 100] {
            assert_same(&format!("seed {seed} by {size}"), &long, &run(size));
        }
    }
}

/// Both ends of conns are translated, and some of none; ports run out; conns are dropped, marked and logged.
const TRANSLATING: &str = "table inet nat {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        ip daddr 203.0.113.7 udp dport 8000 dnat ip to 10.0.0.1:53
        ip daddr 203.0.113.7 udp dport 8001 dnat ip to 10.0.0.2:60-62
        ip daddr 192.0.2.4 udp dport 54 redirect to :53
        ip saddr 10.0.0.1 ip daddr 192.0.2.3 udp dport 4000 dnat ip to 10.0.0.1:4000
    }
    chain postrouting {
        type nat hook postrouting priority srcnat;
        ip saddr 10.0.0.1 ip daddr 10.0.0.1 snat ip to 192.0.2.3
        udp dport 53 oifname wan masquerade to :5000-5005
        tcp dport 82 oifname wan masquerade random
        udp dport 54 snat ip to 203.0.113.8-203.0.113.11
        oifname wan masquerade
        ip saddr 10.0.0.3 snat ip to 10.0.0.4
    }
}
table ip filter {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        udp dport 7 drop
        tcp dport 81 ct mark set 5 accept
        udp dport 54 log accept
        meta l4proto { tcp, udp } counter accept
    }
}
";

fn translating(rules: &str, behaviour: NatBehaviour) -> Engine {
    let mut settings = Settings::default();
    let wan = settings.topology.add_interface("wan", "192.0.0.0/8".parse().unwrap());
    settings.topology.add_interface("lan", "10.0.0.0/8".parse().unwrap());
    settings.topology.set_routed(true);
    settings.topology.add_local("203.0.113.7".parse().unwrap());
    settings.nat.addresses.push((wan, "203.0.113.7".parse().unwrap()));
    settings.nat.behaviour = behaviour;
    let rules = pinhole_ruleset::compile_text("nat.nft", rules).unwrap();
    Engine::new(settings, pinhole_helpers::registry(), Some(rules)).unwrap()
}

/// If a rule looks at the conn, first packets of conns that are translated take the long way, too.
#[test]
fn the_short_way_of_translated_first_packets_leads_where_the_long_one_does() {
    let asks = "\n        ct mark 99 accept\n    }\n}\n";
    let rules_that_ask = format!("{}{asks}", TRANSLATING.trim_end().trim_end_matches(['}', ' ', '\n']));
    let allotting = NatBehaviour {
        mapping: PortMapping::EndpointIndependent(Filtering::EndpointIndependent),
        parity: true,
        ports_per_host: std::num::NonZeroU16::new(8),
        hairpin: true,
    };
    let mut told = String::new();
    for (seed, behaviour) in [(0, NatBehaviour::default()), (1, NatBehaviour::default()), (2, allotting)] {
        let run = |rules: &str| {
            let mut engine = translating(rules, behaviour);
            let (mut dice, mut now) = (Dice(seed), Time::from_seconds(1_700_000_000));
            let mut lines = Vec::new();
            let mut left: Vec<Vec<u8>> = Vec::new();
            for number in 1..=4000 {
                let host = |dice: &mut Dice| format!("10.0.0.{}", 1 + dice.below(4));
                let client = format!("{}:{}", host(&mut dice), 4000 + dice.below(3));
                let server = match dice.below(8) {
                    0 => "203.0.113.7".to_owned(),
                    1 => host(&mut dice),
                    2 => "198.18.0.1".to_owned(),
                    _ => format!("192.0.2.{}", 1 + dice.below(4)),
                };
                let port = [53, 54, 7, 80, 81, 82, 8000, 8001, 4000][dice.below(9)];
                let (from, to) = (address(&client), address(&format!("{server}:{port}")));
                let bytes = match dice.below(6) {
                    0 | 1 => syn(from, to),
                    // What left comes back, be it as the answer or not.
                    2 if !left.is_empty() => {
                        let packet = Packet::parse(&left[dice.below(left.len())], 0).unwrap();
                        let end = |ip: pinhole_wire::Address, port: Option<u16>| {
                            (ip.ip(packet.version), port.unwrap()).into()
                        };
                        let peer = end(packet.destination, packet.destination_port());
                        udp(peer, end(packet.source, packet.source_port()), b"!")
                    }
                    _ => udp(from, to, b"?"),
                };
                now = now.plus_nanos(if dice.one_in(30) { 40_000_000_000 } else { 100_000_000 });
                let captured = Captured { number, time: now, link: LinkType::RAW, bytes };
                let outcome = engine.handle(&frame(&captured));
                let made = engine.output().map(|made| whole(&made, &captured.bytes));
                lines.push(format!("{outcome:?} {:?}", made.collect::<Vec<_>>()));
                left.extend(engine.output().map(|made| made.packet(&captured.bytes)));
                while let Some(event) = engine.next_event() {
                    lines.push(support::lab::told(&engine, &event));
                }
                lines.push(format!("{:?} {}", engine.nat_statistics(), engine.nat_ports()));
                lines.push(format!("{} {:?}", engine.nat_ports_tried(), engine.tracker().statistics()));
            }
            // A conn that is made late may have the slot of one that ended with its first packet.
            let without_ids = |line: &String| without_numbers(&without_generations(line), "index: ");
            lines.iter().map(without_ids).collect::<Vec<_>>()
        };
        let (short, long) = (run(TRANSLATING), run(&rules_that_ask));
        let name = format!("seed {seed}");
        assert_same(&name, &(short.clone(), Vec::new()), &(long, Vec::new()));
        told.extend(short);
    }
    for word in ["translated", "Exhausted", "Clash", "NoRoute", "Log", "SRC_NAT", "DST_NAT"] {
        assert!(told.contains(word), "no {word}");
    }
}

/// Everything at once: many conns in all protocols, fragments, errors, broken packets, jumps of time.
fn mixture(seed: u64) -> Vec<Captured> {
    let mut dice = Dice(seed);
    let mut now = Time::from_seconds(1_700_000_000);
    let mut conversations: Vec<Conversation> = (0..12)
        .map(|index| {
            let port = [21, 6667, 80, 21][index % 4];
            Conversation::new(
                address(&format!("10.0.0.{}:{}", 1 + index % 5, 4000 + index)),
                address(&format!("192.0.2.1:{port}")),
            )
        })
        .collect();
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let lines: [&[u8]; 8] = [
        b"220 ready\r\n",
        b"PORT 10,0,0,1,195,81\r\n",
        b"200 ok\r\n",
        b"PASV\r\n",
        b"227 (192,0,2,1,195,82)\r\n",
        b"NICK a\r\nPRIVMSG b :\x01DCC SEND a 167772161 5001 1\x01\r\n",
        b"500 no\r\nPORT 10,0,0,9,1,1\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    let first = &mut conversations[0];
    packets.extend(first.handshake());
    packets.push(first.say(Direction::Reply, lines[0]));
    packets.push(first.say(Direction::Original, lines[1]));
    packets.push(syn(address("192.0.2.1:20"), address("10.0.0.1:50001")));
    while packets.len() < 3000 {
        let index = dice.below(conversations.len());
        let conversation = &mut conversations[index];
        let from = [Direction::Original, Direction::Reply][dice.below(2)];
        match dice.below(12) {
            0 => packets.extend(conversation.handshake()),
            1..=6 => packets.push(conversation.say(from, lines[dice.below(lines.len())])),
            7 => {
                let whole = conversation.at(from, 0, &[b'x'; 100]);
                packets.extend(
                    [0, 32, 64]
                        .map(|start| fragment(&whole, index as u16, start, start + 32 + 8 * dice.below(2))),
                );
            }
            8 => {
                let about = conversation.acknowledge(from);
                packets.push(unreachable("192.0.2.1".parse().unwrap(), "10.0.0.1".parse().unwrap(), &about));
            }
            9 => {
                let port = 50_001 + dice.below(2) as u16;
                packets.push(syn(address("192.0.2.1:20"), address(&format!("10.0.0.1:{port}"))));
                packets.push(udp(address("10.0.0.2:53"), address(&format!("192.0.2.3:{port}")), b"?"));
                packets.push(ping("10.0.0.2".parse().unwrap(), "192.0.2.3".parse().unwrap(), port));
            }
            10 => packets.extend(conversation.close()),
            _ => {
                let mut broken = conversation.at(from, 0, lines[dice.below(lines.len())]);
                let at = dice.below(broken.len());
                broken[at] ^= 1 << dice.below(8);
                broken.truncate(1 + dice.below(broken.len() + 40));
                packets.push(broken);
            }
        }
    }
    packets
        .into_iter()
        .enumerate()
        .map(|(index, bytes)| {
            now = now.plus_nanos(if dice.one_in(50) { 20_000_000_000 } else { 1_000_000 });
            Captured { number: index as u64 + 1, time: now, link: LinkType::RAW, bytes }
        })
        .collect()
}

#[test]
fn a_mixture_of_everything() {
    let mut told = String::new();
    for seed in 0..6 {
        let frames = mixture(seed);
        assert_same_in_every_manner(&format!("seed {seed}"), &frames);
        let (outcomes, events) = run(&frames, Manner::OneByOne, [1, 2]);
        told.extend(outcomes.into_iter().chain(events));
    }
    for word in ["New", "Related", "Invalid", "Reject", "Held", "Overlap", "TransportCut", "Checksum"] {
        assert!(told.contains(word), "no {word}");
    }
    for event in ["ConnDestroy", "ExpectationHit", "ExpectationEnd", "Refusal", "HelperBlind", "Log"] {
        assert!(told.contains(event), "no {event}");
    }
}

#[test]
fn demo_captures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pinhole/demo");
    let paths = support::captures(&folder);
    assert!(paths.len() >= 5);
    for path in paths {
        assert_same_in_every_manner(&path.display().to_string(), &support::frames(&path));
    }
}

#[test]
fn shared_captures() {
    let Some(shared) = support::shared("determinism of shared captures") else { return };
    for protocol in ["ftp", "irc", "sip", "pptp"] {
        for path in support::captures(&shared.join("captures").join(protocol)) {
            let mut frames = support::frames(&path);
            frames.truncate(2000);
            assert_same_in_every_manner(&path.display().to_string(), &frames);
        }
    }
}
