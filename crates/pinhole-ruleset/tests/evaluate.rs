//! What compiled rules do to packets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use pinhole_ruleset::{Decision, Family, Field, Hook, IcmpxCode, NameField, RejectWith, RulesetState};
use support::{Packet, Recorded, accepts, compiled, rule, run, tcp, udp6, v4};

#[test]
fn matches() {
    let established = tcp().with(Field::CtState, 2u8);
    let related = tcp().with(Field::CtState, 4u8).named(NameField::CtHelper, "ftp");
    let syn_ack = tcp().with(Field::TcpFlags, 0x12u8);
    let table: &[(&str, &Packet, bool)] = &[
        ("ct state established,related accept", &established, true),
        ("ct state established,related accept", &related, true),
        ("ct state established,related accept", &tcp(), false),
        ("ct state { established, related } accept", &related, true),
        ("ct state == established,related accept", &established, false),
        ("ct state != established accept", &tcp(), true),
        ("ct state ! established accept", &established, false),
        ("ct state related ct helper \"ftp\" accept", &related, true),
        ("ct state related ct helper \"irc\" accept", &related, false),
        ("ct helper { \"irc\", \"ftp\" } accept", &related, true),
        ("ct helper != \"ftp\" accept", &tcp(), false),
        ("tcp dport 22 accept", &tcp(), true),
        ("tcp dport ssh accept", &tcp(), true),
        ("tcp dport != 22 accept", &tcp(), false),
        ("udp dport 22 accept", &tcp(), false),
        ("udp dport != 22 accept", &tcp(), false),
        ("th dport 22 accept", &tcp(), true),
        ("tcp dport 20-25 accept", &tcp(), true),
        ("tcp dport != 20-25 accept", &tcp(), false),
        ("tcp dport > 22 accept", &tcp(), false),
        ("tcp dport >= 22 accept", &tcp(), true),
        ("tcp dport < 22 accept", &tcp(), false),
        ("tcp dport <= 22 accept", &tcp(), true),
        ("tcp dport { 21, 22, 23 } accept", &tcp(), true),
        ("tcp dport { 1,2,3,4,5,6,7,8,9,22 } accept", &tcp(), true),
        ("tcp dport != { 21, 23 } accept", &tcp(), true),
        ("tcp dport { 1-21, 23-65535 } accept", &tcp(), false),
        ("tcp dport { 1-21, 22-30 } accept", &tcp(), true),
        ("ip saddr 10.0.0.0/8 accept", &tcp(), true),
        ("ip saddr 10.0.0.2 accept", &tcp(), false),
        ("ip saddr != 10.0.0.0/8 accept", &tcp(), false),
        ("ip saddr 9.255.255.255-10.0.0.1 accept", &tcp(), true),
        ("ip6 saddr fd00::/8 accept", &udp6(), true),
        ("ip6 saddr ::/0 accept", &tcp(), false),
        ("ip saddr 0.0.0.0/0 accept", &udp6(), false),
        ("ip saddr & 0.0.0.255 == 0.0.0.1 accept", &tcp(), true),
        ("ip saddr . tcp dport { 10.0.0.1 . 22 } accept", &tcp(), true),
        ("ip saddr . tcp dport { 10.0.0.1 . 23, 10.0.0.2 . 22 } accept", &tcp(), false),
        ("ip saddr . tcp dport { 10.0.0.0/8 . 1-30, 1.2.3.4 . 80 } accept", &tcp(), true),
        ("ip saddr . tcp dport { 10.0.0.0/8 . 80, 1.2.3.4 . 22 } accept", &tcp(), false),
        ("iifname \"eth0\" accept", &tcp(), true),
        ("iifname \"eth*\" accept", &tcp(), true),
        ("iifname eth* oifname \"lan0\" accept", &tcp(), false),
        ("iifname { \"wlan*\", \"eth0\" } accept", &tcp(), true),
        ("iifname != \"eth1\" accept", &tcp(), true),
        ("iifname \"eth\" accept", &tcp(), false),
        ("oifname \"wan0\" accept", &udp6(), false),
        ("meta l4proto { tcp, udp } th dport 22 accept", &tcp(), true),
        ("meta nfproto ipv6 accept", &udp6(), true),
        ("meta length 61-1000 accept", &tcp(), false),
        ("ip ttl < 65 accept", &tcp(), true),
        ("tcp flags syn accept", &syn_ack, true),
        ("tcp flags == syn accept", &syn_ack, false),
        ("tcp flags & (syn|ack) == syn accept", &syn_ack, false),
        ("tcp flags & (syn|ack) == syn accept", &tcp(), true),
        ("tcp flags syn / syn,ack accept", &tcp(), true),
        ("tcp flags syn / syn,ack accept", &syn_ack, false),
        ("tcp flags != syn / syn,ack accept", &syn_ack, true),
        ("tcp flags ! fin,rst accept", &syn_ack, true),
        ("exthdr frag missing accept", &udp6(), true),
        ("exthdr frag exists accept", &udp6(), false),
        ("meta mark 0 accept", &tcp(), true),
        ("ct mark and 0xff != 1 accept", &tcp(), true),
        ("icmp type echo-request accept", &tcp(), false),
        ("tcp dport vmap { 22 : accept, 23 : drop }", &tcp(), true),
        ("tcp dport vmap { 23 : accept }", &tcp(), false),
        ("tcp dport vmap { 23 : drop, * : accept }", &tcp(), true),
        ("ct state vmap { new : accept, invalid : drop }", &tcp(), true),
        ("ct direction original accept", &tcp(), true),
        ("ct status assured accept", &tcp(), false),
        ("ct expiration > 1h accept", &tcp().with(Field::CtExpiration, 3_600_001u32), true),
        ("ct expiration 30s accept", &tcp().with(Field::CtExpiration, 30_000u32), true),
        ("ct original ip saddr 10.0.0.0/8 accept", &tcp(), false),
        (
            "ct original ip saddr 10.0.0.0/8 accept",
            &tcp().with(Field::CtOriginalIp4Source, v4("10.1.2.3")),
            true,
        ),
        ("ct label 5 accept", &tcp().with(Field::CtLabel, 0x20u8), true),
    ];
    for (text, packet, expected) in table {
        assert_eq!(accepts(text, packet), *expected, "{text}");
    }
}

#[test]
fn a_missing_field_fails_the_match_either_way() {
    let bare = tcp().without(Field::CtMark);
    assert!(!accepts("ct mark 1 accept", &bare));
    assert!(!accepts("ct mark != 1 accept", &bare));
    assert!(!accepts("ct mark { 1, 2 } accept", &bare));
    assert!(!accepts("ct mark != { 1, 2 } accept", &bare));
}

#[test]
fn effects() {
    let table: &[(&str, &[&str])] = &[
        ("ct mark set 0x10 accept", &["ct mark 0x10"]),
        ("meta mark set ct mark or 0x8", &["mark 0x8"]),
        ("ct mark set tcp dport map { 22 : 7, 80 : 8 }", &["ct mark 0x7"]),
        ("ct mark set tcp dport map { 80 : 8 } accept", &[]),
        ("ct zone set 5 notrack", &["zone 5", "notrack"]),
        ("ct label set 3", &["label 0x8"]),
        ("log prefix \"x: \" level info drop", &["log x: "]),
        ("ip saddr 1.2.3.4 log prefix \"no\"", &[]),
    ];
    for (text, expected) in table {
        assert_eq!(rule(text, &tcp()).1, *expected, "{text}");
    }
}

#[test]
fn rejections() {
    let table = [
        ("reject", RejectWith::Icmpx(IcmpxCode::PortUnreachable)),
        ("reject with tcp reset", RejectWith::TcpReset),
        ("reject with icmp type host-prohibited", RejectWith::Icmp(10)),
        ("reject with icmpx admin-prohibited", RejectWith::Icmpx(IcmpxCode::AdminProhibited)),
        ("ip saddr 10.0.0.1 reject", RejectWith::Icmp(3)),
    ];
    for (text, with) in table {
        assert_eq!(rule(text, &tcp()).0, Decision::Reject(with), "{text}");
    }
    assert_eq!(rule("reject with icmpv6 no-route", &tcp()).0, Decision::Drop, "IPv4 does not match");
    assert_eq!(rule("reject with tcp reset", &udp6()).0, Decision::Drop, "UDP does not match");
}

#[test]
fn jumps_return_and_goto_does_not() {
    let ruleset = compiled(
        "table inet t {
 chain users { tcp dport 80 return
  ip saddr 10.0.0.9 drop
 }
 chain last { ct mark set 1
 }
 chain c { type filter hook input priority 0; policy accept;
  jump users
  tcp dport 22 goto last
  drop
 }
}",
    );
    let mut effects = Recorded::default();
    let mut state = RulesetState::new(&ruleset);
    let verdict = run(&ruleset, Hook::Input, &tcp(), &mut effects, &mut state);
    assert_eq!((verdict.decision, verdict.rule), (Decision::Accept, None), "goto ends in the policy");
    assert_eq!(effects.0, ["ct mark 0x1"]);
    let web = tcp().with(Field::DestinationPort, 80u16);
    let verdict = run(&ruleset, Hook::Input, &web, &mut effects, &mut state);
    let by = verdict.rule.unwrap();
    assert_eq!((verdict.decision, ruleset.rule_text(by)), (Decision::Drop, "drop"));
    assert_eq!(ruleset.location(by).unwrap().to_string(), "test.nft:10");
    assert_eq!(ruleset.chain_name(ruleset.rule_chain(by).unwrap()), "c");
    let bad = tcp().with(Field::Ip4Source, v4("10.0.0.9"));
    let verdict = run(&ruleset, Hook::Input, &bad, &mut effects, &mut state);
    assert_eq!(ruleset.rule_text(verdict.rule.unwrap()), "ip saddr 10.0.0.9 drop");
}

#[test]
fn base_chains_run_by_priority_and_of_equals_the_last_first() {
    let ruleset = compiled(
        "table inet a { chain late { type filter hook forward priority 10; }
 chain one { type filter hook forward priority filter; }
 chain two { type filter hook forward priority 0; }
}
table ip b { chain raw { type filter hook forward priority raw; }
}
table ip6 c { chain six { type filter hook forward priority mangle + 5; policy drop; }
}",
    );
    let names = |family| -> Vec<_> {
        let chains = ruleset.base_chains(Hook::Forward, family);
        chains.map(|c| (ruleset.chain_name(c.chain).to_owned(), c.priority)).collect()
    };
    let expected = |list: &[(&str, i32)]| list.iter().map(|(n, p)| ((*n).to_owned(), *p)).collect::<Vec<_>>();
    assert_eq!(names(Family::Ip), expected(&[("raw", -300), ("two", 0), ("one", 0), ("late", 10)]));
    assert_eq!(names(Family::Ip6), expected(&[("six", -145), ("two", 0), ("one", 0), ("late", 10)]));
}

#[test]
fn policy_names_its_line() {
    let ruleset =
        compiled("table ip t {\n chain c {\n type filter hook input priority 0\n policy drop\n }\n}\n");
    let mut state = RulesetState::new(&ruleset);
    let verdict = run(&ruleset, Hook::Input, &tcp(), &mut Recorded::default(), &mut state);
    assert_eq!((verdict.decision, verdict.rule), (Decision::Drop, None));
    assert_eq!(ruleset.policy_location(verdict.chain).unwrap().to_string(), "test.nft:4");
}

#[test]
fn counters_count_and_reset() {
    let ruleset = compiled(
        "table ip t {\n counter named { packets 5 bytes 50\n }\n chain c { type filter hook input priority 0;\n  counter name \"named\"\n  tcp dport 22 counter accept\n }\n}\n",
    );
    let mut state = RulesetState::new(&ruleset);
    run(&ruleset, Hook::Input, &tcp(), &mut Recorded::default(), &mut state);
    run(&ruleset, Hook::Input, &tcp(), &mut Recorded::default(), &mut state);
    let read: Vec<_> =
        ruleset.counters(&state).map(|c| (c.name.to_owned(), c.count.packets, c.count.bytes)).collect();
    assert_eq!(read, [("named".to_owned(), 7, 170), ("tcp dport 22 counter accept".to_owned(), 2, 120)]);
    state.reset(&ruleset);
    assert_eq!(ruleset.counters(&state).map(|c| c.count.packets).collect::<Vec<_>>(), [5, 0]);
}

#[test]
fn limits_refill_with_time() {
    let ruleset = compiled(
        "table ip t {\n chain c { type filter hook input priority 0; policy drop;\n  limit rate 1/second burst 2 packets accept\n }\n}\n",
    );
    let chain = ruleset.base_chains(Hook::Input, Family::Ip).next().unwrap().id;
    let mut state = RulesetState::new(&ruleset);
    let mut at = |milliseconds: u64| {
        ruleset
            .evaluate(chain, &tcp(), &mut Recorded::default(), &mut state, milliseconds * 1_000_000)
            .decision
            == Decision::Accept
    };
    let seen: Vec<bool> = [0, 0, 0, 500, 1000, 1000, 10, 10_000, 10_000, 10_000].map(&mut at).into();
    assert_eq!(seen, [true, true, false, false, true, false, false, true, true, false]);
}

#[test]
fn quotas_run_out() {
    // Packets of 60 bytes; one that just uses the quota up is not over it.
    for bytes in [150, 120] {
        let ruleset = compiled(&format!(
            "table ip t {{\n chain c {{ type filter hook input priority 0; policy accept;\n  quota over {bytes} bytes drop\n }}\n}}\n",
        ));
        let mut state = RulesetState::new(&ruleset);
        let seen: Vec<Decision> = (0..4)
            .map(|_| run(&ruleset, Hook::Input, &tcp(), &mut Recorded::default(), &mut state).decision)
            .collect();
        assert_eq!(seen, [Decision::Accept, Decision::Accept, Decision::Drop, Decision::Drop], "{bytes}");
    }
}

#[test]
fn objects_and_nat_are_reported() {
    let ruleset = compiled(
        "table inet t {
 ct helper ftp-std { type \"ftp\" protocol tcp; l3proto ip;
 }
 ct timeout quick { protocol tcp; policy = { established : 2m, close : 5 };
 }
 ct expectation e { protocol tcp; dport 5060; timeout 10s; size 12;
 }
 map where { type inet_service : ipv4_addr . inet_service; elements = { 22 : 10.9.9.9 . 2222 }
 }
 chain pre { type filter hook prerouting priority 0;
  ct helper set \"ftp-std\" ct timeout set \"quick\" ct expectation set \"e\"
 }
 chain nat { type nat hook prerouting priority dstnat;
  dnat ip to tcp dport map @where
 }
}",
    );
    assert_eq!(ruleset.helpers()[0].helper, "ftp");
    assert_eq!((ruleset.helpers()[0].l4_protocol, ruleset.helpers()[0].family), (6, Some(Family::Ip)));
    assert_eq!(ruleset.timeouts()[0].policy, [("established".to_owned(), 120), ("close".to_owned(), 5)]);
    assert_eq!(
        (ruleset.expectations()[0].port, ruleset.expectations()[0].timeout_milliseconds),
        (5060, 10_000)
    );
    let mut effects = Recorded::default();
    let mut state = RulesetState::new(&ruleset);
    run(&ruleset, Hook::Prerouting, &tcp(), &mut effects, &mut state);
    let expected =
        ["Dnat Some((a090909, a090909)) Some((2222, 2222))", "helper 0", "timeout 1", "expectation 2"];
    assert_eq!(effects.0, expected);
    assert_eq!(ruleset.object_name(ruleset.helpers()[0].id), "ftp-std");
}

#[test]
fn commands_apply_in_order() {
    let ruleset = compiled(
        "table ip old { chain c { type filter hook input priority 0; policy drop; }
}
flush ruleset
define ports = { 22, 23 }
define more = { $ports, 80 }
add table ip t
add chain ip t c { type filter hook input priority 0; policy drop; }
add set ip t s { type inet_service; }
add element ip t s { 443 }
add rule ip t c tcp dport $more accept
insert rule ip t c tcp dport @s drop
",
    );
    assert_eq!(ruleset.rule_count(), 2);
    let mut state = RulesetState::new(&ruleset);
    let mut port = |p: u16| {
        let packet = tcp().with(Field::DestinationPort, p);
        let verdict = run(&ruleset, Hook::Input, &packet, &mut Recorded::default(), &mut state);
        (verdict.decision, verdict.rule.map(|r| r.0))
    };
    assert_eq!(port(80), (Decision::Accept, Some(1)));
    assert_eq!(port(443), (Decision::Drop, Some(0)));
    assert_eq!(port(81), (Decision::Drop, None));
}

/// Engines that share a ruleset share the rate of its limits, and each has the burst.
#[test]
fn limits_are_divided() {
    let text = "table ip t {\n chain c { type filter hook input priority 0; policy drop;\n  limit rate 2/second burst 2 packets accept\n }\n}\n";
    let ruleset = compiled(text).divided((0, 2));
    let chain = ruleset.base_chains(Hook::Input, Family::Ip).next().unwrap().id;
    let mut state = RulesetState::new(&ruleset);
    let mut at = |milliseconds: u64| {
        ruleset
            .evaluate(chain, &tcp(), &mut Recorded::default(), &mut state, milliseconds * 1_000_000)
            .decision
            == Decision::Accept
    };
    let seen: Vec<bool> = [0, 0, 0, 500, 1000, 1000, 2000].map(&mut at).into();
    assert_eq!(seen, [true, true, false, false, true, false, true], "one a second, not two");
}

#[test]
fn addresses_of_sources() {
    let text = "table inet n {
        map m { type ipv4_addr : ipv4_addr; elements = { 10.0.0.1 : 192.0.2.1, 10.0.0.2 : 192.0.2.2 } }
        chain c { type nat hook postrouting priority 100;
            oifname \"a\" masquerade
            oifname \"b\" snat ip to 203.0.113.1-203.0.113.4
            oifname \"c\" snat ip to ip saddr map @m
            oifname \"d\" snat ip6 to 2001:db8::1
            oifname \"e\" snat ip prefix to ip saddr map { 10.1.0.0/24 : 192.0.3.0/24 }
        }
    }";
    let ruleset = compiled(text);
    let v4 = |a: [u8; 4]| u128::from(u32::from_be_bytes(a));
    let mut found: Vec<_> = ruleset
        .source_ranges()
        .into_iter()
        .map(|range| (range.family == Family::Ip, range.first, range.last, range.is_prefix))
        .collect();
    found.sort_unstable();
    let v6 = u128::from("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap());
    let mut expected = vec![
        (false, v6, v6, false),
        (true, v4([192, 0, 2, 1]), v4([192, 0, 2, 1]), false),
        (true, v4([192, 0, 2, 2]), v4([192, 0, 2, 2]), false),
        (true, v4([192, 0, 3, 0]), v4([192, 0, 3, 255]), true),
        (true, v4([203, 0, 113, 1]), v4([203, 0, 113, 4]), false),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert!(!ruleset.has_quotas());
}

#[test]
fn interfaces_by_which_is_translated() {
    let text = "table inet n {
        chain d { type nat hook prerouting priority -100; iifname \"dmz\" tcp dport 21 dnat ip to 10.0.0.1; }
        chain c { type nat hook postrouting priority 100;
            oifname \"wan0\" masquerade
            oifname { \"ppp0\", \"ppp1\" } snat ip to 203.0.113.1
            oifname \"tun*\" ip saddr 10.0.0.0/8 masquerade
            oifname != \"lan0\" udp dport 53 masquerade to :1024-2048
            oifname \"log0\" counter
        }
    }";
    let ruleset = compiled(text);
    let out: Vec<bool> = ["wan0", "ppp1", "tun7", "lan0", "dmz"]
        .iter()
        .map(|name| ruleset.translates_by(name, false))
        .collect();
    assert_eq!(out, [true, true, true, false, true], "the fourth rule names all but lan0");
    assert!(ruleset.translates_by("dmz", true) && !ruleset.translates_by("wan0", true));
}
