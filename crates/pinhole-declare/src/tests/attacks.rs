//! What must not be opened is not, whatever is said.

use super::helper;
use super::transcript::{Said, Wire, run_every_way};
use pinhole_helper::{Action, BlindReason, PortMatch, Refusal as Why};
use pinhole_wire::Direction::{Original as C, Reply as S};
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:7788";
const RELAY: &str = include_str!("../../../../helpers/relay.toml");
const HELLOS: [Said<'_>; 2] = [(C, b"RELAY/1 me\r\n"), (S, b"RELAY/1 you\r\n")];

fn relay(said: &[Said<'_>]) -> Wire {
    run_every_way(&helper(RELAY), CLIENT, SERVER, &[&HELLOS, said].concat())
}

#[test]
fn announcements_that_open_nothing() {
    for (line, why) in [
        ("OFFER tea 10.0.0.9 50000\n", Why::ForeignAddress),
        ("OFFER tea 127.0.0.1 50000\n", Why::ForeignAddress),
        ("OFFER tea 2001:db8::1 50000\n", Why::AddressFamily),
        ("OFFER tea ::ffff:10.0.0.1 50000\n", Why::AddressFamily),
        ("OFFER tea 10.0.0.1 22\n", Why::PrivilegedPort),
        ("OFFER tea 10.0.0.1 0\n", Why::PortZero),
        ("OFFER tea 10.0.0.1 65558\n", Why::BadNumber),
        ("OFFER tea 10.0.0.1 0000050000\n", Why::BadNumber),
        ("OFFER tea 10.0.0.256 50000\n", Why::BadNumber),
        ("OFFER tea 10.0.0.1\n", Why::Malformed),
        ("OFFER tea 10.0.0.1 -50000\n", Why::Malformed),
        ("OFFER tea 10.0.0.1 50000 \n", Why::Malformed),
        ("OFFER teateateateateateateateateateatea 10.0.0.1 50000\n", Why::Malformed),
        ("TAKE tea\n", Why::Unsolicited),
    ] {
        let wire = relay(&[(C, line.as_bytes())]);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{line:?}");
    }
    // Nobody takes his own offers.
    let own = relay(&[(C, b"OFFER tea 10.0.0.1 50000\nTAKE tea\n")]);
    assert_eq!(own.open_ports(), []);
}

#[test]
fn another_protocol_is_never_read() {
    for opening in [
        &b"POST / HTTP/1.1\r\n\r\nRELAY/1 x\r\nOFFER tea 10.0.0.1 50000\r\n"[..],
        b"OFFER tea 10.0.0.1 50000\r\n",
        b"\r\nRELAY/1 x\r\n",
        b"RELAY/1\r\n",
        b"relay/1 x\r\n",
    ] {
        let wire = run_every_way(&helper(RELAY), CLIENT, SERVER, &[(C, opening), (S, HELLOS[1].1)]);
        assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(BlindReason::NotThisProtocol)));
    }
    // Nor if only the other side speaks it.
    let wire = run_every_way(
        &helper(RELAY),
        CLIENT,
        SERVER,
        &[HELLOS[0], (S, b"HTTP/1.1 400\r\n"), (C, b"OFFER a 10.0.0.1 50000\n")],
    );
    assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(BlindReason::NotThisProtocol)));
}

#[test]
fn memory_is_bounded() {
    let mut wire = super::transcript::run(&helper(RELAY), CLIENT, SERVER, &HELLOS);
    for _ in 0..1000 {
        wire.say(C, b"OFFER tea 10.0.0.1 50000\nTAKE silk\n");
        wire.say(S, b"LEAVE silk\n");
    }
    assert!(wire.peak < 16 * 1024, "{} bytes", wire.peak);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is said, and however it is cut, only own addresses and allowed ports are opened.
    #[test]
    fn any_lines(lines in prop::collection::vec(
        (any::<bool>(), "((OFFER [ab] 10.0.0.[12] [0-9]{1,5})|((TAKE|LEAVE|RECALL) [ab])|SECURE|.{0,20})\n"), 0..6)
    ) {
        let said: Vec<Said<'_>> =
            lines.iter().map(|(server, line)| (if *server { S } else { C }, line.as_bytes())).collect();
        for noted in relay(&said).noted {
            let Action::Expect(_, expect) = noted.action else { continue };
            let own = if noted.from == C { "10.0.0.1" } else { "10.0.0.2" };
            prop_assert_eq!(expect.destination.to_string(), own);
            prop_assert!(matches!(expect.destination_port, PortMatch::Exact(port) if port >= 1024));
        }
    }
}
