//! Conns are entered, credited and recalled, with a table in memory that carries nothing by itself.

use super::*;
use crate::router::tests::{CLIENT, CLIENT_MAC, LAN, Lab, MACS, NOW, SERVER, SERVER_MAC, WAN};
use etherparse::PacketBuilder;
use pinhole_io::live::flowtable::Window;
use pinhole_io::live::rtnetlink::read::{Neighbour, NeighbourState};
use pinhole_track::l4::{L4, tcp::TcpState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

const SECOND: u64 = 1_000_000_000;
const MASQUERADE: &str = "chain s { type nat hook postrouting priority 100; oifname wan masquerade; }";

/// A table in memory. Its clock shows what the test says.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Contents>>);

#[derive(Default)]
struct Contents {
    flows: HashMap<FlowKey, Flow>,
    states: HashMap<u32, FlowState>,
    clock: u64,
}

impl Carrier for Memory {
    fn capacity(&self) -> u32 {
        4
    }

    fn insert(&self, key: &FlowKey, flow: &Flow) -> io::Result<()> {
        self.contents().flows.insert(*key, *flow);
        Ok(())
    }

    fn remove(&self, key: &FlowKey) {
        self.contents().flows.remove(key);
    }

    fn state(&self, slot: u32) -> FlowState {
        self.contents().states.get(&slot).copied().unwrap_or_default()
    }

    fn set_state(&self, slot: u32, state: &FlowState) {
        self.contents().states.insert(slot, *state);
    }

    fn clock(&self) -> u64 {
        self.contents().clock
    }
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    fn flows(&self) -> HashMap<FlowKey, Flow> {
        self.contents().flows.clone()
    }

    /// Packets of 100 bytes pass in a direction, now.
    fn pass(&self, slot: u32, direction: Direction, packets: u64) {
        let seen = self.clock();
        let mut memory = self.contents();
        let carried = &mut memory.states.entry(slot).or_default().carried[direction.index()];
        carried.packets += packets;
        carried.bytes += 100 * packets;
        carried.seen = seen;
    }
}

fn lab(rules: &str) -> (Lab, Memory) {
    let mut lab = Lab::new(rules);
    let memory = Memory::default();
    lab.router.carry_by(Box::new(memory.clone()));
    (lab, memory)
}

impl Lab {
    fn pass_time(&mut self, memory: &Memory, nanos: u64) {
        self.now = self.now.plus_nanos(nanos);
        memory.contents().clock += nanos;
        self.run();
    }

    fn conn(&self) -> ConnId {
        self.router.engine().tracker().conns().next().unwrap()
    }

    fn packets(&self) -> [u64; 2] {
        self.router.engine().tracker().counters(self.conn()).unwrap().map(|counters| counters.packets)
    }

    fn invalid(&self) -> u64 {
        self.router.engine().tracker().statistics().invalid
    }

    fn tcp_state(&self) -> TcpState {
        match self.router.engine().tracker().l4(self.conn()) {
            Some(L4::Tcp(tcp)) => tcp.state(),
            other => panic!("{other:?}"),
        }
    }

    /// A datagram from the client to the server, or back.
    fn udp(&mut self, side: usize) {
        let mut frame = Vec::new();
        let (from, to, macs) = ends(side);
        let ports = if side == LAN { (4000, 53) } else { (53, 4000) };
        let builder = PacketBuilder::ethernet2(macs[0], macs[1]).ipv4(from, to, 64).udp(ports.0, ports.1);
        builder.write(&mut frame, b"datagram").unwrap();
        self.send(side, &frame);
    }

    fn tcp(&mut self, side: usize, flags: &str, sequence: u32, ack: u32, length: usize) {
        self.send(side, &tcp_frame(side, flags, sequence, ack, length));
    }

    /// A handshake, and as many segments of 100 bytes of the client's, each acknowledged, or fewer if the kernel carries the conn. Returns the client's
    /// next sequence number.
    fn converse(&mut self, segments: u32) -> u32 {
        self.tcp(LAN, "s", 99, 0, 0);
        self.tcp(WAN, "sa", 999, 100, 0);
        self.tcp(LAN, "a", 100, 1000, 0);
        let mut next = 100;
        for n in 0..2 * segments {
            if self.router.carried() > 0 {
                break;
            }
            if n % 2 == 0 {
                self.tcp(LAN, "a", next, 1000, 100);
                next += 100;
            } else {
                self.tcp(WAN, "a", 1000, next, 0);
            }
        }
        next
    }
}

/// A segment of `length` bytes from the client to the server, or back. `flags`: ACK is set unless it is a SYN.
fn tcp_frame(side: usize, flags: &str, sequence: u32, ack: u32, length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let (from, to, macs) = ends(side);
    let ports = if side == LAN { (4000, 80) } else { (80, 4000) };
    let builder = PacketBuilder::ethernet2(macs[0], macs[1]).ipv4(from, to, 64);
    let mut builder = builder.tcp(ports.0, ports.1, sequence, 60_000);
    for flag in flags.chars() {
        builder = match flag {
            's' => builder.syn(),
            'f' => builder.fin(),
            _ => builder.ack(ack),
        };
    }
    builder.write(&mut frame, &vec![7; length]).unwrap();
    frame
}

fn ends(side: usize) -> ([u8; 4], [u8; 4], [[u8; 6]; 2]) {
    if side == LAN {
        (CLIENT, SERVER, [CLIENT_MAC, MACS[LAN]])
    } else {
        (SERVER, CLIENT, [SERVER_MAC, MACS[WAN]])
    }
}

#[test]
fn a_flow_that_nobody_answers_is_carried_until_somebody_does() {
    let (mut lab, memory) = lab("");
    (1..PACKETS).for_each(|_| lab.udp(LAN));
    assert_eq!(memory.flows().len(), 0);
    lab.udp(LAN);
    let flows = memory.flows();
    let expected = Flow {
        slot: 0,
        direction: Direction::Original,
        egress: 12,
        mtu: 1500,
        link: [SERVER_MAC, MACS[WAN]],
        translation: None,
    };
    assert_eq!(flows.values().collect::<Vec<_>>(), [&expected]);
    let is_offloaded = |lab: &Lab| {
        lab.router.engine().tracker().status(lab.conn()).unwrap().contains(pinhole_track::Status::OFFLOAD)
    };
    assert!(is_offloaded(&lab));
    memory.pass(0, Direction::Original, 1000);
    lab.udp(WAN);
    assert!(!is_offloaded(&lab));
    assert_eq!(memory.flows().len(), 0, "the answer changes the conn's state");
    assert_eq!(lab.packets(), [PACKETS + 1000, 1]);
    assert_eq!(lab.router.statistics().carried_packets, 1000);
    // Both ways, now that there is an answer.
    (0..PACKETS).for_each(|_| lab.udp(LAN));
    let flows: Vec<Flow> = memory.flows().into_values().collect();
    assert_eq!(flows.len(), 2);
    let back = flows.iter().find(|flow| flow.direction == Direction::Reply).unwrap();
    assert_eq!((back.egress, back.link), (11, [CLIENT_MAC, MACS[LAN]]));
}

#[test]
fn what_is_carried_keeps_its_conn() {
    let (mut lab, memory) = lab("");
    (0..PACKETS).for_each(|_| lab.udp(LAN));
    // The timeout of a flow that nobody answers is 30 seconds.
    for _ in 0..100 {
        memory.pass(0, Direction::Original, 10);
        lab.pass_time(&memory, SECOND);
    }
    assert_eq!(lab.packets(), [PACKETS + 1000, 0]);
    assert_eq!(lab.router.carried(), 1);
    for _ in 0..40 {
        lab.pass_time(&memory, SECOND);
    }
    assert_eq!((lab.router.carried(), memory.flows().len()), (0, 0));
    assert!(lab.router.engine().tracker().is_empty());
}

#[test]
fn translated_flows_are_told_what_to_write() {
    let (mut lab, memory) = lab(MASQUERADE);
    (0..PACKETS).for_each(|_| lab.udp(LAN));
    let flow = memory.flows().into_values().next().unwrap();
    let translation = Translation {
        from: [CLIENT, SERVER],
        from_ports: [4000, 53],
        to: [[10, 2, 0, 1], SERVER],
        to_ports: [4000, 53],
    };
    assert_eq!(flow.translation, Some(translation));
}

#[test]
fn tcp_goes_on_where_the_kernel_has_left_it() {
    let (mut lab, memory) = lab("");
    let next = lab.converse(20);
    assert_eq!(memory.flows().len(), 2);
    let [client, server] = memory.state(0).windows;
    assert!(client.end <= next && server.end == 1000, "{client:?}");
    // A gigabyte passes unseen.
    let far = next.wrapping_add(1 << 30);
    let moved = [
        Window { end: far, max_end: far.wrapping_add(60_000), ..client },
        Window { end: 1000, max_end: 61_000, ..server },
    ];
    memory.contents().states.get_mut(&0).unwrap().windows = moved;
    memory.pass(0, Direction::Original, 700_000);
    lab.tcp(LAN, "fa", far, 1000, 0);
    assert_eq!(lab.tcp_state(), TcpState::FinWait, "{:?}", lab.last_reason());
    assert_eq!(memory.flows().len(), 0);
    lab.tcp(WAN, "fa", 1000, far + 1, 0);
    assert_eq!(lab.tcp_state(), TcpState::LastAck);
}

/// The kernel moves the client's window on by as much as is far outside of what was known before.
fn move_client(memory: &Memory, far: u32) {
    let mut contents = memory.contents();
    let windows = &mut contents.states.get_mut(&0).unwrap().windows;
    windows[0] = Window { end: far, max_end: far.wrapping_add(60_000), ..windows[0] };
    windows[1] = Window { max_end: 61_000, ..windows[1] };
}

#[test]
fn plain_data_that_was_already_waiting_recalls_nothing() {
    let (mut lab, memory) = lab("");
    let next = lab.converse(20);
    // One direction is carried before the other, and the acknowledgement of what it carried still comes this way.
    let far = next.wrapping_add(1 << 30);
    move_client(&memory, far);
    memory.pass(0, Direction::Original, 700_000);
    lab.tcp(WAN, "a", 1000, far, 0);
    assert_eq!((memory.flows().len(), lab.last_reason(), lab.invalid()), (2, None, 0));
    // Far behind by now, what has waited passes.
    lab.tcp(LAN, "a", next, 1000, 100);
    lab.tcp(WAN, "a", 1000, next, 0);
    assert_eq!((memory.flows().len(), lab.last_reason(), lab.invalid()), (2, None, 0));
    lab.pass_time(&memory, WAITING);
    lab.tcp(LAN, "a", far, 1000, 100);
    assert_eq!((memory.flows().len(), lab.last_reason(), lab.invalid()), (0, None, 0));
}

#[test]
fn what_another_processor_learns_while_a_conn_is_recalled_is_known_in_time() {
    let (mut lab, memory, far) = far_away();
    lab.send(LAN, &segment(far, &[1; 4], 100));
    assert_eq!(memory.flows().len(), 0);
    // A packet was on its way already, and its acknowledgement comes.
    move_client(&memory, far + 50_000);
    memory.pass(0, Direction::Original, 1);
    lab.tcp(WAN, "a", 1000, far + 50_000, 0);
    assert_eq!(lab.invalid(), 0);
    assert_eq!(lab.router.statistics().carried_packets, 700_001);
    // Nothing is on its way for so long; what the slot says then is not for this conn.
    for _ in 0..=PARTS {
        lab.pass_time(&memory, PAUSE);
    }
    memory.pass(0, Direction::Original, 1);
    lab.tcp(WAN, "a", 1000, far + 50_000, 0);
    assert_eq!(lab.router.statistics().carried_packets, 700_001);
}

/// A conversation of which the kernel has carried a gigabyte; the client's next sequence number.
fn far_away() -> (Lab, Memory, u32) {
    let (mut lab, memory) = lab("");
    let far = lab.converse(20).wrapping_add(1 << 30);
    move_client(&memory, far);
    memory.pass(0, Direction::Original, 700_000);
    lab.pass_time(&memory, SECOND / 10);
    lab.out();
    (lab, memory, far)
}

fn segment(far: u32, options: &[u8], length: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, MACS[LAN]);
    let mut header = etherparse::Ipv4Header::new(0, 64, etherparse::IpNumber::TCP, CLIENT, SERVER).unwrap();
    header.dont_fragment = true;
    header.options = options.try_into().unwrap();
    let builder = builder.ip(etherparse::IpHeaders::Ipv4(header, Default::default()));
    builder.tcp(4000, 80, far, 60_000).ack(1000).write(&mut frame, &vec![7; length]).unwrap();
    frame
}

#[test]
fn what_the_kernel_cannot_carry_is_judged_by_what_it_has_learned() {
    // IP options (four of "no operation"), which the programs leave alone.
    let (mut lab, memory, far) = far_away();
    lab.send(LAN, &segment(far, &[1; 4], 100));
    assert_eq!(lab.last_reason(), None, "options");
    assert_eq!((lab.one().0, memory.flows().len()), (WAN, 0));
    // Too long for the next link: its sender is told, as of any other packet.
    let (mut lab, _, far) = far_away();
    lab.send(LAN, &segment(far, &[], 1500));
    assert_eq!(lab.last_reason(), Some(pinhole_engine::Reason::TooBig));
    assert_eq!(lab.one().0, LAN, "an ICMP error");
    // In fragments.
    let (mut lab, memory, far) = far_away();
    let mut whole = segment(far, &[], 1000);
    whole[20] = 0;
    let checksum = etherparse::Ipv4Header::from_slice(&whole[14..]).unwrap().0.calc_header_checksum();
    whole[24..26].copy_from_slice(&checksum.to_be_bytes());
    let mut pieces = Vec::new();
    crate::router::cut::ipv4(&whole[14..], 600, |piece| pieces.push([&whole[..14], piece].concat()));
    assert_eq!(pieces.len(), 2);
    pieces.iter().rev().for_each(|piece| lab.send(LAN, piece));
    assert_eq!(lab.last_reason(), None, "fragments");
    assert_eq!((lab.out().len(), memory.flows().len()), (2, 0));
}

#[test]
fn frames_for_others_recall_nothing() {
    let (mut lab, memory, far) = far_away();
    let mut frame = segment(far, &[1; 4], 100);
    frame[5] ^= 1;
    lab.send(LAN, &frame);
    assert_eq!(memory.flows().len(), 2);
}

#[test]
fn conns_that_are_to_be_read_counted_or_marked_are_not_carried() {
    for rules in [
        "chain c { type filter hook forward priority 0; counter; }",
        "chain c { type filter hook forward priority 0; ct mark set 1; }",
        "chain c { type filter hook forward priority 0; meta length > 1000 drop; }",
        "chain c { type filter hook forward priority 0; limit rate 1000/second accept; }",
        "chain c { type filter hook forward priority 0; tcp flags rst drop; }",
        "ct helper ftp { type \"ftp\" protocol tcp; }
         chain p { type filter hook prerouting priority 0; tcp dport 80 ct helper set \"ftp\"; }",
    ] {
        let (mut lab, memory) = lab(rules);
        lab.converse(40);
        assert_eq!(memory.flows().len(), 0, "{rules}");
    }
    // What does that behind `ct state established accept` does it to others.
    for rules in [
        "chain c { type filter hook forward priority 0; ct state established accept; counter; meta length > 1000 drop; }",
        "chain c { type filter hook forward priority 0; policy drop; iifname { lan, wan } ip saddr 10.0.0.0/8 tcp dport { 80, 4000 } accept; }",
        "ct helper ftp { type \"ftp\" protocol tcp; }
         chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set \"ftp\"; }",
    ] {
        let (mut lab, memory) = lab(rules);
        lab.converse(40);
        assert_eq!(memory.flows().len(), 2, "{rules}");
    }
}

#[test]
fn all_is_recalled_when_something_changes() {
    type Change = fn(&mut Lab);
    let changes: [(&str, Change); 5] = [
        ("rules", |lab| {
            let rules = "table inet f { chain c { type filter hook forward priority 0; policy drop; } }";
            let rules = pinhole_ruleset::compile_text("f.nft", rules).unwrap();
            lab.router.engine_mut().replace_ruleset(Some(rules)).unwrap();
        }),
        ("routes", |lab| {
            let snapshot = lab.snapshot.clone();
            lab.router.configure(lab.now, &snapshot);
        }),
        ("another station", |lab| {
            let state = NeighbourState::Reachable([2, 0, 0, 0, 0, 99]);
            lab.router.update(lab.now, &Neighbour { interface: 12, address: SERVER.into(), state });
        }),
        ("a station that is gone", |lab| {
            let state = NeighbourState::Failed;
            lab.router.update(lab.now, &Neighbour { interface: 12, address: SERVER.into(), state });
        }),
        ("the conn is deleted", |lab| {
            let (now, conn) = (lab.now, lab.conn());
            assert!(lab.router.engine_mut().delete(now, conn));
        }),
    ];
    for (what, change) in changes {
        let (mut lab, memory) = lab("");
        lab.converse(20);
        assert_eq!(memory.flows().len(), 2, "{what}");
        memory.pass(0, Direction::Reply, 5);
        change(&mut lab);
        assert_eq!((memory.flows().len(), lab.router.carried()), (0, 0), "{what}");
        assert_eq!(lab.router.statistics().carried_packets, 5, "{what}");
    }
    let (mut lab, memory) = lab("");
    lab.converse(20);
    let state = NeighbourState::Stale(SERVER_MAC);
    lab.router.update(lab.now, &Neighbour { interface: 12, address: SERVER.into(), state });
    assert_eq!(memory.flows().len(), 2, "the same station");
    memory.pass(0, Direction::Original, 5);
    for _ in 0..PARTS {
        lab.pass_time(&memory, PAUSE);
    }
    let question = crate::router::Resolve { interface: 12, address: SERVER.into() };
    assert_eq!(lab.router.take_questions(), [question], "which is asked after, as it is used");
}

#[test]
fn no_more_are_carried_than_there_is_room_for() {
    let (mut lab, memory) = lab("");
    for port in 0..6u16 {
        let mut frame = Vec::new();
        let builder =
            PacketBuilder::ethernet2(CLIENT_MAC, MACS[LAN]).ipv4(CLIENT, SERVER, 64).udp(5000 + port, 53);
        builder.write(&mut frame, b"x").unwrap();
        (0..PACKETS).for_each(|_| lab.send(LAN, &frame));
    }
    assert_eq!((memory.flows().len(), lab.router.carried()), (4, 4));
    assert_eq!(lab.router.engine().tracker().len(), 6);
    lab.now = NOW.plus_seconds(60);
    lab.pass_time(&memory, SECOND);
    assert_eq!((memory.flows().len(), lab.router.carried()), (0, 0));
    (0..PACKETS).for_each(|_| lab.udp(LAN));
    assert_eq!(lab.router.carried(), 1, "slots are used again");
}
