//! Frames on the ports of a router, and from its host.
//!
//! The input is one frame after the other: the side that it comes in by (0 and 1 are ports, 2 and 3 the host's ways), its length, and its bytes
//! from the EtherType on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_engine::{Engine, Event, Frame, Outcome, Settings};
use pinhole_gateway::router::RouterPort;
use pinhole_gateway::{Observer, Router, RouterSettings};
use pinhole_io::live::memory;
use pinhole_io::live::rtnetlink::Snapshot;
use pinhole_io::live::rtnetlink::read::{
    InterfaceAddress, Link, Neighbour, NeighbourState, NextHop, Route, RouteKind,
};
use pinhole_wire::Time;
use std::net::IpAddr;

/// The second link carries less than the first.
const MTU: [u32; 2] = [1500, 1280];

const RULES: &str = "table inet f {
    chain i { type filter hook input priority 0; udp dport 54 reject; }
    chain c { type filter hook forward priority 0; tcp dport 23 reject with tcp reset; }
    chain d { type nat hook prerouting priority -100; iifname \"p1\" udp dport 55 dnat ip to 10.1.0.2; }
    chain s { type nat hook postrouting priority 100; oifname \"p1\" masquerade; }
}";

struct Nobody;

impl Observer for Nobody {
    fn packet(&mut self, _engine: &Engine, _frame: &Frame<'_>, _outcome: &Outcome) {}
    fn event(&mut self, _engine: &Engine, _event: Event) {}
}

fn mac(side: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, side]
}

/// Behind each port 10.N.0.0/24 and fdNN::/64, the port's own address ends in 1, a neighbour's in 2.
fn snapshot() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for side in 0..2u8 {
        let index = u32::from(side) + 1;
        let link = |index, name, side| Link {
            index,
            name,
            address: Some(mac(side)),
            mtu: MTU[usize::from(side & 1)],
            up: true,
        };
        snapshot.links.push(link(index, format!("p{side}"), side));
        snapshot.links.push(link(index + 2, format!("h{side}"), side + 2));
        let four = |last| IpAddr::from([10, side + 1, 0, last]);
        let six = |last| IpAddr::from([0xfd00 | u16::from(side + 1), 0, 0, 0, 0, 0, 0, last]);
        for (network, length, own, neighbour) in
            [(four(0), 24, four(1), four(2)), (six(0), 64, six(1), six(2))]
        {
            let route = |table, destination, length, kind| Route {
                table,
                destination,
                length,
                kind,
                metric: 0,
                hops: vec![NextHop { interface: index, gateway: None }],
                mtu: None,
            };
            snapshot.routes.push(route(255, own, if own.is_ipv4() { 32 } else { 128 }, RouteKind::Local));
            snapshot.routes.push(route(254, network, length, RouteKind::Unicast));
            snapshot.addresses.push(InterfaceAddress { interface: index, address: own, global: true });
            let state = NeighbourState::Reachable(mac(9));
            snapshot.neighbours.push(Neighbour { interface: index, address: neighbour, state });
        }
    }
    snapshot
}

fuzz_target!(|input: &[u8]| {
    let Ok(ruleset) = pinhole_ruleset::compile_text("f.nft", RULES) else { return };
    let engine = Engine::new(Settings::default(), pinhole_helpers::registry(), Some(ruleset));
    let Ok(engine) = engine else { return };
    let (mut ports, mut wires, mut ways) = (Vec::new(), Vec::new(), Vec::new());
    for side in 0..2 {
        let ((wire, far), (host, way)) = (memory::port(&format!("p{side}")), memory::port("way"));
        ports.push(RouterPort { wire: Box::new(wire), host: Box::new(host), host_link: format!("h{side}") });
        wires.push(far);
        ways.push(way);
    }
    wires.append(&mut ways);
    let mut router = Router::new(engine, ports, RouterSettings::default());
    let mut now = Time::from_seconds(1_700_000_000);
    router.configure(now, &snapshot());

    let mut rest = input;
    while let Some((&[side, low, high], bytes)) = rest.split_first_chunk::<3>() {
        let side = usize::from(side & 3);
        let length = usize::from(u16::from_le_bytes([low, high])).min(bytes.len());
        let (content, next) = bytes.split_at(length);
        rest = next;
        let port = (side & 1) as u8;
        let (to, from) = if side < 2 { (mac(port), mac(9)) } else { (mac(9), mac(port)) };
        wires[side].send(&[&to[..], &from, content].concat());
        now = now.plus_nanos(100_000_000);
        let _ = router.serve(now, side, &mut Nobody);
        router.advance(now, &mut Nobody);
        router.take_questions();
        for (side, wire) in wires.iter().enumerate() {
            while let Some((frame, _)) = wire.receive() {
                assert!(side >= 2 || frame.len() <= MTU[side] as usize + 14, "longer than the link's MTU");
            }
        }
    }
});
