//! Offers, attacks, and the grammar's corners.

use super::*;
use crate::transcript::{Said, Wire, master, run, run_every_way};
use pinhole_helper::{Action, AddressMatch, BlindReason, Pickup, Reader, Refusal as Why};
use pinhole_wire::Direction::{self, Original as C, Reply as S};
use proptest::prelude::*;

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:6667";
const CLIENT6: &str = "[2001:db8::1]:40000";
const SERVER6: &str = "[2001:db8::2]:6667";

const WELCOME: &[Said<'_>] = &[
    (C, b"NICK me\r\nUSER me 0 * :me\r\n"),
    (S, b":irc.example NOTICE * :*** Looking up\r\n:irc.example 001 me :Welcome\r\n"),
];

/// A dialogue after registration, cut in every way.
fn dialogue(said: &[Said<'_>]) -> Wire {
    let said: Vec<_> = WELCOME.iter().chain(said).copied().collect();
    run_every_way(&Irc, CLIENT, SERVER, &said)
}

/// One line of the client.
fn said(line: &str) -> Wire {
    dialogue(&[(C, format!("{line}\r\n").as_bytes())])
}

/// One line of the server.
fn heard(line: &str) -> Wire {
    dialogue(&[(S, format!("{line}\r\n").as_bytes())])
}

#[test]
fn offers_of_the_client() {
    // 167772161 is 10.0.0.1.
    let wire = said("PRIVMSG bob :\x01DCC SEND a.bin 167772161 50021 1000\x01");
    let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
    assert_eq!(expect.source, AddressMatch::Any);
    assert_eq!(expect.destination, "10.0.0.1".parse::<std::net::IpAddr>().unwrap());
    assert!(expect.active);
    assert_eq!(wire.noted[0].quote, b"DCC SEND a.bin 167772161 50021 1000");
    assert!(matches!(wire.noted[1].action, Action::Locate(_, _, notation::DECIMAL)));
    assert_eq!(wire.noted[1].quote, b"167772161 50021");
    assert_eq!(wire.open_ports(), [50021]);

    for line in [
        "PRIVMSG bob :\x01DCC CHAT chat 167772161 50021\x01",
        "PRIVMSG bob :\x01DCC SCHAT chat 167772161 50021\x01",
        "PRIVMSG bob :\x01DCC TSEND a 167772161 50021 5\x01",
        "PRIVMSG bob :\x01DCC MOVE a 167772161 50021 5\x01",
        "PRIVMSG bob :\x01DCC XMIT http 167772161 50021 a\x01",
        "PRIVMSG bob :\x01dcc send a 167772161 50021 5\x01",
        "privmsg bob :\x01DCC SEND a 167772161 50021 5\x01",
        "NOTICE bob :\x01DCC SEND a 167772161 50021 5\x01",
        "PRIVMSG bob,eve :\x01DCC SEND a 167772161 50021\x01",
        "PRIVMSG bob :\x01DCC SEND \"my file.bin\" 167772161 50021 5\x01",
        "PRIVMSG bob :\x01DCC SEND a 10.0.0.1 50021 5\x01",
        "PRIVMSG bob :take this \x01DCC SEND a 167772161 50021 5\x01 please",
        "PRIVMSG bob :\x01DCC SEND a 167772161 50021 5",
        "PRIVMSG  bob  :\x01DCC  SEND  a  167772161  50021  5\x01",
        ":me!me@host PRIVMSG bob :\x01DCC SEND a 167772161 50021 5\x01",
        "@label=1;+x=y PRIVMSG bob :\x01DCC SEND a 167772161 50021 5\x01",
        "@label=1 :me PRIVMSG bob :\x01DCC SEND a 167772161 50021 5\x01",
    ] {
        assert_eq!((said(line).open_ports(), said(line).refusals()), (vec![50021], vec![]), "{line:?}");
    }
}

#[test]
fn several_offers_in_a_message() {
    let wire = said(
        "PRIVMSG bob :\x01DCC SEND a 167772161 50021 5\x01 and \x01DCC SEND b 167772161 50022 5\x01\
         \x01ACTION waves\x01\x01DCC CHAT chat 167772161 50023\x01",
    );
    assert_eq!(wire.open_ports(), [50021, 50022, 50023]);
}

#[test]
fn textual_ipv6() {
    let said: Vec<_> = WELCOME
        .iter()
        .copied()
        .chain([(C, &b"PRIVMSG bob :\x01DCC CHAT chat 2001:db8::1 50021\x01\r\n"[..])])
        .chain([(C, &b"PRIVMSG bob :\x01DCC CHAT chat ::ffff:10.0.0.1 50021\x01\r\n"[..])])
        .chain([(C, &b"PRIVMSG bob :\x01DCC CHAT chat 167772161 50021\x01\r\n"[..])])
        .collect();
    let wire = run_every_way(&Irc, CLIENT6, SERVER6, &said);
    assert_eq!(wire.open_ports(), [50021]);
    assert_eq!(wire.refusals(), [Why::AddressFamily, Why::AddressFamily]);
    assert!(matches!(wire.noted[1].action, Action::Locate(_, _, notation::TEXT)));
}

#[test]
fn offers_from_the_server_side() {
    let relayed = heard(":bob!b@host PRIVMSG me :\x01DCC SEND a 3232235777 50021 5\x01");
    assert_eq!((relayed.ports(), relayed.refusals()), (vec![], vec![Why::ForeignAddress]));
    // A service on the server's own host (167772162 is 10.0.0.2): the client connects to it, nobody else.
    let service = heard(":bot!b@host PRIVMSG me :\x01DCC SEND a 167772162 50021 5\x01");
    let Action::Expect(_, expect) = &service.noted[0].action else { panic!("{:?}", service.noted) };
    assert_eq!(expect.source, AddressMatch::Exact("10.0.0.1".parse().unwrap()));
    assert_eq!(expect.destination, "10.0.0.2".parse::<std::net::IpAddr>().unwrap());
    // By policy the client may be told to connect to third parties.
    let policy = Policy { third_party: true, ..Policy::default() };
    let mut wire = Wire::with(Reader::new(&Irc, master(CLIENT, SERVER), policy, Pickup::Strict));
    wire.handshake();
    wire.say(C, b"NICK me\r\n");
    wire.say(S, b":bob PRIVMSG me :\x01DCC SEND a 3232235777 50021 5\x01\r\n");
    assert_eq!(wire.open_ports(), [50021]);
}

#[test]
fn reverse_offers_and_resumption() {
    let wire = dialogue(&[
        (C, b"PRIVMSG bob :\x01DCC SEND a 199 0 1000 77\x01\r\n"),
        (S, b":bob PRIVMSG me :\x01DCC SEND a 3232235777 50021 1000 77\x01\r\n"),
        (S, b":bob PRIVMSG me :\x01DCC SEND b 199 0 1000 78\x01\r\n"),
        (C, b"PRIVMSG bob :\x01DCC SEND b 167772161 50022 1000 78\x01\r\n"),
        (C, b"PRIVMSG bob :\x01DCC CHAT chat 199 0 79\x01\r\n"),
        (C, b"PRIVMSG bob :\x01DCC SEND a 167772161 0 1000\x01\r\n"),
    ]);
    assert_eq!(wire.open_ports(), [50022]);
    let expected =
        [Why::ReverseOffer, Why::ForeignAddress, Why::ReverseOffer, Why::ReverseOffer, Why::PortZero];
    assert_eq!(wire.refusals(), expected);
    for line in [
        "PRIVMSG bob :\x01DCC RESUME a 50021 500\x01",
        "PRIVMSG bob :\x01DCC ACCEPT a 50021 500\x01",
        "PRIVMSG bob :\x01DCC REJECT SEND a\x01",
        "PRIVMSG bob :\x01PING 167772161 50021\x01",
    ] {
        assert_eq!(said(line).noted, [], "{line:?}");
    }
}

#[test]
fn attack_1_third_parties_and_2_low_ports() {
    assert_eq!(said("PRIVMSG b :\x01DCC CHAT c 167772169 50021\x01").refusals(), [Why::ForeignAddress]);
    assert_eq!(said("PRIVMSG b :\x01DCC CHAT c 167772161 22\x01").refusals(), [Why::PrivilegedPort]);
    assert_eq!(said("PRIVMSG b :\x01DCC CHAT c 167772161 0\x01").refusals(), [Why::PortZero]);
}

#[test]
fn attack_9_numbers_out_of_range() {
    for (line, why) in [
        ("PRIVMSG b :\x01DCC CHAT c 167772161 65558\x01", Why::BadNumber),
        ("PRIVMSG b :\x01DCC CHAT c 167772161 abc\x01", Why::BadNumber),
        ("PRIVMSG b :\x01DCC CHAT c 167772161 +5002\x01", Why::BadNumber),
        ("PRIVMSG b :\x01DCC CHAT c 167772161 050021\x01", Why::BadNumber),
        ("PRIVMSG b :\x01DCC CHAT c 4462739457 50021\x01", Why::BadNumber),
        ("PRIVMSG b :\x01DCC CHAT c 18446744073877323777 50021\x01", Why::BadNumber),
        ("PRIVMSG b :\x01DCC CHAT c host.example 50021\x01", Why::Malformed),
        ("PRIVMSG b :\x01DCC CHAT c 010.0.0.1 50021\x01", Why::Malformed),
        ("PRIVMSG b :\x01DCC CHAT c 167772161\x01", Why::Malformed),
        ("PRIVMSG b :\x01DCC SEND \"a 167772161 50021\x01", Why::Malformed),
        ("PRIVMSG b :\x01DCC SEND\x01", Why::Malformed),
    ] {
        let wire = said(line);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]), "{line:?}");
    }
}

#[test]
fn attack_11_offers_that_are_none() {
    for (line, why) in [
        ("PRIVMSG #chan :\x01DCC CHAT c 167772161 50021\x01", vec![Why::Policy]),
        ("PRIVMSG #chan :DCC CHAT c 167772161 50021", vec![Why::Malformed]),
        ("PRIVMSG bob :DCC SEND file.txt 167772161 abc 1024", vec![Why::Malformed]),
        ("PRIVMSG bob :try DCC CHAT c 167772161 50021", vec![]),
        ("NOTICE bob :DCC Send pack.zip (167772161)", vec![]),
        ("TOPIC #chan :\x01DCC CHAT c 167772161 50021\x01", vec![]),
        ("QUIT :\x01DCC CHAT c 167772161 50021\x01", vec![]),
        ("PRIVMSG bob \x01DCC CHAT c 167772161 50021\x01", vec![]),
        ("PRIVMSG bob :\x01D\x10CC CHAT c 167772161 50021\x01", vec![]),
        ("PRIVMSG bob :\x01DCC CHAT c 16777\x10n2161 50021\x01", vec![Why::Malformed]),
    ] {
        let wire = said(line);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], why), "{line:?}");
    }
    // Beyond what the server relays, and far beyond.
    let padding = "x".repeat(600);
    let long = said(&format!("PRIVMSG bob :{padding}\x01DCC CHAT c 167772161 50021\x01"));
    assert_eq!((long.ports(), long.refusals()), (vec![], vec![Why::Malformed]));
    let padding = "x".repeat(20_000);
    let longer = dialogue(&[
        (C, format!("PRIVMSG bob :{padding}\x01DCC CHAT c 167772161 50021\x01\r\n").as_bytes()),
        (C, b"PRIVMSG bob :\x01DCC CHAT c 167772161 50022\x01\r\n"),
    ]);
    assert_eq!(longer.open_ports(), [50022]);
    let tags = "x".repeat(8000);
    let tagged = said(&format!("@a={tags} PRIVMSG bob :\x01DCC CHAT c 167772161 50021\x01"));
    assert_eq!(tagged.open_ports(), [50021]);
}

#[test]
fn attack_17_another_protocol() {
    let post: &[u8] =
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPRIVMSG bob :\x01DCC CHAT c 167772161 50021\x01\r\n";
    let wire = run_every_way(&Irc, CLIENT, SERVER, &[(C, post)]);
    assert_eq!((wire.noted, wire.reader.blind()), (vec![], Some(BlindReason::NotThisProtocol)));
    for opening in
        [&b"GET / HTTP/1.0\r\n"[..], b"CONNECT x:1 HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\0\0", b"xyz\r\n"]
    {
        let wire = run_every_way(&Irc, CLIENT, SERVER, &[(C, opening)]);
        assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol), "{opening:?}");
    }
    let lenient = |bytes: &[u8]| {
        let mut wire = Wire::mid_stream(&Irc, CLIENT, SERVER, Pickup::Lenient);
        wire.say(C, bytes);
        (wire.refusals(), wire.reader.blind())
    };
    assert_eq!(lenient(post), (vec![], Some(BlindReason::NotThisProtocol)));
    let bare = b"PRIVMSG victim :DCC SEND file.txt 3232235876 abc 1024\r\n";
    assert_eq!(lenient(bare), (vec![Why::Malformed], None));
}

#[test]
fn encryption() {
    let wire = run_every_way(
        &Irc,
        CLIENT,
        SERVER,
        &[(C, b"STARTTLS\r\n"), (S, b":irc 670  :STARTTLS successful\r\n"), (C, b"\x16\x03\x01\x01")],
    );
    assert_eq!(wire.reader.blind(), Some(BlindReason::Encrypted));
    let refused = dialogue(&[
        (C, b"STARTTLS\r\n"),
        (S, b":irc 691 :no\r\n:irc 670 :not asked for\r\n"),
        (C, b"PRIVMSG bob :\x01DCC CHAT c 167772161 50021\x01\r\n"),
    ]);
    assert_eq!((refused.open_ports(), refused.reader.blind()), (vec![50021], None));
    let tls = run(&Irc, CLIENT, SERVER, &[(C, b"\x16\x03\x01\x00\xa5")]);
    assert_eq!(tls.reader.blind(), Some(BlindReason::Encrypted));
}

#[test]
fn picked_up_in_mid_stream() {
    let mut wire = Wire::mid_stream(&Irc, SERVER, CLIENT, Pickup::Lenient);
    wire.say(C, b"end of a line\r\nPING :x\r\n:bob JOIN #x\r\n");
    wire.say(S, b"PONG :x\r\nPRIVMSG bob :\x01DCC CHAT c 167772161 50021\x01\r\n");
    let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
    assert_eq!(expect.source, AddressMatch::Any);
}

/// Pieces of dialogue, to make random input reach deep.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"PRIVMSG bob :",
        b"NOTICE bob :",
        b"\x01DCC SEND ",
        b"\x01DCC CHAT ",
        b"\x01",
        b"a ",
        b"\"a b\" ",
        b"167772161 ",
        b"50021",
        b"2001:db8::1 ",
        b"0 1 2",
        b"@tag ",
        b":bob ",
        b"\r\n",
        b"\n",
        b" ",
        b"STARTTLS\r\n",
    ];
    prop_oneof![
        6 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..1500),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn hostile_bytes_never_panic_and_memory_is_bounded(
        lenient: bool,
        said in prop::collection::vec((any::<bool>(), 0u32..4000, any::<bool>(), piece()), 0..80),
    ) {
        let pickup = if lenient { Pickup::Lenient } else { Pickup::Strict };
        let mut wire = Wire::mid_stream(&Irc, CLIENT, SERVER, pickup);
        wire.handshake();
        wire.say(C, b"NICK me\r\n");
        for (client, offset, in_order, bytes) in said {
            let from: Direction = if client { C } else { S };
            if in_order { wire.say(from, &bytes) } else { wire.at(from, offset, &bytes) };
        }
        prop_assert!(wire.peak < 160 * 1024, "{}", wire.peak);
        prop_assert!(!wire.ports().iter().any(|port| *port < 1024));
    }
}

#[test]
fn every_beginning_that_holds_a_part_of_an_offer_is_held() {
    let lines = [
        "PRIVMSG bob :\u{1}DCC SEND f 167772161 5000 12\u{1}",
        "@time=x :a!b@c notice bob :\u{1}DCC CHAT chat 167772161 5000\u{1}",
    ];
    for line in lines {
        let chunk = line.find('\u{1}').unwrap();
        for end in 0..=line.len() {
            assert_eq!(parse::may_offer(&line.as_bytes()[..end]), end > chunk, "{line} to {end}");
        }
    }
    for other in ["JOIN #c", "PRIVMSGS x \u{1}", ":server 372 a :PRIVMSG \u{1}DCC", "@time=x :server 001 "] {
        assert!(!parse::may_offer(other.as_bytes()), "{other}");
    }
}
