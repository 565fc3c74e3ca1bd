//! Calls in all three protocols, the forms of answers, and attacks.

use super::*;
use crate::transcript::{Noted, Wire, master};
use pinhole_helper::{Action, AddressMatch, BlindReason, End, Lifetime, PortMatch, Refusal as Why};
use pinhole_wire::Direction::{Original as C, Reply as S};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

const CALLER: [u8; 4] = [10, 1, 0, 2];
const CALLEE: [u8; 4] = [10, 2, 0, 2];
const LEAVE_INVITE: u8 = 0;
const LOOK_UP: u8 = 1;
const DELETE: u8 = 2;
const ANNOUNCE: u8 = 3;
const SUCCESS: u8 = 0;
const NOT_HERE: u8 = 1;
const LISTENS: u16 = 43031;
const CONTROL: u16 = 42155;

fn wire() -> Wire {
    Wire::datagrams(&Talk, "10.1.0.2:42155", "10.2.0.2:518")
}

fn address(port: u16, host: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0, 2];
    bytes.extend(port.to_be_bytes());
    bytes.extend(host);
    bytes.extend([0; 8]);
    bytes
}

fn ntalk_of(version: u8, kind: u8, port: u16, host: [u8; 4], control: u16, extended: &[u8]) -> Vec<u8> {
    let mut bytes = vec![version, kind, 0, extended.len() as u8, 0, 0, 0, 0];
    bytes.extend(address(port, host));
    bytes.extend(address(control, host));
    bytes.extend([0, 0, 0x2e, 0xeb]);
    bytes.extend(b"alice\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0");
    bytes.extend([0; 16]);
    bytes.extend(extended);
    bytes
}

fn ntalk(kind: u8, port: u16, host: [u8; 4]) -> Vec<u8> {
    ntalk_of(1, kind, port, host, CONTROL, &[])
}

fn old_talk(kind: u8, port: u16, host: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(b"alice\0\0\0\0bob\0\0\0\0\0\0\0");
    bytes.extend([0; 8]);
    bytes.extend([0; 16]);
    bytes.extend(address(port, host));
    bytes.extend(address(CONTROL, host));
    bytes
}

fn ntalk_answer(kind: u8, answer: u8, port: u16, host: [u8; 4]) -> Vec<u8> {
    [vec![1, kind, answer, 0x7e, 0, 0, 0, 1], address(port, host)].concat()
}

fn old_answer(kind: u8, answer: u8, port: u16, host: [u8; 4]) -> Vec<u8> {
    [vec![kind, answer, 0, 0, 0, 0, 0, 1], address(port, host)].concat()
}

/// Protocol, source and destination port of the expectations that match, in order.
fn open(wire: &Wire) -> Vec<(Protocol, AddressMatch, u16)> {
    let mut open: Vec<(u32, (Protocol, AddressMatch, u16), bool)> = Vec::new();
    for Noted { action, .. } in &wire.noted {
        match action {
            Action::Expect(handle, expect) => {
                let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
                // The same again replaces.
                let what = (expect.protocol, expect.source, port);
                open.retain(|(_, other, _)| *other != what);
                open.push((handle.0, what, expect.active));
            }
            Action::Activate(handle) => {
                open.iter_mut().filter(|(other, ..)| *other == handle.0).for_each(|entry| entry.2 = true);
            }
            Action::Cancel(handle) => open.retain(|(other, ..)| *other != handle.0),
            _ => {}
        }
    }
    open.into_iter().filter(|(.., active)| *active).map(|(_, what, _)| what).collect()
}

fn exactly(host: [u8; 4]) -> AddressMatch {
    AddressMatch::Exact(IpAddr::V4(Ipv4Addr::from(host)))
}

fn call() -> Vec<(Protocol, AddressMatch, u16)> {
    vec![(Protocol::UDP, exactly(CALLEE), 518), (Protocol::TCP, exactly(CALLEE), LISTENS)]
}

/// The datagrams of a real call between two hosts with netkit's ntalk, on the conn of its caller.
#[test]
fn a_call_is_announced_taken_and_deleted() {
    let mut wire = wire();
    wire.datagram(C, &ntalk(LOOK_UP, 0, CALLER));
    // The address of a negative answer is garbage.
    let garbage =
        [vec![1, LOOK_UP, NOT_HERE, 0x7e, 0, 0, 0, 0, 0x0d], vec![0; 11], vec![0x91, 0x7f, 0, 0]].concat();
    wire.datagram(S, &garbage);
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    assert_eq!(open(&wire), [], "not before the daemon has taken it");
    wire.datagram(S, &[vec![1, ANNOUNCE, SUCCESS, 0x7e, 0, 0, 0, 1], garbage[8..].to_vec()].concat());
    assert_eq!(open(&wire), call());
    wire.datagram(C, &ntalk(DELETE, LISTENS, CALLER));
    assert_eq!(open(&wire), call(), "not before the daemon has done it");
    wire.datagram(S, &ntalk_answer(DELETE, SUCCESS, 0, [0; 4]));
    assert_eq!(open(&wire), []);
    assert_eq!(wire.refusals(), []);
    let conversation = wire.noted.iter().find_map(|noted| match &noted.action {
        Action::Expect(_, expect) if expect.protocol == Protocol::TCP => {
            Some((expect.clone(), noted.quote.clone()))
        }
        _ => None,
    });
    let (conversation, quote) = conversation.unwrap();
    assert_eq!((conversation.lifetime, conversation.helper), (Lifetime::OneShot, None));
    assert_eq!(quote, [&LISTENS.to_be_bytes()[..], &CALLER].concat());
}

#[test]
fn old_talk_and_ntalk2() {
    let mut old = Wire::datagrams(&Talk, "10.1.0.2:42155", "10.2.0.2:517");
    old.datagram(C, &old_talk(LEAVE_INVITE, LISTENS, CALLER));
    old.datagram(C, &old_talk(ANNOUNCE, LISTENS, CALLER));
    old.datagram(S, &old_answer(ANNOUNCE, SUCCESS, 0, [0; 4]));
    let mut expected = call();
    expected[0].2 = 517;
    assert_eq!((open(&old), old.refusals()), (expected, vec![]));

    for extended in [&b""[..], b"more of it"] {
        let mut wire = wire();
        wire.datagram(C, &ntalk_of(2, ANNOUNCE, LISTENS, CALLER, CONTROL, extended));
        let mut answer = ntalk_answer(ANNOUNCE, SUCCESS, 0, [0; 4]);
        answer[0] = 2;
        answer.extend(b"bob\0\0\0\0\0\0\0\0\0");
        wire.datagram(S, &answer);
        assert_eq!((open(&wire), wire.refusals()), (call(), vec![]));
    }
}

#[test]
fn families_in_either_byte_order() {
    let mut announce = old_talk(ANNOUNCE, LISTENS, CALLER);
    announce[44..46].copy_from_slice(&[2, 0]);
    let mut wire = wire();
    wire.datagram(C, &announce);
    wire.datagram(S, &old_answer(ANNOUNCE, SUCCESS, 0, [0; 4]));
    assert_eq!(open(&wire), call());
    announce[44..46].copy_from_slice(&[0, 30]);
    wire.datagram(C, &announce);
    assert_eq!(wire.refusals(), [Why::AddressFamily]);
}

#[test]
fn a_look_up_opens_the_conversation_of_who_asks() {
    type Answer = fn(u8, u8, u16, [u8; 4]) -> Vec<u8>;
    for (ask, answer) in [
        (ntalk(LOOK_UP, 0, CALLER), ntalk_answer as Answer),
        (old_talk(LOOK_UP, 0, CALLER), old_answer as Answer),
    ] {
        let mut wire = wire();
        wire.datagram(C, &ask);
        let noted = wire.datagram(S, &answer(LOOK_UP, SUCCESS, LISTENS, CALLEE));
        assert_eq!(open(&wire), [(Protocol::TCP, exactly(CALLER), LISTENS)]);
        assert!(matches!(noted[1].action, Action::Locate(_, _, notation::SOCKET)));
        // Answered once, not twice.
        wire.datagram(S, &answer(LOOK_UP, SUCCESS, LISTENS + 1, CALLEE));
        assert_eq!(wire.refusals(), [Why::Unsolicited]);
        assert_eq!(open(&wire).len(), 1);
    }
}

#[test]
fn a_refused_announcement_opens_nothing() {
    for answer in 1..=8 {
        let mut wire = wire();
        wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
        wire.datagram(S, &ntalk_answer(ANNOUNCE, answer, 0, [0; 4]));
        assert_eq!(open(&wire), []);
        wire.datagram(S, &ntalk_answer(ANNOUNCE, SUCCESS, 0, [0; 4]));
        assert_eq!(wire.refusals(), [Why::Unsolicited]);
        assert_eq!(open(&wire), []);
    }
}

#[test]
fn repeating_an_announcement_shuts_nothing() {
    let mut wire = wire();
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    wire.datagram(S, &ntalk_answer(ANNOUNCE, SUCCESS, 0, [0; 4]));
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    assert_eq!(open(&wire), call());
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS + 2, CALLER));
    assert!(!open(&wire).iter().any(|(.., port)| *port == LISTENS + 2), "another one waits for its answer");
}

#[test]
fn answers_to_another_control_address() {
    let mut wire = wire();
    let noted = wire.datagram(C, &ntalk_of(1, LOOK_UP, 0, CALLER, 50000, &[]));
    assert!(matches!(noted[1].action, Action::Locate(_, _, notation::SOCKET)));
    assert_eq!(open(&wire), [(Protocol::UDP, exactly(CALLEE), 50000)]);
    // The answer comes on a conn of its own.
    for answer in [ntalk_answer, old_answer] {
        let mut answered = Wire::datagrams(&Talk, "10.2.0.2:518", "10.1.0.2:50000");
        answered.datagram(C, &answer(ANNOUNCE, SUCCESS, 0, [0; 4]));
        answered.datagram(C, &answer(LOOK_UP, SUCCESS, LISTENS, CALLEE));
        assert_eq!(open(&answered), [(Protocol::TCP, exactly(CALLER), LISTENS)]);
        answered.datagram(C, &answer(LOOK_UP, SUCCESS, LISTENS, CALLER));
        assert_eq!(answered.refusals(), [Why::ForeignAddress]);
    }
    // This session will not see the daemon's consent.
    let mut announced = self::wire();
    announced.datagram(C, &ntalk_of(1, ANNOUNCE, LISTENS, CALLER, 50000, &[]));
    let mut expected = call();
    expected.insert(0, (Protocol::UDP, exactly(CALLEE), 50000));
    assert_eq!(open(&announced), expected);
}

#[test]
fn where_the_client_is_named() {
    let mut wire = wire();
    let noted = wire.datagram(C, &ntalk(LOOK_UP, 0, CALLER));
    let mentions: Vec<_> = noted
        .iter()
        .map(|noted| match &noted.action {
            Action::Mention(End::Sender, span, field) => (span.start, span.end, *field),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(mentions, [(26, 32, notation::SOCKET), (12, 16, notation::ADDRESS)]);
    let noted = wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    let located = noted.iter().any(|noted| {
        matches!(&noted.action, Action::Locate(_, span, notation::SOCKET) if (span.start, span.end) == (10, 16))
    });
    assert!(located, "{noted:?}");
}

/// Behind NAT a client announces its own address; its peers reach it by another one.
#[test]
fn the_expectation_is_for_the_address_that_the_callee_sees() {
    let mut natted = master("10.1.0.2:42155", "10.2.0.2:518");
    natted.protocol = Protocol::UDP;
    natted.reply.1 = "203.0.113.1:60000".parse().unwrap();
    let mut wire = Wire::datagrams_of(&Talk, natted, Policy::default());
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    let destinations: Vec<_> = wire
        .noted
        .iter()
        .filter_map(|noted| match &noted.action {
            Action::Expect(_, expect) => Some(expect.destination.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(destinations, ["203.0.113.1", "203.0.113.1"]);
}

#[test]
fn attack_1_third_parties_and_2_low_ports() {
    let refused = |datagram: &[u8]| {
        let mut wire = wire();
        wire.datagram(C, datagram);
        wire.datagram(S, &ntalk_answer(ANNOUNCE, SUCCESS, 0, [0; 4]));
        assert_eq!(open(&wire), []);
        wire.refusals()[0]
    };
    assert_eq!(refused(&ntalk(ANNOUNCE, LISTENS, [10, 1, 0, 9])), Why::ForeignAddress);
    assert_eq!(refused(&ntalk(ANNOUNCE, LISTENS, CALLEE)), Why::ForeignAddress);
    assert_eq!(refused(&ntalk(ANNOUNCE, 22, CALLER)), Why::PrivilegedPort);
    assert_eq!(refused(&ntalk(ANNOUNCE, 0, CALLER)), Why::PortZero);
    assert_eq!(refused(&ntalk_of(1, ANNOUNCE, LISTENS, CALLER, 53, &[])), Why::PrivilegedPort);
    let mut foreign_control = ntalk(ANNOUNCE, LISTENS, CALLER);
    foreign_control[28..32].copy_from_slice(&[10, 1, 0, 9]);
    assert_eq!(refused(&foreign_control), Why::ForeignAddress);
    for (port, host, why) in [
        (LISTENS, [10, 2, 0, 9], Why::ForeignAddress),
        (LISTENS, CALLER, Why::ForeignAddress),
        (1023, CALLEE, Why::PrivilegedPort),
        (0, CALLEE, Why::PortZero),
    ] {
        let mut wire = wire();
        wire.datagram(C, &ntalk(LOOK_UP, 0, CALLER));
        wire.datagram(S, &ntalk_answer(LOOK_UP, SUCCESS, port, host));
        assert_eq!((open(&wire), wire.refusals()), (vec![], vec![why]));
    }
}

#[test]
fn attack_3_unsolicited_answers() {
    let mut wire = wire();
    wire.datagram(S, &ntalk_answer(LOOK_UP, SUCCESS, LISTENS, CALLEE));
    assert_eq!(wire.reader.blind(), Some(BlindReason::NotThisProtocol));
    let mut wire = self::wire();
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    wire.datagram(S, &ntalk_answer(LOOK_UP, SUCCESS, LISTENS, CALLEE));
    assert_eq!((open(&wire), wire.refusals()), (vec![], vec![Why::Unsolicited]));
    // An answer sent to a daemon.
    let mut forged = self::wire();
    forged.datagram(C, &ntalk_answer(LOOK_UP, SUCCESS, LISTENS, CALLER));
    assert_eq!(forged.reader.blind(), Some(BlindReason::NotThisProtocol));
}

#[test]
fn what_is_no_talk() {
    let good = ntalk(ANNOUNCE, LISTENS, CALLER);
    let mut version = good.clone();
    version[0] = 3;
    let mut extended = good.clone();
    (extended[0], extended[3]) = (2, 1);
    let mut kind = good.clone();
    kind[1] = 5;
    for datagram in
        [&good[..83], &[&good[..], &[0]].concat(), &version, &extended, &kind, b"GET / HTTP/1.0\r\n", b""]
    {
        let mut first = wire();
        first.datagram(C, datagram);
        assert_eq!(first.reader.blind(), Some(BlindReason::NotThisProtocol), "{datagram:?}");
        let mut later = wire();
        later.datagram(C, &ntalk(LOOK_UP, 0, CALLER));
        later.datagram(C, datagram);
        assert_eq!((open(&later), later.refusals()), (vec![], vec![Why::Malformed]));
    }
}

#[test]
fn nothing_over_ipv6() {
    let mut wire = Wire::datagrams(&Talk, "[2001:db8::1]:42155", "[2001:db8::2]:518");
    wire.datagram(C, &ntalk(ANNOUNCE, LISTENS, CALLER));
    assert_eq!((open(&wire), wire.refusals()), (vec![], vec![Why::AddressFamily]));
}

proptest! {
    /// Whatever is said, only own addresses and allowed ports are opened.
    #[test]
    fn any_datagrams(datagrams in prop::collection::vec((any::<bool>(), any_datagram()), 0..8)) {
        let mut wire = wire();
        for (from_server, datagram) in &datagrams {
            let from = if *from_server { S } else { C };
            for noted in wire.datagram(from, datagram) {
                let Action::Expect(_, expect) = noted.action else { continue };
                let own = if *from_server { CALLEE } else { CALLER };
                prop_assert_eq!(expect.destination, IpAddr::V4(Ipv4Addr::from(own)));
                let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
                prop_assert!(port >= 1024 || (port == 518 && expect.protocol == Protocol::UDP));
            }
        }
        prop_assert!(wire.peak < 4096);
    }
}

/// Datagrams that are nearly right.
fn any_datagram() -> impl Strategy<Value = Vec<u8>> {
    let host = prop_oneof![Just(CALLER), Just(CALLEE), any::<[u8; 4]>()];
    let made =
        (0..6u8, 0..4u8, 0..6u8, any::<u16>(), host).prop_map(
            |(form, kind, answer, port, host)| match form {
                0 => old_talk(kind, port, host),
                1 => ntalk_of(2, kind, port, host, port, &[0; 9]),
                2 => ntalk_answer(kind, answer, port, host),
                3 => old_answer(kind, answer, port, host),
                _ => ntalk(kind, port, host),
            },
        );
    let noise = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    prop_oneof![
        (made, noise).prop_map(|(mut bytes, noise)| {
            for (index, byte) in noise {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        }),
        prop::collection::vec(any::<u8>(), 0..100),
    ]
}
