use super::ber::{INTEGER, IP_ADDRESS, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, TIME_TICKS};
use super::*;
use crate::transcript::Wire;
use pinhole_helper::{Action, AddressMatch, PortMatch};
use proptest::prelude::*;

const C: Direction = Direction::Original;
const S: Direction = Direction::Reply;
const MANAGER: &str = "10.0.4.131:40000";
const AGENT: &str = "10.0.4.9:161";
const EVERYONE: &str = "10.0.5.255:161";
const GET: u8 = 0xa0;
const RESPONSE: u8 = 0xa2;

/// An element; lengths above 127 in the long form.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(content.len()) {
        Ok(short) if short < 128 => vec![short],
        _ => [&[0x82], &(content.len() as u16).to_be_bytes()[..]].concat(),
    };
    [&[tag], length.as_slice(), content].concat()
}

fn address(last: u8) -> Vec<u8> {
    element(IP_ADDRESS, &[10, 0, 4, last])
}

fn bindings(values: &[Vec<u8>]) -> Vec<u8> {
    let name = element(OBJECT_IDENTIFIER, &[0x2b, 6, 1, 2, 1]);
    let binding = |value: &Vec<u8>| element(SEQUENCE, &[name.as_slice(), value].concat());
    element(SEQUENCE, &values.iter().flat_map(binding).collect::<Vec<u8>>())
}

fn wrap(version: u8, unit: &[u8]) -> Vec<u8> {
    let head = [element(INTEGER, &[version]), element(OCTET_STRING, b"public")].concat();
    element(SEQUENCE, &[&head, unit].concat())
}

fn message(tag: u8, values: &[Vec<u8>]) -> Vec<u8> {
    let zero = element(INTEGER, &[0]);
    let unit = [element(INTEGER, &[0x12, 0x34, 0x56, 0x78]), zero.clone(), zero, bindings(values)].concat();
    wrap(1, &element(tag, &unit))
}

fn trap(agent: u8) -> Vec<u8> {
    let zero = element(INTEGER, &[0]);
    let name = element(OBJECT_IDENTIFIER, &[0x2b, 6]);
    let time = element(TIME_TICKS, &[1]);
    let unit = [name, address(agent), zero.clone(), zero, time, bindings(&[])].concat();
    wrap(0, &element(0xa4, &unit))
}

fn said(client: &str, server: &str, from: Direction, bytes: &[u8]) -> Wire {
    let mut wire = Wire::datagrams(&Snmp, client, server);
    wire.datagram(from, bytes);
    wire
}

/// What is mentioned: which end, and where.
fn mentions(wire: &Wire) -> Vec<(End, u64)> {
    let mention = |noted: &crate::transcript::Noted| match noted.action {
        Action::Mention(end, span, notation::ADDRESS) => Some((end, span.start)),
        _ => None,
    };
    wire.noted.iter().filter_map(mention).collect()
}

#[test]
fn the_subnet_may_answer_the_port_that_asked() {
    for tag in [GET, 0xa1, 0xa3, 0xa5] {
        let wire = said(MANAGER, EVERYONE, C, &message(tag, &[element(5, &[])]));
        let Action::Expect(_, expect) = &wire.noted[0].action else { panic!("{:?}", wire.noted) };
        let everyone = "10.0.5.255".parse().expect("an address");
        assert_eq!(expect.source, AddressMatch::Prefix(everyone, 23));
        assert_eq!(expect.source_port, PortMatch::Exact(161));
        assert_eq!((expect.destination_port, expect.timeout), (PortMatch::Exact(40000), Some(30)));
    }
    for silent in [message(RESPONSE, &[]), message(0xa7, &[]), trap(1)] {
        assert_eq!(said(MANAGER, EVERYONE, C, &silent).open_ports(), []);
    }
    assert_eq!(said(MANAGER, AGENT, C, &message(GET, &[])).open_ports(), []);
}

#[test]
fn version_3_is_answered_and_not_touched() {
    let number = |n: u8| element(INTEGER, &[n]);
    let version_3 = |flags: u8| {
        let global = [number(1), number(99), element(OCTET_STRING, &[flags]), number(3)].concat();
        let scoped = element(SEQUENCE, &address(131));
        let parts = [number(3), element(SEQUENCE, &global), element(OCTET_STRING, b""), scoped];
        element(SEQUENCE, &parts.concat())
    };
    let wire = said(MANAGER, EVERYONE, C, &version_3(4));
    assert_eq!((wire.open_ports(), mentions(&wire)), (vec![40000], vec![]));
    assert_eq!(said(MANAGER, EVERYONE, C, &version_3(0)).open_ports(), []);
}

#[test]
fn addresses_of_the_two_ends_are_located() {
    let bytes = message(RESPONSE, &[address(9), element(4, &[10, 0, 4, 9]), address(131), address(77)]);
    let at = |from: usize, last: u8| {
        let found = bytes[from..].windows(6).position(|w| w == [IP_ADDRESS, 4, 10, 0, 4, last]);
        (from + found.expect("in it") + 2) as u64
    };
    let wire = said(MANAGER, AGENT, S, &bytes);
    assert_eq!(mentions(&wire), [(End::Sender, at(0, 9)), (End::Peer, at(0, 131))]);
    let wire = said(MANAGER, AGENT, C, &bytes);
    assert_eq!(mentions(&wire), [(End::Peer, at(0, 9)), (End::Sender, at(0, 131))]);
    let wire = said(AGENT, MANAGER, C, &trap(9));
    assert_eq!(mentions(&wire).len(), 1);
    let many: Vec<Vec<u8>> = (0..100).map(|_| address(131)).collect();
    assert_eq!(mentions(&said(MANAGER, AGENT, C, &message(GET, &many))).len(), ADDRESS_LIMIT);
}

#[test]
fn the_nat_half_writes_four_bytes() {
    let encode = |field, endpoint: &str| {
        let mut out = Vec::new();
        SnmpNat.encode(field, endpoint.parse().expect("an endpoint"), &[], &mut out).map(|()| out)
    };
    assert_eq!(encode(notation::ADDRESS, "203.0.113.7:1"), Ok(vec![203, 0, 113, 7]));
    assert_eq!(encode(notation::ADDRESS, "[2001:db8::7]:1"), Err(Unencodable::AddressFamily));
    assert_eq!(encode(Field::Port(0), "203.0.113.7:1"), Err(Unencodable::Notation));
}

/// The trigger of CVE-2019-9162 (a length beyond the value) and its kind.
#[test]
fn malformed_messages_are_refused() {
    let good = message(GET, &[address(131)]);
    let blind = |bytes: &[u8]| {
        let wire = said(MANAGER, EVERYONE, C, bytes);
        assert_eq!(
            (wire.noted.as_slice(), wire.reader.blind()),
            (&[][..], Some(BlindReason::NotThisProtocol))
        );
    };
    for end in 0..good.len() {
        blind(&good[..end]);
    }
    blind(&[&good[..], &[0]].concat());
    for (offset, byte) in [(1, 0x80), (1, 0x85), (0, 0x1f), (0, 0x31), (4, 2)] {
        let mut bad = good.clone();
        bad[offset] = byte;
        blind(&bad);
    }
    blind(&message(GET, &[element(IP_ADDRESS, &[10, 0, 4])]));
    blind(&message(GET, &[element(IP_ADDRESS, &[])]));
    blind(&message(0xa9, &[]));
    blind(&wrap(2, &[]));
    blind(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]);
    let nested = (0..DEPTH_LIMIT + 2).fold(vec![], |inner, _| element(SEQUENCE, &inner));
    blind(&message(GET, &[nested]));
    let mut wire = said(MANAGER, EVERYONE, C, &good);
    wire.datagram(C, b"junk");
    assert_eq!((wire.refusals(), wire.reader.blind()), (vec![Refusal::Malformed], None));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..100),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        sound: bool,
    ) {
        if sound {
            bytes = message(GET, &[address(131), address(9)]);
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        let wire = said(MANAGER, EVERYONE, C, &bytes);
        for (_, start) in mentions(&wire) {
            prop_assert!(start + 4 <= bytes.len() as u64);
        }
    }
}
