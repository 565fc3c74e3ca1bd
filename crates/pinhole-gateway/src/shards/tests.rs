//! Several bridges in one thread: what one engine does, several do, wherever a frame comes in.

use super::{Exchange, Share, program};
use crate::{Bridge, LinkPolicy, Observer};
use etherparse::PacketBuilder;
use pinhole_engine::{
    AddressRange, Attachment, Cidr, Engine, Event, Frame, Outcome, Settings, Spread, Steering,
};
use pinhole_io::live::fanout::Instruction;
use pinhole_io::live::memory::{self, Wire};
use pinhole_track::{State, Status};
use pinhole_wire::{Address, IpVersion, Time};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::sync::Arc;

const NOW: Time = Time(1_700_000_000_000_000_000);
const RULES: &str = "table inet f { chain c { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    tcp dport 6667 accept
} }";

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 1];
const LATE: [u8; 4] = [198, 51, 100, 99];

#[derive(Default)]
struct Seen(Vec<(&'static str, Option<State>)>);

impl Observer for Seen {
    fn packet(&mut self, _engine: &Engine, _frame: &Frame<'_>, outcome: &Outcome) {
        self.0.push((outcome.verdict.name(), outcome.state));
    }

    fn event(&mut self, _engine: &Engine, _event: Event) {}
}

struct Lab {
    shards: Vec<(Bridge, [Wire; 2])>,
    seen: Seen,
    now: Time,
}

impl Lab {
    fn new(count: u8, secret: u32) -> Self {
        let steering = Steering::new(count, secret, Spread::ByOutside);
        let exchange = Arc::new(Exchange::new(steering.count()).unwrap());
        let shards = (0..steering.count()).map(|index| {
            let ruleset = pinhole_ruleset::compile_text("f.nft", RULES).unwrap();
            let irc = Attachment { helper: "irc".to_owned(), ports: Vec::new() };
            let settings = Settings { attachments: vec![irc], ..Settings::default() };
            let engine = Engine::new(settings, pinhole_helpers::registry(), Some(ruleset)).unwrap();
            let ((a, left), (b, right)) = (memory::port("left"), memory::port("right"));
            let mut bridge = Bridge::new(engine, [Box::new(a), Box::new(b)], LinkPolicy::default());
            if count > 1 {
                bridge.join(Share::new(index, steering.clone(), exchange.clone()));
                bridge.steer_by(steering.clone());
            }
            (bridge, [left, right])
        });
        Self { shards: shards.collect(), seen: Seen::default(), now: NOW }
    }

    /// A frame comes in by a side of any shard; what comes out by the other side.
    fn send(&mut self, shard: usize, side: usize, frame: &[u8]) -> Vec<Vec<u8>> {
        let at = shard % self.shards.len();
        self.shards[at].1[side].send(frame);
        self.now = self.now.plus_nanos(1_000_000);
        loop {
            let mut more = false;
            for (bridge, _) in &mut self.shards {
                for side in [0, 1] {
                    more |= bridge.serve(self.now, side, &mut self.seen).unwrap() > 0;
                }
                more |= bridge.serve_handed(self.now, &mut self.seen);
            }
            if !more {
                break;
            }
        }
        let out = self.shards.iter().flat_map(|(_, wires)| std::iter::from_fn(|| wires[side ^ 1].receive()));
        out.map(|(bytes, _)| bytes).collect()
    }

    /// Ends all conns everywhere.
    fn flush(&mut self) {
        for (bridge, _) in &mut self.shards {
            bridge.engine_mut().flush(self.now);
            bridge.tell_events(&mut self.seen);
        }
    }

    /// How many conns were expected, and whether each lies with its master.
    fn expected(&self) -> usize {
        let mut expected = 0;
        for (bridge, _) in &self.shards {
            let tracker = bridge.engine().tracker();
            for conn in tracker.conns().filter(|c| tracker.status(*c).unwrap().contains(Status::EXPECTED)) {
                assert!(tracker.master(conn).is_some());
                expected += 1;
            }
        }
        expected
    }
}

/// One TCP segment: (from, to, ports, sequence, acknowledgement, flags, payload), left to right if the sender is inside.
type Segment = ([u8; 4], [u8; 4], (u16, u16), u32, u32, &'static str, Vec<u8>);

fn frame((from, to, (source, destination), seq, ack, flags, payload): &Segment) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(*from, *to, 64).tcp(
        *source,
        *destination,
        *seq,
        65_535,
    );
    let builder = if flags.contains('S') { builder.syn() } else { builder };
    let builder = if flags.contains('A') { builder.ack(*ack) } else { builder };
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn handshake(from: [u8; 4], to: [u8; 4], ports: (u16, u16)) -> [Segment; 3] {
    let back = (ports.1, ports.0);
    [
        (from, to, ports, 100, 0, "S", vec![]),
        (to, from, back, 500, 101, "SA", vec![]),
        (from, to, ports, 101, 501, "A", vec![]),
    ]
}

/// A client offers a file to peers that the server knows and the gateway does not; each comes once, then one of them again.
fn traffic(peers: &[[u8; 4]]) -> Vec<Segment> {
    let mut segments = handshake(CLIENT, SERVER, (40_000, 6667)).to_vec();
    let mut seq = 101;
    for (port, peer) in (5_000..).zip(peers) {
        let host = u32::from(Ipv4Addr::from(CLIENT));
        let line = format!("PRIVMSG bob :\u{1}DCC SEND file {host} {port} 10\u{1}\r\n").into_bytes();
        let length = line.len() as u32;
        segments.push((CLIENT, SERVER, (40_000, 6667), seq, 501, "A", line));
        seq += length;
        segments.push((SERVER, CLIENT, (6667, 40_000), 501, seq, "A", vec![]));
        segments.extend(handshake(*peer, CLIENT, (6_000, port)));
        segments.push((*peer, CLIENT, (6_000, port), 101, 501, "A", b"data".to_vec()));
        // The expectation was for one: another peer comes too late.
        segments.push((LATE, CLIENT, (6_001, port), 100, 0, "S", vec![]));
    }
    segments
}

fn side(segment: &Segment) -> usize {
    usize::from(segment.0 != CLIENT)
}

#[test]
fn an_expected_conn_of_a_third_host_comes_to_its_master() {
    let peers: Vec<[u8; 4]> = (1..=20).map(|host| [203, 0, 113, host]).collect();
    let mut lab = Lab::new(4, 0x9e37_79b9);
    for segment in traffic(&peers) {
        let passed = !lab.send(0, side(&segment), &frame(&segment)).is_empty();
        assert_eq!(passed, segment.0 != LATE, "{segment:?}");
    }
    assert_eq!(lab.expected(), peers.len());
    let homes = peers.iter().map(|peer| {
        let steering = Steering::new(4, 0x9e37_79b9, Spread::ByOutside);
        steering.of_addresses(IpVersion::V4, Address::v4(*peer), Address::v4(CLIENT))
    });
    assert!(homes.collect::<std::collections::HashSet<_>>().len() > 1, "their own addresses lead elsewhere");
    let lost: u64 = lab
        .shards
        .iter()
        .map(|(bridge, _)| bridge.share().unwrap().statistics())
        .map(|statistics| statistics.frames_lost + statistics.notices_lost + statistics.clashes)
        .sum();
    assert_eq!(lost, 0);

    // What has ended is led nowhere any more: the peer's next packet is one of no conn, and a drop.
    lab.flush();
    let late = (peers[0], CLIENT, (6_000, 5_000), 200, 0, "S", vec![]);
    assert!(lab.send(0, 1, &frame(&late)).is_empty());
    assert_eq!(lab.seen.0.last(), Some(&("drop", Some(State::New))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many shards there are and wherever frames come in: the same verdicts, states and frames.
    #[test]
    fn shards_do_what_one_engine_does(
        count in 2u8..6,
        secret in any::<u32>(),
        peers in prop::collection::vec(any::<u16>().prop_map(|host| {
            let [high, low] = host.to_be_bytes();
            [198, 18, high, low]
        }), 1..6),
        arrivals in prop::collection::vec(any::<usize>(), 64),
    ) {
        let (mut one, mut many) = (Lab::new(1, 1), Lab::new(count, secret));
        for (segment, arrival) in traffic(&peers).iter().zip(arrivals.iter().cycle()) {
            let bytes = frame(segment);
            prop_assert_eq!(one.send(0, side(segment), &bytes), many.send(*arrival, side(segment), &bytes));
        }
        prop_assert_eq!(&one.seen.0, &many.seen.0);
        prop_assert_eq!(one.expected(), many.expected());
        prop_assert_eq!(one.expected(), peers.len());
    }

    /// Both directions, errors about them, and what translation of inside addresses makes of them have one home.
    #[test]
    fn a_conn_has_one_home(
        count in 1u8..9,
        secret in any::<u32>(),
        inside in any::<[u8; 2]>(),
        ports in (any::<u16>(), any::<u16>()),
        outside in any::<u32>().prop_filter("not inside", |address| address >> 16 != 0x0a00),
    ) {
        let steering = steering(count, secret, Spread::ByOutside);
        let (inner, own, other) = ([10, 0, inside[0], inside[1]], OUTER, outside.to_be_bytes());
        let out = frame(&(inner, other, ports, 0, 0, "S", vec![]));
        let home = steering.of_frame(&out);
        prop_assert!(home < usize::from(count));
        // Another port may be another shard's; of most not.
        let back = frame(&(other, own, (ports.1, ports.0 & 0x7fff | 0x1000), 0, 0, "SA", vec![]));
        prop_assert_eq!(steering.of_frame(&back), home);

        let mut error = Vec::new();
        PacketBuilder::ethernet2([2; 6], [2; 6])
            .ipv4([203, 0, 113, 9], inner, 64)
            .icmpv4(etherparse::Icmpv4Type::DestinationUnreachable(
                etherparse::icmpv4::DestUnreachableHeader::Port,
            ))
            .write(&mut error, out.get(14..).unwrap())
            .unwrap();
        prop_assert_eq!(steering.of_frame(&error), home);
    }

    /// The kernel's program says what the steering says.
    #[test]
    fn the_program_knows_the_home(
        count in 1u8..=32,
        secret in any::<u32>(),
        by_inside in any::<bool>(),
        v6 in any::<bool>(),
        ends in (0usize..4, 0usize..4, any::<[u8; 2]>(), any::<u16>(), any::<u16>()),
        kind in 0u8..4,
    ) {
        let spread = if by_inside { Spread::ByInside } else { Spread::ByOutside };
        let steering = steering(count, secret, spread);
        let (one, other, low, source, destination) = ends;
        let v4 = |kind: usize| match kind {
            0 => OUTER,
            1 => [10, 0, low[0], low[1]],
            2 => [192, 0, 2, low[0]],
            _ => [low[1], 7, 7, low[0]],
        };
        let six = |kind: usize| {
            let text = match kind {
                0 => "2001:db8::7".to_owned(),
                1 => format!("fd00:1::{:x}", low[0]),
                _ => format!("2001:{:x}::{kind:x}", u16::from(low[1]) << 4),
            };
            text.parse::<std::net::Ipv6Addr>().unwrap().octets()
        };
        let ethernet = PacketBuilder::ethernet2([2; 6], [2; 6]);
        let ip = match v6 {
            false => ethernet.ipv4(v4(one), v4(other), 64),
            true => ethernet.ipv6(six(one), six(other), 64),
        };
        let mut bytes = Vec::new();
        match kind {
            0 => ip.tcp(source, destination, 1, 2).write(&mut bytes, b"x").unwrap(),
            1 => ip.udp(source, destination).write(&mut bytes, b"xxx").unwrap(),
            2 => ip.write(&mut bytes, etherparse::ip_number::GRE, &[0; 8]).unwrap(),
            _ => ip.write(&mut bytes, etherparse::ip_number::EGP, &[7; 20]).unwrap(),
        };
        prop_assert_eq!(run(&program::of(&steering), &bytes), Some(steering.of_frame(&bytes) as u32));
    }
}

const OUTER: [u8; 4] = [203, 0, 113, 7];

fn steering(count: u8, secret: u32, spread: Spread) -> Steering {
    let range = |text: &str| AddressRange::from(text.parse::<Cidr>().unwrap());
    let inside = vec![range("10.0.0.0/16"), range("fd00::/8")];
    Steering::new(count, secret, spread).with(inside, vec![range("203.0.113.7/32"), range("2001:db8::7/128")])
}

/// What the kernel does with a program and a frame, which is at its network header then.
fn run(program: &[Instruction], frame: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut kept, mut at) = (0u32, 0u32, [0u32; 16], 0usize);
    let datagram = &frame[14..];
    let load = |place: u32, width: usize| -> Option<u32> {
        if place == -0x1000_i32 as u32 {
            return Some(u32::from(u16::from_be_bytes([frame[12], frame[13]])));
        }
        let place = place.wrapping_add(0x10_0000) as usize;
        let bytes = datagram.get(place..place + width)?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    loop {
        let Instruction { code, if_true, if_false, operand: k } = *program.get(at)?;
        at += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { if_true } else { if_false });
        match code {
            0x20 => a = load(k, 4)?,
            0x28 => a = load(k, 2)?,
            0x30 => a = load(k, 1)?,
            0x48 => a = load(k.wrapping_add(x), 2)?,
            0x00 => a = k,
            0x60 => a = kept[k as usize],
            0x02 => kept[k as usize] = a,
            0x01 => x = k,
            0x61 => x = kept[k as usize],
            0xb1 => x = (load(k, 1)? & 0xf) * 4,
            0x24 => a = a.wrapping_mul(k),
            0x34 => a /= k,
            0x54 => a &= k,
            0x74 => a >>= k,
            0x94 => a %= k,
            0xac => a ^= x,
            0x07 => x = a,
            0x05 => at += k as usize,
            0x15 => jump(a == k),
            0x25 => jump(a > k),
            0x35 => jump(a >= k),
            0x45 => jump(a & k != 0),
            0x1d => jump(a == x),
            0x06 => return Some(k),
            0x16 => return Some(a),
            _ => return None,
        }
    }
}
