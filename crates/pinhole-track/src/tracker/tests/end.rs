//! How conns end.

use super::*;

#[test]
fn a_conn_is_gone_at_its_deadline_even_if_nobody_advances() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    lab.wait(29);
    assert_eq!(lab.send(&udp(A, B)).conn, Some(id), "and it lives another 30 s");
    lab.wait(30);
    let again = lab.send(&udp(B, A));
    assert!(again.created);
    assert_eq!(state(&again), (State::New, Direction::Original));
    assert_eq!(lab.ends(), [(id, DestroyCause::Timeout)]);
    assert_eq!(lab.tracker.len(), 1);
}

#[test]
fn advance_ends_what_is_due_within_its_budget() {
    let mut lab = Lab::new();
    let ids: Vec<_> = (0..100).map(|port| lab.conn(&udp((A.0, port), B))).collect();
    lab.wait(20);
    lab.send(&udp((A.0, 5), B));
    lab.wait(11);
    assert!(lab.tracker.advance(lab.now, 10));
    assert!(lab.tracker.len() >= 90);
    lab.settle();
    assert_eq!(lab.tracker.conns().collect::<Vec<_>>(), [ids[5]]);
    assert_eq!(lab.ends().len(), 99);
    let next = lab.tracker.next_deadline().unwrap();
    assert!(next <= lab.now.plus_seconds(20) && next > lab.now);
    lab.wait(20);
    lab.settle();
    assert!(lab.tracker.is_empty());
    assert_eq!(lab.tracker.next_deadline(), None);
}

#[test]
fn time_may_jump_and_go_back() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    let start = lab.now;
    lab.now = Time(0);
    lab.settle();
    assert_eq!(lab.send(&udp(A, B)).conn, Some(id));
    assert_eq!(
        lab.tracker.timeout_left(id, lab.now),
        Some(30),
        "the deadline counts from the packet's own time"
    );
    lab.now = start;
    lab.settle();
    assert!(lab.tracker.is_empty());
    lab.conn(&udp(A, B));
    lab.now = Time(u64::MAX);
    lab.settle();
    assert!(lab.tracker.is_empty());
}

#[test]
fn a_deadline_that_moves_before_its_slot_is_kept() {
    let mut lab = Lab::new();
    lab.send(&tcp(A, B, SYN, 100, 0));
    lab.send(&tcp(B, A, SYN | ACK, 500, 101));
    let id = lab.conn(&tcp(A, B, ACK, 101, 501));
    assert_eq!(lab.tracker.timeout_left(id, lab.now), Some(432_000));
    lab.wait(200);
    lab.settle();
    lab.send(&tcp(A, B, ACK, 101, 501));
    lab.send(&tcp(A, B, RST, 101, 0));
    assert_eq!(lab.tracker.timeout_left(id, lab.now), Some(10));
    lab.wait(11);
    lab.settle();
    assert_eq!(lab.ends(), [(id, DestroyCause::Timeout)]);
}

#[test]
fn a_killed_conn_can_be_asked_about_until_advance() {
    let mut lab = Lab::new();
    let id = lab.conn(&tcp(A, B, SYN, 100, 0));
    let reset = lab.send(&tcp(B, A, RST | ACK, 0, 101));
    assert_eq!((state(&reset), reset.conn), ((State::Established, Direction::Reply), Some(id)));
    assert!(lab.tracker.status(id).unwrap().contains(crate::Status::DYING));
    assert_eq!(lab.tracker.counters(id).unwrap()[1].packets, 1);
    assert_eq!((lab.tracker.len(), lab.ends()), (0, vec![(id, DestroyCause::Closed)]));
    assert!(lab.send(&tcp(A, B, SYN, 900, 0)).created, "no packet finds it");
    lab.settle();
    assert_eq!(lab.tracker.status(id), None);
}

#[test]
fn a_syn_after_the_end_reopens_on_the_same_tuple() {
    let mut lab = Lab::new();
    let id = lab.conn(&tcp(A, B, SYN, 100, 0));
    lab.send(&tcp(B, A, SYN | ACK, 500, 101));
    lab.send(&tcp(A, B, ACK, 101, 501));
    lab.send(&tcp(A, B, RST, 101, 0));
    let again = lab.send(&tcp(A, B, SYN, 7_000_000, 0));
    assert_eq!((state(&again), again.created), ((State::New, Direction::Original), true));
    assert_ne!(again.conn, Some(id));
    assert_eq!((lab.tracker.len(), lab.ends()), (1, vec![(id, DestroyCause::Closed)]));
}

#[test]
fn the_host_hears_of_every_conn_that_had_a_session() {
    let mut lab = Lab::new();
    let kept = lab.conn(&udp(A, B));
    lab.conn(&udp(A, C));
    lab.tracker.set_session(kept, Some(1));
    let dropped = lab.track(&udp(B, C)).conn.unwrap();
    lab.tracker.set_session(dropped, Some(2));
    lab.tracker.abandon(dropped);
    assert_eq!(lab.tracker.take_dead().map(|dead| (dead.id, dead.session)), Some((dropped, Some(2))));
    lab.wait(31);
    lab.settle();
    assert_eq!(lab.tracker.take_dead().map(|dead| (dead.id, dead.session)), Some((kept, Some(1))));
    assert_eq!(lab.tracker.take_dead(), None);
}

#[test]
fn delete_and_flush() {
    let mut lab = Lab::new();
    let id = lab.conn(&udp(A, B));
    let unconfirmed = lab.track(&udp(A, C)).conn.unwrap();
    assert!(!lab.tracker.delete(lab.now, unconfirmed));
    assert!(lab.tracker.delete(lab.now, id) && !lab.tracker.delete(lab.now, id));
    assert_eq!(lab.ends(), [(id, DestroyCause::Request)]);
    let zoned = lab.track_in_zone(&udp(A, B), 3).conn.unwrap();
    assert!(lab.tracker.confirm(lab.now, zoned));
    let plain = lab.conn(&udp(A, B));
    lab.tracker.flush(lab.now, Some(3));
    assert_eq!(lab.ends(), [(zoned, DestroyCause::Request)]);
    lab.tracker.flush(lab.now, None);
    assert_eq!(lab.ends(), [(plain, DestroyCause::Request)]);
    lab.settle();
    assert_eq!(lab.tracker.conns().collect::<Vec<_>>(), [unconfirmed]);
}
