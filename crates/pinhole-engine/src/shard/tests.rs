//! Homes are the same whichever way a packet goes, and classes divide what is reserved.

use super::*;
use pinhole_helper::Span;
use proptest::prelude::*;
use std::net::SocketAddr;

fn steering(count: u8, secret: u32, spread: Spread) -> Steering {
    let range = |text: &str| text.parse::<Cidr>().unwrap().into();
    let inside = vec![range("10.0.0.0/8"), range("fd00::/8")];
    Steering::new(count, secret, spread).with(inside, vec![range("203.0.113.7/32"), range("2001:db8::7/128")])
}

fn spread() -> impl Strategy<Value = Spread> {
    prop_oneof![Just(Spread::ByOutside), Just(Spread::ByInside)]
}

fn address() -> impl Strategy<Value = Address> {
    let v4 = |octets: [u8; 4]| Address::v4(octets);
    prop_oneof![
        any::<[u8; 4]>().prop_map(v4),
        any::<u8>().prop_map(move |host| v4([10, 0, 0, host])),
        Just(v4([203, 0, 113, 7])),
    ]
}

proptest! {
    #[test]
    fn both_directions_have_one_home(
        count in 1u8..=MOST_SHARDS,
        secret in any::<u32>(),
        spread in spread(),
        ends in (address(), any::<u16>(), address(), any::<u16>()),
        protocol in prop_oneof![Just(Protocol::TCP), Just(Protocol::UDP), Just(Protocol::GRE)],
    ) {
        let steering = steering(count, secret, spread);
        let (source, source_port, destination, destination_port) = ends;
        let version = IpVersion::V4;
        let tuple = Tuple { source, destination, source_port, destination_port, protocol, version, zone: 0 };
        let home = steering.of_tuple(&tuple);
        prop_assert!(home < usize::from(count));
        if let Some(back) = tuple.inverse() {
            prop_assert_eq!(steering.of_tuple(&back), home);
        }
    }

    /// Each port of an outer address is one shard's to give, and that is where answers go.
    #[test]
    fn a_port_is_one_shards(
        count in 1u8..=MOST_SHARDS,
        secret in any::<u32>(),
        spread in spread(),
        remote in any::<[u8; 4]>().prop_filter("not outer", |a| *a != [203, 0, 113, 7]),
        source_port in any::<u16>(),
    ) {
        let steering = steering(count, secret, spread);
        let inner = Address::v4([10, 0, 0, 1]);
        let leaving = Tuple {
            source: Address::v4([203, 0, 113, 7]), destination: Address::v4(remote), source_port,
            destination_port: 80, protocol: Protocol::UDP, version: IpVersion::V4, zone: 0,
        };
        let givers: Vec<usize> = (0..steering.count())
            .filter(|&index| Shard { index, steering: steering.clone() }.may_give(inner, &leaving))
            .collect();
        prop_assert_eq!(givers, vec![steering.of_tuple(&leaving)]);
    }

    /// What may be taken is what may be given.
    #[test]
    fn parts_are_what_may_be_given(
        count in 1u8..=MOST_SHARDS,
        index in 0usize..32,
        spread in spread(),
        source in address(),
        range in any::<(u16, u16)>(),
        wish in any::<u16>(),
        start in any::<u16>(),
    ) {
        let steering = steering(count, 12_345, spread);
        let shard = Shard { index: index % steering.count(), steering };
        let leaving = |source_port| Tuple {
            source, destination: Address::v4([192, 0, 2, 1]), source_port,
            destination_port: 80, protocol: Protocol::TCP, version: IpVersion::V4, zone: 0,
        };
        let inner = Address::v4([10, 99, 99, 99]);
        let range = PortRange { first: range.0.min(range.1), last: range.0.max(range.1) };
        let parts: Vec<PortRange> = shard.parts(&leaving(0), range, Some(wish), start).collect();
        let taken = |port| parts.iter().filter(|part| contains(part, port)).count();
        for port in (range.first..=range.last).step_by(7) {
            prop_assert_eq!(taken(port), usize::from(shard.may_give(inner, &leaving(port))), "{}", port);
        }
        if taken(wish) > 0 {
            prop_assert!(contains(&parts[0], wish), "the wish is tried first");
        }
    }

    #[test]
    fn what_is_announced_to_anybody_is_one_shards(count in 1u8..=MOST_SHARDS, width in 1u16..9, draw in any::<u64>()) {
        let steering = steering(count, 1, Spread::ByOutside);
        for index in 0..steering.count() {
            let shard = Shard { index, steering: steering.clone() };
            let to = SocketAddr::new([203, 0, 113, 7].into(), 0);
            let mut expect = Expect::to(Protocol::TCP, AddressMatch::Any, to, Span { start: 0, end: 0 });
            let first = shard.announced(&expect, width, draw).unwrap();
            expect.destination_port = PortMatch::Range(first, first + (width - 1));
            prop_assert!(shard.may_expect(&expect), "{} of {}", first, index);
            for other in (0..steering.count()).filter(|other| *other != index) {
                let other = Shard { index: other, steering: steering.clone() };
                prop_assert!(!other.may_expect(&expect));
            }
        }
    }

    /// Whatever is in a frame, it has a home.
    #[test]
    fn every_frame_has_a_home(frame in prop::collection::vec(any::<u8>(), 0..200), kind in 0..3) {
        let mut frame = frame;
        if kind > 0 && let Some(place) = frame.get_mut(12..14) {
            place.copy_from_slice(if kind == 1 { &[8, 0] } else { &[0x86, 0xdd] });
        }
        prop_assert!(steering(3, 5, Spread::ByOutside).of_frame(&frame) < 3);
    }
}
