//! Routers between ports in memory.

use super::*;
use crate::observe::Observer;
use etherparse::{Icmpv4Type, Icmpv6Type, NetHeaders, PacketBuilder, PacketHeaders, TransportHeader};
use pinhole_engine::{Event, Frame, Reason, Settings, Verdict};
use pinhole_io::live::Offload;
use pinhole_io::live::memory::{self, Wire};
use pinhole_io::live::rtnetlink::read::{
    InterfaceAddress, Link as KernelLink, NeighbourState, NextHop, Route,
};
use pinhole_wire::Packet;

pub(super) const NOW: Time = Time(1_700_000_000_000_000_000);
pub(super) const LAN: usize = 0;
pub(super) const WAN: usize = 1;
pub(super) const CLIENT: [u8; 4] = [10, 1, 0, 2];
pub(super) const SERVER: [u8; 4] = [10, 2, 0, 2];
const FAR: [u8; 4] = [198, 51, 100, 7];
const LAN_ADDRESS: [u8; 4] = [10, 1, 0, 1];
pub(super) const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 1, 2];
pub(super) const SERVER_MAC: [u8; 6] = [2, 0, 0, 0, 2, 2];
pub(super) const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 1, 1], [2, 0, 0, 0, 2, 1]];
const HOST_MACS: [[u8; 6]; 2] = [[2, 0, 0, 9, 1, 1], [2, 0, 0, 9, 2, 1]];

#[derive(Default)]
struct Log(Vec<(Verdict, Option<Reason>)>);

impl Observer for Log {
    fn packet(&mut self, _engine: &Engine, _frame: &Frame<'_>, outcome: &Outcome) {
        self.0.push((outcome.verdict, outcome.reason));
    }

    fn event(&mut self, _engine: &Engine, _event: Event) {}
}

pub(super) struct Lab {
    pub(super) router: Router,
    /// Ports, then the host's ends.
    wires: Vec<Wire>,
    pub(super) snapshot: Snapshot,
    log: Log,
    pub(super) now: Time,
}

fn route(destination: &str, table: u32, kind: RouteKind, hops: &[(u32, Option<&str>)]) -> Route {
    let (address, length) = destination.split_once('/').unwrap();
    Route {
        table,
        destination: address.parse().unwrap(),
        length: length.parse().unwrap(),
        kind,
        metric: 0,
        hops: hops
            .iter()
            .map(|(interface, gateway)| NextHop {
                interface: *interface,
                gateway: gateway.map(|text| text.parse().unwrap()),
            })
            .collect(),
        mtu: None,
    }
}

/// 10.1.0.0/24 and fd01::/64 behind `lan`, number 11; 10.2.0.0/24 and fd02::/64 behind `wan`, number 12; all else by 10.2.0.254 and fd02::fe.
fn snapshot() -> Snapshot {
    let link = |index, name: &str, address| KernelLink {
        index,
        name: name.to_owned(),
        address: Some(address),
        mtu: 1500,
        up: true,
    };
    let address =
        |interface, text: &str| InterfaceAddress { interface, address: text.parse().unwrap(), global: true };
    let known = |interface, text: &str, mac| Neighbour {
        interface,
        address: text.parse().unwrap(),
        state: NeighbourState::Reachable(mac),
    };
    let local = |text: &str| route(text, 255, RouteKind::Local, &[]);
    Snapshot {
        links: vec![
            link(11, "lan", MACS[LAN]),
            link(12, "wan", MACS[WAN]),
            link(13, "lan-host", HOST_MACS[LAN]),
            link(14, "wan-host", HOST_MACS[WAN]),
        ],
        addresses: vec![
            address(11, "10.1.0.1"),
            address(12, "10.2.0.1"),
            address(11, "fd01::1"),
            address(12, "fd02::1"),
        ],
        routes: vec![
            local("10.1.0.1/32"),
            local("10.2.0.1/32"),
            local("127.0.0.0/8"),
            local("fd01::1/128"),
            local("fd02::1/128"),
            route("10.1.0.255/32", 255, RouteKind::Broadcast, &[(11, None)]),
            route("10.1.0.0/24", 254, RouteKind::Unicast, &[(11, None)]),
            route("10.2.0.0/24", 254, RouteKind::Unicast, &[(12, None)]),
            route("fd01::/64", 254, RouteKind::Unicast, &[(11, None)]),
            route("fd02::/64", 254, RouteKind::Unicast, &[(12, None)]),
            route("0.0.0.0/0", 254, RouteKind::Unicast, &[(12, Some("10.2.0.254"))]),
            route("203.0.113.0/24", 254, RouteKind::Prohibit, &[]),
            route("203.0.113.64/26", 254, RouteKind::Blackhole, &[]),
        ],
        neighbours: vec![
            known(11, "10.1.0.2", CLIENT_MAC),
            known(12, "10.2.0.2", SERVER_MAC),
            known(12, "10.2.0.254", [2, 0, 0, 0, 2, 254]),
            known(11, "fd01::2", CLIENT_MAC),
            known(12, "fd02::2", SERVER_MAC),
        ],
    }
}

impl Lab {
    pub(super) fn new(rules: &str) -> Self {
        Self::with(rules, snapshot(), RouterSettings::default())
    }

    fn with(rules: &str, snapshot: Snapshot, settings: RouterSettings) -> Self {
        let text = format!("table inet f {{ {rules} }}");
        let ruleset = pinhole_ruleset::compile_text("f.nft", &text).unwrap();
        let engine = Engine::new(Settings::default(), pinhole_helpers::registry(), Some(ruleset)).unwrap();
        let [lan, wan, lan_host, wan_host] = ["lan", "wan", "lan way", "wan way"].map(memory::port);
        let wires = vec![lan.1, wan.1, lan_host.1, wan_host.1];
        let port = |wire, host, name: &str| RouterPort {
            wire: Box::new(wire),
            host: Box::new(host),
            host_link: name.to_owned(),
        };
        let ports = vec![port(lan.0, lan_host.0, "lan-host"), port(wan.0, wan_host.0, "wan-host")];
        let mut router = Router::new(engine, ports, settings);
        router.configure(NOW, &snapshot);
        Self { router, wires, snapshot, log: Log::default(), now: NOW }
    }

    pub(super) fn run(&mut self) {
        for side in 0..self.wires.len() {
            while self.router.serve(self.now, side, &mut self.log).unwrap() > 0 {}
        }
        self.router.advance(self.now, &mut self.log);
    }

    pub(super) fn send(&mut self, side: usize, frame: &[u8]) {
        self.wires[side].send(frame);
        self.run();
    }

    /// All that came out, with the side that it came out by.
    pub(super) fn out(&self) -> Vec<(usize, Vec<u8>)> {
        let out = self.wires.iter().enumerate();
        out.flat_map(|(side, wire)| {
            std::iter::from_fn(move || wire.receive()).map(move |(bytes, _)| (side, bytes))
        })
        .collect()
    }

    /// The one frame that came out, and its side.
    #[track_caller]
    pub(super) fn one(&self) -> (usize, Vec<u8>) {
        let mut out = self.out();
        assert_eq!(out.len(), 1, "{out:?}");
        out.remove(0)
    }

    pub(super) fn last_reason(&self) -> Option<Reason> {
        self.log.0.last().unwrap().1
    }
}

fn udp_frame(from: [u8; 4], to: [u8; 4], macs: ([u8; 6], [u8; 6]), ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(macs.0, macs.1).ipv4(from, to, ttl).udp(4000, 53);
    builder.write(&mut frame, payload).unwrap();
    // etherparse forbids fragments by default.
    set_fragmentable(&mut frame, false);
    frame
}

fn set_fragmentable(frame: &mut [u8], may: bool) {
    frame[20] = if may { 0 } else { 0x40 };
    frame[24..26].fill(0);
    let checksum = pinhole_wire::checksum::Sum::of(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
}

/// From the client, by the LAN port.
fn from_client(to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    udp_frame(CLIENT, to, (CLIENT_MAC, MACS[LAN]), 64, payload)
}

fn six_frame(to: &str, hops: u8, payload: &[u8]) -> Vec<u8> {
    let address = |text: &str| text.parse::<Ipv6Addr>().unwrap().octets();
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, MACS[LAN])
        .ipv6(address("fd01::2"), address(to), hops)
        .udp(4000, 53);
    builder.write(&mut frame, payload).unwrap();
    frame
}

#[track_caller]
fn assert_whole(frame: &[u8]) {
    let packet = Packet::parse(frame, 14).unwrap();
    assert!(matches!(
        pinhole_wire::checksum::verify_transport(&packet, frame),
        pinhole_wire::Checksum::Good | pinhole_wire::Checksum::Absent
    ));
    if packet.version == IpVersion::V4 {
        assert!(pinhole_wire::ipv4_header_checksum_ok(packet.datagram_bytes(frame)));
    }
}

#[track_caller]
fn icmp4(frame: &[u8]) -> (Icmpv4Type, [u8; 4]) {
    assert_whole(frame);
    let headers = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let (Some(NetHeaders::Ipv4(ip, _)), Some(TransportHeader::Icmpv4(icmp))) =
        (headers.net, headers.transport)
    else {
        panic!("no ICMP")
    };
    (icmp.icmp_type, ip.source)
}

#[test]
fn a_datagram_goes_where_the_route_leads_one_hop_older() {
    let mut lab = Lab::new("");
    lab.send(LAN, &from_client(SERVER, b"hello"));
    let (side, frame) = lab.one();
    assert_eq!(side, WAN);
    assert_eq!(frame, udp_frame(CLIENT, SERVER, (MACS[WAN], SERVER_MAC), 63, b"hello"));
    assert_whole(&frame);

    lab.send(LAN, &from_client(FAR, b"far"));
    let (side, frame) = lab.one();
    assert_eq!((side, &frame[..6]), (WAN, &[2, 0, 0, 0, 2, 254][..]), "by the default route's gateway");

    lab.send(LAN, &six_frame("fd02::2", 64, b"six"));
    let (side, frame) = lab.one();
    assert_eq!((side, &frame[..6], frame[14 + 7]), (WAN, &SERVER_MAC[..], 63));
}

#[test]
fn rules_see_both_ports() {
    let mut lab = Lab::new(
        "chain c { type filter hook forward priority 0; policy drop; iifname lan oifname wan udp dport 53 accept; ct state established accept; }",
    );
    lab.send(LAN, &from_client(FAR, b"x"));
    assert_eq!(lab.one().0, WAN);
    lab.send(WAN, &udp_frame(SERVER, CLIENT, (SERVER_MAC, MACS[WAN]), 64, b"x"));
    assert!(lab.out().is_empty());
}

#[test]
fn the_hop_limit_ends_here() {
    let mut lab = Lab::new("chain c { type filter hook forward priority 0; policy drop; }");
    lab.send(LAN, &udp_frame(CLIENT, SERVER, (CLIENT_MAC, MACS[LAN]), 1, b"traceroute"));
    let (side, frame) = lab.one();
    assert_eq!((side, &frame[..6], &frame[6..12]), (LAN, &CLIENT_MAC[..], &MACS[LAN][..]));
    let (kind, from) = icmp4(&frame);
    assert!(matches!(kind, Icmpv4Type::TimeExceeded(_)) && from == LAN_ADDRESS, "{kind:?}");
    assert_eq!(lab.last_reason(), Some(Reason::HopLimit));
    assert_eq!(lab.router.engine().tracker().len(), 0, "before any rule and any conn");

    lab.send(LAN, &six_frame("fd02::2", 1, b"traceroute"));
    let (_, frame) = lab.one();
    let headers = PacketHeaders::from_ethernet_slice(&frame).unwrap();
    let Some(TransportHeader::Icmpv6(icmp)) = headers.transport else { panic!("no ICMPv6") };
    assert!(matches!(icmp.icmp_type, Icmpv6Type::TimeExceeded(_)));
    assert_whole(&frame);
}

#[test]
fn without_a_route_the_sender_is_told() {
    let mut lab = Lab::new("chain c { type filter hook forward priority 0; policy drop; }");
    lab.send(LAN, &six_frame("2001:db8::1", 64, b"x"));
    let (side, frame) = lab.one();
    assert_eq!((side, frame[14 + 40], frame[14 + 41]), (LAN, 1, 0), "no route to destination");
    assert_eq!(lab.last_reason(), Some(Reason::NoRoute));
    lab.send(LAN, &from_client([203, 0, 113, 1], b"x"));
    assert_eq!(lab.one().1[34..36], [3, 13], "prohibited");
    lab.send(LAN, &from_client([203, 0, 113, 65], b"x"));
    assert!(lab.out().is_empty(), "a black hole says nothing");
    assert_eq!(lab.last_reason(), Some(Reason::NoRoute));
    assert_eq!(lab.router.engine().tracker().len(), 0, "no chain was asked, and no conn made");
    // Where NAT sends it, there is no route.
    let mut lab =
        Lab::new("chain d { type nat hook prerouting priority -100; udp dport 53 dnat ip to 203.0.113.1; }");
    lab.send(LAN, &from_client(SERVER, b"x"));
    assert_eq!((lab.one().0, lab.last_reason()), (LAN, Some(Reason::NoRoute)));
}

#[test]
fn martians_are_dropped() {
    let from = |source: [u8; 4]| udp_frame(source, SERVER, (CLIENT_MAC, MACS[LAN]), 64, b"x");
    for (check, expected) in [
        (SourceCheck::Strict, [false; 2]),
        (SourceCheck::Loose, [true, false]),
        (SourceCheck::Off, [true; 2]),
    ] {
        let settings = RouterSettings { source_check: check, ..RouterSettings::default() };
        let mut lab = Lab::with("", snapshot(), settings);
        for impossible in
            [[10, 1, 0, 1], [10, 2, 0, 1], [127, 0, 0, 1], [224, 0, 0, 1], [0; 4], [10, 1, 0, 255]]
        {
            lab.send(LAN, &from(impossible));
            assert!(lab.out().is_empty(), "{check:?}: {impossible:?}");
            assert_eq!(lab.last_reason(), Some(Reason::Martian));
        }
        // From behind the other port; and from a network to which no route leads.
        for (source, passes) in [[10, 2, 0, 9], [203, 0, 113, 1]].into_iter().zip(expected) {
            lab.send(LAN, &from(source));
            assert_eq!(!lab.out().is_empty(), passes, "{check:?}: {source:?}");
        }
    }
}

#[test]
fn what_is_for_the_router_reaches_its_host_by_the_rules() {
    let rules = "chain i { type filter hook input priority 0; policy drop; udp dport 53 accept; }
                 chain o { type filter hook output priority 0; policy drop; ct state established accept; }";
    let mut lab = Lab::new(rules);
    let request = from_client(LAN_ADDRESS, b"who?");
    lab.send(LAN, &request);
    let (side, frame) = lab.one();
    assert_eq!(side, 2 + LAN);
    assert_eq!(frame, [&HOST_MACS[LAN][..], &request[6..]].concat(), "otherwise as it came");
    // Any of its addresses will do.
    lab.send(LAN, &from_client([10, 2, 0, 1], b"who?"));
    assert_eq!(lab.one().0, 2 + LAN);

    let mut answer = Vec::new();
    PacketBuilder::ethernet2(MACS[LAN], CLIENT_MAC)
        .ipv4(LAN_ADDRESS, CLIENT, 64)
        .udp(53, 4000)
        .write(&mut answer, b"me")
        .unwrap();
    lab.send(2 + LAN, &answer);
    assert_eq!(lab.one(), (LAN, answer), "with the link header that the host gave it");

    lab.send(2 + LAN, &udp_frame(LAN_ADDRESS, CLIENT, (MACS[LAN], CLIENT_MAC), 64, b"unasked"));
    assert!(lab.out().is_empty());
}

#[test]
fn the_host_sends_from_its_own_addresses_only() {
    let mut lab = Lab::new("");
    lab.send(2 + WAN, &udp_frame(CLIENT, SERVER, (MACS[WAN], SERVER_MAC), 64, b"forwarded by the kernel"));
    assert!(lab.out().is_empty());
    assert_eq!(lab.last_reason(), Some(Reason::Martian));
    // Not turned aside: the stack's own chatter on the pair.
    lab.send(2 + WAN, &udp_frame([10, 2, 0, 1], SERVER, (HOST_MACS[WAN], SERVER_MAC), 64, b"x"));
    assert!(lab.out().is_empty());
    // A DHCP client has no address yet.
    let discover = udp_frame([0; 4], [255; 4], (MACS[WAN], [0xff; 6]), 64, b"discover");
    lab.send(2 + WAN, &discover);
    assert_eq!(lab.one(), (WAN, discover));
}

#[test]
fn frames_for_others_groups_and_links_are_left() {
    let mut lab = Lab::new("");
    lab.send(LAN, &udp_frame(CLIENT, SERVER, (CLIENT_MAC, [2, 0, 0, 0, 9, 9]), 64, b"x"));
    lab.send(LAN, &udp_frame(CLIENT, [224, 0, 0, 251], (CLIENT_MAC, [1, 0, 0x5e, 0, 0, 251]), 1, b"x"));
    lab.send(LAN, &udp_frame(CLIENT, [10, 1, 0, 255], (CLIENT_MAC, MACS[LAN]), 64, b"x"));
    lab.send(LAN, &[&MACS[LAN][..], &CLIENT_MAC, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &[0; 20]].concat());
    assert!(lab.out().is_empty() && lab.log.0.is_empty());
    assert_eq!((lab.router.statistics().link_dropped, lab.router.statistics().link_passed), (3, 1));
}

#[test]
fn what_is_too_long_is_cut_or_refused() {
    let mut thin = snapshot();
    thin.links[1].mtu = 600;
    let mut lab = Lab::with("", thin.clone(), RouterSettings::default());
    let payload: Vec<u8> = (0..1400u32).map(|n| n as u8).collect();
    lab.send(LAN, &from_client(SERVER, &payload));
    let (side, frame) = lab.one();
    assert_eq!(side, LAN);
    assert_eq!((&frame[34..36], &frame[40..42]), (&[3, 4][..], &600u16.to_be_bytes()[..]), "RFC 1191");
    assert_eq!(lab.last_reason(), Some(Reason::TooBig));

    let mut frame = from_client(SERVER, &payload);
    set_fragmentable(&mut frame, true);
    lab.send(LAN, &frame);
    let out = lab.out();
    assert_eq!(out.len(), 3);
    let mut defragmenter = pinhole_engine::defrag::Defragmenter::new(Default::default());
    for (index, (side, piece)) in out.iter().enumerate() {
        assert!(*side == WAN && piece.len() <= 614 && piece[..6] == SERVER_MAC);
        assert!(pinhole_wire::ipv4_header_checksum_ok(&piece[14..]));
        let packet = Packet::parse_network(piece, 14).unwrap();
        let whole = defragmenter.push(NOW, &packet, piece, 0);
        if index == 2 {
            let pinhole_engine::defrag::Outcome::Complete(whole) = whole else { panic!("incomplete") };
            assert_eq!(whole[28..], payload);
        }
    }

    lab.send(LAN, &six_frame("fd02::2", 64, &payload));
    let (side, frame) = lab.one();
    assert_eq!((side, frame[54], &frame[58..62]), (LAN, 2, &600u32.to_be_bytes()[..]), "RFC 4443");

    // A route may have its own limit.
    thin.links[1].mtu = 1500;
    thin.routes[7].mtu = Some(1000);
    lab.router.configure(lab.now, &thin);
    lab.send(LAN, &from_client(SERVER, &payload));
    assert_eq!(lab.one().1[40..42], 1000u16.to_be_bytes());
}

#[test]
fn a_superframe_passes_whole_if_its_segments_fit() {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, MACS[LAN])
        .ipv4(CLIENT, SERVER, 64)
        .tcp(4000, 80, 1, 1000)
        .syn()
        .write(&mut frame, &[])
        .unwrap();
    let mut lab = Lab::new("");
    lab.send(LAN, &frame);
    lab.out();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(CLIENT_MAC, MACS[LAN])
        .ipv4(CLIENT, SERVER, 64)
        .tcp(4000, 80, 2, 1000)
        .ack(0)
        .write(&mut frame, &[5; 20_000])
        .unwrap();
    let offload = Offload::partial_checksum(34, 16).with_tcp_segments(1460);
    lab.wires[LAN].send_offloaded(&frame, offload);
    lab.run();
    let (bytes, kept) = lab.wires[WAN].receive().unwrap();
    assert_eq!((bytes.len(), kept), (frame.len(), offload));

    let mut thin = snapshot();
    thin.links[1].mtu = 1400;
    lab.router.configure(lab.now, &thin);
    lab.wires[LAN].send_offloaded(&frame, offload);
    lab.run();
    assert!(lab.wires[WAN].receive().is_none());
    assert_eq!(lab.one().1[40..42], 1400u16.to_be_bytes(), "its sender looks for the path's MTU");
    set_fragmentable(&mut frame, true);
    lab.wires[LAN].send_offloaded(&frame, offload);
    lab.run();
    let (bytes, cut) = lab.wires[WAN].receive().unwrap();
    assert_eq!((bytes.len(), cut.segment_size()), (frame.len(), Some(1360)));
}

#[test]
fn a_packet_waits_for_its_next_hop() {
    let mut lab = Lab::new("");
    lab.send(LAN, &from_client([10, 2, 0, 77], b"1"));
    lab.send(LAN, &from_client([10, 2, 0, 77], b"2"));
    assert!(lab.out().is_empty());
    let host = IpAddr::from([10, 2, 0, 77]);
    assert_eq!(lab.router.take_questions(), [Resolve { interface: 12, address: host }]);
    let mac = [2, 0, 0, 0, 2, 77];
    lab.router
        .update(lab.now, &Neighbour { interface: 12, address: host, state: NeighbourState::Reachable(mac) });
    let out = lab.out();
    let payloads: Vec<_> =
        out.iter().map(|(side, frame)| (*side, &frame[..6], frame[frame.len() - 1])).collect();
    assert_eq!(payloads, [(WAN, &mac[..], b'1'), (WAN, &mac[..], b'2')]);
    assert_eq!(out[0].1[14 + 8], 63);
    assert_whole(&out[0].1);

    // A stale address is used at once, and asked about.
    lab.router
        .update(lab.now, &Neighbour { interface: 12, address: host, state: NeighbourState::Stale(mac) });
    for _ in 0..3 {
        lab.send(LAN, &from_client([10, 2, 0, 77], b"3"));
    }
    assert_eq!(lab.out().len(), 3);
    assert_eq!(lab.router.take_questions().len(), 1);
}

#[test]
fn who_does_not_answer_is_unreachable() {
    let mut lab = Lab::new("chain s { type nat hook postrouting priority 100; oifname wan masquerade; }");
    let host = IpAddr::from([10, 2, 0, 77]);
    let request = from_client([10, 2, 0, 77], b"1");
    lab.send(LAN, &request);
    assert!(lab.out().is_empty());
    lab.router.update(lab.now, &Neighbour { interface: 12, address: host, state: NeighbourState::Failed });
    let (side, frame) = lab.one();
    assert_eq!((side, &frame[34..36]), (LAN, &[3, 1][..]));
    assert_eq!(frame[42..], request[14..], "as it was before it was translated");

    lab.send(LAN, &request);
    assert!(lab.out().is_empty());
    let due = lab.router.next_deadline().unwrap();
    assert!(due <= lab.now.plus_seconds(4));
    lab.now = due;
    lab.run();
    assert_eq!(lab.one().1[34..36], [3, 1], "the kernel said nothing");
}

#[test]
fn only_so_much_waits() {
    let mut lab = Lab::new("");
    // A burst has room.
    let packet = from_client([10, 2, 0, 77], b"x");
    let most = (neighbours::MOST_EACH / (neighbours::OVERHEAD + packet.len())) as u64;
    for sent in 1..=2 * most {
        lab.send(LAN, &packet);
        assert!(sent > 64 || lab.router.statistics().unresolved == 0, "{sent}");
    }
    let waiting = 2 * most - lab.router.statistics().unresolved;
    assert!(most / 2 < waiting && waiting <= most, "{waiting} of {most}");
    for host in 0..600u16 {
        let [high, low] = host.to_be_bytes();
        let mut snapshot = lab.snapshot.clone();
        snapshot.routes.push(route("10.3.0.0/16", 254, RouteKind::Unicast, &[(12, None)]));
        if host == 0 {
            lab.router.configure(lab.now, &snapshot);
        }
        lab.send(LAN, &from_client([10, 3, high, low], b"x"));
    }
    assert_eq!(lab.router.take_questions().len(), neighbours::MOST_HOSTS);
}

#[test]
fn masquerade_follows_the_address() {
    let mut lab = Lab::new("chain s { type nat hook postrouting priority 100; oifname wan masquerade; }");
    lab.send(LAN, &from_client(FAR, b"x"));
    let (side, frame) = lab.one();
    assert_eq!((side, &frame[26..30], frame[22]), (WAN, &[10, 2, 0, 1][..], 63));
    assert_whole(&frame);
    let answer = udp_frame(FAR, [10, 2, 0, 1], ([2, 0, 0, 0, 2, 254], MACS[WAN]), 50, b"y");
    let mut answer = answer;
    answer.swap(34, 36);
    answer.swap(35, 37);
    lab.send(WAN, &answer);
    let (side, frame) = lab.one();
    assert_eq!((side, &frame[..6], &frame[30..34], frame[22]), (LAN, &CLIENT_MAC[..], &CLIENT[..], 49));

    let mut moved = snapshot();
    moved.addresses[1].address = [10, 2, 0, 99].into();
    moved.routes[1] = route("10.2.0.99/32", 255, RouteKind::Local, &[]);
    lab.router.configure(lab.now, &moved);
    lab.send(LAN, &from_client(SERVER, b"x"));
    assert_eq!(lab.one().1[26..30], [10, 2, 0, 99]);
}

/// Frames are translated where they lie: one that cannot go on must be told of as its sender knows it.
#[test]
fn a_translated_frame_that_is_too_long_is_told_of_as_it_came() {
    let mut thin = snapshot();
    thin.links[1].mtu = 600;
    let rules = "chain s { type nat hook postrouting priority 100; oifname wan masquerade; }";
    let mut lab = Lab::with(rules, thin, RouterSettings::default());
    for length in [1000, 1400] {
        let request = from_client(SERVER, &vec![b'x'; length]);
        lab.send(LAN, &request);
        let (side, answer) = lab.one();
        assert_eq!((side, &answer[34..36]), (LAN, &[3, 4][..]));
        assert_eq!(answer[42..], request[14..][..answer.len() - 42]);
        assert_eq!(lab.last_reason(), Some(Reason::TooBig));
    }
}

#[test]
fn a_hairpin_comes_back_by_the_port_it_came_in_by() {
    let mut lab = Lab::new(
        "chain d { type nat hook prerouting priority -100; ip daddr 10.2.0.1 udp dport 53 dnat ip to 10.1.0.5; }
         chain s { type nat hook postrouting priority 100; iifname lan oifname lan masquerade; }",
    );
    let inner = IpAddr::from([10, 1, 0, 5]);
    let mac = [2, 0, 0, 0, 1, 5];
    lab.router
        .update(lab.now, &Neighbour { interface: 11, address: inner, state: NeighbourState::Reachable(mac) });
    lab.send(LAN, &from_client([10, 2, 0, 1], b"x"));
    let (side, frame) = lab.one();
    assert_eq!(
        (side, &frame[..6], &frame[26..30], &frame[30..34]),
        (LAN, &mac[..], &LAN_ADDRESS[..], &[10, 1, 0, 5][..])
    );
    assert_whole(&frame);
}

#[test]
fn fragments_are_judged_as_one_and_go_on() {
    let payload: Vec<u8> = (0..3000u32).map(|n| n as u8).collect();
    let mut whole = from_client(SERVER, &payload);
    set_fragmentable(&mut whole, true);
    let mut pieces = Vec::new();
    cut::ipv4(&whole[14..], 1500, |piece| pieces.push([&whole[..14], piece].concat()));
    assert_eq!(pieces.len(), 3);
    for (rules, source) in [
        ("", CLIENT),
        ("chain s { type nat hook postrouting priority 100; oifname wan masquerade; }", [10, 2, 0, 1]),
    ] {
        let mut lab = Lab::new(rules);
        pieces.iter().for_each(|piece| lab.send(LAN, piece));
        let out = lab.out();
        assert_eq!(out.len(), 3, "{rules}");
        for (side, piece) in &out {
            assert_eq!((*side, &piece[26..30], piece[22]), (WAN, &source[..], 63), "{rules}");
            assert!(piece.len() <= 1514 && pinhole_wire::ipv4_header_checksum_ok(&piece[14..]));
        }
    }
}

#[test]
fn what_follows_a_datagram_stays_on_its_link() {
    let mut six = six_frame("fd02::2", 64, b"six");
    for whole in [from_client(SERVER, b"four"), std::mem::take(&mut six)] {
        for rules in ["", "chain s { type nat hook postrouting priority 100; oifname wan masquerade; }"] {
            let mut lab = Lab::new(rules);
            lab.send(LAN, &[&whole[..], &[0x5a; 1400]].concat());
            let (side, frame) = lab.one();
            assert_eq!((side, frame.len()), (WAN, whole.len()), "{rules}");
        }
    }
    // A datagram that says nothing about its length, or lies, is left to be judged.
    for (length, is_cut) in [(0u16, false), (19, true), (u16::MAX, false)] {
        let mut frame = from_client(SERVER, b"four");
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        assert_eq!(header::length_without_trailer(&frame) < frame.len(), is_cut, "{length}");
        Lab::new("").send(LAN, &frame);
    }
}

#[test]
fn a_reject_comes_from_the_router() {
    let mut lab =
        Lab::new("chain c { type filter hook forward priority 0; reject with icmpx admin-prohibited; }");
    lab.send(LAN, &from_client(SERVER, b"x"));
    let (side, frame) = lab.one();
    assert_eq!((side, icmp4(&frame).1), (LAN, LAN_ADDRESS));
    assert_eq!(frame[34..36], [3, 13]);
}

proptest::proptest! {
    #[test]
    fn no_frame_brings_the_router_down(
        side in 0usize..4,
        frames in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200), 0..20),
        kind in 0u8..3,
    ) {
        let mut lab = Lab::new("chain s { type nat hook postrouting priority 100; oifname wan masquerade; }");
        for mut frame in frames {
            // Some of them come as far as they can.
            if frame.len() > 34 && kind > 0 {
                let port = side % 2;
                frame[..6].copy_from_slice(&MACS[port]);
                frame[6..12].copy_from_slice(&MACS[port]);
                let (ethertype, version) = if kind == 1 { ([8, 0], 0x45) } else { ([0x86, 0xdd], 0x60) };
                frame[12..14].copy_from_slice(&ethertype);
                frame[14] = version;
            }
            lab.send(side, &frame);
        }
    }

    #[test]
    fn ipv6_fragments_make_up_the_datagram(length in 0usize..4000, mtu in 1280usize..1600) {
        let frame = six_frame("fd02::2", 64, &vec![7; length]);
        let mut defragmenter = pinhole_engine::defrag::Defragmenter::new(Default::default());
        let mut complete = false;
        cut::ipv6(&frame[14..], mtu, 77, |piece| {
            assert!(piece.len() <= mtu);
            let packet = Packet::parse_network(piece, 0).unwrap();
            if let pinhole_engine::defrag::Outcome::Complete(whole) = defragmenter.push(NOW, &packet, piece, 0) {
                assert_eq!(whole, &frame[14..]);
                complete = true;
            }
        });
        proptest::prop_assert!(complete || length + 48 <= mtu);
    }
}
