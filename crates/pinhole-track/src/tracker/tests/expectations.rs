//! Expectations through the eyes of packets.

use super::*;
use crate::{EndCause, Status};
use Direction::{Original, Reply};
use pinhole_helper::{GroupRule, Refusal};

const DATA: (&str, u16) = ("10.0.0.1", 5000);

fn ended(lab: &mut Lab) -> Vec<(ExpectationId, EndCause)> {
    let end = |event| match event {
        Event::ExpectationEnd(id, cause) => Some((id, cause)),
        _ => None,
    };
    lab.events().into_iter().filter_map(end).collect()
}

#[test]
fn the_expected_conn_is_related_until_answered() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    lab.tracker.set_mark(master, 42);
    let id = lab.expect_one(master, expect_to(DATA));
    let first = lab.send(&udp(B, DATA));
    assert_eq!((state(&first), first.expectation), ((State::Related, Original), Some(id)));
    let conn = first.conn.unwrap();
    let snapshot = lab.tracker.snapshot(conn, lab.now).unwrap();
    assert_eq!((snapshot.mark, snapshot.master, snapshot.expectation), (42, Some(master), Some(id)));
    assert!(snapshot.status.contains(Status::EXPECTED | Status::CONFIRMED));
    assert_eq!(state(&lab.send(&udp(B, DATA))), (State::Related, Original));
    assert_eq!(state(&lab.send(&udp(DATA, B))), (State::Established, Reply));
    assert_eq!(state(&lab.send(&udp(B, DATA))), (State::Established, Original));
    assert_eq!(ended(&mut lab), [(id, EndCause::Fulfilled)]);
    assert_eq!(state(&lab.send(&udp(C, DATA))), (State::New, Original), "one shot");
}

#[test]
fn known_conns_never_consult_expectations() {
    let mut lab = Lab::new();
    lab.send(&udp(B, DATA));
    let master = lab.conn(&udp(A, B));
    let id = lab.expect_one(master, expect_to(DATA));
    assert_eq!(state(&lab.send(&udp(B, DATA))), (State::New, Original));
    assert!(lab.tracker.expectation(id).is_some());
}

#[test]
fn it_is_consumed_at_confirmation_and_only_once() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let id = lab.expect_one(master, expect_to(DATA));
    let dropped = lab.track(&udp(B, DATA));
    lab.tracker.abandon(dropped.conn.unwrap());
    let one = lab.track(&udp(B, DATA));
    let other = lab.track(&udp(C, DATA));
    assert_eq!((one.expectation, other.expectation), (Some(id), Some(id)));
    assert!(lab.tracker.confirm(lab.now, other.conn.unwrap()));
    assert!(!lab.tracker.confirm(lab.now, one.conn.unwrap()), "somebody else took it");
    assert_eq!(lab.tracker.statistics().expect_hit, 1);
    assert_eq!(lab.tracker.take_dead(), None, "neither the dropped nor the late one fulfilled it");
    lab.wait(31);
    lab.settle();
    let dead = lab.tracker.take_dead().unwrap();
    assert_eq!((Some(dead.id), dead.expectation), (other.conn, Some(id)));
}

#[test]
fn permanent_ones_stay() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    lab.expect_one(master, Expect { lifetime: Lifetime::Permanent, ..expect_to(DATA) });
    assert_eq!(lab.send(&udp(B, DATA)).state, State::Related);
    assert_eq!(lab.send(&udp(C, DATA)).state, State::Related);
}

#[test]
fn inactive_ones_match_nothing_until_activated() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let id = lab.expect_one(master, Expect { active: false, ..expect_to(DATA) });
    assert_eq!(lab.track(&udp(B, DATA)).state, State::New);
    assert!(lab.tracker.activate(id));
    assert_eq!(lab.track(&udp(B, DATA)).state, State::Related);
    assert!(lab.tracker.cancel(lab.now, id) && !lab.tracker.cancel(lab.now, id) && !lab.tracker.activate(id));
    assert_eq!(lab.track(&udp(B, DATA)).state, State::New);
    assert_eq!(ended(&mut lab), [(id, EndCause::Cancelled)]);
}

#[test]
fn source_and_port_masks_decide() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let from = |source, source_port| Expect { source, source_port, ..expect_to(DATA) };
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let cases = [
        (from(AddressMatch::Exact(ip(B.0)), PortMatch::Any), true, false),
        (from(AddressMatch::Exact(ip(C.0)), PortMatch::Any), false, true),
        (from(AddressMatch::Prefix(ip("10.0.0.99"), 24), PortMatch::Exact(2000)), true, false),
        (from(AddressMatch::Prefix(ip("10.0.0.2"), 31), PortMatch::Range(2000, 3000)), true, true),
        (from(AddressMatch::Prefix(ip("11.0.0.0"), 8), PortMatch::Any), false, false),
        (from(AddressMatch::Prefix(ip("11.0.0.0"), 0), PortMatch::Any), true, true),
        (from(AddressMatch::Any, PortMatch::Range(2500, 3000)), false, true),
    ];
    for (number, (expect, from_b, from_c)) in cases.into_iter().enumerate() {
        let id = lab.expect_one(master, expect);
        assert_eq!(lab.track(&udp(B, DATA)).state == State::Related, from_b, "case {number}");
        assert_eq!(lab.track(&udp(C, DATA)).state == State::Related, from_c, "case {number}");
        assert_eq!(lab.track(&udp(B, (DATA.0, 5001))).state, State::New);
        assert_eq!(lab.track(&tcp(B, DATA, SYN, 1, 0)).state, State::New);
        assert_eq!(lab.track_in_zone(&udp(B, DATA), 1).state, State::New);
        lab.tracker.cancel(lab.now, id);
    }
}

#[test]
fn destination_ports_may_be_a_range() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let expect = Expect {
        destination_port: PortMatch::Range(5000, 5003),
        lifetime: Lifetime::Permanent,
        ..expect_to(DATA)
    };
    lab.expect_one(master, expect);
    for (port, state) in
        [(4999, State::New), (5000, State::Related), (5003, State::Related), (5004, State::New)]
    {
        assert_eq!(lab.track(&udp(B, (A.0, port))).state, state, "{port}");
    }
}

#[test]
fn it_ends_with_its_timeout() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let id = lab.expect_one(master, Expect { timeout: Some(10), ..expect_to(DATA) });
    let long = lab.expect_one(master, expect_to((A.0, 5001)));
    assert!(lab.tracker.next_deadline().unwrap() <= lab.now.plus_seconds(10));
    lab.wait(10);
    assert_eq!(lab.track(&udp(B, DATA)).state, State::New, "even before anybody advances");
    lab.send(&udp(A, B));
    lab.settle();
    assert_eq!(ended(&mut lab), [(id, EndCause::Timeout)]);
    assert!(lab.tracker.expectation(long).is_some());
}

#[test]
fn it_ends_with_its_master() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let id = lab.expect_one(master, expect_to(DATA));
    lab.wait(30);
    assert_eq!(lab.track(&udp(B, DATA)).state, State::New, "the master's time is up");
    lab.settle();
    assert_eq!(ended(&mut lab), [(id, EndCause::MasterGone)]);
    assert_eq!(lab.tracker.expect(lab.now, master, &[request(expect_to(DATA))]), Err(Refusal::Policy));
}

#[test]
fn the_expected_conn_outlives_its_master() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    lab.expect_one(master, expect_to(DATA));
    let conn = lab.conn(&udp(B, DATA));
    lab.wait(20);
    lab.send(&udp(B, DATA));
    lab.wait(20);
    lab.settle();
    assert_eq!(lab.tracker.master(conn), Some(master));
    assert_eq!(lab.tracker.status(master), None);
}

#[test]
fn the_first_hit_cancels_its_siblings() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let in_group = |port, rule| request(Expect { group: Some((1, rule)), ..expect_to((A.0, port)) });
    let pair = [in_group(5000, GroupRule::FirstHitCancels), in_group(5001, GroupRule::FirstHitCancels)];
    let ids = lab.tracker.expect(lab.now, master, &pair).unwrap();
    lab.send(&udp(B, (A.0, 5001)));
    assert_eq!(ended(&mut lab), [(ids[1], EndCause::Fulfilled), (ids[0], EndCause::SiblingHit)]);
    let pair = [in_group(5000, GroupRule::Independent), in_group(5002, GroupRule::Independent)];
    lab.tracker.expect(lab.now, master, &pair).unwrap();
    assert_eq!(lab.send(&udp(B, (A.0, 5000))).state, State::Related);
    assert_eq!(lab.send(&udp(B, (A.0, 5002))).state, State::Related);
}

#[test]
fn requests_are_admitted_together_or_not_at_all() {
    let mut lab = Lab::new();
    let (master, other) = (lab.conn(&udp(A, B)), lab.conn(&udp(A, C)));
    lab.expect_one(other, expect_to((A.0, 5001)));
    let requests = [request(expect_to((A.0, 5000))), request(expect_to((A.0, 5001)))];
    assert_eq!(lab.tracker.expect(lab.now, master, &requests), Err(Refusal::Clash));
    assert_eq!(lab.tracker.expectations().count(), 1);
    let twice = [request(expect_to((A.0, 5000))), request(expect_to((A.0, 5000)))];
    assert_eq!(lab.tracker.expect(lab.now, master, &twice), Err(Refusal::Clash));
    let many: Vec<_> = (0..5).map(|port| request(expect_to((A.0, 6000 + port)))).collect();
    assert_eq!(lab.tracker.expect(lab.now, master, &many), Err(Refusal::Limit), "more than the class holds");
    assert_eq!(lab.tracker.expectations().count(), 1);
}

#[test]
fn the_same_again_replaces_and_an_overlap_clashes() {
    let mut lab = Lab::new();
    let (master, other) = (lab.conn(&udp(A, B)), lab.conn(&udp(A, C)));
    let first = lab.expect_one(master, expect_to(DATA));
    lab.wait(5);
    let second = lab.expect_one(master, expect_to(DATA));
    assert_eq!(ended(&mut lab), [(first, EndCause::Replaced)]);
    assert_eq!(lab.tracker.expectation(second).unwrap().deadline, lab.now.plus_seconds(60));
    let clash = |lab: &mut Lab, master, expect| lab.tracker.expect(lab.now, master, &[request(expect)]);
    assert_eq!(clash(&mut lab, other, expect_to(DATA)), Err(Refusal::Clash), "another master's");
    assert_eq!(clash(&mut lab, master, Expect { class: 1, ..expect_to(DATA) }), Err(Refusal::Clash));
    let narrower = Expect { source: AddressMatch::Exact(B.0.parse().unwrap()), ..expect_to(DATA) };
    assert_eq!(clash(&mut lab, master, narrower), Err(Refusal::Clash));
    let wider = Expect { destination_port: PortMatch::Range(4000, 6000), ..expect_to(DATA) };
    assert_eq!(clash(&mut lab, master, wider), Err(Refusal::Clash));
    assert_eq!(lab.tracker.statistics().expect_clash, 4);
    assert_eq!(lab.tracker.expectations().count(), 1);
}

#[test]
fn a_full_class_evicts_its_own_oldest() {
    let mut lab = Lab::new();
    let (master, other) = (lab.conn(&udp(A, B)), lab.conn(&udp(A, C)));
    let foreign = lab.expect_one(other, expect_to((A.0, 1)));
    let class_1 = lab.expect_one(master, Expect { class: 1, ..expect_to((A.0, 2)) });
    let ids: Vec<_> = (0..6).map(|port| lab.expect_one(master, expect_to((A.0, 10 + port)))).collect();
    assert_eq!(ended(&mut lab), [(ids[0], EndCause::Evicted), (ids[1], EndCause::Evicted)]);
    let left: Vec<_> = lab.tracker.expectations().map(|expectation| expectation.id).collect();
    assert_eq!(left, [foreign, class_1, ids[2], ids[3], ids[4], ids[5]]);
}

#[test]
fn what_could_never_match_is_refused() {
    let mut lab = Lab::new();
    let master = lab.conn(&udp(A, B));
    let six = Expect { source: AddressMatch::Exact("::1".parse().unwrap()), ..expect_to(DATA) };
    assert_eq!(lab.tracker.expect(lab.now, master, &[request(six)]), Err(Refusal::AddressFamily));
    let turned = Expect { destination_port: PortMatch::Range(9, 8), ..expect_to(DATA) };
    assert_eq!(lab.tracker.expect(lab.now, master, &[request(turned)]), Err(Refusal::BadNumber));
}
