//! Thirty thousand packets of many hosts, against the simplest model of a NAT: what left says who gets the answer.

use super::support::conversation::{Dice, udp};
use super::support::lab::Lab;
use super::{ends, masquerading, pass, stopped};
use pinhole_engine::{Event, Filtering, NatBehaviour, PortMapping, Reason};
use std::collections::HashMap;
use std::net::SocketAddr;

const PACKETS: usize = 30_000;

#[test]
fn every_answer_finds_its_host_and_no_two_conns_share_an_outer_end() {
    let mut lab = masquerading();
    let mut dice = Dice(7);
    // (outer end, server) → host; and the other way round.
    let mut hosts: HashMap<(SocketAddr, SocketAddr), SocketAddr> = HashMap::new();
    let mut outer: HashMap<(SocketAddr, SocketAddr), SocketAddr> = HashMap::new();
    for _ in 0..PACKETS {
        let server: SocketAddr = format!("192.0.2.{}:53", 1 + dice.below(3)).parse().unwrap();
        if dice.one_in(2) || outer.is_empty() {
            // Few ports, so that many hosts want the same one.
            let (host, port) = (dice.below(200), 5000 + dice.below(10));
            let host: SocketAddr = format!("10.0.{}.{}:{port}", host / 100, host % 100).parse().unwrap();
            let left = ends(&pass(&mut lab, &udp(host, server, b"query")));
            assert_eq!(left.1, server);
            assert_eq!(left.0.ip().to_string(), super::PUBLIC);
            let known = *outer.entry((host, server)).or_insert(left.0);
            assert_eq!(known, left.0, "a conn keeps its end");
            assert_eq!(*hosts.entry((left.0, server)).or_insert(host), host, "two conns share {}", left.0);
        } else {
            let port = 1024 + dice.below(60_000);
            let end: SocketAddr = match dice.one_in(4) {
                true => format!("203.0.113.7:{port}").parse().unwrap(),
                false => *hosts.keys().nth(dice.below(hosts.len().min(64))).map(|(end, _)| end).unwrap(),
            };
            let answer = udp(server, end, b"answer");
            match hosts.get(&(end, server)) {
                Some(host) => assert_eq!(ends(&pass(&mut lab, &answer)), (server, *host)),
                None => drop(stopped(&mut lab, &answer)),
            }
        }
    }
    assert!(hosts.len() > 3000, "{}", hosts.len());
}

/// One address serves one server until its last port is taken: each conn tries one port, however full the pool is. (The kernel tries 128 and
/// gives up; at 99 % it mostly finds none.)
#[test]
fn a_pool_gives_its_last_port_as_fast_as_its_first() {
    let mut settings = super::settings();
    settings.track.max_conns = 100_000;
    let mut lab = Lab::new(settings, Some(&super::rules("", "oifname \"wan\" masquerade")));
    let server: SocketAddr = "192.0.2.1:53".parse().unwrap();
    let from = |i: usize| -> SocketAddr {
        // All want port 5000.
        format!("10.{}.{}.{}:5000", 1 + i / 65_536, i / 256 % 256, i % 256).parse().unwrap()
    };
    const PORTS: usize = 64_512;
    let mut seen = vec![false; 65_536];
    for i in 0..PORTS {
        let before = lab.engine.nat_ports_tried();
        let port = ends(&pass(&mut lab, &udp(from(i), server, b"x"))).0.port();
        assert!(lab.engine.nat_ports_tried() - before <= 1, "conn {i}");
        assert!(port >= 1024 && !std::mem::replace(&mut seen[usize::from(port)], true), "{port} twice");
        lab.events.clear();
    }
    let before = lab.engine.nat_ports_tried();
    assert_eq!(stopped(&mut lab, &udp(from(PORTS), server, b"x")).reason, Some(Reason::NatExhausted));
    assert_eq!(lab.engine.nat_ports_tried() - before, 1, "to learn that there is none takes one look, too");
    assert_eq!(lab.engine.nat_statistics().exhausted, 1);
    let told = |event: &Event| matches!(event, Event::NatFailed { .. });
    assert_eq!(lab.events.iter().filter(|event| told(event)).count(), 1);
}

/// The same with endpoint-independent mappings, parity and blocks: an outer end is one inner end's, whoever asks.
#[test]
fn every_inner_end_has_one_outer_end() {
    let mut settings = super::settings();
    settings.nat.behaviour = NatBehaviour {
        mapping: PortMapping::EndpointIndependent(Filtering::EndpointIndependent),
        parity: true,
        ports_per_host: std::num::NonZeroU16::new(64),
        hairpin: true,
    };
    let rules = super::rules("", "oifname \"wan\" masquerade");
    let mut lab = Lab::new(settings, Some(&rules));
    let mut dice = Dice(11);
    let mut outer: HashMap<SocketAddr, SocketAddr> = HashMap::new();
    let mut inner: HashMap<SocketAddr, SocketAddr> = HashMap::new();
    for _ in 0..PACKETS {
        let remote: SocketAddr =
            format!("192.0.2.{}:{}", 1 + dice.below(250), 1 + dice.below(9999)).parse().unwrap();
        if dice.one_in(2) || outer.is_empty() {
            let host = dice.below(200);
            let host: SocketAddr =
                format!("10.0.{}.{}:{}", host / 100, host % 100, 5000 + dice.below(10)).parse().unwrap();
            let left = ends(&pass(&mut lab, &udp(host, remote, b"x")));
            assert_eq!(*outer.entry(host).or_insert(left.0), left.0);
            assert_eq!(*inner.entry(left.0).or_insert(host), host);
            assert_eq!(left.0.port() % 2, host.port() % 2);
        } else {
            let end = *inner.keys().nth(dice.below(inner.len().min(64))).unwrap();
            let (from, seen) = match dice.one_in(3) {
                true => outer.iter().nth(dice.below(outer.len().min(64))).map(|(a, b)| (*a, *b)).unwrap(),
                false => (remote, remote),
            };
            if seen == end {
                // Its answer would be the question again.
                stopped(&mut lab, &udp(from, end, b"y"));
                continue;
            }
            assert_eq!(ends(&pass(&mut lab, &udp(from, end, b"y"))), (seen, inner[&end]));
        }
    }
    assert_eq!(lab.engine.nat_mappings(), outer.len());
}
