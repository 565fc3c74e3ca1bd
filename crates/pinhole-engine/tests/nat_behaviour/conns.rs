//! Headers: which conn gets which address and port, and what comes back.

use super::support::conversation::{syn, udp};
use super::{SERVER, from_to, lab, leaves, masquerading, stopped};
use crate::support::lab::address;
use pinhole_engine::{Reason, Verdict};

#[test]
fn a_masqueraded_conn_keeps_its_port_and_gets_its_answers() {
    let mut lab = masquerading();
    let query = udp(address("10.0.0.5:5000"), address("192.0.2.1:53"), b"query");
    assert_eq!(leaves(&mut lab, &query), from_to("203.0.113.7:5000", "192.0.2.1:53"));
    let answer = udp(address("192.0.2.1:53"), address("203.0.113.7:5000"), b"answer");
    assert_eq!(leaves(&mut lab, &answer), from_to("192.0.2.1:53", "10.0.0.5:5000"));
    assert_eq!(leaves(&mut lab, &query), from_to("203.0.113.7:5000", "192.0.2.1:53"));
}

#[test]
fn equal_ports_of_two_hosts_are_told_apart_where_they_must_be() {
    let mut lab = masquerading();
    let outer = |lab: &mut _, host: &str, server: &str| {
        leaves(lab, &udp(address(host), address(server), b"x")).0.port()
    };
    assert_eq!(outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53"), 5000);
    let other = outer(&mut lab, "10.0.0.6:5000", "192.0.2.1:53");
    assert_ne!(other, 5000);
    assert!(other >= 1024, "a port of its own class: {other}");
    // To another server the port is free, but the source has another one now, and keeps it where it can, as in netfilter.
    assert_eq!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.2:53"), other);
    assert_eq!(outer(&mut lab, "10.0.0.7:5000", "192.0.2.3:53"), 5000, "a port serves several servers");
    // Each answer finds its host.
    let answer = |port: u16| udp(address("192.0.2.1:53"), address(&format!("203.0.113.7:{port}")), b"y");
    assert_eq!(leaves(&mut lab, &answer(5000)).1, address("10.0.0.5:5000"));
    assert_eq!(leaves(&mut lab, &answer(other)).1, address("10.0.0.6:5000"));
}

#[test]
fn a_source_keeps_its_other_port_as_long_as_a_conn_has_it() {
    let mut lab = masquerading();
    let outer = |lab: &mut _, host: &str, server: &str| {
        leaves(lab, &udp(address(host), address(server), b"x")).0.port()
    };
    assert_eq!(outer(&mut lab, "10.0.0.5:5000", "192.0.2.1:53"), 5000);
    let other = outer(&mut lab, "10.0.0.6:5000", "192.0.2.1:53");
    assert_eq!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.2:53"), other);
    // Where that is somebody's own port, its own one is the next best, and counts from then on.
    assert_eq!(outer(&mut lab, &format!("10.0.0.9:{other}"), "192.0.2.3:53"), other);
    assert_eq!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.3:53"), 5000);
    assert_eq!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.4:53"), 5000, "the latest counts");
    lab.wait(600);
    assert_eq!(outer(&mut lab, "10.0.0.6:5000", "192.0.2.3:53"), 5000);
}

#[test]
fn of_several_addresses_a_source_keeps_the_one_that_it_has() {
    let mut lab = lab("", "oifname \"wan\" snat ip to 203.0.113.10-203.0.113.99");
    for host in 1..20 {
        let outer: Vec<_> = (1..20)
            .map(|server| {
                let (host, server) = (format!("10.0.0.{host}:5000"), format!("192.0.2.{server}:53"));
                leaves(&mut lab, &udp(address(&host), address(&server), b"x")).0.ip()
            })
            .collect();
        assert!(outer.iter().all(|ip| *ip == outer[0]), "{outer:?}");
    }
}

#[test]
fn a_low_port_stays_low() {
    let mut lab = masquerading();
    let outer =
        |lab: &mut _, host: &str| leaves(lab, &udp(address(host), address("192.0.2.1:123"), b"x")).0.port();
    assert_eq!(outer(&mut lab, "10.0.0.5:123"), 123);
    assert!((1..512).contains(&outer(&mut lab, "10.0.0.6:123")));
    assert_eq!(outer(&mut lab, "10.0.0.5:700"), 700);
    assert!((600..1024).contains(&outer(&mut lab, "10.0.0.6:700")));
}

#[test]
fn nothing_comes_in_unasked() {
    let mut lab = masquerading();
    let unasked = udp(address("192.0.2.1:53"), address("203.0.113.7:5000"), b"x");
    stopped(&mut lab, &unasked);
    leaves(&mut lab, &udp(address("10.0.0.5:5000"), address("192.0.2.1:53"), b"query"));
    // Filtering depends on address and port: neither another host nor another port of the same one gets in.
    stopped(&mut lab, &udp(address("192.0.2.9:53"), address("203.0.113.7:5000"), b"x"));
    stopped(&mut lab, &udp(address("192.0.2.1:54"), address("203.0.113.7:5000"), b"x"));
    stopped(&mut lab, &udp(address("192.0.2.1:53"), address("203.0.113.7:5001"), b"x"));
    stopped(&mut lab, &udp(address("192.0.2.1:53"), address("10.0.0.5:5000"), b"x"));
    leaves(&mut lab, &unasked);
}

#[test]
fn a_forwarded_port_reaches_its_server_and_answers_come_from_the_public_address() {
    let mut lab = lab("tcp dport 8080 ip daddr 203.0.113.7 dnat ip to 10.0.0.5:80", "");
    let open = syn(address("192.0.2.1:4000"), address("203.0.113.7:8080"));
    assert_eq!(leaves(&mut lab, &open), from_to("192.0.2.1:4000", "10.0.0.5:80"));
    let answer = super::support::conversation::tcp(
        address("10.0.0.5:80"),
        address("192.0.2.1:4000"),
        &super::support::conversation::Segment {
            flags: pinhole_wire::TcpFlags::SYN | pinhole_wire::TcpFlags::ACK,
            sequence: 7000,
            acknowledgement: 1001,
            ..Default::default()
        },
    );
    assert_eq!(leaves(&mut lab, &answer), from_to("203.0.113.7:8080", "192.0.2.1:4000"));
    stopped(&mut lab, &syn(address("192.0.2.1:4000"), address("203.0.113.7:80")));
}

#[test]
fn a_hairpin_goes_out_and_in_again() {
    let mut lab = lab(
        "ip daddr 203.0.113.7 dnat ip to 10.0.0.5",
        "ip saddr 10.0.0.0/8 ct status dnat snat ip to 203.0.113.7",
    );
    let open = udp(address("10.0.0.6:4000"), address("203.0.113.7:53"), b"x");
    assert_eq!(leaves(&mut lab, &open), from_to("203.0.113.7:4000", "10.0.0.5:53"));
    let answer = udp(address("10.0.0.5:53"), address("203.0.113.7:4000"), b"y");
    assert_eq!(leaves(&mut lab, &answer), from_to("203.0.113.7:53", "10.0.0.6:4000"));
    // A host that asks for itself.
    let itself = udp(address("10.0.0.5:4000"), address("203.0.113.7:53"), b"x");
    assert_eq!(leaves(&mut lab, &itself).1, address("10.0.0.5:53"));
}

#[test]
fn an_exhausted_range_is_a_drop_with_its_reason_until_a_port_is_free() {
    let mut lab = lab("", "ip protocol udp snat ip to 203.0.113.7:2000-2003");
    let from = |host: u8| udp(address(&format!("10.0.0.{host}:5000")), address("192.0.2.1:53"), b"x");
    let mut taken: Vec<u16> = (1..=4).map(|host| leaves(&mut lab, &from(host)).0.port()).collect();
    taken.sort_unstable();
    assert_eq!(taken, [2000, 2001, 2002, 2003]);
    let outcome = stopped(&mut lab, &from(5));
    assert_eq!(outcome.verdict, Verdict::Drop);
    assert_eq!(outcome.reason.map(|reason| reason.name()), Some("nat-exhausted"), "{outcome:?}");
    // To another server the same four ports serve again.
    let elsewhere = udp(address("10.0.0.5:5000"), address("192.0.2.2:53"), b"x");
    assert!((2000..=2003).contains(&leaves(&mut lab, &elsewhere).0.port()));
    lab.wait(600);
    assert!((2000..=2003).contains(&leaves(&mut lab, &from(5)).0.port()));
}

#[test]
fn a_clash_of_reply_tuples_gives_the_second_conn_another_port() {
    // The server's own conn has the tuple that the masqueraded one would get.
    let mut lab = lab("", "ip saddr 10.0.0.0/8 snat ip to 203.0.113.7");
    let own = udp(address("203.0.113.7:5000"), address(SERVER), b"x");
    leaves(&mut lab, &own);
    let hidden = udp(address("10.0.0.5:5000"), address(SERVER), b"x");
    assert_ne!(leaves(&mut lab, &hidden).0, address("203.0.113.7:5000"));
}

#[test]
fn without_an_address_to_translate_to_a_conn_does_not_leave_untranslated() {
    let mut settings = super::settings();
    settings.nat.addresses.clear();
    let rules = "table ip t { chain post { type nat hook postrouting priority srcnat; oifname \"wan\" masquerade; } }";
    let mut lab = super::Lab::new(settings, Some(rules));
    let outcome = stopped(&mut lab, &udp(address("10.0.0.5:5000"), address(SERVER), b"x"));
    assert!(matches!(outcome.reason, Some(reason) if !matches!(reason, Reason::TableFull)), "{outcome:?}");
}
