//! The bridge: real transfers, and what the host sees of them.

use crate::bench::{Bench, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;
use std::time::{Duration, Instant};

const CONTROL_ONLY: &str = "table inet f {
    ct helper ftp { type \"ftp\" protocol tcp; }
    chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set \"ftp\"; }
    chain c { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname \"pg0\" tcp dport 21 ct state new accept
    }
}";

fn without_helper() -> String {
    CONTROL_ONLY.replace("tcp dport 21 ct helper set \"ftp\";", "")
}

#[test]
#[ignore = "takes root and network namespaces"]
fn ftp_works_in_every_way_with_the_helper_alone() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    let bench = Bench::new("a");
    let _server = Server::vsftpd(&bench);
    let gateway = bench.gateway(CONTROL_ONLY);
    for (name, options, six) in WAYS {
        assert_eq!(bench.fetch(options, six), Ok(()), "{name}: {}", gateway.ask(&["stats"]));
    }
    let statistics: serde_json::Value = serde_json::from_str(&gateway.ask(&["stats", "--json"])).unwrap();
    assert_eq!(statistics["expectations_fulfilled"], WAYS.len(), "{statistics}");
    let conns = gateway.ask(&["list"]);
    assert!(conns.contains("dport=21") && conns.contains("helper=ftp"), "{conns}");
    drop(gateway);

    let gateway = bench.gateway(&without_helper());
    for (name, options, six) in WAYS {
        assert!(bench.fetch(options, six).is_err(), "{name} without the helper");
    }
    let story = gateway.ask(&["explain", "10.9.0.2"]);
    assert!(story.contains("drop") && story.contains("fw.nft:4"), "{story}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn the_example_rulesets_let_ftp_through() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    let bench = Bench::new("b");
    let _server = Server::vsftpd(&bench);
    let example = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let server_side = example("ftp-server.nft")
        .replace("198.51.100.20 ", "10.9.0.2 ")
        .replace("2001:db8:2::20 ", "fd09::2 ");
    for rules in [server_side, example("restrictive-lan.nft")] {
        let gateway = bench.gateway(&rules);
        for (name, options, six) in WAYS {
            // The restrictive ruleset admits active data connections from FTP's own data port only, which vsftpd is told to use.
            assert_eq!(bench.fetch(options, six), Ok(()), "{name}: {}", gateway.ask(&["stats"]));
        }
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn the_host_sees_nothing_and_says_nothing() {
    let bench = Bench::new("c");
    // The gateway's own host has an address on the bridged network, and must not answer for it.
    bench.run("gateway", &["ip", "addr", "add", "10.9.0.9/24", "dev", "pg0"]);
    assert!(bench.reaches("10.9.0.9"), "without the guard the host answers");
    let gateway =
        bench.gateway("table inet f { chain c { type filter hook forward priority 0; policy accept; } }");
    bench.run("client", &["ip", "neigh", "flush", "dev", "eth0"]);
    assert!(!bench.reaches("10.9.0.9"));
    assert!(bench.reaches("10.9.0.2"));
    drop(gateway);
    assert!(bench.reaches("10.9.0.9"), "the guard is taken down at the stop");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn a_reload_every_tenth_of_a_second_loses_no_transfer() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    let bench = Bench::new("d");
    let _server = Server::paced_vsftpd(&bench);
    let gateway = bench.gateway(CONTROL_ONLY);
    let mut transfer = bench.slow_fetch(&["--disable-epsv"], "1M");
    let (start, mut reloads) = (Instant::now(), 0);
    let status = loop {
        if let Some(status) = transfer.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        assert!(gateway.ask(&["reload"]).contains("in force"));
        reloads += 1;
        std::thread::sleep(Duration::from_millis(100));
    };
    let took = start.elapsed();
    assert!(status.success(), "{status} after {reloads} reloads in {took:?}: {}", gateway.ask(&["stats"]));
    assert!(reloads > 5, "there was time for reloads: {reloads} in {took:?}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn it_stops_within_a_second_and_refuses_other_users() {
    let bench = Bench::new("e");
    let gateway = bench.gateway(CONTROL_ONLY);
    let refused = bench.ask_as_nobody(&gateway);
    assert!(refused.contains("only the gateway's user, or root"), "{refused}");
    let start = Instant::now();
    gateway.stop();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
