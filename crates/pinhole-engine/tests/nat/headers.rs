//! Which conns are translated, into what, and that answers and errors find back.

use crate::support::conversation::Segment;
use crate::support::conversation::{ping, syn, tcp, udp, unreachable};
use crate::support::lab::{Lab, address};
use crate::{OUTER, ends, ends_of, hidden, with};
use pinhole_engine::{Cidr, Event, Frame, NatFailure, NatRule, Reason, Settings, Verdict};
use pinhole_track::{State, Status};
use pinhole_wire::{Direction, Packet, TcpFlags};
use std::net::SocketAddr;

fn outer(port: u16) -> SocketAddr {
    SocketAddr::new(OUTER.parse().unwrap(), port)
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

#[test]
fn a_source_keeps_its_port_and_answers_find_back() {
    let mut lab = Lab::with_restarts(hidden(), None);
    let (client, server) = (address("10.0.0.5:4000"), address("192.0.2.80:80"));
    let out = lab.forward(&syn(client, server)).unwrap();
    assert_eq!(ends(&out), (outer(4000), server));
    let answer =
        Segment { flags: TcpFlags::SYN | TcpFlags::ACK, acknowledgement: 1001, ..Segment::default() };
    let back = lab.forward(&tcp(server, outer(4000), &answer)).unwrap();
    assert_eq!(ends(&back), (server, client));

    let conn = lab.engine.tracker().conns().next().unwrap();
    let status = lab.engine.tracker().status(conn).unwrap();
    assert!(status.contains(Status::SRC_NAT) && !status.contains(Status::DST_NAT));
    let reply = lab.engine.tracker().reply(conn).unwrap();
    assert_eq!(reply.destination, outer(4000).ip().into());
}

#[test]
fn packets_that_bear_neither_tuple_are_not_the_conns() {
    let mut lab = Lab::with_restarts(hidden(), None);
    let (client, server) = (address("10.0.0.5:4000"), address("192.0.2.53:53"));
    lab.forward(&udp(client, server, b"query"));
    let astray = lab.send(&udp(server, client, b"answer"));
    assert_eq!(astray.state, Some(State::New));
    // Its answers would be the first conn's packets: its source port gives way.
    let conn = astray.conn.unwrap();
    let reply = lab.engine.tracker().reply(conn).unwrap();
    assert_ne!(reply.destination_port, 53);
    assert!(astray.rewritten);
}

#[test]
fn two_hosts_with_one_port_get_two() {
    let mut lab = Lab::with_restarts(hidden(), None);
    let server = address("192.0.2.80:80");
    let first = lab.forward(&syn(address("10.0.0.5:4000"), server)).unwrap();
    let second = lab.forward(&syn(address("10.0.0.6:4000"), server)).unwrap();
    assert_eq!(ends(&first).0, outer(4000));
    let (source, _) = ends(&second);
    assert_eq!(source.ip(), outer(0).ip());
    assert!(source.port() >= 1024 && source.port() != 4000);
    // Another server is another matter.
    let third = lab.forward(&syn(address("10.0.0.6:4001"), address("192.0.2.81:80"))).unwrap();
    assert_eq!(ends(&third).0, outer(4001));
    assert_eq!(lab.engine.nat_ports(), 3);
}

#[test]
fn an_outer_address_leads_to_the_inner_server() {
    let rule = NatRule::Dnat { to: cidr("203.0.113.7/32"), target: "10.0.0.5".parse().unwrap() };
    let mut lab = Lab::with_restarts(with(&[rule]), None);
    let (client, server) = (address("192.0.2.9:5000"), address("10.0.0.5:80"));
    let inward = lab.forward(&syn(client, outer(80))).unwrap();
    assert_eq!(ends(&inward), (client, server));
    let answer =
        Segment { flags: TcpFlags::SYN | TcpFlags::ACK, acknowledgement: 1001, ..Segment::default() };
    let back = lab.forward(&tcp(server, client, &answer)).unwrap();
    assert_eq!(ends(&back), (outer(80), client));
}

#[test]
fn errors_are_translated_with_what_they_quote() {
    let mut lab = Lab::with_restarts(hidden(), None);
    let (client, server) = (address("10.0.0.5:4000"), address("192.0.2.53:53"));
    let out = lab.forward(&udp(client, server, b"query")).unwrap();
    let router = "198.51.100.1".parse().unwrap();
    let error = unreachable(router, outer(0).ip(), &out);
    let outcome = lab.send(&error);
    assert_eq!((outcome.state, outcome.direction), (Some(State::Related), Direction::Reply));
    let back = lab.forward(&error).unwrap();
    let packet = Packet::parse(&back, 0).unwrap();
    assert_eq!(packet.source.ip(packet.version), router);
    assert_eq!(packet.destination, client.ip().into());
    let quoted = packet.quoted(&back).unwrap().unwrap();
    assert_eq!(ends_of(&quoted), (client, server));
}

#[test]
fn pings_get_another_identifier_where_two_meet() {
    let mut lab = Lab::with_restarts(hidden(), None);
    let server = "192.0.2.1".parse().unwrap();
    let first = lab.forward(&ping("10.0.0.5".parse().unwrap(), server, 7)).unwrap();
    let second = lab.forward(&ping("10.0.0.6".parse().unwrap(), server, 7)).unwrap();
    assert_eq!(ends(&first).0, outer(7));
    assert_ne!(ends(&second).0.port(), 7);
}

#[test]
fn a_ruleset_masquerades_redirects_and_maps() {
    let rules = "table ip nat {
        chain pre { type nat hook prerouting priority dstnat; policy accept;
            iifname \"wan\" tcp dport 8080 dnat to 10.0.0.5:80
            iifname \"lan\" udp dport 53 redirect to :5353
        }
        chain post { type nat hook postrouting priority srcnat; policy accept;
            oifname \"wan\" ip saddr 10.1.0.0/16 snat ip prefix to 198.18.0.0/16
            oifname \"wan\" masquerade
        }
    }
    table inet filter {
        chain forward { type filter hook forward priority 0; policy drop;
            ct state established,related accept
            ip daddr 10.0.0.5 tcp dport 80 ct status dnat accept
            iifname \"lan\" oifname \"wan\" ip saddr 10.0.0.0/8 accept
        }
        chain input { type filter hook input priority 0; policy drop;
            udp dport 5353 accept
        }
    }";
    let mut settings = Settings::default();
    let lan = settings.topology.add_interface("lan", cidr("10.0.0.0/8"));
    let wan = settings.topology.add_interface("wan", cidr("0.0.0.0/0"));
    settings.topology.add_local(cidr("10.0.0.1/32"));
    settings.topology.add_local(cidr("203.0.113.7/32"));
    settings.nat.addresses = vec![(lan, "10.0.0.1".parse().unwrap()), (wan, OUTER.parse().unwrap())];
    let mut lab = Lab::with_restarts(settings, Some(rules));

    let out = lab.forward(&syn(address("10.0.0.9:4000"), address("192.0.2.80:80"))).unwrap();
    assert_eq!(ends(&out), (outer(4000), address("192.0.2.80:80")));
    let inward = lab.forward(&syn(address("192.0.2.9:5000"), outer(8080))).unwrap();
    assert_eq!(ends(&inward), (address("192.0.2.9:5000"), address("10.0.0.5:80")));
    let mapped = lab.forward(&syn(address("10.1.2.3:4000"), address("192.0.2.80:80"))).unwrap();
    assert_eq!(ends(&mapped).0, address("198.18.2.3:4000"));
    let redirected = lab.forward(&udp(address("10.0.0.9:4000"), address("192.0.2.53:53"), b"q")).unwrap();
    assert_eq!(ends(&redirected).1, address("10.0.0.1:5353"));
    let answer = lab.forward(&udp(address("10.0.0.1:5353"), address("10.0.0.9:4000"), b"a")).unwrap();
    assert_eq!(ends(&answer).0, address("192.0.2.53:53"));
}

#[test]
fn without_a_free_port_the_packet_is_dropped_and_told() {
    let rules = "table ip nat { chain post { type nat hook postrouting priority srcnat; policy accept;
        meta l4proto udp snat to 203.0.113.7:2000-2003
    } }";
    let mut lab = Lab::with_restarts(Settings::default(), Some(rules));
    let server = address("192.0.2.53:53");
    let mut ports = Vec::new();
    for host in 0..4 {
        let client = address(&format!("10.0.0.{host}:4000"));
        ports.push(ends(&lab.forward(&udp(client, server, b"q")).unwrap()).0.port());
    }
    ports.sort_unstable();
    assert_eq!(ports, [2000, 2001, 2002, 2003]);
    let outcome = lab.send(&udp(address("10.0.0.9:4000"), server, b"q"));
    assert_eq!((outcome.verdict, outcome.reason), (Verdict::Drop, Some(Reason::NatExhausted)));
    assert_eq!(lab.engine.nat_statistics().exhausted, 1);
    let told = |event: &Event| matches!(event, Event::NatFailed { reason: NatFailure::Exhausted, .. });
    assert!(lab.events.iter().any(told));
    // When the conns are over, their ports are free again.
    lab.wait(400);
    assert_eq!(lab.engine.nat_ports(), 0);
    assert!(lab.forward(&udp(address("10.0.0.9:4000"), server, b"q")).is_some());
}

#[test]
fn a_capture_behind_the_translation_is_seen_from_outside() {
    let mut lab = Lab::with_restarts(hidden(), None);
    let server = address("192.0.2.80:80");
    lab.forward(&syn(address("10.0.0.5:4000"), server));
    let second = lab.forward(&syn(address("10.0.0.6:4000"), server)).unwrap();
    let captured = tcp(server, address("10.0.0.6:4000"), &Segment::default());
    let frame = lab.frame(&captured);
    let mut outside = Vec::new();
    assert!(lab.engine.view_from_outside(&frame, &mut outside).is_some());
    assert_eq!(ends(&outside), (server, ends(&second).0));
    let stranger = tcp(server, address("10.0.0.7:4000"), &Segment::default());
    let frame = Frame { bytes: &stranger, ..frame };
    assert!(lab.engine.view_from_outside(&frame, &mut outside).is_none());
}
