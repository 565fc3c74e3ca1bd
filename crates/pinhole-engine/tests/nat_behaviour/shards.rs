//! Several engines behind one outer address, each as if it were alone: no two of them give one tuple, and answers have their home where the conn is.

use super::ftp::{C, Session};
use super::support::conversation::{ping, syn, udp};
use super::support::lab::{Lab, address};
use super::{ends, rules};
use pinhole_engine::{
    AddressRange, Filtering, NatBehaviour, PortMapping, Reason, Shard, Spread, Steering, Verdict,
};
use pinhole_track::{ConnId, Tuple};
use pinhole_wire::{IpVersion, Packet};
use proptest::prelude::*;
use std::collections::HashSet;
use std::net::SocketAddr;

const OUTER: [&str; 2] = ["203.0.113.7", "203.0.113.15"];
const INDEPENDENT: NatBehaviour = NatBehaviour {
    mapping: PortMapping::EndpointIndependent(Filtering::EndpointIndependent),
    parity: false,
    ports_per_host: None,
    hairpin: false,
};

fn range(first: &str, last: &str) -> AddressRange {
    let address = |text: &str| text.parse::<std::net::IpAddr>().unwrap().into();
    AddressRange::new(IpVersion::V4, address(first), address(last))
}

struct Shards {
    labs: Vec<Lab>,
    steering: Steering,
    opened: HashSet<(usize, ConnId)>,
    /// What answers bear.
    replies: HashSet<Tuple>,
}

impl Shards {
    fn new(count: u8, secret: u32, inside: bool, behaviour: NatBehaviour, after: &str) -> Self {
        let is_independent = behaviour.mapping != PortMapping::AddressAndPortDependent;
        let spread = if is_independent { Spread::ByInside } else { Spread::ByOutside };
        let inside = if inside { vec![range("10.0.0.0", "10.255.255.255")] } else { Vec::new() };
        let steering = Steering::new(count, secret, spread).with(inside, vec![range(OUTER[0], OUTER[1])]);
        let labs = (0..steering.count()).map(|index| {
            let mut settings = super::settings();
            settings.nat.behaviour = behaviour;
            let mut lab = Lab::new(settings, Some(&rules("", after)));
            lab.engine.set_shard(Some(Shard { index, steering: steering.clone() }));
            lab
        });
        Self { labs: labs.collect(), opened: HashSet::new(), replies: HashSet::new(), steering }
    }

    fn home(&self, datagram: &[u8]) -> usize {
        self.steering.of_tuple(&Tuple::of(&Packet::parse(datagram, 0).unwrap()))
    }

    /// The first packet of a conn, at its home. `false`: there is no port for it. A conn that begins twice is one conn.
    fn open(&mut self, datagram: &[u8]) -> bool {
        let home = self.home(datagram);
        let outcome = self.labs[home].send(datagram);
        if outcome.reason == Some(Reason::NatExhausted) {
            return false;
        }
        assert_eq!(outcome.verdict, Verdict::Accept, "{outcome:?}");
        let tracker = self.labs[home].engine.tracker();
        let reply = tracker.reply(outcome.conn.unwrap()).unwrap();
        let is_new = self.opened.insert((home, outcome.conn.unwrap()));
        assert_eq!(self.replies.insert(reply), is_new, "two conns answer to {reply:?}");
        assert_eq!(self.steering.of_tuple(&reply), home, "{reply:?} comes back to another shard");
        true
    }
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![Just(5000), Just(5001), Just(123), Just(600), Just(60_000), Just(325), 1u16.., 57_000u16..]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_two_shards_give_one_tuple(
        count in 1u8..9,
        secret in any::<u32>(),
        inside in any::<bool>(),
        way in 0..5,
        conns in prop::collection::vec((0u8..8, port(), 0u8..6, 0..3), 1..120),
    ) {
        let (behaviour, after) = match way {
            0 => (NatBehaviour::default(), "oifname \"wan\" masquerade"),
            1 => (NatBehaviour::default(), "oifname \"wan\" snat ip to 203.0.113.8-203.0.113.10"),
            2 => (NatBehaviour::default(), "oifname \"wan\" masquerade random"),
            3 => (NatBehaviour { parity: true, ..NatBehaviour::default() }, "oifname \"wan\" masquerade"),
            _ => (INDEPENDENT, "oifname \"wan\" masquerade"),
        };
        let mut shards = Shards::new(count, secret, inside, behaviour, after);
        for (host, port, server, kind) in conns {
            let from = SocketAddr::new([10, 0, 0, host].into(), port);
            // The firewall talks, too, with ports that it chooses without asking.
            let from = if host == 0 { SocketAddr::new([203, 0, 113, 7].into(), port) } else { from };
            let to = SocketAddr::new([192, 0, 2, server].into(), 53);
            let first = match kind {
                0 => syn(from, to),
                1 => udp(from, to, b"x"),
                _ => ping(from.ip(), to.ip(), port),
            };
            prop_assert!(shards.open(&first));
        }
    }
}

#[test]
fn a_source_keeps_its_port_at_home_unless_it_is_reserved() {
    let mut shards = Shards::new(4, 77, true, NatBehaviour::default(), "oifname \"wan\" masquerade");
    for server in 1..20 {
        let to = SocketAddr::new([192, 0, 2, server].into(), 80);
        assert!(shards.open(&syn(address("10.0.0.5:5000"), to)));
        assert!(shards.open(&syn(address("10.0.0.6:60000"), to)));
    }
    let kept = shards.replies.iter().filter(|reply| reply.destination_port == 5000).count();
    assert_eq!(kept, 19);
    assert!(shards.labs.iter().filter(|lab| lab.engine.nat_ports() > 0).count() > 1, "all have some");
}

/// The class of a shard is used to its last port, and not beyond.
#[test]
fn a_shard_that_is_not_home_uses_up_its_class() {
    let mut shards = Shards::new(2, 3, false, NatBehaviour::default(), "oifname \"wan\" masquerade");
    let to = address("192.0.2.9:80");
    let mut opened = [0, 0];
    for host in 1..=255 {
        for port in 5000..5040 {
            let first = syn(SocketAddr::new([10, 0, 0, host].into(), port), to);
            let home = shards.home(&first);
            opened[home] += usize::from(shards.open(&first));
        }
    }
    let away = opened.iter().min().unwrap();
    assert_eq!(*away, 4096, "half of the 8192 reserved ports: {opened:?}");
}

#[test]
fn all_conns_of_an_inner_end_have_one_outer_end_and_one_shard() {
    let mut shards = Shards::new(4, 99, true, INDEPENDENT, "oifname \"wan\" masquerade");
    let mut outer = HashSet::new();
    for server in 1..30 {
        let to = SocketAddr::new([192, 0, 2, server].into(), 53);
        let first = udp(address("10.0.0.5:5000"), to, b"x");
        let home = shards.home(&first);
        shards.labs[home].send(&first);
        outer.insert((home, ends(&shards.labs[home].left[0]).0));
    }
    assert_eq!(outer.len(), 1, "{outer:?}");
    let (home, end) = outer.into_iter().next().unwrap();
    // Somebody who was never asked finds it by its port.
    let inward = udp(address("198.51.100.1:9"), end, b"y");
    assert_eq!(shards.home(&inward), home);
    shards.labs[home].send(&inward);
    assert_eq!(ends(&shards.labs[home].left[0]).1, address("10.0.0.5:5000"));
}

/// Hosts that call each other through servers of different shards: DCC says where, to whoever it may be.
#[test]
fn what_anybody_may_come_to_is_announced_by_one_shard_alone() {
    let mut shards = Shards::new(4, 5, true, NatBehaviour::default(), "oifname \"wan\" masquerade");
    let mut announced = HashSet::new();
    for server in 1..40 {
        let to = format!("192.0.2.{server}:6667");
        let client = format!("10.0.0.{server}:4000");
        let home = shards.home(&syn(address(&client), address(&to)));
        let lab = &mut shards.labs[home];
        let mut session = Session::open(lab, &client, &to);
        let host = u32::from_be_bytes([10, 0, 0, server]);
        let line = format!("PRIVMSG bob :\u{1}DCC SEND file {host} 5000 10\u{1}\r\n");
        let seen = session.say(lab, C, line.as_bytes());
        let port: u16 = seen.split(' ').nth(6).unwrap().parse().unwrap();
        assert!(announced.insert(port), "{port} twice");
        let peer = syn(
            SocketAddr::new([198, 51, 100, server].into(), 7000),
            SocketAddr::new([203, 0, 113, 7].into(), port),
        );
        assert_eq!(shards.home(&peer), home, "{port}");
        shards.labs[home].send(&peer);
        assert_eq!(ends(&shards.labs[home].left[0]).1, address(&format!("10.0.0.{server}:5000")));
    }
}
