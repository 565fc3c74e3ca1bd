//! The programs, run by the kernel on single frames; its verifier has judged them first. Headers and checksums are written and read by `etherparse`.

use super::*;
use etherparse::{PacketBuilder, SlicedPacket, TcpOptionElement, TransportSlice};
use pinhole_wire::Direction;
use std::sync::atomic::{AtomicU32, Ordering};

/// The loopback interface, whose hardware address is zero: what the kernel runs tests on.
const LOOPBACK: u32 = 1;
const EGRESS: u32 = 1;
const REDIRECTED: u32 = 7;
const NEXT: u32 = u32::MAX;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 2];
const OUTSIDE: [u8; 4] = [203, 0, 113, 7];
const PORTS: [u16; 2] = [40_000, 9000];

fn opened() -> Option<Flowtable> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return None;
    }
    Some(Flowtable::open(8).unwrap())
}

fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
}

fn key_v4(protocol: u8) -> FlowKey {
    FlowKey::new(4, protocol, LOOPBACK, [mapped(CLIENT), mapped(SERVER)], PORTS)
}

fn plain() -> Flow {
    Flow {
        slot: 3,
        direction: Direction::Original,
        egress: EGRESS,
        mtu: 1500,
        link: [[2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 8]],
        translation: None,
    }
}

fn masqueraded() -> Flow {
    let translation = Translation {
        from: [CLIENT, SERVER],
        from_ports: PORTS,
        to: [OUTSIDE, SERVER],
        to_ports: [61_234, PORTS[1]],
    };
    Flow { translation: Some(translation), ..plain() }
}

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0; 6])
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ethernet().ipv4(CLIENT, SERVER, 64).udp(PORTS[0], PORTS[1]).write(&mut frame, payload).unwrap();
    frame
}

#[derive(Clone, Copy)]
struct Segment {
    sequence: u32,
    ack: u32,
    window: u16,
    length: usize,
}

const SEGMENT: Segment = Segment { sequence: 1000, ack: 5000, window: 500, length: 100 };

fn tcp(segment: Segment) -> Vec<u8> {
    tcp_with(segment, &[TcpOptionElement::Noop, TcpOptionElement::Noop, TcpOptionElement::Timestamp(7, 8)])
}

fn tcp_with(segment: Segment, options: &[TcpOptionElement]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder =
        ethernet().ipv4(CLIENT, SERVER, 64).tcp(PORTS[0], PORTS[1], segment.sequence, segment.window);
    let builder = builder.ack(segment.ack).psh().options(options).unwrap();
    builder.write(&mut frame, &vec![0x55; segment.length]).unwrap();
    frame
}

/// Windows that [`SEGMENT`] fits: what follows it is offered up to 20 000.
fn windows() -> [Window; 2] {
    [
        Window { end: 1000, max_end: 20_000, max_window: 64_000, scale: 7 },
        Window { end: 5000, max_end: 69_000, max_window: 19_000, scale: 0 },
    ]
}

/// Runs both. The filter is run as what the carrier is: of a socket's filter such runs would take the link header away, which packet sockets do not.
fn run(table: &Flowtable, frame: &[u8]) -> (u32, Vec<u8>) {
    let filter = program(Purpose::Filter, table.flows.as_raw_fd(), table.states.map().as_raw_fd());
    let filter = system::load(system::TRAFFIC_CONTROL, &filter).unwrap();
    let filtered = system::run(filter.as_fd(), frame, LOOPBACK).unwrap().0;
    let (result, out) = system::run(table.carrier.as_fd(), frame, LOOPBACK).unwrap();
    assert_eq!(filtered == 0, result == REDIRECTED, "filter and carrier disagree: {filtered}, {result}");
    (result, out)
}

/// What is read of a frame: hardware addresses, source, destination, hops left, ports, payload.
type Read = ([u8; 12], [u8; 4], [u8; 4], u8, u16, u16, Vec<u8>);

/// Reads a frame, whose checksums must be right.
fn read(frame: &[u8]) -> Read {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let ip = sliced.net.unwrap();
    let ip = ip.ipv4_ref().unwrap().header();
    assert_eq!(ip.to_header().calc_header_checksum(), ip.header_checksum());
    let (source, destination, payload) = match sliced.transport.unwrap() {
        TransportSlice::Udp(udp) => {
            let expected = udp.to_header().calc_checksum_ipv4(&ip.to_header(), udp.payload()).unwrap();
            assert_eq!(udp.checksum(), expected);
            (udp.source_port(), udp.destination_port(), udp.payload().to_vec())
        }
        TransportSlice::Tcp(tcp) => {
            assert_eq!(tcp.checksum(), tcp.calc_checksum_ipv4(ip.source(), ip.destination()).unwrap());
            (tcp.source_port(), tcp.destination_port(), tcp.payload().to_vec())
        }
        other => panic!("{other:?}"),
    };
    (*frame.first_chunk().unwrap(), ip.source(), ip.destination(), ip.ttl(), source, destination, payload)
}

#[test]
fn known_flows_are_carried_and_counted() {
    let Some(table) = opened() else { return };
    let frame = udp(b"hello");
    assert_eq!(run(&table, &frame), (NEXT, frame.clone()), "nobody has entered it");
    table.set_state(3, &FlowState::default());
    assert_eq!(FlowKey::of(&frame, LOOPBACK), Some((key_v4(17), true)));
    table.insert(&key_v4(17), &plain()).unwrap();
    let (result, out) = run(&table, &frame);
    assert_eq!(result, REDIRECTED);
    let link = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
    assert_eq!(read(&out), (link, CLIENT, SERVER, 63, PORTS[0], PORTS[1], b"hello".to_vec()));
    let state = table.state(3);
    let [original, reply] = state.carried;
    assert_eq!((original.packets, original.bytes), (1, 33));
    assert!(original.seen > 0);
    assert_eq!(reply, Carried::default());
    table.remove(&key_v4(17));
    assert_eq!(run(&table, &frame).0, NEXT);
}

#[test]
fn translated_flows_leave_with_other_ends() {
    let Some(table) = opened() else { return };
    table.set_state(3, &FlowState { windows: windows(), ..FlowState::default() });
    let sack = [TcpOptionElement::SelectiveAcknowledgement((5100, 5200), [None; 3])];
    let segments = [tcp(SEGMENT), tcp_with(SEGMENT, &[]), tcp_with(SEGMENT, &sack)].map(|frame| (6, frame));
    for (protocol, frame) in segments.into_iter().chain([(17, udp(&[0x55; 100]))]) {
        table.insert(&key_v4(protocol), &masqueraded()).unwrap();
        let (result, out) = run(&table, &frame);
        assert_eq!(result, REDIRECTED);
        let (_, source, destination, hops, source_port, destination_port, payload) = read(&out);
        assert_eq!((source, destination, hops), (OUTSIDE, SERVER, 63));
        assert_eq!((source_port, destination_port, payload.len()), (61_234, PORTS[1], 100));
    }
}

#[test]
fn a_udp_checksum_of_zero_stays_zero() {
    let Some(table) = opened() else { return };
    table.insert(&key_v4(17), &masqueraded()).unwrap();
    let mut frame = udp(b"unsummed");
    frame[40..42].copy_from_slice(&[0, 0]);
    let (result, out) = run(&table, &frame);
    assert_eq!((result, &out[40..42]), (REDIRECTED, &[0, 0][..]));
}

#[test]
fn ipv6_is_carried() {
    let Some(table) = opened() else { return };
    let (source, destination) = ([0xfd; 16], [0xfe; 16]);
    let mut frame = Vec::new();
    ethernet().ipv6(source, destination, 9).udp(PORTS[0], PORTS[1]).write(&mut frame, b"six").unwrap();
    let key = FlowKey::new(6, 17, LOOPBACK, [source, destination], PORTS);
    assert_eq!(FlowKey::of(&frame, LOOPBACK), Some((key, true)));
    table.insert(&key, &plain()).unwrap();
    let (result, out) = run(&table, &frame);
    assert_eq!(result, REDIRECTED);
    assert_eq!((out[21], &out[22..]), (8, &frame[22..]));
    frame[21] = 1;
    assert_eq!(run(&table, &frame).0, NEXT, "no hop is left");
}

#[test]
fn windows_are_checked_and_learned() {
    let Some(table) = opened() else { return };
    let state = FlowState { windows: windows(), ..FlowState::default() };
    table.insert(&key_v4(6), &plain()).unwrap();
    let fits = |segment: Segment| {
        table.set_state(3, &state);
        assert_eq!(FlowKey::of(&tcp(segment), LOOPBACK), Some((key_v4(6), true)));
        run(&table, &tcp(segment)).0 == REDIRECTED
    };
    assert!(fits(SEGMENT));
    let [sender, receiver] = table.state(3).windows;
    assert_eq!(sender, Window { end: 1100, ..windows()[0] });
    assert_eq!(receiver, Window { max_end: 5000 + (500 << 7), ..windows()[1] });
    // Beyond what was offered, and within; older than the largest window, and not quite so old.
    assert!(fits(Segment { sequence: 20_000, length: 0, ..SEGMENT }));
    assert!(!fits(Segment { sequence: 20_001, length: 0, ..SEGMENT }));
    assert!(fits(Segment { sequence: 1000_u32.wrapping_sub(19_000), length: 0, ..SEGMENT }));
    assert!(!fits(Segment { sequence: 1000_u32.wrapping_sub(19_001), length: 0, ..SEGMENT }));
    // What was never sent; what was acknowledged long ago.
    assert!(!fits(Segment { ack: 5001, ..SEGMENT }));
    assert!(fits(Segment { ack: 5000_u32.wrapping_sub(66_000), ..SEGMENT }));
    assert!(!fits(Segment { ack: 5000_u32.wrapping_sub(66_001), ..SEGMENT }));
    assert_eq!(table.state(3), state, "what is not carried changes nothing");
    // A closed window takes the byte of a probe.
    let [sender, receiver] = windows();
    let state = FlowState { windows: [sender, Window { max_end: 5000, ..receiver }], ..FlowState::default() };
    table.set_state(3, &state);
    assert_eq!(run(&table, &tcp(Segment { window: 0, ..SEGMENT })).0, REDIRECTED);
    assert_eq!(table.state(3).windows[1].max_end, 5001);
}

/// Two processors carry segments of one sender at once: the higher end stays, whichever was faster.
#[test]
fn windows_are_never_moved_back() {
    const ROUNDS: u32 = 20_000;
    let Some(table) = opened() else { return };
    let begun = [Window { max_end: 100_000, ..windows()[0] }, windows()[1]];
    table.set_state(3, &FlowState { windows: begun, ..FlowState::default() });
    table.insert(&key_v4(6), &plain()).unwrap();
    let end = |round: u32, processor: u32| 1001 + 2 * round + (round + processor) % 2;
    let (arrived, carrier) = (AtomicU32::new(0), table.carrier.as_fd());
    // Who sleeps until the other comes is late by much more than the programs take.
    let meet = |both: u32| {
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < both {
            std::hint::spin_loop();
        }
    };
    let carry = |round, processor| {
        let frame = tcp(Segment { sequence: end(round, processor), length: 0, ..SEGMENT });
        meet(4 * round + 2);
        let result = system::run(carrier, &frame, LOOPBACK).unwrap().0;
        meet(4 * round + 4);
        result == REDIRECTED
    };
    // Counted, not asserted, until both are done: who panics lets the other wait.
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| (0..ROUNDS).filter(|&round| !carry(round, 1)).count());
        let wrong = (0..ROUNDS).filter(|&round| {
            !carry(round, 0) || table.state(3).windows[0].end != end(round, 0).max(end(round, 1))
        });
        wrong.count() + other.join().unwrap()
    });
    assert_eq!(wrong, 0, "of {ROUNDS}");
}

#[test]
fn what_is_not_plain_data_is_left_alone() {
    let Some(table) = opened() else { return };
    table.set_state(3, &FlowState { windows: windows(), ..FlowState::default() });
    table.insert(&key_v4(6), &plain()).unwrap();
    table.insert(&key_v4(17), &plain()).unwrap();
    let refused = |what: &str, frame: &[u8]| assert_eq!(run(&table, frame), (NEXT, frame.to_vec()), "{what}");
    let changed = |frame: Vec<u8>, at: usize, value: u8| {
        let mut frame = frame;
        frame[at] = value;
        frame
    };
    // FIN, SYN, RST and URG with the ACK; no ACK.
    for flags in [0x11, 0x12, 0x14, 0x30, 0x08] {
        let frame = changed(tcp(SEGMENT), 47, flags);
        refused("flags", &frame);
        assert_eq!(FlowKey::of(&frame, LOOPBACK), Some((key_v4(6), false)));
    }
    refused("a header that is too short", &changed(tcp(SEGMENT), 46, 0x40));
    refused("more fragments", &changed(udp(b"x"), 20, 0x20));
    refused("an offset", &changed(udp(b"x"), 21, 1));
    refused("options", &changed(udp(b"x"), 14, 0x46));
    refused("the last hop", &changed(udp(b"x"), 22, 1));
    refused("too long for the link", &udp(&[0; 1473]));
    refused("longer than the frame", &changed(udp(b"x"), 16, 1));
    refused("a UDP length that is not the datagram's", &changed(udp(b"x"), 39, 10));
    refused("another protocol", &changed(udp(b"x"), 23, 1));
    let mut tagged = udp(b"tagged");
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    refused("a VLAN tag", &tagged);
    assert_eq!(run(&table, &[&udp(b"x")[..], &[0x5a; 17]].concat()).1.len(), udp(b"x").len(), "padding");
    refused("short", &udp(b"x")[..41]);
    let other_host = [&[2, 0, 0, 0, 0, 5][..], &udp(b"x")[6..]].concat();
    refused("for another station", &other_host);
    assert_eq!(run(&table, &udp(&[0; 1472])).0, REDIRECTED);
}

proptest::proptest! {
    /// Whatever a frame is: what is carried has the key that was entered and is plain data, and leaves with nothing changed but what was to change.
    #[test]
    fn only_what_was_entered_is_carried(
        is_tcp in proptest::prelude::any::<bool>(),
        changes in proptest::collection::vec((14usize..70, proptest::prelude::any::<u8>()), 0..4),
        length in 14usize..200,
    ) {
        let Some(table) = opened() else { return Ok(()) };
        table.set_state(3, &FlowState { windows: windows(), ..FlowState::default() });
        let mut frame = if is_tcp { tcp(SEGMENT) } else { udp(&[0x55; 100]) };
        let protocol = if is_tcp { 6 } else { 17 };
        table.insert(&key_v4(protocol), &plain()).unwrap();
        for (at, value) in &changes {
            frame[*at] = *value;
        }
        frame.truncate(length.max(34));
        let (result, out) = run(&table, &frame);
        if result == REDIRECTED {
            proptest::prop_assert_eq!(FlowKey::of(&frame, LOOPBACK), Some((key_v4(protocol), true)));
            let mut expected = frame.clone();
            expected.truncate(14 + usize::from(u16::from_be_bytes([frame[16], frame[17]])));
            expected[..12].copy_from_slice(&out[..12]);
            expected[22] -= 1;
            expected[24..26].copy_from_slice(&out[24..26]);
            proptest::prop_assert_eq!(out, expected);
        } else {
            proptest::prop_assert_eq!((result, out), (NEXT, frame));
        }
        proptest::prop_assert!(changes.is_empty() || table.state(3).carried[1] == Carried::default());
    }
}
