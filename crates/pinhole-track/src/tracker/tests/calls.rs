//! PPTP calls: which GRE packets are one conn, and when it ends.

use super::*;
use pinhole_helper::{GroupRule, Refusal};

const CLIENT: &str = "10.0.0.1";
const SERVER: &str = "10.0.0.2";
/// The call ids that the client and the server chose.
const IDS: (u16, u16) = (7, 500);

/// A GRE packet of version 1, with its receiver's call id.
fn gre(source: &str, destination: &str, call_id: u16) -> Vec<u8> {
    let mut header = vec![0x30, 0x01, 0x88, 0x0b, 0, 0];
    header.extend(call_id.to_be_bytes());
    header.extend([0; 4]);
    ip(47, source, destination, &header)
}

/// GRE from one end of a call to the other, each with its own id.
fn way(source: (&str, u16), destination: (&str, u16)) -> Request {
    request(Expect {
        protocol: Protocol::GRE,
        source: AddressMatch::Exact(source.0.parse().unwrap()),
        source_port: PortMatch::Exact(source.1),
        destination: destination.0.parse().unwrap(),
        destination_port: PortMatch::Exact(destination.1),
        group: Some((u32::from(source.1.min(destination.1)), GroupRule::FirstHitCancels)),
        ..expect_to(A)
    })
}

fn announce(lab: &mut Lab, master: ConnId, ids: (u16, u16)) -> Result<Vec<ExpectationId>, Refusal> {
    let (client, server) = ((CLIENT, ids.0), (SERVER, ids.1));
    lab.tracker.expect(lab.now, master, &[way(client, server), way(server, client)])
}

/// A control conn with a call announced.
fn call() -> (Lab, ConnId, Vec<ExpectationId>) {
    let mut lab = Lab::new();
    let control = lab.conn(&tcp((CLIENT, 1000), (SERVER, 1723), SYN, 1, 0));
    let ids = announce(&mut lab, control, IDS).expect("admitted");
    (lab, control, ids)
}

#[test]
fn both_directions_are_one_conn_whoever_speaks_first() {
    let to_server = gre(CLIENT, SERVER, IDS.1);
    let to_client = gre(SERVER, CLIENT, IDS.0);
    for (first, second, ids) in [(&to_server, &to_client, IDS), (&to_client, &to_server, (IDS.1, IDS.0))] {
        let (mut lab, control, _) = call();
        let opened = lab.send(first);
        assert_eq!(opened.state, State::Related);
        let conn = opened.conn.unwrap();
        assert_eq!(lab.tracker.master(conn), Some(control));
        let original = lab.tracker.original(conn).unwrap();
        assert_eq!((original.source_port, original.destination_port), ids);
        assert_eq!(lab.tracker.expectations().count(), 0, "the first hit cancels the other direction");
        let answered = lab.send(second);
        assert_eq!((answered.state, answered.conn), (State::Established, Some(conn)));
        assert_eq!(answered.direction, Direction::Reply);
    }
}

#[test]
fn other_calls_of_the_same_ends_are_other_conns() {
    let (mut lab, control, _) = call();
    let second = (8, 501);
    announce(&mut lab, control, second).expect("a second call");
    let one = lab.send(&gre(CLIENT, SERVER, IDS.1)).conn;
    let two = lab.send(&gre(SERVER, CLIENT, second.0));
    assert_eq!(two.state, State::Related);
    assert_ne!(one, two.conn);
    assert_eq!(lab.send(&gre(CLIENT, SERVER, second.1)).conn, two.conn);
    assert_eq!(lab.send(&gre(SERVER, CLIENT, IDS.0)).conn, one);
    assert_eq!(lab.send(&gre(CLIENT, SERVER, 9)).state, State::New);
    assert_eq!(lab.send(&gre(CLIENT, "10.0.0.3", IDS.1)).state, State::New);
    assert_eq!(lab.track_in_zone(&gre(CLIENT, SERVER, IDS.1), 1).state, State::New);
}

#[test]
fn a_sender_has_one_key() {
    let (mut lab, control, _) = call();
    assert_eq!(announce(&mut lab, control, (IDS.0, 501)), Err(Refusal::Clash));
    let other = lab.conn(&tcp((CLIENT, 1001), (SERVER, 1723), SYN, 1, 0));
    lab.send(&gre(CLIENT, SERVER, IDS.1));
    assert_eq!(announce(&mut lab, other, IDS), Err(Refusal::Clash), "the call is another control conn's");
    assert_eq!(lab.tracker.expectations().count(), 0);
}

#[test]
fn a_cancelled_call_takes_its_conn_with_it() {
    for fulfilled in [false, true] {
        let (mut lab, control, ids) = call();
        let conn = fulfilled.then(|| lab.conn(&gre(CLIENT, SERVER, IDS.1)));
        assert!(lab.tracker.cancel(lab.now, ids[1]) && !lab.tracker.cancel(lab.now, ids[0]));
        assert_eq!(lab.tracker.expectations().count(), 0);
        assert_eq!(lab.ends(), conn.map(|conn| (conn, DestroyCause::Closed)).into_iter().collect::<Vec<_>>());
        assert_eq!(lab.send(&gre(SERVER, CLIENT, IDS.0)).state, State::New);
        assert_eq!(announce(&mut lab, control, (IDS.0, 501)).map(|ids| ids.len()), Ok(2));
        assert_eq!(lab.tracker.calls_known(), 1);
    }
}

#[test]
fn calls_end_with_their_control_conn() {
    let (mut lab, control, _) = call();
    let conn = lab.conn(&gre(CLIENT, SERVER, IDS.1));
    announce(&mut lab, control, (8, 501)).expect("a second call");
    assert!(lab.tracker.delete(lab.now, control));
    assert_eq!(lab.ends(), [(control, DestroyCause::Request), (conn, DestroyCause::Closed)]);
    assert_eq!(lab.tracker.expectations().count(), 0);
    assert_eq!(lab.tracker.calls_known(), 0);
}

#[test]
fn a_call_may_be_silent_for_hours_but_not_for_ever() {
    let (mut lab, control, _) = call();
    let conn = lab.conn(&gre(CLIENT, SERVER, IDS.1));
    assert_eq!(lab.tracker.timeout_left(conn, lab.now), Some(600));
    lab.send(&gre(SERVER, CLIENT, IDS.0));
    lab.send(&gre(SERVER, CLIENT, IDS.0));
    assert_eq!(lab.tracker.timeout_left(conn, lab.now), Some(5 * 60 * 60));
    lab.wait(5 * 60 * 60);
    lab.settle();
    assert_eq!(lab.tracker.calls_known(), 0);
    // The control conn is over by now, too; an unused call ends with its expectations.
    assert_eq!(lab.tracker.status(control), None);
    let (mut lab, _, _) = call();
    lab.wait(61);
    lab.settle();
    assert_eq!(lab.tracker.calls_known(), 0);
}

#[test]
fn an_error_about_a_call_is_related_to_it() {
    let (mut lab, _, _) = call();
    let packet = gre(SERVER, CLIENT, IDS.0);
    let conn = lab.conn(&packet);
    let error = lab.send(&icmp(CLIENT, SERVER, 3, 2, 0, &packet[..28]));
    assert_eq!((error.state, error.conn), (State::Related, Some(conn)));
}
