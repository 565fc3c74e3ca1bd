//! Every transport, over IPv4 and IPv6: conns out and back, and ICMP errors about them in both directions.

use crate::support::conversation::{ping, udp, unreachable};
use crate::support::lab::{Lab, address};
use crate::support::transports::{Make, TRANSPORTS, assert_sound, folded, ip, plain_udp, pseudo, tcp};
use crate::{OUTER, ends, ends_of, with};
use pinhole_engine::{Frame, FrameChecksum, NatRule, Outcome, Settings, Verdict};
use pinhole_track::State;
use pinhole_wire::Packet;
use std::net::{IpAddr, SocketAddr};

const OUTER_V6: &str = "2001:db8:ffff::7";

/// Inner hosts of both families leave as one address each.
fn hidden() -> Settings {
    let rule = |from: &str, to: &str| NatRule::Snat { from: from.parse().unwrap(), to: to.parse().unwrap() };
    with(&[rule("10.0.0.0/8", OUTER), rule("fd00::/16", OUTER_V6)])
}

struct Network {
    clients: [&'static str; 2],
    server: &'static str,
    outer: &'static str,
    router: &'static str,
}

const NETWORKS: [Network; 2] = [
    Network {
        clients: ["10.0.0.5:4000", "10.0.0.6:4000"],
        server: "192.0.2.9:5000",
        outer: OUTER,
        router: "198.51.100.1",
    },
    Network {
        clients: ["[fd00::5]:4000", "[fd00::6]:4000"],
        server: "[2001:db8::9]:5000",
        outer: OUTER_V6,
        router: "2001:db8:5::1",
    },
];

#[test]
fn conns_of_every_transport_go_out_and_come_back() {
    for network in &NETWORKS {
        let [client, other] = network.clients.map(address);
        let (server, outer) = (address(network.server), network.outer.parse().unwrap());
        let router: IpAddr = network.router.parse().unwrap();
        for (name, make) in TRANSPORTS {
            let mut lab = Lab::new(hidden(), None);
            let out = lab.forward(&make(client, server, false)).unwrap();
            assert_sound(name, &out);
            assert_eq!(ends(&out), (SocketAddr::new(outer, 4000), server), "{name}");
            let second = lab.forward(&make(other, server, false)).unwrap();
            assert_sound(name, &second);
            let second = ends(&second).0;
            assert_eq!(second.ip(), outer);
            assert!(second.port() >= 1024 && second.port() != 4000, "{name}: {second}");

            let answer = make(server, second, true);
            let back = lab.forward(&answer).unwrap();
            assert_sound(name, &back);
            assert_eq!(ends(&back), (server, other), "{name}");
            // A router outside about what went out; the host inside about what came in.
            let error = unreachable(router, outer, &out);
            assert_eq!(lab.send(&error).state, Some(State::Related), "{name}");
            let inward = lab.forward(&error).unwrap();
            assert_sound(name, &inward);
            let packet = Packet::parse(&inward, 0).unwrap();
            assert_eq!(packet.source.ip(packet.version), router);
            assert_eq!(packet.destination, client.ip().into());
            assert_eq!(ends_of(&packet.quoted(&inward).unwrap().unwrap()), (client, server), "{name}");
            let outward = lab.forward(&unreachable(other.ip(), server.ip(), &back)).unwrap();
            assert_sound(name, &outward);
            let packet = Packet::parse(&outward, 0).unwrap();
            assert_eq!(packet.source.ip(packet.version), outer, "{name}: the inner address does not leave");
            assert_eq!(packet.destination, server.ip().into());
            let quoted = packet.quoted(&outward).unwrap().unwrap();
            assert_eq!(ends_of(&quoted), (server, second), "{name}");
        }
    }
}

/// ICMP and ICMPv6 queries, and errors about them.
#[test]
fn identifiers_of_queries_are_translated_and_answers_find_back() {
    for network in &NETWORKS {
        let [client, other] = network.clients.map(|client| address(client).ip());
        let (server, outer) = (address(network.server).ip(), network.outer.parse().unwrap());
        let mut lab = Lab::new(hidden(), None);
        let first = lab.forward(&ping(client, server, 7)).unwrap();
        assert_sound("ping", &first);
        assert_eq!(ends(&first).0, SocketAddr::new(outer, 7));
        let second = lab.forward(&ping(other, server, 7)).unwrap();
        assert_sound("ping", &second);
        let id = ends(&second).0.port();
        assert_ne!(id, 7);
        // The answer: the same message with the type of a reply.
        let mut answer = ping(server, outer, id);
        let at = if outer.is_ipv4() { 20 } else { 40 };
        let (kind, rise) = if outer.is_ipv4() { (0, 0x0800u16) } else { (129, 0xfeff) };
        answer[at] = kind;
        let sum = u16::from_be_bytes([answer[at + 2], answer[at + 3]]);
        let sum = folded(&[sum.to_be_bytes(), rise.to_be_bytes()].concat(), 0);
        answer[at + 2..at + 4].copy_from_slice(&sum.to_be_bytes());
        assert_sound("answer as made", &answer);
        let back = lab.forward(&answer).unwrap();
        assert_sound("answer", &back);
        assert_eq!(ends(&back), (SocketAddr::new(server, 7), SocketAddr::new(other, 7)));
        let error = lab.forward(&unreachable(network.router.parse().unwrap(), outer, &second)).unwrap();
        assert_sound("error", &error);
        let packet = Packet::parse(&error, 0).unwrap();
        assert_eq!(ends_of(&packet.quoted(&error).unwrap().unwrap()).0, SocketAddr::new(other, 7));
    }
}

/// Protocols without ports: only addresses change. GRE of version 0 has no call id (RFC 2784).
#[test]
fn protocols_without_ports_are_translated_by_address() {
    for network in &NETWORKS {
        let (client, server) = (address(network.clients[0]).ip(), address(network.server).ip());
        let outer: IpAddr = network.outer.parse().unwrap();
        for protocol in [47, 50, 253] {
            let upper = [0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8];
            let mut lab = Lab::new(hidden(), None);
            let out = lab.forward(&ip(client, server, protocol, &upper)).unwrap();
            assert_eq!(out, ip(outer, server, protocol, &upper), "{protocol}");
            let back = lab.forward(&ip(server, outer, protocol, &upper)).unwrap();
            assert_eq!(back, ip(server, client, protocol, &upper), "{protocol}");
            // A second host cannot be told apart.
            let other = ip(address(network.clients[1]).ip(), server, protocol, &upper);
            assert_eq!(lab.send(&other).verdict, Verdict::Drop, "{protocol}");
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_stays_zero() {
    let mut lab = Lab::new(hidden(), None);
    let mut query = udp(address("10.0.0.5:4000"), address("192.0.2.53:53"), b"query");
    query[26..28].fill(0);
    let out = lab.forward(&query).unwrap();
    assert_eq!(out[26..28], [0, 0]);
    let mut answer = udp(address("192.0.2.53:53"), address("203.0.113.7:4000"), b"answer");
    answer[26..28].fill(0);
    assert_eq!(lab.forward(&answer).unwrap()[26..28], [0, 0]);
}

/// Sends a frame whose checksum was left to the network card.
fn send_partial(lab: &mut Lab, datagram: &[u8]) -> (Outcome, Vec<Vec<u8>>) {
    let frame = Frame { checksum: FrameChecksum::Partial, ..lab.frame(datagram) };
    let outcome = lab.engine.handle(&frame);
    (outcome, lab.engine.output().map(|made| made.packet(datagram)).collect())
}

/// Of a partial checksum only the pseudo-header is summed: ports change nothing about it.
#[test]
fn partial_checksums_stay_partial() {
    for network in &NETWORKS {
        let [first, second] = network.clients.map(address);
        let server = address(network.server);
        for (protocol, field, make) in [(6, 16, tcp as Make), (17, 6, plain_udp)] {
            let mut lab = Lab::new(hidden(), None);
            let partial = |source: SocketAddr, mut datagram: Vec<u8>| {
                let at = if source.is_ipv4() { 20 } else { 40 };
                let sum = pseudo(source.ip(), server.ip(), protocol, datagram.len() - at);
                datagram[at + field..at + field + 2].copy_from_slice(&sum.to_be_bytes());
                datagram
            };
            // The second one's port changes, too.
            for client in [first, second] {
                let (outcome, left) = send_partial(&mut lab, &partial(client, make(client, server, false)));
                assert_eq!(outcome.verdict, Verdict::Accept);
                let packet = Packet::parse(&left[0], 0).unwrap();
                let outer = SocketAddr::new(network.outer.parse().unwrap(), packet.source_port().unwrap());
                assert_eq!(left[0], partial(outer, make(outer, server, false)), "{protocol}");
            }
        }
    }
}

/// What is wrong stays wrong: a NAT does not repair.
#[test]
fn a_wrong_checksum_stays_wrong_by_the_same_difference() {
    let mut settings = hidden();
    settings.checksums = pinhole_engine::ChecksumPolicy::Ignore;
    let mut lab = Lab::new(settings, None);
    let mut query = udp(address("10.0.0.5:4000"), address("192.0.2.53:53"), b"query");
    query[27] ^= 1;
    let out = lab.forward(&query).unwrap();
    let packet = Packet::parse(&out, 0).unwrap();
    assert_eq!(pinhole_wire::checksum::verify_transport(&packet, &out), pinhole_wire::Checksum::Bad);
}
