//! States, directions, tuples, accounting, confirmation.

use super::*;
use crate::timeouts::Timeout;
use crate::{Counters, Status, Timeouts};
use Direction::{Original, Reply};

#[test]
fn new_until_answered_then_established_both_ways() {
    let mut lab = Lab::new();
    let first = lab.send(&udp(A, B));
    assert_eq!((state(&first), first.created), ((State::New, Original), true));
    let id = first.conn.unwrap();
    assert_eq!(state(&lab.send(&udp(A, B))), (State::New, Original));
    assert!(!lab.tracker.status(id).unwrap().contains(Status::SEEN_REPLY));
    assert_eq!(state(&lab.send(&udp(B, A))), (State::Established, Reply));
    assert!(lab.tracker.status(id).unwrap().contains(Status::SEEN_REPLY));
    let last = lab.send(&udp(A, B));
    assert_eq!((state(&last), last.conn, last.created), ((State::Established, Original), Some(id), false));
    assert_eq!(lab.tracker.len(), 1);
}

#[test]
fn tuples_name_the_first_packets_ends() {
    let mut lab = Lab::new();
    for (source, destination) in [(A, B), (C, A)] {
        let id = lab.conn(&udp(source, destination));
        let (original, reply) = (lab.tracker.original(id).unwrap(), lab.tracker.reply(id).unwrap());
        assert_eq!(original.source, source.0.parse::<IpAddr>().unwrap().into());
        assert_eq!(original.destination, destination.0.parse::<IpAddr>().unwrap().into());
        assert_eq!((original.source_port, original.destination_port), (source.1, destination.1));
        assert_eq!((reply.source, reply.destination), (original.destination, original.source));
        assert_eq!((reply.source_port, reply.destination_port), (destination.1, source.1));
        assert_eq!((original.protocol, original.zone), (Protocol::UDP, 0));
    }
}

#[test]
fn accounting_counts_datagrams_of_each_direction() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    lab.send(&udp(A, B));
    lab.send(&udp(B, A));
    let of = |packets| Counters { packets, bytes: packets * 28 };
    assert_eq!(lab.tracker.counters(id), Some([of(2), of(1)]));
}

#[test]
fn other_ports_protocols_versions_and_zones_are_other_conns() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    assert_ne!(lab.conn(&udp((A.0, 1001), B)), id);
    assert_ne!(lab.conn(&tcp(A, B, SYN, 1, 0)), id);
    assert_ne!(lab.conn(&udp(("::ffff:10.0.0.1", 1000), ("::ffff:10.0.0.2", 2000))), id);
    let zoned = lab.track_in_zone(&udp(B, A), 5);
    assert_eq!((zoned.state, zoned.created), (State::New, true));
    assert_eq!(lab.tracker.original(zoned.conn.unwrap()).unwrap().zone, 5);
}

#[test]
fn a_conn_from_an_end_to_itself_works() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, A));
    let second = lab.send(&udp(A, A));
    assert_eq!((state(&second), second.conn), ((State::Established, Reply), Some(id)), "as in netfilter");
    assert_eq!(lab.tracker.original(id), lab.tracker.reply(id));
    let pinged = lab.conn(&icmp(A.0, A.0, 8, 0, 1, &[]));
    let answer = lab.send(&icmp(A.0, A.0, 0, 0, 1, &[]));
    assert_eq!((state(&answer), answer.conn), ((State::Established, Reply), Some(pinged)));
}

#[test]
fn protocols_without_ports_are_one_conn_a_pair_of_hosts() {
    let mut lab = Lab::new();
    let id = lab.conn(&ip(89, A.0, B.0, &[1, 2, 3]));
    assert_eq!(state(&lab.send(&ip(89, B.0, A.0, &[]))), (State::Established, Reply));
    assert_eq!(lab.tracker.original(id).unwrap().source_port, 0);
    // IGMP is not exempt in netfilter: a conn of the generic kind.
    assert_eq!(lab.send(&ip(2, A.0, "224.0.0.22", &[0x22, 0, 0, 0])).state, State::New);
}

#[test]
fn gre_version_1_is_keyed_by_call_id() {
    let mut lab = Lab::new();
    let gre = |call: u8| vec![0x20, 0x01, 0x88, 0x0b, 0, 0, 0, call];
    let id = lab.conn(&ip(47, A.0, B.0, &gre(9)));
    assert_eq!(lab.tracker.original(id).unwrap().destination_port, 9);
    assert_eq!(lab.conn(&ip(47, A.0, B.0, &gre(9))), id);
    assert_ne!(lab.conn(&ip(47, A.0, B.0, &gre(8))), id);
}

#[test]
fn unconfirmed_conns_are_found_by_nobody() {
    let mut lab = Lab::new();
    let first = lab.track(&udp(A, B)).conn.unwrap();
    let second = lab.track(&udp(B, A));
    assert!(second.created);
    assert!(lab.tracker.confirm(lab.now, first));
    assert!(!lab.tracker.confirm(lab.now, second.conn.unwrap()), "the same conn from the other side");
    assert_eq!(lab.tracker.status(second.conn.unwrap()), None);
    assert_eq!((lab.tracker.len(), lab.tracker.statistics().clash), (1, 1));
    assert!(!lab.tracker.confirm(lab.now, first), "only once");
    lab.tracker.abandon(first);
    assert_eq!(lab.tracker.len(), 1, "a confirmed conn cannot be abandoned");
}

#[test]
fn an_abandoned_conn_leaves_nothing() {
    let mut lab = Lab::new();
    let id = lab.track(&udp(A, B)).conn.unwrap();
    lab.tracker.abandon(id);
    assert!(lab.tracker.is_empty() && lab.events().is_empty());
    assert_eq!((lab.tracker.original(id), lab.tracker.conns().count()), (None, 0));
    assert!(!lab.tracker.confirm(lab.now, id));
    let again = lab.conn(&udp(A, B));
    assert_eq!(again.index, id.index);
    assert_ne!(again, id);
}

#[test]
fn invalid_packets_have_no_conn_but_say_which_one_they_do_not_fit() {
    let mut lab = Lab::new();
    let id = lab.conn(&tcp(A, B, SYN, 100, 0));
    lab.send(&tcp(B, A, SYN | ACK, 500, 101));
    lab.send(&tcp(A, B, ACK, 101, 501));
    let far = lab.send(&tcp(A, B, ACK, 101 + 900_000, 501));
    assert_eq!((invalid(&far), far.about), (Some(Invalid::TcpAboveWindow), Some(id)));
    assert_eq!(lab.tracker.counters(id).unwrap()[0].packets, 2, "it does not count");
    assert_eq!(lab.tracker.statistics().invalid, 1);
    let stray = lab.send(&tcp(A, C, RST, 1, 0));
    assert!(invalid(&stray).is_some() && stray.about.is_none());
}

#[test]
fn fragments_and_cut_headers_are_invalid() {
    let mut lab = Lab::new();
    let mut fragment = udp(A, B);
    fragment[6] = 0x20;
    let tracked = lab.send(&fragment);
    assert_eq!(invalid(&tracked), Some(Invalid::Fragment));
}

#[test]
fn tcp_becomes_assured_and_tells() {
    let mut lab = Lab::new();
    let id = lab.conn(&tcp(A, B, SYN, 100, 0));
    lab.send(&tcp(B, A, SYN | ACK, 500, 101));
    lab.send(&tcp(A, B, ACK, 101, 501));
    let status = lab.tracker.status(id).unwrap();
    assert_eq!(status, Status::CONFIRMED | Status::SEEN_REPLY | Status::ASSURED);
    let events = lab.events();
    assert!(matches!(&events[0], Event::New(conn) if conn.id == id && conn.status == Status::CONFIRMED));
    assert!(matches!(&events[1], Event::Update(conn) if conn.status.contains(Status::SEEN_REPLY)));
    assert!(matches!(&events[2], Event::Update(conn) if conn.status.contains(Status::ASSURED)));
    assert_eq!(events.len(), 3);
}

#[test]
fn marks_labels_helpers_sessions_belong_to_the_conn() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    assert_eq!(
        (lab.tracker.mark(id), lab.tracker.labels(id), lab.tracker.helper(id)),
        (Some(0), Some([0; 16]), None)
    );
    lab.tracker.set_mark(id, 9);
    lab.tracker.set_labels(id, [3; 16]);
    lab.tracker.attach_helper(id, 4);
    lab.tracker.set_session(id, Some(11));
    let conn = lab.tracker.snapshot(id, lab.now).unwrap();
    assert_eq!((conn.mark, conn.helper, conn.timeout, conn.start), (9, Some(4), 30, lab.now));
    assert!(conn.status.contains(Status::HELPER));
    assert_eq!((lab.tracker.labels(id), lab.tracker.session(id)), (Some([3; 16]), Some(11)));
    let other = lab.conn(&udp(A, C));
    assert_eq!((lab.tracker.labels(other), lab.tracker.session(other)), (Some([0; 16]), None));
}

#[test]
fn timeout_policies_override_the_trackers() {
    let mut lab = Lab::new();
    let mut timeouts = Timeouts::default();
    timeouts[Timeout::UdpUnreplied] = 5;
    let policy = lab.tracker.add_timeout_policy(timeouts);
    let id = lab.track(&udp(A, B)).conn.unwrap();
    lab.tracker.set_timeout_policy(id, policy);
    assert!(lab.tracker.confirm(lab.now, id));
    assert_eq!(lab.tracker.timeout_left(id, lab.now), Some(5));
    lab.wait(3);
    lab.send(&udp(A, B));
    assert_eq!(lab.tracker.timeout_left(id, lab.now), Some(5));
    lab.wait(5);
    assert!(lab.send(&udp(A, B)).created);
}

/// What [`Tracker::touch`] found may be gone, and its slot another conn's, when the packet's turn comes.
#[test]
fn the_likely_conn_is_looked_at_again() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    let bytes = udp(B, A);
    let packet = Packet::parse(&bytes, 0).unwrap();
    let mut prepared = lab.tracker.prepare(&packet, &bytes, 0);
    lab.tracker.touch(&mut prepared);
    assert!(lab.tracker.delete(lab.now, id));
    let tracked = lab.tracker.track(lab.now, &packet, &bytes, &prepared).unwrap();
    assert_eq!((tracked.state, tracked.created), (State::New, true), "it is dying");
    lab.tracker.abandon(tracked.conn.unwrap());
    lab.settle();
    let other = lab.conn(&udp(A, C));
    assert_eq!(other.index, id.index, "the slot is used again");
    let tracked = lab.tracker.track(lab.now, &packet, &bytes, &prepared).unwrap();
    assert_eq!((tracked.state, tracked.created), (State::New, true), "it is another conn's");
}
