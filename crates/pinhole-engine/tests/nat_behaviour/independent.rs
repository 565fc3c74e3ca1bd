//! Ports given in other ways than netfilter's: endpoint-independent mappings, filters, parity, blocks, hairpins (RFC 4787, 5382, 5508, 6888).

use super::support::conversation::{ping, syn, udp};
use super::support::lab::{Lab, address};
use super::{from_to, leaves, stopped};
use pinhole_engine::{Filtering, NatBehaviour, PortMapping, Reason};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

const INDEPENDENT: NatBehaviour = NatBehaviour {
    mapping: PortMapping::EndpointIndependent(Filtering::AddressAndPortDependent),
    parity: false,
    ports_per_host: None,
    hairpin: false,
};

fn filtered(filtering: Filtering) -> NatBehaviour {
    NatBehaviour { mapping: PortMapping::EndpointIndependent(filtering), ..INDEPENDENT }
}

fn masquerading(behaviour: NatBehaviour) -> Lab {
    let mut settings = super::settings();
    settings.nat.behaviour = behaviour;
    Lab::new(settings, Some(&super::rules("", "oifname \"wan\" masquerade")))
}

fn outer(lab: &mut Lab, host: &str, server: &str) -> SocketAddr {
    leaves(lab, &udp(address(host), address(server), b"x")).0
}

/// RFC 4787 REQ-1, RFC 5382 REQ-1.
#[test]
fn all_conns_of_an_inner_end_have_one_outer_end() {
    let mut lab = masquerading(INDEPENDENT);
    let first = outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53");
    assert_eq!(first, address("203.0.113.7:5000"));
    let second = outer(&mut lab, "10.0.0.6:5000", "192.0.2.2:53");
    assert_ne!(second.port(), 5000, "no two inner ends share a port, whatever their servers");
    for server in ["192.0.2.1:53", "192.0.2.2:54", "192.0.2.3:53"] {
        assert_eq!(outer(&mut lab, "10.0.0.5:5000", server), first);
        assert_eq!(outer(&mut lab, "10.0.0.6:5000", server), second);
    }
    let open = syn(address("10.0.0.6:5000"), address("192.0.2.1:80"));
    assert_eq!(leaves(&mut lab, &open).0, address("203.0.113.7:5000"), "TCP's ports are TCP's own");
    assert_eq!((lab.engine.nat_mappings(), lab.engine.nat_ports()), (3, 3));
    lab.wait(600);
    assert_eq!((lab.engine.nat_mappings(), lab.engine.nat_ports()), (0, 0));
}

/// RFC 5508 REQ-1.
#[test]
fn identifiers_of_queries_are_mapped_likewise() {
    let mut lab = masquerading(INDEPENDENT);
    let mut id = |host: &str, server: &str| {
        let left = super::pass(&mut lab, &ping(host.parse().unwrap(), server.parse().unwrap(), 7));
        u16::from_be_bytes([left[24], left[25]])
    };
    assert_eq!(id("10.0.0.5", "192.0.2.1"), 7);
    let other = id("10.0.0.6", "192.0.2.2");
    assert_ne!(other, 7);
    assert_eq!(id("10.0.0.6", "192.0.2.1"), other);
}

/// RFC 4787 REQ-8, RFC 5382 REQ-3.
#[test]
fn filters_say_who_gets_in() {
    for (filtering, same_address, another) in [
        (Filtering::AddressAndPortDependent, false, false),
        (Filtering::AddressDependent, true, false),
        (Filtering::EndpointIndependent, true, true),
    ] {
        let mut lab = masquerading(filtered(filtering));
        outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53");
        for (remote, gets_in) in [("192.0.2.1:999", same_address), ("192.0.2.9:53", another)] {
            let inward = udp(address(remote), address("203.0.113.7:5000"), b"y");
            if !gets_in {
                stopped(&mut lab, &inward);
                continue;
            }
            assert_eq!(leaves(&mut lab, &inward), from_to(remote, "10.0.0.5:5000"));
            let answer = udp(address("10.0.0.5:5000"), address(remote), b"z");
            assert_eq!(leaves(&mut lab, &answer), from_to("203.0.113.7:5000", remote));
        }
        // Ports that stand for nobody stay shut, and so does the other protocol's port.
        stopped(&mut lab, &udp(address("192.0.2.1:53"), address("203.0.113.7:5001"), b"y"));
        stopped(&mut lab, &syn(address("192.0.2.1:53"), address("203.0.113.7:5000")));
    }
}

#[test]
fn tcp_conns_come_in_through_a_mapping_of_tcp() {
    let mut lab = masquerading(filtered(Filtering::EndpointIndependent));
    leaves(&mut lab, &syn(address("10.0.0.5:5000"), address("192.0.2.1:80")));
    let inward = syn(address("192.0.2.9:4000"), address("203.0.113.7:5000"));
    assert_eq!(leaves(&mut lab, &inward), from_to("192.0.2.9:4000", "10.0.0.5:5000"));
}

/// RFC 7857 §6: what a mapping let in keeps it, what the rules dropped does not.
#[test]
fn a_mapping_lasts_as_long_as_a_conn_uses_it() {
    let mut lab = masquerading(filtered(Filtering::EndpointIndependent));
    let first = outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53");
    let inward = udp(address("192.0.2.9:53"), first, b"y");
    leaves(&mut lab, &inward);
    for _ in 0..10 {
        lab.wait(20);
        leaves(&mut lab, &inward);
    }
    // The conn that made it is long over; nobody else gets the port meanwhile.
    assert_ne!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.2:53"), first);
    assert_eq!(outer(&mut lab, "10.0.0.5:5000", "192.0.2.3:53"), first);
    lab.wait(600);
    assert_eq!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.2:53"), first);
    stopped(&mut lab, &udp(address("192.0.2.9:53"), address("203.0.113.7:5001"), b"y"));
}

/// The rules have the last word about what a mapping lets in, and a rule that translates comes before it.
#[test]
fn rules_come_before_mappings_and_judge_what_they_let_in() {
    let mut settings = super::settings();
    settings.nat.behaviour = filtered(Filtering::EndpointIndependent);
    let rules =
        super::rules("udp dport 5000 ip daddr 203.0.113.7 dnat ip to 10.0.0.8", "oifname \"wan\" masquerade")
            .replace("ct status dnat accept", "ct status dnat udp dport 5000 accept");
    let mut lab = Lab::new(settings, Some(&rules));
    assert_eq!(outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53").port(), 5000);
    assert_eq!(outer(&mut lab, "10.0.0.5:6000", "192.0.2.1:53").port(), 6000);
    let to = |port: u16| udp(address("192.0.2.9:53"), address(&format!("203.0.113.7:{port}")), b"y");
    assert_eq!(leaves(&mut lab, &to(5000)).1, address("10.0.0.8:5000"));
    let dropped = stopped(&mut lab, &to(6000));
    assert!(dropped.rule.is_some(), "{dropped:?}");
}

/// RFC 4787 REQ-9.
#[test]
fn inside_hosts_reach_each_other_by_their_outer_ends() {
    let mut lab = masquerading(NatBehaviour { hairpin: true, ..filtered(Filtering::AddressDependent) });
    let (first, second) = ("10.0.0.5:5000", "10.0.0.6:5001");
    let (outer_first, outer_second) =
        (outer(&mut lab, first, "192.0.2.1:53"), outer(&mut lab, second, "192.0.2.1:53"));
    // Not before the one asked has a conn to the outer address itself.
    stopped(&mut lab, &udp(address(second), outer_first, b"x"));
    let asks = udp(address(first), outer_second, b"x");
    assert_eq!(lab.send(&asks).verdict, pinhole_engine::Verdict::Drop);
    let mut lab = masquerading(NatBehaviour { hairpin: true, ..filtered(Filtering::EndpointIndependent) });
    assert_eq!(outer(&mut lab, second, "192.0.2.1:53"), outer_second);
    // The first has no mapping yet: it gets one, and its peer sees its outer end.
    assert_eq!(leaves(&mut lab, &asks), (outer_first, address(second)));
    let answer = udp(address(second), outer_first, b"y");
    assert_eq!(leaves(&mut lab, &answer), (outer_second, address(first)));
    assert_eq!(outer(&mut lab, first, "192.0.2.1:53"), outer_first);
    // Without the switch the peer would answer past the NAT.
    let mut lab = masquerading(filtered(Filtering::EndpointIndependent));
    outer(&mut lab, second, "192.0.2.1:53");
    assert_eq!(leaves(&mut lab, &asks).0, address(first));
}

/// RFC 4787 §4.2.2 and §4.2.3.
#[test]
fn parity_is_kept_and_rtcp_follows_rtp() {
    let mut lab = masquerading(NatBehaviour { parity: true, ..INDEPENDENT });
    for port in [5000, 5001] {
        assert_eq!(outer(&mut lab, &format!("10.0.0.5:{port}"), "192.0.2.1:53").port(), port);
    }
    for host in 6..40 {
        let rtp = outer(&mut lab, &format!("10.0.0.{host}:5000"), "192.0.2.1:53").port();
        assert_eq!(rtp % 2, 0);
        assert_eq!(outer(&mut lab, &format!("10.0.0.{host}:5001"), "192.0.2.1:54").port(), rtp + 1);
    }
    // As netfilter maps, parity is kept alike.
    let mut lab = masquerading(NatBehaviour { parity: true, ..NatBehaviour::default() });
    for host in 5..40 {
        assert_eq!(outer(&mut lab, &format!("10.0.0.{host}:5001"), "192.0.2.1:53").port() % 2, 1);
    }
}

/// RFC 6888 REQ-4, RFC 7422.
#[test]
fn each_host_has_its_block_and_no_more() {
    for mapping in [PortMapping::default(), INDEPENDENT.mapping] {
        let ports_per_host = std::num::NonZeroU16::new(16);
        let mut lab = masquerading(NatBehaviour { mapping, ports_per_host, ..NatBehaviour::default() });
        let mut blocks = HashSet::new();
        for host in 1..=40 {
            let ports: HashSet<u16> = (0..16)
                .map(|i| outer(&mut lab, &format!("10.0.0.{host}:{}", 5000 + i), "192.0.2.1:53").port())
                .collect();
            assert_eq!(ports.len(), 16);
            let number = |port: &u16| (port - 1024) / 16;
            let block: HashSet<u16> = ports.iter().map(number).collect();
            assert_eq!(block.len(), 1, "one block");
            assert!(block.iter().all(|block| blocks.insert(*block)), "another host's block");
            let more = udp(address(&format!("10.0.0.{host}:6000")), address("192.0.2.1:53"), b"x");
            assert_eq!(stopped(&mut lab, &more).reason, Some(Reason::NatExhausted));
        }
        lab.wait(600);
        assert_eq!((lab.engine.nat_mappings(), lab.engine.nat_ports()), (0, 0));
    }
}

#[test]
fn a_range_that_a_rule_names_is_divided_too() {
    let mut settings = super::settings();
    settings.nat.behaviour.ports_per_host = std::num::NonZeroU16::new(100);
    let rules = super::rules("", "ip protocol udp snat ip to 203.0.113.7:20000-20199");
    let mut lab = Lab::new(settings, Some(&rules));
    let mut ports = HashMap::new();
    for host in ["10.0.0.5", "10.0.0.6"] {
        let port = outer(&mut lab, &format!("{host}:5000"), "192.0.2.1:53").port();
        ports.insert((port - 20_000) / 100, host);
    }
    assert_eq!(ports.len(), 2, "{ports:?}");
    let third = udp(address("10.0.0.7:5000"), address("192.0.2.1:53"), b"x");
    assert_eq!(stopped(&mut lab, &third).reason, Some(Reason::NatExhausted));
}

/// Two of an inner end's conns that would leave alike: the second gets a port of its own.
#[test]
fn a_clash_of_an_inner_end_with_itself_is_told_apart() {
    let mut settings = super::settings();
    settings.nat.behaviour = INDEPENDENT;
    let rules = super::rules("ip daddr 198.51.100.1 dnat ip to 192.0.2.1", "oifname \"wan\" masquerade");
    let mut lab = Lab::new(settings, Some(&rules));
    let first = outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53");
    let second = outer(&mut lab, "10.0.0.5:5000", "198.51.100.1:53");
    assert_ne!(first, second);
    let answer = |end: SocketAddr| udp(address("192.0.2.1:53"), end, b"y");
    assert_eq!(leaves(&mut lab, &answer(first)).0, address("192.0.2.1:53"));
    assert_eq!(leaves(&mut lab, &answer(second)).0, address("198.51.100.1:53"));
}
