use super::*;
use crate::transcript::{Noted, Wire};
use pinhole_helper::{Action, Lifetime, PortMatch, Refusal as Why};
use proptest::prelude::*;

const BACKUP: &str = "10.0.0.1:850";
const DAEMON: &str = "192.0.2.1:10080";
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

const REQUEST: &[u8] = b"Amanda 2.6 REQ HANDLE 000-40F45D09 SEQ 1389783132\nSERVICE sendbackup\n";
const ANSWER: &str = "Amanda 2.6 REP HANDLE 000-40F45D09 SEQ 1389783132\n";

fn answered(body: &str) -> Wire {
    let mut wire = Wire::datagrams(&Amanda, BACKUP, DAEMON);
    wire.datagram(C, REQUEST);
    wire.datagram(S, format!("{ANSWER}{body}").as_bytes());
    wire
}

#[test]
fn streams_of_an_answer() {
    let wire = answered("CONNECT DATA 50003 MESG 50004 INDEX 50005 STATE 50006\n\nOPTIONS ;\n");
    assert_eq!(wire.open_ports(), [50003, 50004, 50005, 50006]);
    let announced: Vec<&Noted> =
        wire.noted.iter().filter(|noted| matches!(noted.action, Action::Expect(..))).collect();
    let Action::Expect(_, expect) = &announced[0].action else { panic!("{announced:?}") };
    assert_eq!(expect.source, AddressMatch::Exact("10.0.0.1".parse().expect("an address")));
    assert_eq!((expect.source_port, expect.lifetime), (PortMatch::Any, Lifetime::OneShot));
    assert_eq!(expect.destination.to_string(), "192.0.2.1");
    assert_eq!(announced[2].quote, b"INDEX 50005");
    let located: Vec<&[u8]> = wire
        .noted
        .iter()
        .filter(|noted| matches!(noted.action, Action::Locate(_, _, notation::PORT)))
        .map(|noted| noted.quote.as_slice())
        .collect();
    assert_eq!(located, [b"50003", b"50004", b"50005", b"50006"]);
    // An index was not asked for.
    assert_eq!(answered("CONNECT DATA 50003 MESG 50004 INDEX 0\n").refusals(), []);
    // As amandad answers by bsdudp: all streams share the conn of the first.
    let shared = answered("CONNECT DATA 50013 MESG 499999 INDEX 499998 STATE 499997\n");
    assert_eq!((shared.open_ports(), shared.refusals()), (vec![50013], vec![]));
}

#[test]
fn an_answer_counts_once_and_for_its_request() {
    let body = "CONNECT DATA 50003\n";
    let mut wire = answered(body);
    wire.datagram(S, format!("{ANSWER}{body}").as_bytes());
    assert_eq!((wire.ports(), wire.refusals()), (vec![50003], vec![]));
    for answer in [ANSWER.replace("40F4", "40F5"), ANSWER.replace("132\n", "133\n")] {
        let mut wire = Wire::datagrams(&Amanda, BACKUP, DAEMON);
        wire.datagram(C, REQUEST);
        wire.datagram(S, format!("{answer}{body}").as_bytes());
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::Unsolicited]));
    }
    let preliminary = ANSWER.replace("REP", "PREP");
    let mut wire = Wire::datagrams(&Amanda, BACKUP, DAEMON);
    wire.datagram(C, REQUEST);
    wire.datagram(S, format!("{preliminary}OPTIONS ;\n").as_bytes());
    wire.datagram(S, format!("{ANSWER}{body}").as_bytes());
    assert_eq!(wire.open_ports(), [50003]);
}

#[test]
fn every_datagram_lets_the_conn_live() {
    let mut wire = answered("OPTIONS ;\n");
    wire.datagram(C, ANSWER.replace("REP", "ACK").as_bytes());
    let prolonged = |noted: &&Noted| noted.action == Action::Prolong(MASTER_TIMEOUT);
    assert_eq!(wire.noted.iter().filter(prolonged).count(), 3);
}

#[test]
fn refused() {
    for (body, why) in [
        ("CONNECT DATA 22\n", Why::PrivilegedPort),
        ("CONNECT DATA 65536\n", Why::BadNumber),
        ("CONNECT DATA 150003\n", Why::BadNumber),
        ("CONNECT DATA -1\n", Why::BadNumber),
        ("CONNECT DATA x\n", Why::BadNumber),
        ("CONNECT DATA\n", Why::Malformed),
        ("CONNECT SHELL 50003\n", Why::Unsupported),
    ] {
        let wire = answered(body);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{body}");
    }
    // Neither a line's middle, nor another line.
    assert_eq!(answered("X CONNECT DATA 50003\nconnect DATA 50003\n").noted.len(), 2);
    let both_ways = [(C, ANSWER.as_bytes().to_vec()), (S, REQUEST.to_vec())];
    for (from, bytes) in both_ways {
        let mut wire = answered("");
        wire.datagram(from, &bytes);
        assert_eq!(wire.refusals(), [Why::OutOfSequence]);
    }
}

#[test]
fn another_protocol() {
    for opening in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"",
        b"Amanda 2.6 REQ HANDLE 000-40F45D09 SEQ 1389783132",
        b"Amanda 2 REQ HANDLE a SEQ 1\n",
        b"Amanda 2.x REQ HANDLE a SEQ 1\n",
        b"Amanda 2.6 REQ HANDLE  SEQ 1\n",
        b"Amanda 2.6 REQ HANDLE a SEQ 4294967296\n",
        b"Amanda 2.6 REQ HANDLE a SEQ 1 x\n",
        b"Amanda 2.6 ACK HANDLE a SEQ 1\n",
    ] {
        let mut wire = Wire::datagrams(&Amanda, BACKUP, DAEMON);
        wire.datagram(C, opening);
        assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol), "{opening:?}");
    }
    let mut wire = Wire::datagrams(&Amanda, BACKUP, DAEMON);
    wire.datagram(S, format!("{ANSWER}CONNECT DATA 50003\n").as_bytes());
    assert_eq!((wire.ports(), wire.reader.is_reading()), (vec![], false));
}

#[test]
fn memory_is_bounded() {
    let mut wire = answered("");
    for number in 0..1000 {
        let handle = "h".repeat(HANDLE_LIMIT);
        wire.datagram(C, format!("Amanda 2.6 REQ HANDLE {handle} SEQ {number}\n").as_bytes());
    }
    assert!(wire.reader.memory() < 4096, "{}", wire.reader.memory());
}

#[test]
fn the_nat_half_writes_digits() {
    let encode = |field| {
        let mut out = Vec::new();
        let endpoint = "203.0.113.7:1024".parse().expect("an endpoint");
        AmandaNat.encode(field, endpoint, b"50003", &mut out).map(|()| out)
    };
    assert_eq!(encode(notation::PORT), Ok(b"1024".to_vec()));
    assert_eq!(encode(Field::Endpoint(0)), Err(Unencodable::Notation));
}

proptest! {
    #[test]
    fn hostile_answers_open_no_low_port(body in "(CONNECT |DATA |MESG |[0-9]{1,6} ?|\\PC|\n){0,30}") {
        let wire = answered(&body);
        prop_assert!(wire.ports().iter().all(|port| *port >= 1024));
    }
}
