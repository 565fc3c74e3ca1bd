//! What rules see and set along a packet's way, as netfilter has it. (`kernel_verdicts` asks the kernel itself, where there is one.)
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Engine, Settings, Verdict};
use support::conversation::{ping, syn, udp};
use support::lab::{Lab, address};

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "192.0.2.80:80";

/// The verdicts for a conversation over UDP: three queries and an answer.
fn verdicts(rules: &str) -> Vec<&'static str> {
    let mut settings = Settings::default();
    settings.topology.add_interface("lan", "10.0.0.0/8".parse().unwrap());
    settings.topology.add_interface("wan", "0.0.0.0/0".parse().unwrap());
    let mut lab = Lab::new(settings, Some(&format!("table inet f {{\n{rules}\n}}\n")));
    let (client, server) = (address(CLIENT), address(SERVER));
    let answer = udp(server, client, b"answer");
    let query = udp(client, server, b"query");
    [&query, &answer, &query, &query].map(|packet| lab.send(packet).verdict.name()).to_vec()
}

#[test]
fn a_mark_stays_though_the_packet_is_dropped() {
    let rules = "chain c { type filter hook forward priority 0; policy accept;
        ct mark 7 reject
        ct direction reply ct mark set 7 drop
    }";
    assert_eq!(verdicts(rules), ["accept", "drop", "reject", "reject"]);
}

#[test]
fn the_way_out_is_not_known_before_routing() {
    let rules = "chain c { type filter hook prerouting priority 0; policy accept;
        oifname \"wan\" drop
        iifname \"lan\" oifname != \"wan\" ct packets 3 reject
    }
    chain d { type filter hook forward priority 0; policy accept;
        oifname \"wan\" ct packets 4 drop
        iif lo drop
    }";
    assert_eq!(verdicts(rules), ["accept", "accept", "reject", "drop"]);
}

#[test]
fn before_tracking_there_is_no_conn_to_set_things_for() {
    let rules = "chain r { type filter hook prerouting priority raw; policy accept;
        ct mark set 1
        udp sport 80 notrack
        ct state untracked meta mark set 2
    }
    chain c { type filter hook forward priority 0; policy accept;
        ct mark 1 drop
        meta mark 2 reject
    }";
    assert_eq!(verdicts(rules), ["accept", "reject", "accept", "accept"]);
}

#[test]
fn a_rejection_asks_for_its_protocol_before_it_counts() {
    let rules = "chain c { type filter hook forward priority 0; policy accept;
        meta mark set 1 counter reject with icmpv6 addr-unreachable
        meta mark 1 drop
    }";
    assert_eq!(verdicts(rules), ["accept"; 4]);
}

#[test]
fn ports_of_no_protocol_are_the_first_bytes() {
    const RULES: &str = "table ip f {
        chain c { type filter hook forward priority 0; policy accept;
            th sport 0x0800 drop
        }
    }
    ";
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    let (client, server) = (address(CLIENT), address(SERVER));
    assert_eq!(lab.send(&ping(client.ip(), server.ip(), 1)).verdict, Verdict::Drop);
    assert_eq!(lab.send(&syn(client, server)).verdict, Verdict::Accept);
}

#[test]
fn the_first_helper_that_fits_stays() {
    const RULES: &str = "table inet f {
        ct helper six { type \"ftp\" protocol tcp; l3proto ip6; }
        ct helper first { type \"ftp\" protocol tcp; }
        ct helper second { type \"irc\" protocol tcp; }
        chain c { type filter hook forward priority 0; policy accept;
            ct helper set \"six\" ct helper set \"first\" ct helper set \"second\"
        }
    }
    ";
    let mut lab = Lab::new(Settings::default(), Some(RULES));
    let conn = lab.send(&syn(address(CLIENT), address(SERVER))).conn.unwrap();
    let engine: &Engine = &lab.engine;
    let helper = engine.host().helper(engine.tracker().helper(conn).unwrap()).unwrap();
    assert_eq!(helper.spec().name, "ftp");
}
