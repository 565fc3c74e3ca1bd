//! What a NAT must and must not do, against the whole engine: the ideas of FreeBSD's libalias tests and NPF's (masquerading, equal ports,
//! nothing comes in unasked, hairpins, exhausted port ranges, a stress of 30,000 packets), and the attacks on helpers that need NAT.
//!
//! | idea | from | where |
//! |---|---|---|
//! | masquerade, answers find back | libalias `1_instance`, `2_natout`; NPF nat | `conns::a_masqueraded_conn_…` |
//! | same ports of two hosts | libalias; NPF | `conns::equal_ports_…`, `conns::a_low_port_stays_low` |
//! | a source's other mapping is used again | netfilter (`nft_nat.sh`) | `conns::a_source_keeps_…`, `conns::of_several_addresses_…`, `kernel_translation` |
//! | nothing comes in unasked | libalias `3_natin` (deny incoming) | `conns::nothing_comes_in_unasked` |
//! | redirect, port forwarding | libalias `3_natin`; NPF rdr | `conns::a_forwarded_port_…`; tests `nat::headers` |
//! | endpoint-independent mapping, and inbound through it | libalias (EIM) | `independent` |
//! | parity, blocks (CGN) | libalias (CGN) | `independent` |
//! | hairpin | libalias | `conns::a_hairpin_…`, `independent::inside_hosts_…`, `ftp::both_ends_…` |
//! | port range exhaustion | libalias; OVS 7491 | `conns::an_exhausted_range_…`, `stress::a_pool_gives_its_last_port_…` |
//! | several shards | – | `shards` |
//! | 30,000 packets | libalias | `stress` |
//! | tuples that clash (netfilter's clash and reverse clash cases) | kernel selftests | `conns::a_clash_…`, `independent::a_clash_…`; tests `nat::headers::packets_that_bear_…`, `kernel_translation` |
//! | a payload that grows and shrinks (reverse skew) | OVS 8610 | `ftp::texts_grow_…`; test `nat_stream` |
//!
//! Attacks, by their numbers in `shared/reference/helpers.md` §4.3, as far as they need NAT (the others: test `attacks`):
//!
//! | number | attack | where |
//! |---|---|---|
//! | 1 | bounce to a third host | `attacks::a_third_host_…` |
//! | 3, 5 | an acknowledgement of a part, so that only the rewritten part is read; a segment out of the window | test `nat_stream` (cut anew at random); `attacks::an_overlap_…` |
//! | 6 | overlap with other data | `attacks::an_overlap_…` |
//! | 15 | exhaustion: expectations of others behind one address; lines held | `ftp::a_host_s_announcements_…`; `attacks::held_lines_…`, `attacks::a_host_cannot_use_up_…` |
//! | 19 | an expectation after its port was given to another | `attacks::a_port_that_was_announced_…` |
//! | 21 | ICMP errors about an expected conn | test `nat::transports` (errors about every kind of conn) |
//! | 23 | two hosts claim one port | `attacks::a_host_cannot_take_…` |
//! | – | a refused announcement is sent again | `ftp::a_refused_announcement_…`, `ftp::what_is_held_of_…` |
//! | – | differences that add up beyond 16 bits | `attacks::differences_add_up_…`; beyond 32: `pinhole-nat`, `adjust::tests` |
//!
//! The network of all tests: 10.0.0.0/8 inside, the firewall's 203.0.113.7 outside, servers in 192.0.2.0/24.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod attacks;
mod conns;
mod ftp;
mod independent;
mod shards;
mod stress;
#[path = "../support/mod.rs"]
mod support;

use pinhole_engine::{NatHelpers, Outcome, Settings, Verdict};
use pinhole_wire::{Packet, Protocol};
use std::net::SocketAddr;
use support::lab::{Lab, address};

const PUBLIC: &str = "203.0.113.7";
const SERVER: &str = "192.0.2.1:80";

/// Settings with interfaces lan and wan and all NAT helpers.
fn settings() -> Settings {
    let mut settings = Settings::default();
    let wan = settings.topology.add_interface("wan", "0.0.0.0/0".parse().unwrap());
    settings.topology.add_interface("lan", "10.0.0.0/8".parse().unwrap());
    settings.topology.add_local(PUBLIC.parse().unwrap());
    settings.nat.addresses.push((wan, PUBLIC.parse().unwrap()));
    settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
    settings
}

fn lab(before: &str, after: &str) -> Lab {
    Lab::new(settings(), Some(&rules(before, after)))
}

/// Nothing comes in unasked; `before` and `after` are the rules of the NAT chains.
fn rules(before: &str, after: &str) -> String {
    format!(
        r#"table inet firewall {{
                ct helper ftp-reader {{ type "ftp" protocol tcp; }}
                ct helper irc-reader {{ type "irc" protocol tcp; }}
                chain input {{ type filter hook input priority filter; policy drop; }}
                chain forward {{
                    type filter hook forward priority filter; policy drop;
                    ct state established,related accept
                    ct state new tcp dport {{ 21, 2121 }} ct helper set "ftp-reader"
                    ct state new tcp dport 6667 ct helper set "irc-reader"
                    iifname "lan" accept
                    ct status dnat accept
                }}
                chain prerouting {{ type nat hook prerouting priority dstnat; {before}
                }}
                chain postrouting {{ type nat hook postrouting priority srcnat; {after}
                }}
            }}"#
    )
}

fn masquerading() -> Lab {
    lab("", "oifname \"wan\" masquerade")
}

/// The ends of a datagram.
fn ends(datagram: &[u8]) -> (SocketAddr, SocketAddr) {
    let packet = Packet::parse(datagram, 0).unwrap();
    let ports = if matches!(packet.protocol, Protocol::ICMP) {
        (0, 0)
    } else {
        (packet.source_port().unwrap_or(0), packet.destination_port().unwrap_or(0))
    };
    let end = |address: pinhole_wire::Address, port| SocketAddr::new(address.ip(packet.version), port);
    (end(packet.source, ports.0), end(packet.destination, ports.1))
}

/// Sends a datagram that must be accepted and leave as one; returns that.
fn pass(lab: &mut Lab, datagram: &[u8]) -> Vec<u8> {
    let outcome = lab.send(datagram);
    assert_eq!(outcome.verdict, Verdict::Accept, "{:?}: {outcome:?}", ends(datagram));
    assert_eq!(lab.left.len(), 1, "{:?}", ends(datagram));
    let left = lab.left[0].clone();
    let packet = Packet::parse(&left, 0).unwrap();
    assert_ne!(pinhole_wire::checksum::verify_transport(&packet, &left), pinhole_wire::Checksum::Bad);
    left
}

/// As [`pass`], by the ends alone.
fn leaves(lab: &mut Lab, datagram: &[u8]) -> (SocketAddr, SocketAddr) {
    let left = pass(lab, datagram);
    ends(&left)
}

/// A datagram that must not pass.
fn stopped(lab: &mut Lab, datagram: &[u8]) -> Outcome {
    let outcome = lab.send(datagram);
    assert_ne!(outcome.verdict, Verdict::Accept, "{:?}: {outcome:?}", ends(datagram));
    assert!(lab.left.is_empty());
    outcome
}

/// Ends as text.
fn from_to(source: &str, destination: &str) -> (SocketAddr, SocketAddr) {
    (address(source), address(destination))
}
