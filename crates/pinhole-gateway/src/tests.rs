//! Bridges between ports in memory.

use crate::{Bridge, LinkPolicy, Observer, Treatment, answer};
use etherparse::{IpFragOffset, IpNumber, Ipv4Header, PacketBuilder, PacketHeaders, TransportHeader};
use pinhole_engine::{Engine, Event, Frame, Outcome, Settings, Verdict};
use pinhole_io::live::fault::{Faults, Faulty};
use pinhole_io::live::memory::{self, Wire};
use pinhole_io::live::{Offload, Port};
use pinhole_ruleset::RejectWith;
use pinhole_wire::{Packet, Time};
use proptest::prelude::*;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 0, 0, 2];
const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const NOW: Time = Time(1_700_000_000_000_000_000);

#[derive(Default)]
struct Log {
    verdicts: Vec<Verdict>,
    events: usize,
}

impl Observer for Log {
    fn packet(&mut self, _engine: &Engine, _frame: &Frame<'_>, outcome: &Outcome) {
        self.verdicts.push(outcome.verdict);
    }

    fn event(&mut self, _engine: &Engine, _event: Event) {
        self.events += 1;
    }
}

struct Lab {
    bridge: Bridge,
    left: Wire,
    right: Wire,
    log: Log,
    now: Time,
}

impl Lab {
    fn new(rules: &str) -> Self {
        Self::with(rules, LinkPolicy::default(), |port| port)
    }

    fn with(rules: &str, policy: LinkPolicy, left_port: impl FnOnce(Box<dyn Port>) -> Box<dyn Port>) -> Self {
        let text = format!(
            "table inet f {{ chain c {{ type filter hook forward priority 0; policy drop;\n{rules}\n}} }}"
        );
        let ruleset = pinhole_ruleset::compile_text("f.nft", &text).unwrap();
        let engine = Engine::new(Settings::default(), pinhole_helpers::registry(), Some(ruleset)).unwrap();
        let ((a, left), (b, right)) = (memory::port("left"), memory::port("right"));
        let bridge = Bridge::new(engine, [left_port(Box::new(a)), Box::new(b)], policy);
        Self { bridge, left, right, log: Log::default(), now: NOW }
    }

    fn run(&mut self) {
        for side in [0, 1] {
            while self.bridge.serve(self.now, side, &mut self.log).unwrap() > 0 {}
        }
        self.bridge.advance(self.now, &mut self.log);
    }

    /// What comes out on the right of these frames from the left.
    fn forward(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        frames.iter().for_each(|frame| self.left.send(frame));
        self.run();
        all(&self.right)
    }
}

fn all(wire: &Wire) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| wire.receive()).map(|(bytes, _)| bytes).collect()
}

fn syn(port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC)
        .ipv4(CLIENT, SERVER, 64)
        .tcp(40_000, port, 1000, 65_535)
        .syn()
        .write(&mut bytes, &[])
        .unwrap();
    bytes
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, SERVER_MAC)
        .ipv4(CLIENT, SERVER, 64)
        .udp(40_000, 53)
        .write(&mut bytes, payload)
        .unwrap();
    bytes
}

/// The fragments of a UDP datagram.
fn fragments(payload: &[u8], size: usize) -> Vec<Vec<u8>> {
    let whole = udp(payload);
    let data = &whole[34..];
    let pieces = data.chunks(size).enumerate().map(|(index, piece)| {
        let mut header = Ipv4Header::new(piece.len() as u16, 64, IpNumber::UDP, CLIENT, SERVER).unwrap();
        header.identification = 77;
        header.dont_fragment = false;
        header.more_fragments = (index + 1) * size < data.len();
        header.fragment_offset = IpFragOffset::try_new((index * size / 8) as u16).unwrap();
        header.header_checksum = header.calc_header_checksum();
        let mut frame = whole[..14].to_vec();
        header.write(&mut frame).unwrap();
        frame.extend(piece);
        frame
    });
    pieces.collect()
}

fn arp() -> Vec<u8> {
    [&[0xff; 6], &CLIENT_MAC[..], &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]].concat()
}

fn neighbour_solicitation(hops: u8) -> Vec<u8> {
    let mut frame = [&SERVER_MAC[..], &CLIENT_MAC, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 58, hops]].concat();
    frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame.extend([135, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    frame
}

#[test]
fn what_is_accepted_comes_out_unchanged_and_in_order() {
    let mut lab = Lab::new("tcp dport 80-200 accept");
    let frames: Vec<_> = (80..180).map(syn).collect();
    assert_eq!(lab.forward(&frames), frames);
    assert!(all(&lab.left).is_empty());
    assert_eq!(lab.bridge.statistics().ports[0].received, 100);
    assert_eq!(lab.bridge.statistics().ports[1].sent, 100);
    assert!(lab.log.events >= 100, "each opened a conn");
}

#[test]
fn what_is_dropped_does_not() {
    let mut lab = Lab::new("tcp dport 80 accept");
    assert_eq!(lab.forward(&[syn(80), syn(81)]), [syn(80)]);
    assert_eq!(lab.log.verdicts, [Verdict::Accept, Verdict::Drop]);
}

#[test]
fn rules_see_the_ports_by_name() {
    let mut lab = Lab::new("iifname left oifname right accept");
    assert_eq!(lab.forward(&[syn(80)]).len(), 1);
    lab.right.send(&syn(80));
    lab.run();
    assert!(all(&lab.left).is_empty());
}

#[test]
fn a_superframe_goes_on_as_it_came() {
    let mut lab = Lab::new("accept");
    let mut frame = udp(&[7; 3000]);
    // The pseudo-header's sum, not yet a checksum: nobody reads the payload to find it wrong.
    frame[40..42].copy_from_slice(&[0x12, 0x34]);
    let offload = Offload::partial_checksum(34, 6);
    lab.left.send_offloaded(&frame, offload);
    lab.run();
    assert_eq!(lab.right.receive(), Some((frame.clone(), offload)));
    lab.left.send(&frame);
    lab.run();
    assert_eq!(lab.log.verdicts.len(), 2);
}

#[test]
fn link_policy_decides_about_what_is_not_ip() {
    let stp = [&[0x01, 0x80, 0xc2, 0, 0, 0], &CLIENT_MAC[..], &[0, 38, 0x42, 0x42, 3], &[0; 35]].concat();
    let lldp = [&[0x01, 0x80, 0xc2, 0, 0, 0x0e], &CLIENT_MAC[..], &[0x88, 0xcc], &[0; 46]].concat();
    let ipx = [&[0xff; 6], &CLIENT_MAC[..], &[0x81, 0x37], &[0; 46]].concat();
    let frames = [arp(), stp.clone(), lldp.clone(), ipx.clone(), neighbour_solicitation(255)];

    let mut lab = Lab::new("");
    assert_eq!(lab.forward(&frames), [arp(), stp, lldp, neighbour_solicitation(255)]);
    assert_eq!((lab.bridge.statistics().link_passed, lab.bridge.statistics().link_dropped), (4, 1));

    let drop = Treatment::Drop;
    let policy =
        LinkPolicy { arp: drop, neighbour_discovery: drop, bridge_protocols: drop, other: Treatment::Pass };
    let mut lab = Lab::with("accept", policy, |port| port);
    assert_eq!(lab.forward(&frames), [ipx]);
}

#[test]
fn neighbour_discovery_from_afar_is_for_the_rules() {
    let mut lab = Lab::new("");
    assert!(lab.forward(&[neighbour_solicitation(254)]).is_empty());
    assert_eq!(lab.log.verdicts, [Verdict::Drop]);
}

#[test]
fn fragments_wait_for_the_verdict_on_their_datagram() {
    let payload: Vec<u8> = (0..4000u16).map(|n| n as u8).collect();
    let pieces = fragments(&payload, 1480);
    let mut lab = Lab::new("udp dport 53 accept");
    assert!(lab.forward(&pieces[..2]).is_empty());
    assert_eq!(lab.forward(&pieces[2..]), pieces);

    let mut lab = Lab::new("udp dport 54 accept");
    assert!(lab.forward(&pieces).is_empty());
}

#[test]
fn fragments_whose_datagram_never_comes_are_given_up() {
    let pieces = fragments(&[1; 4000], 1480);
    let mut lab = Lab::new("accept");
    lab.forward(&pieces[..2]);
    lab.now = lab.now.plus_seconds(61);
    lab.run();
    assert_eq!(lab.bridge.statistics().fragments_lost, 2);
    assert!(lab.forward(&pieces[2..]).is_empty());
}

#[test]
fn a_rejected_syn_is_answered_with_a_reset() {
    let mut lab = Lab::new("reject with tcp reset");
    assert!(lab.forward(&[syn(80)]).is_empty());
    let answers = all(&lab.left);
    let headers = PacketHeaders::from_ethernet_slice(&answers[0]).unwrap();
    let ethernet = headers.link.unwrap().ethernet2().unwrap();
    assert_eq!((ethernet.source, ethernet.destination), (SERVER_MAC, CLIENT_MAC));
    let Some(TransportHeader::Tcp(tcp)) = headers.transport else { panic!("no TCP") };
    assert!(tcp.rst && tcp.ack && !tcp.syn);
    assert_eq!((tcp.source_port, tcp.destination_port), (80, 40_000));
    assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (0, 1001));
    let Some(etherparse::NetHeaders::Ipv4(ip, _)) = headers.net else { panic!("no IPv4") };
    assert_eq!((ip.source, ip.destination), (SERVER, CLIENT));
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    assert_eq!(tcp.checksum, tcp.calc_checksum_ipv4(&ip, &[]).unwrap());
}

#[test]
fn a_rejected_datagram_is_quoted() {
    let mut lab = Lab::new("reject with icmpx admin-prohibited");
    lab.forward(&[udp(&[9; 1000])]);
    let answers = all(&lab.left);
    assert_eq!(answers[0].len(), 14 + 576);
    let packet = Packet::parse(&answers[0], 14).unwrap();
    assert_eq!(pinhole_wire::checksum::verify_transport(&packet, &answers[0]), pinhole_wire::Checksum::Good);
    assert!(pinhole_wire::ipv4_header_checksum_ok(packet.datagram_bytes(&answers[0])));
    assert_eq!(answers[0][34..36], [3, 13]);
    assert_eq!(answers[0][42..], udp(&[9; 1000])[14..14 + 576 - 28]);
}

#[test]
fn answers_are_not_answered_nor_are_groups() {
    let mut lab = Lab::new("reject");
    lab.forward(&[udp(b"x")]);
    let error = all(&lab.left).remove(0);
    let mut to_all = udp(b"x");
    to_all[..6].fill(0xff);
    lab.forward(&[error, to_all]);
    assert!(all(&lab.left).is_empty());
}

#[test]
fn there_are_only_so_many_answers_a_second() {
    let mut lab = Lab::new("reject");
    let frames: Vec<_> = (0..3000).map(|n| syn(1 + n % 60_000)).collect();
    lab.forward(&frames);
    let given = all(&lab.left).len() as u64;
    assert_eq!(given, lab.bridge.statistics().answers);
    assert_eq!(given + lab.bridge.statistics().answers_suppressed, 3000);
    assert!(given <= 1001, "{given}");
    lab.now = lab.now.plus_seconds(1);
    lab.forward(&frames[..10]);
    assert_eq!(all(&lab.left).len(), 10);
}

#[test]
fn duplicates_and_reordering_on_the_wire_are_survived() {
    let faults = Faults {
        loss: 50_000,
        duplication: 100_000,
        corruption: 100_000,
        reordering: 200_000,
        hold: 5,
        delay: 0,
    };
    let mut lab = Lab::with("accept", LinkPolicy::default(), |port| Box::new(Faulty::new(port, faults, 3)));
    let frames: Vec<_> = (1..2000).map(syn).collect();
    for chunk in frames.chunks(50) {
        lab.forward(chunk);
        lab.now = lab.now.plus_nanos(10);
    }
    assert!(lab.bridge.statistics().ports[1].sent > 1500);
}

proptest! {
    #[test]
    fn no_frame_brings_the_bridge_down(frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..50)) {
        let mut lab = Lab::new("reject");
        lab.forward(&frames);
        prop_assert_eq!(lab.bridge.statistics().ports[0].received, frames.len() as u64);
    }

    #[test]
    fn whatever_is_rejected_an_answer_is_well_formed(datagram in proptest::collection::vec(any::<u8>(), 20..300), six: bool, reset: bool) {
        let mut frame = [&SERVER_MAC[..], &CLIENT_MAC, if six { &[0x86, 0xdd] } else { &[8, 0] }, &datagram].concat();
        frame[14] = if six { 0x60 } else { 0x45 };
        if let Ok(packet) = Packet::parse(&frame, 14) {
            let with = if reset { RejectWith::TcpReset } else { RejectWith::Icmpx(pinhole_ruleset::IcmpxCode::PortUnreachable) };
            let mut out = Vec::new();
            if answer::reject(&frame, &packet, with, None, &mut out) {
                let answer = Packet::parse(&out, 14).unwrap();
                prop_assert_eq!((answer.source, answer.destination), (packet.destination, packet.source));
                prop_assert_eq!(pinhole_wire::checksum::verify_transport(&answer, &out), pinhole_wire::Checksum::Good);
                prop_assert_eq!(answer.datagram_bytes(&out).len(), out.len() - 14);
            }
        }
    }
}

#[test]
fn a_translated_frame_leaves_as_the_engine_made_it() {
    let text = "table ip f { chain c { type nat hook postrouting priority 100; snat to 10.0.0.77; } }";
    let ruleset = pinhole_ruleset::compile_text("f.nft", text).unwrap();
    let engine = Engine::new(Settings::default(), pinhole_helpers::registry(), Some(ruleset)).unwrap();
    let ((a, left), (b, right)) = (memory::port("left"), memory::port("right"));
    let bridge = Bridge::new(engine, [Box::new(a), Box::new(b)], LinkPolicy::default());
    let mut lab = Lab { bridge, left, right, log: Log::default(), now: NOW };
    let sent = lab.forward(&[arp(), syn(80), udp(b"x"), arp()]);
    assert_eq!(sent.len(), 4);
    assert_eq!((&sent[0], &sent[3]), (&arp(), &arp()));
    for frame in &sent[1..3] {
        assert_eq!(frame[26..30], [10, 0, 0, 77]);
        let packet = Packet::parse(frame, 14).unwrap();
        assert_eq!(pinhole_wire::checksum::verify_transport(&packet, frame), pinhole_wire::Checksum::Good);
    }
}
