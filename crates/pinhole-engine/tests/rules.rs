//! What rules see and set along a packet's way, as netfilter has it. (`kernel_verdicts` asks the kernel itself, where there is one.)
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Engine, Event, Frame, InterfaceId, Settings, Verdict};
use pinhole_track::State;
use pinhole_wire::LinkType;
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
fn a_log_names_the_interfaces_that_are_known() {
    let rules = "table inet f {
        chain r { type filter hook prerouting priority raw; log prefix \"raw\"; }
        chain p { type filter hook prerouting priority 0; log prefix \"pre\"; }
        chain i { type filter hook input priority 0; log prefix \"in\"; }
        chain f { type filter hook forward priority 0; log prefix \"fwd\"; }
        chain d { type nat hook prerouting priority dstnat; NAT }
    }\n";
    let dnat = rules.replace("NAT", "ip daddr 192.0.2.80 dnat ip to 198.51.100.1");
    for (rules, out) in [(rules.replace("NAT", ""), "wan"), (dnat, "dmz")] {
        let mut settings = Settings::default();
        settings.topology.add_interface("lan", "10.0.0.0/8".parse().unwrap());
        settings.topology.add_interface("wan", "0.0.0.0/0".parse().unwrap());
        settings.topology.add_interface("dmz", "198.51.100.0/24".parse().unwrap());
        settings.topology.add_local("10.0.0.254".parse().unwrap());
        let rules = pinhole_ruleset::compile_text("fw.nft", &rules).unwrap();
        let mut engine = Engine::new(settings, pinhole_helpers::registry(), Some(rules)).unwrap();
        let mut logged = Vec::new();
        for to in [SERVER, "10.0.0.254:80"] {
            let bytes = syn(address(CLIENT), address(to));
            engine.handle(&Frame {
                number: 1,
                time: pinhole_wire::Time(0),
                link: LinkType::RAW,
                bytes: &bytes,
                ingress: None,
                egress: None,
                checksum: pinhole_engine::FrameChecksum::Unknown,
            });
            while let Some(event) = engine.next_event() {
                if let Event::Log { logged: packet, .. } = event {
                    let name =
                        |id: Option<InterfaceId>| id.and_then(|id| engine.topology().name(id)).unwrap_or("-");
                    logged.push(format!(
                        "{} {} {}",
                        packet.prefix,
                        name(packet.ingress),
                        name(packet.egress)
                    ));
                }
            }
        }
        let forwarded = format!("fwd lan {out}");
        let names = ["raw lan -", "pre lan -", &forwarded, "raw lan -", "pre lan -", "in lan -"];
        assert_eq!(logged, names);
    }
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

#[test]
fn another_ruleset_keeps_conns_and_decides_about_new_ones() {
    let rules = |policy: &str| {
        let text = format!(
            "table inet f {{
                chain c {{ type filter hook forward priority 0; policy {policy};
                    ct state established accept
                }}
            }}"
        );
        pinhole_ruleset::compile_text("f.nft", &text).unwrap()
    };
    let mut lab = Lab::new(Settings::default(), None);
    lab.engine.replace_ruleset(Some(rules("accept"))).unwrap();
    let (client, server) = (address(CLIENT), address(SERVER));
    assert_eq!(lab.send(&udp(client, server, b"query")).verdict, Verdict::Accept);

    lab.engine.replace_ruleset(Some(rules("drop"))).unwrap();
    assert_eq!(lab.send(&udp(server, client, b"answer")).verdict, Verdict::Accept);
    assert_eq!(lab.send(&udp(address("10.0.0.2:1"), server, b"query")).verdict, Verdict::Drop);

    let shut = "table inet f { chain c { type filter hook forward priority 0; policy drop; } }";
    let shut = pinhole_ruleset::compile_text("f.nft", shut).unwrap();
    lab.engine.replace_ruleset(Some(shut)).unwrap();
    assert_eq!(lab.send(&udp(server, client, b"answer")).verdict, Verdict::Drop, "of a known conn, too");
}

#[test]
fn a_ruleset_that_cannot_be_set_up_changes_nothing() {
    let mut lab = Lab::new(
        Settings::default(),
        Some("table inet f { chain c { type filter hook forward priority 0; policy drop; } }"),
    );
    let unknown = "table inet f { ct helper h { type \"nosuch\" protocol tcp; } }";
    let unknown = pinhole_ruleset::compile_text("f.nft", unknown).unwrap();
    assert_eq!(lab.engine.replace_ruleset(Some(unknown)).unwrap_err().len(), 1);
    assert_eq!(lab.send(&syn(address(CLIENT), address(SERVER))).verdict, Verdict::Drop);
}

#[test]
fn a_bad_checksum_is_invalid_unless_someone_vouches_for_it() {
    let mut lab = Lab::new(Settings::default(), None);
    let mut packet = udp(address(CLIENT), address(SERVER), b"query");
    *packet.last_mut().unwrap() ^= 1;
    assert_eq!(lab.send(&packet).state, Some(State::Invalid));
    let frame = Frame {
        number: 9,
        time: lab.now,
        link: LinkType::RAW,
        bytes: &packet,
        ingress: None,
        egress: None,
        checksum: pinhole_engine::FrameChecksum::Verified,
    };
    assert_eq!(lab.engine.handle(&frame).state, Some(State::New));
}
