//! What the NAT half is told, and what it writes there.

use super::encoder::{self, Call, Carries, Media};
use super::*;
use crate::h323::{H323Nat, notation};
use Direction::{Original, Reply};
use pinhole_helper::{NatHelper, Unencodable};

const CALLER_OCTETS: [u8; 6] = [10, 0, 0, 1, 0x9c, 0x40];

fn actions(wire: &Wire) -> Vec<Action> {
    wire.noted.iter().map(|noted| noted.action.clone()).collect()
}

#[test]
fn the_ends_are_mentioned() {
    let setup = encoder::setup(
        1,
        &Call { destination: Some(at(CALLED)), source: Some(at(CALLER)), ..Call::default() },
    );
    let wire = call(&[(Original, &setup)]);
    assert_eq!(
        located(&actions(&wire), &setup),
        [
            (Some(End::Peer), notation::IPV4, &[192, 0, 2, 2, 6, 0xb8][..]),
            (Some(End::Sender), notation::IPV4, &CALLER_OCTETS[..]),
        ]
    );
}

#[test]
fn every_place_of_an_endpoint_is_located() {
    let fast_start = vec![
        encoder::channel(1, Carries::Audio, only_control("10.0.0.1:5001"), None),
        encoder::channel(2, Carries::Video, only_control("10.0.0.1:5001"), None),
    ];
    let setup = encoder::setup(1, &Call { fast_start, ..Call::default() });
    let wire = call(&[(Original, &setup)]);
    let place = (None, notation::IPV4, &[10, 0, 0, 1, 0x13, 0x89][..]);
    assert_eq!(located(&actions(&wire), &setup), [place, place]);
    assert_eq!(of(&wire).len(), 1);
}

#[test]
fn an_answer_that_repeats_the_receivers_address_names_it() {
    let receive = Some(media("10.0.0.1:5000", "10.0.0.1:5001"));
    let proposal = vec![encoder::channel(2, Carries::Audio, Media::default(), receive)];
    let setup = encoder::setup(9, &Call { fast_start: proposal, ..Call::default() });
    let answer = Some(media("10.0.0.1:5000", "192.0.2.2:6001"));
    let accepted = vec![encoder::channel(2, Carries::Audio, Media::default(), answer)];
    let connect = encoder::connect(9, &Call { fast_start: accepted, ..Call::default() });
    let wire = call(&[(Original, &setup), (Reply, &connect)]);
    let replied: Vec<Action> =
        wire.noted.iter().filter(|noted| noted.from == Reply).map(|noted| noted.action.clone()).collect();
    assert_eq!(
        located(&replied, &connect),
        [
            (Some(End::Peer), notation::IPV4_ADDRESS, &[10, 0, 0, 1][..]),
            (None, notation::IPV4, &[192, 0, 2, 2, 0x17, 0x71][..]),
        ]
    );
}

#[test]
fn ipv6_endpoints_take_eighteen_octets() {
    let open = encoder::tpkt(&encoder::open(1, Carries::Audio, only_control("[2001:db8::1]:5001")));
    let wire = run(&H245, CALLER_6, "[2001:db8:2::2]:30000", &[(Original, &open)]);
    let actions = actions(&wire);
    let places = located(&actions, &open);
    let [(None, notation::IPV6, octets)] = places[..] else { panic!("{places:?}") };
    assert_eq!(octets, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x13, 0x89]);
}

#[test]
fn ras_mentions_its_ends() {
    let mut ras = Datagrams::open("10.0.0.1:1719", "192.0.2.9:1719", Policy::default());
    let request =
        encoder::registration_request(1, &[at("10.0.0.1:1720")], &[at("10.0.0.1:1719")], None, false);
    let said = ras.say(Original, &request);
    assert_eq!(
        located(&said, &request),
        [
            (Some(End::Sender), notation::IPV4, &[10, 0, 0, 1, 6, 0xb7][..]),
            (None, notation::IPV4, &[10, 0, 0, 1, 6, 0xb8][..]),
        ]
    );
}

fn encode(field: Field, endpoint: &str) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::new();
    H323Nat::Q931.encode(field, at(endpoint), &[], &mut out).map(|()| out)
}

#[test]
fn endpoints_are_written_as_they_are_read() {
    assert_eq!(encode(notation::IPV4, "203.0.113.7:32803"), Ok(vec![203, 0, 113, 7, 0x80, 0x23]));
    assert_eq!(encode(notation::IPV4_ADDRESS, "203.0.113.7:32803"), Ok(vec![203, 0, 113, 7]));
    let six = encode(notation::IPV6, "[2001:db8::7]:5001").unwrap();
    assert_eq!((six.len(), &six[15..]), (18, &[7, 0x13, 0x89][..]));
    assert_eq!(encode(notation::IPV6_ADDRESS, "[2001:db8::7]:1").unwrap().len(), 16);
    assert_eq!(encode(notation::IPV4, "[2001:db8::7]:1"), Err(Unencodable::AddressFamily));
    assert_eq!(encode(notation::IPV6, "203.0.113.7:1"), Err(Unencodable::AddressFamily));
    assert_eq!(encode(Field::Port(0), "203.0.113.7:1"), Err(Unencodable::Notation));
}

#[test]
fn each_helper_has_its_nat_half() {
    let halves = [&H323Nat::RAS, &H323Nat::Q931, &H323Nat::H245].map(NatHelper::name);
    let helpers: [&dyn Helper; 3] = [&Ras, &Q931, &H245];
    assert_eq!(halves, helpers.map(|helper| helper.spec().name));
}
