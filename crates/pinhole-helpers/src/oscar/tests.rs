//! Proposals, redirects, the proxy, cancellations, direct connections of ICQ, framing, and attacks.

use super::*;
use crate::transcript::{Said, Wire, master, run, run_every_way};
use pinhole_helper::{
    Action, AddressMatch, BlindReason, Lifetime, Pickup, PortMatch, Reader, Refusal as Why,
};
use pinhole_wire::Direction::{self, Original as C, Reply as S};
use proptest::prelude::*;

const CLIENT: &str = "10.1.0.2:40000";
const SERVER: &str = "205.188.7.1:5190";
const OWN: [u8; 4] = [10, 1, 0, 2];
const PEER: [u8; 4] = [198, 51, 100, 7];
const PROPOSE: u8 = 0;
const CANCEL: u8 = 1;
const ACCEPT: u8 = 2;
const COOKIE: [u8; 8] = *b"COOKIE01";
const FILE: u8 = 0x43;

fn flap(channel: u8, data: &[u8]) -> Vec<u8> {
    [&[0x2a, channel, 0, 1][..], &(data.len() as u16).to_be_bytes(), data].concat()
}

fn snac(family: u16, subtype: u16, data: &[u8]) -> Vec<u8> {
    let head = [&family.to_be_bytes()[..], &subtype.to_be_bytes(), &[0, 0, 0, 0, 0, 9]].concat();
    flap(2, &[&head, data].concat())
}

fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn capability(kind: u8) -> [u8; 16] {
    [9, 0x46, 0x13, kind, 0x4c, 0x7f, 0x11, 0xd1, 0x82, 0x22, 0x44, 0x45, 0x53, 0x54, 0, 0]
}

/// What stands in a rendezvous block.
#[derive(Clone)]
struct Block {
    step: u8,
    cookie: [u8; 8],
    capability: [u8; 16],
    tlvs: Vec<Vec<u8>>,
}

fn block(step: u8, tlvs: &[Vec<u8>]) -> Block {
    Block { step, cookie: COOKIE, capability: capability(FILE), tlvs: tlvs.to_vec() }
}

impl Block {
    fn value(&self) -> Vec<u8> {
        let head = [&[0, self.step][..], &self.cookie, &self.capability].concat();
        tlv(5, &[head, self.tlvs.concat()].concat())
    }

    /// As the client sends it.
    fn sent(&self) -> Vec<u8> {
        snac(4, 6, &[&self.cookie[..], &[0, 2, 3], b"bob", &self.value(), &tlv(3, &[])].concat())
    }

    /// As the server relays it.
    fn relayed(&self) -> Vec<u8> {
        let sender = [&[0, 0, 0, 2][..], &tlv(1, &[0, 16]), &tlv(0x0f, &[0, 0, 0, 9])].concat();
        snac(4, 7, &[&self.cookie[..], &[0, 2, 3], b"bob", &sender, &self.value()].concat())
    }
}

/// A proposal's TLVs: sequence number, both addresses, the port, and their inverted copies.
fn offer(sequence: u16, address: [u8; 4], port: u16) -> Vec<Vec<u8>> {
    vec![
        tlv(0x0a, &sequence.to_be_bytes()),
        tlv(0x0f, &[]),
        tlv(0x02, &address),
        tlv(0x16, &address.map(|byte| !byte)),
        tlv(0x03, &address),
        tlv(0x05, &port.to_be_bytes()),
        tlv(0x17, &(!port).to_be_bytes()),
        tlv(0x2711, b"\0\x01\0\x01\0\0\x10\0file.txt\0"),
    ]
}

fn with(mut tlvs: Vec<Vec<u8>>, more: Vec<u8>) -> Vec<Vec<u8>> {
    tlvs.push(more);
    tlvs
}

const SIGN_ON: &[u8] = b"\x2a\x01\0\x01\0\x04\0\0\0\x01";

/// A dialogue after signing on, cut in every way.
fn dialogue(said: &[Said<'_>]) -> Wire {
    let said: Vec<_> = [(S, SIGN_ON), (C, SIGN_ON)].into_iter().chain(said.iter().copied()).collect();
    run_every_way(&Oscar, CLIENT, SERVER, &said)
}

fn source(wire: &Wire, port: u16) -> AddressMatch {
    let of_port = |expect: &pinhole_helper::Expect| expect.destination_port == PortMatch::Exact(port);
    let source = wire.noted.iter().rev().find_map(|noted| match &noted.action {
        Action::Expect(_, expect) if of_port(expect) => Some(expect.source),
        _ => None,
    });
    source.unwrap()
}

fn exactly(host: [u8; 4]) -> AddressMatch {
    AddressMatch::Exact(std::net::Ipv4Addr::from(host).into())
}

#[test]
fn proposals_of_the_client() {
    for kind in [0x41, 0x42, 0x43, 0x45, 0x46, 0x47, 0x48, 0x4a] {
        let mut proposal = block(PROPOSE, &offer(1, OWN, 5190));
        proposal.capability = capability(kind);
        let wire = dialogue(&[(C, &proposal.sent())]);
        assert_eq!((wire.open_ports(), wire.refusals()), (vec![5190], vec![]), "{kind:#x}");
        assert_eq!(source(&wire, 5190), AddressMatch::Any);
        let located: Vec<_> = wire
            .noted
            .iter()
            .filter_map(|noted| match noted.action {
                Action::Locate(_, span, field) => Some((field, span.end - span.start)),
                _ => None,
            })
            .collect();
        let expected = [
            (notation::ADDRESS, 4),
            (notation::ADDRESS, 4),
            (notation::PORT, 2),
            (notation::ADDRESS_INVERTED, 4),
            (notation::PORT_INVERTED, 2),
        ];
        assert_eq!(located, expected);
    }
    // The proposer's own idea of its address counts if there is no other.
    let tlvs = [tlv(0x03, &OWN), tlv(0x05, &5190u16.to_be_bytes())];
    assert_eq!(dialogue(&[(C, &block(PROPOSE, &tlvs).sent())]).open_ports(), [5190]);
}

#[test]
fn where_the_fields_stand() {
    let message = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let mut wire = run(&Oscar, CLIENT, SERVER, &[(C, SIGN_ON)]);
    for noted in wire.say(C, &message) {
        let Action::Locate(_, span, field) = noted.action else { continue };
        let start = SIGN_ON.len();
        let bytes = &message[span.start as usize - start..span.end as usize - start];
        let expected: &[u8] = match field {
            notation::ADDRESS => &OWN,
            notation::ADDRESS_INVERTED => &[245, 254, 255, 253],
            notation::PORT => &[0x14, 0x46],
            notation::PORT_INVERTED => &[0xeb, 0xb9],
            other => panic!("{other:?}"),
        };
        assert_eq!(bytes, expected, "{field:?}");
    }
}

#[test]
fn cancelled_refused_and_accepted() {
    let proposal = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let reason = [tlv(0x0b, &[0, 1])];
    let nak = block(3, &reason);
    for end in [(C, block(CANCEL, &reason).sent()), (S, block(CANCEL, &reason).relayed()), (S, nak.relayed())]
    {
        let wire = dialogue(&[(C, &proposal), (end.0, &end.1)]);
        assert_eq!((wire.ports(), wire.open_ports()), (vec![5190], vec![]));
    }
    let accepted = dialogue(&[(C, &proposal), (S, &block(ACCEPT, &[]).relayed())]);
    assert_eq!(accepted.open_ports(), [5190]);
    let mut other = block(CANCEL, &reason);
    other.cookie = *b"COOKIE02";
    assert_eq!(dialogue(&[(C, &proposal), (S, &other.relayed())]).open_ports(), [5190]);
}

#[test]
fn proposals_of_others_and_redirects_of_the_client() {
    let relayed = block(PROPOSE, &with(offer(1, [192, 168, 1, 2], 4443), tlv(0x04, &PEER))).relayed();
    let redirect = block(PROPOSE, &offer(2, OWN, 5191)).sent();
    let wire = dialogue(&[(S, &relayed), (C, &redirect)]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![5191], vec![Why::ForeignAddress]));
    assert_eq!(source(&wire, 5191), exactly(PEER), "only from where the server saw the proposer");
    // Without a verified address nothing is known of the peer.
    let unverified = block(PROPOSE, &offer(1, [192, 168, 1, 2], 4443)).relayed();
    let wire = dialogue(&[(S, &unverified), (C, &redirect)]);
    assert_eq!(source(&wire, 5191), AddressMatch::Any);
    // At the server's own address, the client connects.
    let own = block(PROPOSE, &offer(1, [205, 188, 7, 1], 4443)).relayed();
    let wire = dialogue(&[(S, &own)]);
    assert_eq!((wire.open_ports(), source(&wire, 4443)), (vec![4443], exactly(OWN)));
    // By policy it may be sent anywhere.
    let policy = Policy { third_party: true, ..Policy::default() };
    let reader = Reader::new(&Oscar, master(CLIENT, SERVER), policy, Pickup::Strict);
    let mut wire = Wire::with(reader);
    wire.handshake();
    wire.say(S, SIGN_ON);
    wire.say(S, &block(PROPOSE, &offer(1, PEER, 4443)).relayed());
    assert_eq!((wire.open_ports(), source(&wire, 4443)), (vec![4443], exactly(OWN)));
}

#[test]
fn redirects_and_the_proxy_end_what_was_proposed() {
    let proposal = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let redirect = block(PROPOSE, &offer(2, PEER, 4443)).relayed();
    let wire = dialogue(&[(C, &proposal), (S, &redirect)]);
    assert_eq!(
        (wire.ports(), wire.open_ports(), wire.refusals()),
        (vec![5190], vec![], vec![Why::ForeignAddress])
    );
    for proxy in [offer(3, [64, 12, 201, 185], 5190), with(offer(2, OWN, 5190), tlv(0x10, &[]))] {
        let proxied = block(PROPOSE, &proxy);
        for (from, message) in [(C, proxied.sent()), (S, proxied.relayed())] {
            let wire = dialogue(&[(C, &proposal), (from, &message)]);
            assert_eq!((wire.ports(), wire.open_ports(), wire.refusals()), (vec![5190], vec![], vec![]));
        }
    }
    // Proposed again, on another port.
    let wire = dialogue(&[(C, &proposal), (C, &block(PROPOSE, &offer(1, OWN, 5195)).sent())]);
    assert_eq!(wire.open_ports(), [5195]);
}

#[test]
fn chat_opens_nothing_and_other_purposes_are_refused() {
    let mut chat = block(PROPOSE, &offer(1, OWN, 5190));
    chat.capability =
        [0x74, 0x8f, 0x24, 0x20, 0x62, 0x87, 0x11, 0xd1, 0x82, 0x22, 0x44, 0x45, 0x53, 0x54, 0, 0];
    assert_eq!(dialogue(&[(C, &chat.sent())]).noted, []);
    for kind in [0x44, 0x49, 0x4b] {
        chat.capability = capability(kind);
        assert_eq!(dialogue(&[(C, &chat.sent())]).noted, [], "{kind:#x}");
    }
    chat.capability = [7; 16];
    let unknown = dialogue(&[(C, &chat.sent())]);
    assert_eq!((unknown.ports(), unknown.refusals()), (vec![], vec![Why::Unsupported]));
    // A proposal without address or port asks for the other side's.
    let bare = dialogue(&[(C, &block(PROPOSE, &[tlv(0x0a, &[0, 1])]).sent())]);
    assert_eq!(bare.noted, []);
    // An ordinary message.
    let text =
        [&COOKIE[..], &[0, 1, 3], b"bob", &tlv(2, b"hello"), &block(PROPOSE, &offer(1, OWN, 5190)).value()];
    assert_eq!(dialogue(&[(C, &snac(4, 6, &text.concat()))]).noted, []);
}

fn direct(address: [u8; 4], port: u32, kind: u8) -> Vec<u8> {
    tlv(0x0c, &[&address[..], &port.to_be_bytes(), &[kind, 0, 8], &[0xaa; 26]].concat())
}

fn status(address: [u8; 4], port: u32, kind: u8) -> Vec<u8> {
    snac(1, 0x1e, &[tlv(6, &[0; 4]), direct(address, port, kind)].concat())
}

#[test]
fn direct_connections_of_icq() {
    let wire = dialogue(&[(C, &status(OWN, 23456, 4)), (C, &flap(5, &[]))]);
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![23456], vec![]));
    let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
    assert_eq!((expect.source, expect.lifetime), (AddressMatch::Any, Lifetime::Permanent));
    assert_eq!(wire.noted[1].quote, [&OWN[..], &23456u32.to_be_bytes()].concat());
    assert!(matches!(wire.noted[1].action, Action::Locate(_, _, notation::DIRECT)));
    assert!(matches!(wire.noted[2].action, Action::Extend(_, 600)));
    // Another status takes its place; one that allows no connections ends it.
    let wire = dialogue(&[(C, &status(OWN, 23456, 4)), (C, &status(OWN, 23457, 4))]);
    assert_eq!(wire.open_ports(), [23457]);
    let wire = dialogue(&[(C, &status(OWN, 23456, 4)), (C, &status(OWN, 23457, 0))]);
    assert_eq!(wire.open_ports(), []);
    for (address, port, why) in [
        (PEER, 23456, Why::ForeignAddress),
        (OWN, 80, Why::PrivilegedPort),
        (OWN, 0, Why::PortZero),
        (OWN, 65536 + 2000, Why::BadNumber),
    ] {
        let wire = dialogue(&[(C, &status(address, port, 4))]);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]));
    }
    // The server has no status of this kind.
    assert_eq!(dialogue(&[(S, &status([205, 188, 7, 1], 23456, 4))]).noted, []);
}

#[test]
fn contacts_of_icq() {
    let online = |address, kind| {
        let about =
            [&[3][..], b"bob", &[0, 0, 0, 2], &tlv(1, &[0, 80]), &direct(address, 23456, kind)].concat();
        snac(3, 0x0b, &about)
    };
    let foreign = dialogue(&[(S, &online(PEER, 4))]);
    assert_eq!((foreign.ports(), foreign.refusals()), (vec![], vec![Why::ForeignAddress]));
    let own = dialogue(&[(S, &online([205, 188, 7, 1], 4))]);
    assert_eq!((own.open_ports(), source(&own, 23456)), (vec![23456], exactly(OWN)));
    assert_eq!(dialogue(&[(S, &online(PEER, 1)), (C, &online(OWN, 4))]).noted, []);
}

#[test]
fn extra_data_before_the_message() {
    let mut message = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    // Flags of the SNAC, then a block of eight bytes.
    message[10] = 0x80;
    message.splice(16..16, [0, 6, 0, 1, 0, 2, 0, 4]);
    let length = (message.len() - 6) as u16;
    message[4..6].copy_from_slice(&length.to_be_bytes());
    assert_eq!(dialogue(&[(C, &message)]).open_ports(), [5190]);
}

#[test]
fn frames_that_are_skipped() {
    let long = flap(2, &[&[0, 4, 0, 7][..], &[0; 9000]].concat());
    let irrelevant = flap(2, &[&[0, 0x13, 0, 6][..], &[0x2a; 60000]].concat());
    let proposal = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let wire = run(
        &Oscar,
        CLIENT,
        SERVER,
        &[(S, SIGN_ON), (C, SIGN_ON), (S, &irrelevant), (C, &long), (C, &proposal)],
    );
    assert_eq!((wire.open_ports(), wire.refusals()), (vec![5190], vec![Why::Limit]));
    assert!(wire.peak < 80_000, "{}", wire.peak);
}

#[test]
fn attack_1_third_parties_and_2_low_ports() {
    for (address, port, why) in [
        ([10, 1, 0, 9], 5190, Why::ForeignAddress),
        ([205, 188, 7, 1], 5190, Why::ForeignAddress),
        (OWN, 22, Why::PrivilegedPort),
        (OWN, 0, Why::PortZero),
    ] {
        let wire = dialogue(&[(C, &block(PROPOSE, &offer(1, address, port)).sent())]);
        assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![why]));
    }
}

#[test]
fn attack_on_the_copies() {
    for changed in [2, 3, 5, 6] {
        let mut tlvs = offer(1, OWN, 5190);
        let last = tlvs[changed].len() - 1;
        // The internal address is nobody's copy: it may differ, and is left alone then.
        tlvs[changed][last] ^= 1;
        let wire = dialogue(&[(C, &block(PROPOSE, &tlvs).sent())]);
        let ok = changed == 4;
        let expected = if ok { vec![] } else { vec![Why::Malformed] };
        assert_eq!((wire.ports().len(), wire.refusals()), (usize::from(ok), expected), "{changed}");
    }
    let mut tlvs = offer(1, OWN, 5190);
    tlvs[4] = tlv(0x03, &[192, 168, 1, 2]);
    assert_eq!(dialogue(&[(C, &block(PROPOSE, &tlvs).sent())]).open_ports(), [5190]);
}

#[test]
fn attack_with_the_wrong_direction() {
    let proposal = block(PROPOSE, &offer(1, [205, 188, 7, 1], 5190));
    let wire = dialogue(&[(S, &proposal.sent())]);
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::OutOfSequence]));
    let relayed = block(PROPOSE, &offer(1, OWN, 5190)).relayed();
    let wire = dialogue(&[(C, &relayed)]);
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::OutOfSequence]));
}

/// NAT slipstreaming: what a browser can be made to send opens nothing, wherever segments start.
#[test]
fn attack_with_other_protocols() {
    let proposal = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let post = [b"POST / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), SIGN_ON, &proposal].concat();
    for (opening, why) in [
        (post.as_slice(), BlindReason::NotThisProtocol),
        (b"\x16\x03\x01\x02\x00\x01", BlindReason::Encrypted),
        // No sign-on, another version, an unknown channel.
        (proposal.as_slice(), BlindReason::NotThisProtocol),
        (b"\x2a\x01\0\x01\0\x04\0\0\0\x02", BlindReason::NotThisProtocol),
        (b"\x2a\x01\0\x01\0\x00", BlindReason::NotThisProtocol),
        (b"\x2a\x06\0\x01\0\x04\0\0\0\x01", BlindReason::NotThisProtocol),
    ] {
        let wire = run_every_way(&Oscar, CLIENT, SERVER, &[(C, opening), (C, &proposal)]);
        assert_eq!((wire.reader.blind(), wire.ports()), (Some(why), vec![]), "{opening:?}");
    }
    // Later, where a frame should begin.
    let wire = dialogue(&[(C, &proposal), (C, b"POST / HTTP/1.1\r\n"), (C, &proposal)]);
    assert_eq!((wire.reader.blind(), wire.ports().len()), (Some(BlindReason::NotThisProtocol), 1));
}

#[test]
fn attack_by_many_rendezvous() {
    let mut wire = run(&Oscar, CLIENT, SERVER, &[(S, SIGN_ON), (C, SIGN_ON)]);
    for number in 0..200u64 {
        let mut proposal = block(PROPOSE, &offer(1, OWN, 5190));
        proposal.cookie = number.to_be_bytes();
        wire.say(C, &proposal.sent());
    }
    assert!(wire.peak < 16_384, "{}", wire.peak);
    // The oldest are forgotten, and the latest can still be cancelled.
    for (number, cancels) in [(0u64, 0), (199, 1)] {
        let mut cancel = block(CANCEL, &[]);
        cancel.cookie = number.to_be_bytes();
        assert_eq!(wire.say(C, &cancel.sent()).len(), cancels);
    }
}

#[test]
fn nothing_over_ipv6() {
    let message = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let wire = run(&Oscar, "[2001:db8::1]:40000", "[2001:db8::2]:5190", &[(C, SIGN_ON), (C, &message)]);
    assert_eq!((wire.ports(), wire.refusals()), (vec![], vec![Why::AddressFamily]));
}

#[test]
fn picked_up_between_two_frames() {
    let proposal = block(PROPOSE, &offer(1, OWN, 5190)).sent();
    let mut wire = Wire::mid_stream(&Oscar, CLIENT, SERVER, Pickup::Lenient);
    wire.at(C, 70_000, &proposal);
    assert_eq!(wire.open_ports(), [5190]);
    let mut strict = Wire::mid_stream(&Oscar, CLIENT, SERVER, Pickup::Strict);
    strict.at(C, 70_000, &proposal);
    assert_eq!((strict.ports(), strict.reader.blind()), (vec![], Some(BlindReason::MidStream)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is said, and however it is cut, only own addresses and allowed ports are opened.
    #[test]
    fn any_messages(messages in prop::collection::vec((any::<bool>(), any_message()), 0..5)) {
        let said: Vec<(Direction, &[u8])> =
            messages.iter().map(|(server, bytes)| (if *server { S } else { C }, bytes.as_slice())).collect();
        let wire = dialogue(&said);
        for noted in &wire.noted {
            let Action::Expect(_, expect) = &noted.action else { continue };
            let own = if noted.from == C { "10.1.0.2" } else { "205.188.7.1" };
            prop_assert_eq!(expect.destination.to_string(), own);
            let PortMatch::Exact(port) = expect.destination_port else { panic!("{expect:?}") };
            prop_assert!(port >= 1024);
        }
    }
}

/// Frames that are nearly right.
fn any_message() -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![Just(OWN), Just([205, 188, 7, 1]), any::<[u8; 4]>()];
    let made =
        (0..5u8, 0..4u8, 0..4u16, any::<u16>(), address).prop_map(|(form, step, sequence, port, address)| {
            match form {
                0 | 1 => block(step, &offer(sequence, address, port)).sent(),
                2 => block(step, &with(offer(sequence, address, port), tlv(4, &address))).relayed(),
                3 => status(address, u32::from(port), 4),
                _ => flap(5, &[]),
            }
        });
    let noise = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (made, noise).prop_map(|(mut bytes, noise)| {
        for (index, byte) in noise {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}
