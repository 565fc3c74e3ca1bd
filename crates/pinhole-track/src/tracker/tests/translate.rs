//! Conns whose reply tuple is not the inverse of their original one.

use super::{A, B, C, Lab, udp};
use crate::{BadReply, ConnId, State, Status, Tuple};
use pinhole_wire::Direction;
use std::net::IpAddr;

const OUTER: (&str, u16) = ("203.0.113.7", 4000);

impl Lab {
    /// A conn from `source` to `B` that was tracked, and whose replies go to `outer`; not confirmed yet.
    fn hide(&mut self, source: (&str, u16), outer: (&str, u16)) -> ConnId {
        let conn = self.track(&udp(source, B)).conn.unwrap();
        let plain = self.tracker.original(conn).and_then(|tuple| tuple.inverse()).unwrap();
        let destination = outer.0.parse::<IpAddr>().unwrap().into();
        let reply = Tuple { destination, destination_port: outer.1, ..plain };
        assert_eq!(self.tracker.set_reply(conn, &reply), Ok(()));
        conn
    }
}

#[test]
fn both_tuples_lead_to_a_translated_conn_and_no_other_does() {
    let mut lab = Lab::new();
    let conn = lab.hide(A, OUTER);
    assert!(lab.tracker.confirm(lab.now, conn));
    let status = lab.tracker.status(conn).unwrap();
    assert!(status.contains(Status::SRC_NAT) && !status.contains(Status::DST_NAT));

    let answer = lab.track(&udp(B, OUTER));
    assert_eq!(
        (answer.conn, answer.direction, answer.state),
        (Some(conn), Direction::Reply, State::Established)
    );
    let query = lab.track(&udp(A, B));
    assert_eq!((query.conn, query.direction), (Some(conn), Direction::Original));
    for stranger in [udp(B, A), udp(OUTER, B)] {
        let tracked = lab.track(&stranger);
        assert!(tracked.created);
        lab.tracker.abandon(tracked.conn.unwrap());
    }
}

#[test]
fn no_two_conns_share_a_tuple() {
    let mut lab = Lab::new();
    let (first, second) = (lab.hide(A, OUTER), lab.hide(C, OUTER));
    assert!(lab.tracker.confirm(lab.now, first));
    assert!(!lab.tracker.confirm(lab.now, second));
    // A conn that is not translated has the inverse of its tuple for its own, too.
    let plain = lab.track(&udp(OUTER, B)).conn.unwrap();
    assert!(!lab.tracker.confirm(lab.now, plain));
    assert_eq!(lab.tracker.statistics().clash, 2);

    assert!(lab.tracker.delete(lab.now, first));
    let third = lab.hide(C, OUTER);
    assert!(lab.tracker.confirm(lab.now, third));
    assert_eq!(lab.track(&udp(B, OUTER)).conn, Some(third));
}

#[test]
fn a_reply_tuple_is_of_the_conns_kind_and_set_before_it_is_confirmed() {
    let mut lab = Lab::new();
    let conn = lab.hide(A, OUTER);
    let original = lab.tracker.original(conn).unwrap();
    let reply = lab.tracker.reply(conn).unwrap();
    let elsewhere = Tuple { zone: 7, ..reply };
    assert_eq!(lab.tracker.set_reply(conn, &original), Err(BadReply));
    assert_eq!(lab.tracker.set_reply(conn, &elsewhere), Err(BadReply));
    assert!(lab.tracker.confirm(lab.now, conn));
    assert_eq!(lab.tracker.set_reply(conn, &reply), Err(BadReply));
}

#[test]
fn what_is_kept_of_a_translation_comes_back_when_its_conn_has_ended() {
    const SIX: [(&str, u16); 3] = [("2001:db8::1", 1000), ("2001:db8::2", 2000), ("2001:db8::7", 4000)];
    for [inner, remote, outer] in [[A, B, OUTER], SIX] {
        let mut lab = Lab::new();
        // Small numbers have their place in the conn itself if it is of IPv4.
        for (kept, is_apart) in
            [(None, false), (Some(0), false), (Some(6), false), (Some(7), true), (Some(u32::MAX), true)]
        {
            let conn = lab.track(&udp(inner, remote)).conn.unwrap();
            let original = lab.tracker.original(conn).unwrap();
            let destination = outer.0.parse::<IpAddr>().unwrap().into();
            let reply = Tuple { destination, destination_port: outer.1, ..original.inverse().unwrap() };
            assert_eq!(lab.tracker.set_reply(conn, &reply), Ok(()));
            assert!(lab.tracker.confirm(lab.now, conn));
            lab.tracker.set_translation(conn, Some(9));
            lab.tracker.set_translation(conn, kept);
            assert_eq!(lab.tracker.translation(conn), kept);
            assert_eq!((lab.tracker.original(conn), lab.tracker.reply(conn)), (Some(original), Some(reply)));
            assert!(lab.tracker.keeps_apart() || !is_apart);

            assert!(lab.tracker.delete(lab.now, conn));
            while lab.tracker.advance(lab.now, 8) {}
            let dead = lab.tracker.take_dead().and_then(|dead| dead.translation);
            assert_eq!(dead, kept.map(|kept| (kept, (original, reply))));
            assert!(!lab.tracker.keeps_apart());
        }
    }
}
