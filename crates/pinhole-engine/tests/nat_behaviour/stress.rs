//! Thirty thousand packets of many hosts, against the simplest model of a NAT: what left says who gets the answer.

use super::support::conversation::{Dice, udp};
use super::{ends, masquerading, pass, stopped};
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
