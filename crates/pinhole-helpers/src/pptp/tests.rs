use super::*;
use crate::transcript::{Noted, Said, Wire, master, run, run_every_way};
use pinhole_helper::{Action, AddressMatch, BlindReason, Pickup, PortMatch, Reader, Refusal as Why};
use pinhole_wire::Direction;
use proptest::prelude::*;
use std::net::SocketAddr;

const CLIENT: &str = "10.0.0.1:1999";
const SERVER: &str = "192.0.2.1:1723";
const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;

/// A control message of its full size, with its first fields.
fn message(kind: u8, size: u8, fields: &[u8]) -> Vec<u8> {
    let head = [0, size, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    let mut bytes = [&head[..], fields].concat();
    bytes.resize(usize::from(size), 0);
    bytes
}

fn ids(first: u16, second: u16, result: u8) -> Vec<u8> {
    [&first.to_be_bytes()[..], &second.to_be_bytes(), &[result]].concat()
}

fn start() -> Vec<u8> {
    message(1, 156, &[1, 0])
}

fn started() -> Vec<u8> {
    message(2, 156, &[1, 0, 1])
}

fn dial(id: u16) -> Vec<u8> {
    message(7, 168, &ids(id, 0, 0))
}

fn connected(id: u16, peer: u16) -> Vec<u8> {
    message(8, 32, &ids(id, peer, 1))
}

fn hang_up(id: u16) -> Vec<u8> {
    message(13, 148, &ids(id, 1, 0))
}

/// A dialogue after the start, told in every way.
fn dialogue(said: &[(Direction, Vec<u8>)]) -> Wire {
    let opening = [(C, start()), (S, started())];
    let said: Vec<Said<'_>> =
        opening.iter().chain(said).map(|(from, bytes)| (*from, bytes.as_slice())).collect();
    run_every_way(&Pptp, CLIENT, SERVER, &said)
}

/// Source, its key, destination, its key of each expectation.
fn ways(wire: &Wire) -> Vec<(String, u16, String, u16)> {
    let way = |noted: &Noted| match &noted.action {
        Action::Expect(_, expect) => match (expect.source, expect.source_port, expect.destination_port) {
            (AddressMatch::Exact(source), PortMatch::Exact(own), PortMatch::Exact(peer)) => {
                Some((source.to_string(), own, expect.destination.to_string(), peer))
            }
            _ => panic!("{expect:?}"),
        },
        _ => None,
    };
    wire.noted.iter().filter_map(way).collect()
}

fn pair(server_id: u16, concentrator_id: u16) -> [(String, u16, String, u16); 2] {
    let (client, server) = ("10.0.0.1".to_owned(), "192.0.2.1".to_owned());
    [
        (client.clone(), server_id, server.clone(), concentrator_id),
        (server, concentrator_id, client, server_id),
    ]
}

#[test]
fn an_outgoing_call() {
    let wire = dialogue(&[(C, dial(1)), (S, connected(24, 1))]);
    assert_eq!((ways(&wire), wire.refusals()), (pair(1, 24).to_vec(), vec![]));
}

/// The numbers that are to be written, and over which.
fn renumbered(noted: &[Noted]) -> Vec<(Vec<u8>, u16)> {
    let number = |noted: &Noted| match noted.action {
        Action::Renumber(_, notation::CALL_ID, number) => Some((noted.quote.clone(), number)),
        _ => None,
    };
    noted.iter().filter_map(number).collect()
}

/// A client behind NAT: its peer sees it at 203.0.113.7, from `port`.
fn hidden(port: u16) -> Wire {
    let outside = SocketAddr::new("203.0.113.7".parse().expect("an address"), port);
    let mut master = master(CLIENT, SERVER);
    master.reply.1 = outside;
    let mut wire = Wire::with(Reader::new(&Pptp, master, Policy::default(), Pickup::Strict));
    wire.handshake();
    wire.say(C, &start());
    wire.say(S, &started());
    wire
}

#[test]
fn ids_of_a_hidden_client_become_ports_of_its_control_conn() {
    let mut wire = hidden(1999);
    assert_eq!(renumbered(&wire.say(C, &dial(1))), [(vec![0, 1], 1999)]);
    assert_eq!(renumbered(&wire.say(S, &connected(24, 1999))), [(vec![7, 0xcf], 1)]);
    let [first, second] = [("10.0.0.1", 1, "192.0.2.1", 24), ("192.0.2.1", 24, "203.0.113.7", 1999)]
        .map(|(from, own, to, peer)| (from.to_owned(), own, to.to_owned(), peer));
    assert_eq!(ways(&wire), [first, second]);
    let led: Vec<_> = wire.noted.iter().filter(|noted| matches!(noted.action, Action::Lead(..))).collect();
    assert!(matches!(led[0].action, Action::Lead(_, 1999, 24)), "{led:?}");
    assert!(matches!(led[1].action, Action::Lead(_, 24, 1)), "{led:?}");
    // A second call gets another number.
    assert_eq!(renumbered(&wire.say(C, &dial(2))), [(vec![0, 2], 1998)]);
    assert_eq!(renumbered(&wire.say(S, &connected(25, 1998))), [(vec![7, 0xce], 2)]);
    // Messages about calls: those of the client, those of the server.
    assert_eq!(renumbered(&wire.say(C, &message(12, 16, &ids(2, 0, 0)))), [(vec![0, 2], 1998)]);
    assert_eq!(renumbered(&wire.say(S, &message(15, 24, &ids(1999, 0, 0)))), [(vec![7, 0xcf], 1)]);
    assert_eq!(renumbered(&wire.say(C, &message(15, 24, &ids(24, 0, 0)))), []);
    assert_eq!(renumbered(&wire.say(C, &hang_up(1))), [(vec![0, 1], 1999)]);
    assert_eq!(wire.open_ports(), [25, 1998]);
}

#[test]
fn a_hidden_client_without_a_nat_half_keeps_its_ids() {
    let mut wire = hidden(1999);
    wire.say(C, &dial(1));
    assert_eq!(renumbered(&wire.say(S, &connected(24, 1))), []);
    assert_eq!(wire.open_ports(), [24, 1]);
}

#[test]
fn an_incoming_call() {
    let wire = dialogue(&[
        (S, message(9, 220, &ids(24, 0, 0))),
        (C, message(10, 24, &ids(1, 24, 1))),
        (S, message(11, 28, &ids(1, 0, 0))),
    ]);
    assert_eq!((ways(&wire), wire.refusals()), (pair(1, 24).to_vec(), vec![]));
}

#[test]
fn several_calls_and_their_ends() {
    let mut said = vec![(C, dial(1)), (C, dial(2)), (S, connected(25, 2)), (S, connected(24, 1))];
    let wire = dialogue(&said);
    assert_eq!(ways(&wire), [pair(2, 25), pair(1, 24)].concat());
    assert_eq!(wire.open_ports().len(), 4);
    // The concentrator hangs up with its own id; so does the client.
    said.push((S, hang_up(25)));
    assert_eq!(dialogue(&said).open_ports(), [24, 1]);
    said.push((C, hang_up(1)));
    assert_eq!(dialogue(&said).open_ports(), []);
    said.truncate(4);
    said.push((S, hang_up(2)));
    assert_eq!(dialogue(&said).open_ports().len(), 4, "the other end's id");
    said.push((C, message(3, 16, &[1])));
    assert_eq!(dialogue(&said).open_ports(), []);
    // An id that is used again ends the call that had it.
    let again = [(C, dial(1)), (S, connected(24, 1)), (C, dial(1)), (S, connected(26, 1))];
    assert_eq!(dialogue(&again).open_ports(), [26, 1]);
}

#[test]
fn what_was_not_asked_for() {
    for said in [
        vec![(S, connected(24, 1))],
        vec![(C, dial(1)), (S, connected(24, 2))],
        vec![(C, dial(1)), (C, connected(24, 1))],
        vec![(S, message(11, 28, &ids(1, 0, 0)))],
        vec![(S, message(9, 220, &ids(24, 0, 0))), (S, message(11, 28, &ids(24, 0, 0)))],
        vec![(C, dial(1)), (S, message(8, 32, &ids(24, 1, 2))), (S, connected(24, 1))],
    ] {
        let wire = dialogue(&said);
        assert_eq!((ways(&wire), wire.refusals()), (vec![], vec![Why::Unsolicited]), "{said:?}");
    }
}

#[test]
fn before_the_start() {
    let early = [(C, start()), (C, dial(1)), (S, connected(24, 1)), (S, started())];
    let said: Vec<Said<'_>> = early.iter().map(|(from, bytes)| (*from, bytes.as_slice())).collect();
    let wire = run(&Pptp, CLIENT, SERVER, &said);
    assert_eq!((ways(&wire), wire.refusals()), (vec![], vec![Why::OutOfSequence; 2]));
    let refused = message(2, 156, &[1, 0, 4]);
    let said: [Said<'_>; 4] = [(C, &start()), (S, &refused), (C, &dial(1)), (S, &connected(24, 1))];
    assert_eq!(ways(&run(&Pptp, CLIENT, SERVER, &said)), []);
}

#[test]
fn no_more_than_the_limit() {
    let mut wire = run(&Pptp, CLIENT, SERVER, &[(C, &start()), (S, &started())]);
    for id in 0..100 {
        wire.say(C, &dial(id));
        wire.say(S, &connected(1000 + id, id));
    }
    assert_eq!(ways(&wire).len(), 2 * CALL_LIMIT);
    assert_eq!(wire.refusals()[0], Why::Limit);
    let mut wire = run(&Pptp, CLIENT, SERVER, &[(C, &start()), (S, &started())]);
    for id in 0..100 {
        wire.say(C, &dial(id));
    }
    wire.say(S, &connected(1000, 99));
    assert_eq!((ways(&wire).len(), wire.refusals()), (2, vec![]));
}

#[test]
fn another_protocol() {
    let mut wrong_cookie = start();
    wrong_cookie[7] = 0;
    for opening in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01",
        &wrong_cookie,
        &dial(1),
        &message(1, 100, &[]),
        b"\0\x0b\0\x01\x1a\x2b\x3c\x4d\0\x01\0",
        b"\xff\xff\0\x01\x1a\x2b\x3c\x4d\0\x01\0\0",
    ] {
        let wire = run_every_way(&Pptp, CLIENT, SERVER, &[(C, opening), (C, &start()), (S, &started())]);
        assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol), "{opening:?}");
    }
    let out_of_step = dialogue(&[(C, b"\0\0".to_vec()), (C, dial(1)), (S, connected(24, 1))]);
    assert_eq!((ways(&out_of_step), out_of_step.reader.is_reading()), (vec![], false));
}

#[test]
fn picked_up_in_mid_stream() {
    let mut wire = Wire::mid_stream(&Pptp, CLIENT, SERVER, Pickup::Lenient);
    wire.say(C, &dial(1));
    wire.say(S, &connected(24, 1));
    assert_eq!(ways(&wire), pair(1, 24));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hostile_dialogues_never_panic_and_stay_bounded(
        said in prop::collection::vec((any::<bool>(), 0u8..17, 0u16..4, 0u16..4, 0u8..3, any::<u8>()), 0..120),
    ) {
        const SIZES: [u8; 17] = [16, 156, 156, 16, 16, 16, 20, 168, 32, 220, 24, 28, 16, 148, 40, 24, 12];
        let mut wire = run(&Pptp, CLIENT, SERVER, &[(C, &start()), (S, &started())]);
        for (client, kind, first, second, result, junk) in said {
            let mut bytes = message(kind, SIZES[usize::from(kind)], &ids(first, second, result));
            if junk < 4 {
                bytes[usize::from(junk) * 2 + 1] ^= 1;
            }
            wire.say(if client { C } else { S }, &bytes);
        }
        prop_assert!(wire.peak < 16 * 1024, "{}", wire.peak);
        prop_assert!(wire.open_ports().len() <= 2 * CALL_LIMIT);
    }
}
