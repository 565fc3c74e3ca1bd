//! Announcements, their answers, and attacks.

use super::*;
use crate::transcript::{Said, Wire, run_every_way};
use pinhole_helper::{Action, BlindReason, NatHelper as _, PortMatch, Refusal as Why, Unencodable};
use pinhole_wire::Direction::{Original as C, Reply as S};
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:7777";
const GREETINGS: [Said<'_>; 2] = [(C, b"NEWCOMER 1\r\n"), (S, b"NEWCOMER 1\r\n")];

/// What is said after the greetings: whole, byte by byte, out of order, twice, with loss. All must come to the same.
fn dialogue(said: &[Said<'_>]) -> Wire {
    run_every_way(&Newcomer, CLIENT, SERVER, &[&GREETINGS, said].concat())
}

#[test]
fn an_announcement_counts_once_it_is_answered() {
    let ask: Said<'_> = (C, b"LISTEN 10.0.0.1 50000\r\n");
    assert_eq!(dialogue(&[ask]).open_ports(), []);
    let wire = dialogue(&[ask, (S, b"YES\r\n")]);
    assert_eq!(wire.open_ports(), [50000]);
    assert_eq!(wire.noted[0].quote, b"10.0.0.1 50000");
    assert!(matches!(wire.noted[1].action, Action::Locate(_, _, notation::TEXT)));
    assert_eq!(dialogue(&[ask, (S, b"NO\n")]).open_ports(), []);
}

#[test]
fn the_server_may_listen_too() {
    let wire = dialogue(&[(S, b"LISTEN 10.0.0.2 50000\n"), (C, b"YES\n")]);
    assert_eq!(wire.open_ports(), [50000]);
}

#[test]
fn attacks() {
    for (line, why) in [
        ("LISTEN 10.0.0.9 50000\n", Why::ForeignAddress),
        ("LISTEN 2001:db8::1 50000\n", Why::AddressFamily),
        ("LISTEN 10.0.0.1 22\n", Why::PrivilegedPort),
        ("LISTEN 10.0.0.1 0\n", Why::PortZero),
        ("LISTEN 10.0.0.1 65558\n", Why::BadNumber),
        ("LISTEN 10.0.0.256 50000\n", Why::BadNumber),
        ("LISTEN 10.0.0.1\n", Why::Malformed),
        ("LISTEN 10.0.0.1 50000 1\n", Why::Malformed),
        ("YES\n", Why::Unsolicited),
    ] {
        let wire = dialogue(&[(C, line.as_bytes())]);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{line:?}");
    }
}

#[test]
fn another_protocol_is_never_read() {
    let post: Said<'_> = (C, b"POST / HTTP/1.1\r\n\r\nNEWCOMER 1\r\nLISTEN 10.0.0.1 50000\r\n");
    let wire = run_every_way(&Newcomer, CLIENT, SERVER, &[post]);
    assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(BlindReason::NotThisProtocol)));
}

#[test]
fn what_nat_writes_is_understood() {
    for endpoint in ["203.0.113.1:61000", "[2001:db8::1]:61000"] {
        let mut line = b"LISTEN ".to_vec();
        let endpoint = endpoint.parse().unwrap();
        assert_eq!(NewcomerNat.encode(notation::TEXT, endpoint, b"10.0.0.1 50000", &mut line), Ok(()));
        let Ok(parse::Line::Listen(listen)) = parse::line(&line) else { panic!("{line:?}") };
        assert_eq!((listen.address, listen.port), (endpoint.ip(), endpoint.port()));
        let other = pinhole_helper::Field::Port(0);
        assert_eq!(NewcomerNat.encode(other, endpoint, b"", &mut line), Err(Unencodable::Notation));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is said, and however it is cut, only own addresses and allowed ports are opened.
    #[test]
    fn any_lines(lines in prop::collection::vec((any::<bool>(), "(LISTEN 10.0.0.[12] [0-9]{1,5}|YES|NO|.{0,20})\n"), 0..6)) {
        let said: Vec<Said<'_>> =
            lines.iter().map(|(server, line)| (if *server { S } else { C }, line.as_bytes())).collect();
        for noted in dialogue(&said).noted {
            let Action::Expect(_, expect) = noted.action else { continue };
            let own = if noted.from == C { "10.0.0.1" } else { "10.0.0.2" };
            prop_assert_eq!(expect.destination.to_string(), own);
            prop_assert!(matches!(expect.destination_port, PortMatch::Exact(port) if port >= 1024));
        }
    }
}
