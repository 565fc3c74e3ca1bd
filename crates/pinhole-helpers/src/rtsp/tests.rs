//! Dialogues, the grammar's corners, attacks.

use super::*;
use crate::transcript::{Noted, Said, Wire, run_every_way};
use pinhole_helper::{Action, AddressMatch, BlindReason, Lifetime, Refusal as Why};
use pinhole_wire::Direction::{Original as C, Reply as S};
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "192.0.2.1:554";

fn dialogue(said: &[Said<'_>]) -> Wire {
    run_every_way(&Rtsp, CLIENT, SERVER, said)
}

fn setup(number: u32, transport: &str) -> String {
    format!("SETUP rtsp://192.0.2.1/a/{number} RTSP/1.0\r\nCSeq: {number}\r\nTransport: {transport}\r\n\r\n")
}

fn answer(code: u16, number: u32, transport: &str) -> String {
    format!("RTSP/1.0 {code} X\r\nCSeq: {number}\r\nSession: 47;timeout=60\r\nTransport: {transport}\r\n\r\n")
}

/// A SETUP and its answer: what was asked for, what is open, what was refused.
fn agreed(offer: &str, code: u16, choice: &str) -> (Vec<u16>, Vec<u16>, Vec<Why>) {
    let (offer, choice) = (setup(1, offer), answer(code, 1, choice));
    let wire = dialogue(&[(C, offer.as_bytes()), (S, choice.as_bytes())]);
    (wire.ports(), wire.open_ports(), wire.refusals())
}

#[test]
fn a_stream_is_opened_by_the_answer() {
    let offer = setup(1, "RTP/AVP/UDP;unicast;client_port=4588-4589");
    let choice = answer(200, 1, "RTP/AVP;unicast;client_port=4588-4589;server_port=6256-6257;ssrc=1EDC2036");
    let wire = dialogue(&[(C, offer.as_bytes()), (S, choice.as_bytes())]);
    let expected: Vec<_> = wire
        .noted
        .iter()
        .filter_map(|noted| if let Action::Expect(_, expect) = &noted.action { Some(expect) } else { None })
        .collect();
    for (index, expect) in expected.iter().enumerate() {
        let (from, to) = if index < 2 { ("192.0.2.1", "10.0.0.1") } else { ("10.0.0.1", "192.0.2.1") };
        assert_eq!(expect.source, AddressMatch::Exact(from.parse().unwrap()));
        assert_eq!(expect.destination.to_string(), to);
        assert_eq!((expect.active, expect.lifetime), (index >= 2, Lifetime::Permanent));
        assert_eq!(expect.group, expected[index / 2 * 2].group);
    }
    assert_eq!(wire.ports(), [4588, 4589, 6256, 6257]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![4588, 4589, 6256, 6257], vec![]));
    let located = |noted: &&Noted| matches!(noted.action, Action::Locate(..));
    assert_eq!(wire.noted.iter().filter(located).count(), 6);
}

#[test]
fn transports() {
    let udp = "RTP/AVP;unicast;client_port=4588-4589";
    assert_eq!(agreed(udp, 200, udp), (vec![4588, 4589], vec![4588, 4589], vec![]));
    assert_eq!(agreed(udp, 461, ""), (vec![4588, 4589], vec![], vec![]));
    // One port; the client's ports not repeated; names in other case; blanks.
    assert_eq!(agreed("RTP/AVP;unicast;client_port=4588", 200, "RTP/AVP;unicast").1, [4588]);
    assert_eq!(agreed(" rtp/avp/udp ; UNICAST ; Client_Port = 4588 - 4589", 200, udp).1, [4588, 4589]);
    // Interleaved or multicast: no conn of its own.
    assert_eq!(agreed("RTP/AVP/TCP;unicast;interleaved=0-1", 200, "RTP/AVP/TCP;interleaved=0-1").0, []);
    assert_eq!(agreed("RTP/AVP;multicast;client_port=4588-4589", 200, "RTP/AVP;multicast").0, []);
    // A list: what is not chosen is cancelled.
    let list = format!("RTP/AVP/TCP;unicast;interleaved=0-1,{udp}, RTP/AVP;unicast;client_port=4600-4601");
    assert_eq!(agreed(&list, 200, "RTP/AVP/TCP;unicast;interleaved=0-1").1, []);
    assert_eq!(agreed(&list, 200, udp).1, [4588, 4589]);
    assert_eq!(agreed(&list, 200, "RTP/AVP;unicast;client_port=4600-4601").1, [4600, 4601]);
    let (_, open, refused) = agreed(&list, 200, "RTP/AVP;unicast;client_port=4700-4701");
    assert_eq!((open, refused), (vec![], vec![Why::Unsolicited]));
    // Recording.
    let record = "RTP/AVP;unicast;client_port=4588-4589;server_port=6256-6257;mode=record";
    assert_eq!(
        agreed("RTP/AVP;unicast;client_port=4588-4589;mode=record", 200, record).1,
        [4588, 4589, 6256, 6257]
    );
    // The ends' own addresses.
    let own = "RTP/AVP;unicast;client_port=4588-4589;destination=10.0.0.1";
    let choice =
        "RTP/AVP;unicast;destination=10.0.0.1;source=192.0.2.1;client_port=4588-4589;server_port=6256";
    assert_eq!(agreed(own, 200, choice), (vec![4588, 4589, 6256], vec![4588, 4589, 6256], vec![]));
}

#[test]
fn version_2() {
    let offer = "RTP/AVP/UDP;unicast;dest_addr=\":4588\"/\":4589\"";
    let choice =
        "RTP/AVP/UDP;unicast;dest_addr=\":4588\"/\":4589\";src_addr=\"192.0.2.1:6256\"/\"192.0.2.1:6257\"";
    let ports = vec![4588, 4589, 6256, 6257];
    assert_eq!(agreed(offer, 200, choice), (ports.clone(), ports, vec![]));
    let offer = "RTP/AVP/UDP;unicast;dest_addr=\"10.0.0.1:4588\"/\"10.0.0.9:4589\"";
    assert_eq!(agreed(offer, 461, "").2, [Why::ForeignAddress]);
}

#[test]
fn ipv6() {
    let offer = setup(1, "RTP/AVP/UDP;unicast;dest_addr=\"[2001:db8::1]:4588\"/\"[2001:db8::1]:4589\"");
    let choice =
        answer(200, 1, "RTP/AVP/UDP;unicast;dest_addr=\"[2001:db8::1]:4588\"/\"[2001:db8::1]:4589\"");
    let said: [Said<'_>; 2] = [(C, offer.as_bytes()), (S, choice.as_bytes())];
    let wire = run_every_way(&Rtsp, "[2001:db8::1]:40000", "[2001:db8::2]:554", &said);
    assert_eq!(wire.open_ports(), [4588, 4589]);
}

#[test]
fn what_is_refused() {
    for (transport, why) in [
        ("RTP/AVP;unicast;client_port=4588-4589;destination=10.0.0.9", Why::ForeignAddress),
        ("RTP/AVP;unicast;client_port=4588-4589;destination=192.0.2.1", Why::ForeignAddress),
        ("RTP/AVP;unicast;client_port=4588-4589;destination=host.example.org", Why::Unsupported),
        ("RTP/AVP;unicast;client_port=4588-4589;destination=::1", Why::AddressFamily),
        ("RTP/AVP;unicast;client_port=22-23", Why::PrivilegedPort),
        ("RTP/AVP;unicast;client_port=0-1", Why::PortZero),
        ("RTP/AVP;unicast;client_port=4588-65536", Why::BadNumber),
        ("RTP/AVP;unicast;client_port=4589-4588", Why::BadNumber),
        ("RTP/AVP;unicast;client_port=1024-65535", Why::Limit),
        ("RTP/AVP;unicast;client_port=-4588", Why::BadNumber),
        ("RTP/AVP;unicast;dest_addr=\"4588\"", Why::Malformed),
    ] {
        assert_eq!(agreed(transport, 454, ""), (vec![], vec![], vec![why]), "{transport}");
    }
    // The server's side.
    let udp = "RTP/AVP;unicast;client_port=4588-4589";
    let (_, open, refused) = agreed(udp, 200, &format!("{udp};server_port=6256-6257;source=198.51.100.9"));
    assert_eq!((open, refused), (vec![4588, 4589], vec![Why::ForeignAddress]));
    // Answers to nothing: no SETUP, another number, the wrong side, twice.
    let (offer, choice) = (setup(1, udp), answer(200, 2, &format!("{udp};server_port=6256-6257")));
    let wire = dialogue(&[(S, choice.as_bytes()), (C, offer.as_bytes()), (S, choice.as_bytes())]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![], vec![Why::Unsolicited; 2]));
    let choice = answer(200, 1, &format!("{udp};server_port=6256-6257"));
    let wire = dialogue(&[(C, offer.as_bytes()), (C, choice.as_bytes())]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![], vec![Why::Unsolicited]));
    let wire = dialogue(&[(C, offer.as_bytes()), (S, choice.as_bytes()), (S, choice.as_bytes())]);
    assert_eq!((wire.open_ports().len(), wire.refusals()), (4, vec![Why::Unsolicited]));
}

#[test]
fn teardown_closes() {
    let udp = |port: u16| format!("RTP/AVP;unicast;client_port={port}-{}", port + 1);
    let begin = setup(1, &udp(4588)) + &setup(2, &udp(4590));
    let answers = answer(200, 1, &udp(4588)) + &answer(200, 2, &udp(4590));
    let with = |request: &str| {
        let wire = dialogue(&[(C, begin.as_bytes()), (S, answers.as_bytes()), (C, request.as_bytes())]);
        (wire.open_ports(), wire)
    };
    let teardown = |url: &str, session: &str| {
        with(&format!("TEARDOWN rtsp://192.0.2.1/a{url} RTSP/1.0\r\nCSeq: 3\r\n{session}\r\n")).0
    };
    assert_eq!(teardown("", "Session: 47\r\n"), []);
    assert_eq!(teardown("", ""), []);
    assert_eq!(teardown("/2", "Session: 47\r\n"), [4588, 4589]);
    assert_eq!(teardown("", "Session: 48\r\n"), [4588, 4589, 4590, 4591]);
    let (open, wire) = with("PLAY rtsp://192.0.2.1/a RTSP/1.0\r\nCSeq: 3\r\nSession: 47\r\n\r\n");
    assert_eq!(open, [4588, 4589, 4590, 4591]);
    let extended = |noted: &&Noted| matches!(noted.action, Action::Extend(_, 300));
    assert_eq!(wire.noted.iter().filter(extended).count(), 4);
    // Set up anew.
    let again = setup(1, &udp(4600));
    let choice = answer(200, 1, &udp(4600));
    let wire = dialogue(&[
        (C, begin.as_bytes()),
        (S, answers.as_bytes()),
        (C, again.as_bytes()),
        (S, choice.as_bytes()),
    ]);
    assert_eq!(wire.open_ports(), [4590, 4591, 4600, 4601]);
}

#[test]
fn transports_of_vendors_name_what_they_are_over() {
    let opened = |protocol: &str| {
        let transport = format!("{protocol};client_port=6970;mode=play");
        let (begin, choice) = (setup(1, &transport), answer(200, 1, &transport));
        dialogue(&[(C, begin.as_bytes()), (S, choice.as_bytes())]).open_ports()
    };
    for over_udp in ["x-real-rdt/udp", "x-pn-tng/udp", "RAW/RAW/UDP", "MP2T/H2221/UDP", "rtp/avp"] {
        assert_eq!(opened(over_udp), [6970], "{over_udp}");
    }
    for over_tcp in ["x-real-rdt/tcp", "x-pn-tng/TCP", "RTP/AVP/TCP"] {
        assert_eq!(opened(over_tcp), [0u16; 0], "{over_tcp}");
    }
}

#[test]
fn interleaved_frames_and_bodies_are_passed_over() {
    let udp = "RTP/AVP;unicast;client_port=4588-4589";
    let inside = setup(7, "RTP/AVP;unicast;client_port=4700-4701");
    let mut server = answer(200, 1, udp).into_bytes();
    server.extend([b'$', 0, 0, 5]);
    server.extend(b"RTSP/");
    server.extend([b'$', 1, 0, 0]);
    server.extend(
        format!("RTSP/1.0 200 OK\r\nCSeq: 2\r\nContent-Length: {}\r\n\r\n{inside}", inside.len()).bytes(),
    );
    server.extend(answer(200, 3, "RTP/AVP;unicast;client_port=4590-4591").bytes());
    let first = setup(1, udp);
    let third = setup(3, "RTP/AVP;unicast;client_port=4590-4591");
    let wire = dialogue(&[(C, first.as_bytes()), (C, third.as_bytes()), (S, &server)]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![4588, 4589, 4590, 4591], vec![]));
    assert_eq!(wire.reader.blind(), None);
}

#[test]
fn what_opens_otherwise_is_never_read() {
    let offer = setup(1, "RTP/AVP;unicast;client_port=4588-4589");
    for (first, why) in [
        (&b"GET /a HTTP/1.1\r\nx-sessioncookie: 1\r\n\r\n"[..], BlindReason::NotThisProtocol),
        (b"POST / HTTP/1.1\r\n\r\n", BlindReason::NotThisProtocol),
        (b"INVITE sip:a@b SIP/2.0\r\n\r\n", BlindReason::NotThisProtocol),
        (b"$\x00\x00\x01x", BlindReason::NotThisProtocol),
        (b"\x16\x03\x01\x00\x05", BlindReason::Encrypted),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: x\r\n\r\n", BlindReason::TooManyErrors),
    ] {
        let wire = dialogue(&[(C, first), (C, b"\r\n"), (C, offer.as_bytes())]);
        assert_eq!((wire.ports(), wire.reader.blind()), (vec![], Some(why)), "{first:?}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut wire = Wire::open(&Rtsp, CLIENT, SERVER);
    let list: Vec<String> =
        (0..20).map(|i| format!("RTP/AVP;unicast;client_port={}-{}", 5000 + 4 * i, 5003 + 4 * i)).collect();
    for number in 0..200 {
        wire.say(C, setup(number, &list.join(",")).as_bytes());
    }
    assert!(wire.peak < 128 * 1024, "{}", wire.peak);
}

proptest! {
    /// Nothing on the wire makes it panic or ask for what it must not.
    #[test]
    fn any_messages(pieces in prop::collection::vec((any::<bool>(), prop::sample::select(PIECES)), 1..60)) {
        let mut wire = Wire::open(&Rtsp, CLIENT, SERVER);
        for (is_server, piece) in pieces {
            wire.say(if is_server { S } else { C }, piece.as_bytes());
        }
        for noted in &wire.noted {
            if let Action::Expect(_, expect) = &noted.action {
                let own = if noted.from == C { "10.0.0.1" } else { "192.0.2.1" };
                prop_assert_eq!(expect.destination.to_string(), own);
            }
        }
        prop_assert!(wire.ports().iter().all(|&port| port >= 1024));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut wire = Wire::open(&Rtsp, CLIENT, SERVER);
        wire.say(C, b"OPTIONS * RTSP/1.0\r\n\r\n");
        wire.say(C, &bytes);
    }
}

const PIECES: &[&str] = &[
    "SETUP rtsp://a RTSP/1.0\r\n",
    "PLAY rtsp://a RTSP/2.0\r\n",
    "TEARDOWN rtsp://a RTSP/1.0\r\n",
    "RTSP/1.0 200 OK\r\n",
    "RTSP/1.0 454 No\r\n",
    "CSeq: 1\r\n",
    "CSeq: 2\r\n",
    "Session: 47;timeout=1\r\n",
    "Transport: RTP/AVP;unicast;client_port=4588-4589\r\n",
    "Transport: RTP/AVP;client_port=65535-65535,RTP/AVP;dest_addr=\"10.0.0.1:5000\"/\":5001\"\r\n",
    "Transport: RTP/AVP;server_port=6000/6001;source=192.0.2.1\r\n",
    "Transport: RTP/AVP;client_port=1-2;destination=10.0.0.9\r\n",
    ";=,\"/",
    "Content-Length: 3\r\n",
    "$\u{0}\u{0}\u{4}",
    "\r\n",
    "\r\n\r\n",
];
