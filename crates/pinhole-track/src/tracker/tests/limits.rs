//! Floods stay under the limits.

use super::*;

fn small(max_conns: u32) -> Lab {
    Lab::with(Settings { max_conns, max_events: 10, ..Settings::default() })
}

fn address(number: u32) -> String {
    format!("10.1.{}.{}", number >> 8 & 255, number & 255)
}

#[test]
fn a_syn_flood_only_displaces_unanswered_conns() {
    let mut lab = small(64);
    lab.send(&tcp(A, B, SYN, 100, 0));
    lab.send(&tcp(B, A, SYN | ACK, 500, 101));
    let kept = lab.conn(&tcp(A, B, ACK, 101, 501));
    for number in 0..10_000 {
        let source = address(number);
        lab.send(&tcp((&source, 1), B, SYN, 1, 0));
        assert!(lab.tracker.len() <= 64);
        lab.tracker.advance(lab.now, 8);
    }
    assert_eq!(lab.tracker.original(kept).unwrap().source_port, 1000);
    let statistics = *lab.tracker.statistics();
    assert_eq!((statistics.early_drop, statistics.full), (10_000 - 63, 0));
    assert!(statistics.events_lost > 0);
    assert!(lab.events().len() <= 10);
    assert!(lab.tracker.memory() < 2 << 20);
}

/// A conn of which both ends have said that they are done.
fn closing(lab: &mut Lab, port: u16) -> ConnId {
    lab.send(&tcp((A.0, port), B, SYN, 100, 0));
    lab.send(&tcp(B, (A.0, port), SYN | ACK, 500, 101));
    lab.send(&tcp((A.0, port), B, ACK, 101, 501));
    lab.send(&tcp(B, (A.0, port), FIN | ACK, 501, 101));
    lab.conn(&tcp((A.0, port), B, FIN | ACK, 101, 502))
}

#[test]
fn closing_conns_make_room_only_if_no_unanswered_one_does() {
    let mut lab = small(64);
    let kept = closing(&mut lab, 1000);
    for number in 0..10_000 {
        lab.send(&tcp((&address(number), 1), B, SYN, 1, 0));
    }
    assert!(lab.tracker.original(kept).is_some(), "its last packets are still to come");
    let mut lab = small(8);
    for port in 0..8 {
        closing(&mut lab, port);
    }
    assert!(lab.send(&udp(A, C)).created);
    assert_eq!((lab.tracker.len(), lab.tracker.statistics().early_drop), (8, 1));
}

#[test]
fn a_table_full_of_assured_conns_refuses() {
    let mut lab = small(8);
    for port in 0..8 {
        lab.send(&tcp((A.0, port), B, SYN, 100, 0));
        lab.send(&tcp(B, (A.0, port), SYN | ACK, 500, 101));
        lab.send(&tcp((A.0, port), B, ACK, 101, 501));
    }
    let bytes = udp(A, C);
    let packet = Packet::parse(&bytes, 0).unwrap();
    let prepared = lab.tracker.prepare(&packet, &bytes, 0);
    assert!(lab.tracker.track(lab.now, &packet, &bytes, &prepared).is_err());
    assert_eq!((lab.tracker.len(), lab.tracker.statistics().full), (8, 1));
    lab.wait(432_000);
    assert!(lab.send(&bytes).created, "those whose time is up make room at once");
}

#[test]
fn unconfirmed_conns_count() {
    let mut lab = small(2);
    lab.track(&udp(A, B));
    lab.track(&udp(A, C));
    let bytes = udp(B, C);
    let packet = Packet::parse(&bytes, 0).unwrap();
    let prepared = lab.tracker.prepare(&packet, &bytes, 0);
    assert!(lab.tracker.track(lab.now, &packet, &bytes, &prepared).is_err(), "they cannot be dropped early");
}

#[test]
fn the_dying_do_not_pile_up() {
    let mut lab = small(1000);
    for round in 0..20_000 {
        lab.send(&tcp(A, B, SYN, round, 0));
        lab.send(&tcp(B, A, RST | ACK, 0, round + 1));
    }
    assert!(lab.tracker.conns().count() <= 5000);
    assert!(lab.tracker.is_empty());
}

#[test]
fn an_expectation_flood_stays_with_its_announcer() {
    let settings = Settings { max_expectations: 50, max_expectations_per_source: 20, ..Settings::default() };
    let mut lab = Lab::with(settings);
    let mut refused = 0;
    for port in 0..100 {
        let master = lab.conn(&udp((A.0, 5000 + port), B));
        for wanted in 0..10 {
            let asked = request(expect_to((A.0, port * 10 + wanted)));
            refused += u32::from(lab.tracker.expect(lab.now, master, &[asked]).is_err());
        }
    }
    assert_eq!(lab.tracker.expectations().count(), 20);
    assert!(refused > 0);
    let other = lab.conn(&udp(C, B));
    lab.expect_one(other, expect_to((C.0, 1)));
    for (master, port) in [(4, 40), (5, 50), (6, 60), (7, 70), (8, 80), (9, 90), (10, 100)] {
        let host = address(master);
        let master = lab.conn(&udp((&host, port), B));
        for wanted in 0..10 {
            let _ = lab.tracker.expect(lab.now, master, &[request(expect_to((&host, wanted)))]);
        }
    }
    assert!(lab.tracker.expectations().count() <= 50);
    assert!(lab.tracker.expectations().any(|other| other.expect.destination_port == PortMatch::Exact(1)
        && other.expect.destination == C.0.parse::<IpAddr>().unwrap()));
}
