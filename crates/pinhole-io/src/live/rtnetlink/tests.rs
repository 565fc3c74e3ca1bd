//! Messages as the kernel writes them, and as it never would.

use super::read::{Change, Neighbour, NeighbourState, NextHop, RouteKind, changes};
use super::{Message, attribute};
use proptest::prelude::*;
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn one(message: &Message) -> Change {
    let mut changes = changes(&message.finish());
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.remove(0)
}

#[test]
fn a_link_has_a_name_an_address_and_an_mtu() {
    // Ethernet, number 7, up with a carrier.
    let header = [0, 0, 1, 0, 7, 0, 0, 0, 0x43, 0, 1, 0, 0, 0, 0, 0];
    let message = Message::new(16, 0, &header)
        .with(3, b"lan0\0")
        .with(4, &1500u32.to_ne_bytes())
        .with(1, &[2, 0, 0, 0, 0, 9]);
    let Change::Link(link) = one(&message) else { panic!("no link") };
    assert_eq!((link.index, link.name.as_str(), link.mtu, link.up), (7, "lan0", 1500, true));
    assert_eq!(link.address, Some([2, 0, 0, 0, 0, 9]));
}

#[test]
fn an_address_that_is_not_to_be_used_is_not_global() {
    let address = |scope, flags: u32| {
        let header = [2, 24, 0, scope, 7, 0, 0, 0];
        let message = Message::new(20, 0, &header).with(1, &[10, 0, 0, 2]).with(2, &[10, 0, 0, 1]);
        let Change::Address(address) = one(&message.with(8, &flags.to_ne_bytes())) else {
            panic!("no address")
        };
        assert_eq!((address.interface, address.address), (7, ip("10.0.0.1")));
        address.global
    };
    assert!(address(0, 0x80));
    assert!(!address(253, 0x80), "of the link only");
    assert!(!address(0, 0x40), "tentative");
    assert!(!address(0, 0x20), "deprecated");
}

#[test]
fn routes_of_one_way_and_of_several() {
    // To 10.0.0.0/8, of table main.
    let header = [2, 8, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    let message = || Message::new(24, 0, &header).with(1, &[10, 0, 0, 0]).with(6, &100u32.to_ne_bytes());
    let metrics = attribute(2, &1400u32.to_ne_bytes());
    let single = message().with(4, &7u32.to_ne_bytes()).with(5, &[192, 0, 2, 1]).with(8, &metrics);
    let Change::Route(route) = one(&single) else { panic!("no route") };
    assert_eq!((route.table, route.length, route.metric, route.mtu), (254, 8, 100, Some(1400)));
    assert_eq!((route.destination, route.kind), (ip("10.0.0.0"), RouteKind::Unicast));
    assert_eq!(route.hops, [NextHop { interface: 7, gateway: Some(ip("192.0.2.1")) }]);

    let hop = |interface: u8, flags: u8, router: &[u8]| {
        let attributes = attribute(5, router);
        [&[8 + attributes.len() as u8, 0, flags, 0, interface, 0, 0, 0], &attributes[..]].concat()
    };
    let via_six = attribute(18, &[&[10, 0][..], &[0xfe, 0x80], &[0; 13], &[1]].concat());
    let six = [&[8 + via_six.len() as u8, 0, 0, 0, 9, 0, 0, 0], &via_six[..]].concat();
    let hops = [hop(7, 0, &[192, 0, 2, 1]), hop(8, 16, &[192, 0, 2, 2]), six].concat();
    let Change::Route(route) = one(&message().with(9, &hops)) else { panic!("no route") };
    let alive = [(7, "192.0.2.1"), (9, "fe80::1")]
        .map(|(interface, gateway)| NextHop { interface, gateway: Some(ip(gateway)) });
    assert_eq!(route.hops, alive, "the second has no carrier");
}

#[test]
fn a_default_route_has_no_destination() {
    let header = [10, 0, 0, 0, 254, 3, 0, 7, 0, 0, 0, 0];
    let Change::Route(route) = one(&Message::new(24, 0, &header)) else { panic!("no route") };
    assert_eq!((route.destination, route.length, route.kind), (ip("::"), 0, RouteKind::Unreachable));
}

#[test]
fn neighbours_come_and_go() {
    let state = |kind, state: u8, link: &[u8]| {
        let header = [2, 0, 0, 0, 7, 0, 0, 0, state, 0, 0, 1];
        let message = Message::new(kind, 0, &header).with(1, &[10, 0, 0, 2]);
        let message = if link.is_empty() { message } else { message.with(2, link) };
        let Change::Neighbour(Neighbour { interface: 7, address, state }) = one(&message) else {
            panic!("no neighbour")
        };
        assert_eq!(address, ip("10.0.0.2"));
        state
    };
    let link = [2, 0, 0, 0, 0, 2];
    assert_eq!(state(28, 2, &link), NeighbourState::Reachable(link));
    assert_eq!(state(28, 0x80, &link), NeighbourState::Reachable(link));
    assert_eq!(state(28, 4, &link), NeighbourState::Stale(link));
    assert_eq!(state(28, 1, &[]), NeighbourState::Incomplete);
    assert_eq!(state(28, 0x20, &[]), NeighbourState::Failed);
    assert_eq!(state(29, 4, &link), NeighbourState::Gone);
}

#[test]
fn what_is_gone_changes_the_layout() {
    for kind in [17, 21, 25] {
        assert_eq!(one(&Message::new(kind, 0, &[0; 16])), Change::Layout);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        changes(&bytes);
    }

    #[test]
    fn any_attributes_are_read_without_harm(
        kind in prop_oneof![Just(16u16), Just(20), Just(24), Just(28)],
        header in proptest::collection::vec(any::<u8>(), 0..20),
        attributes in proptest::collection::vec((0u16..20, proptest::collection::vec(any::<u8>(), 0..24)), 0..8),
    ) {
        let mut message = Message::new(kind, 0, &header);
        for (kind, value) in &attributes {
            message = message.with(*kind, value);
        }
        prop_assert!(changes(&message.finish()).len() <= 1);
    }
}
