//! The router: what passes, what does not, and what its host has of it.

use crate::bench::{Bench, ControlOnly, Net, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;
use std::process::Stdio;
use std::time::{Duration, Instant};

const FTP: ControlOnly<'_> = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true };

const OPEN: &str = "table inet f {
    chain i { type filter hook input priority 0; policy drop; ct state established,related accept; tcp dport 8 reject with tcp reset; }
    chain o { type filter hook output priority 0; policy accept; }
    chain c { type filter hook forward priority 0; policy accept; }
}";

/// Whether the router's host reaches an address: by being refused.
fn host_reaches(bench: &Bench, address: &str) -> bool {
    let url = format!("http://{address}:9/");
    bench.inside("gateway", &["curl", "-g", "-s", "-m", "2", &url]).status().unwrap().code() == Some(7)
}

/// The ruleset and the configuration that docs/gateway.md shows for a router, with this bench's names.
fn documented() -> (String, &'static str) {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/gateway.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rules = page.split("```nft\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(page.contains("mode = \"router\"\nports = [\"lan0\", \"wan0\"]\nrules = \"fw.nft\"\n"));
    (rules.replace("lan0", "pg1").replace("wan0", "pg0").replace("192.168.1.21", "10.2.0.2"), "")
}

#[test]
#[ignore = "takes root and network namespaces"]
fn the_documented_router_works() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    // Its LAN is the server's side here: what asks from outside is the client.
    let bench = Bench::with("r", Net::PortForward);
    let _server = Server::vsftpd(&bench);
    let (rules, more) = documented();
    let gateway = bench.gateway_with(&rules, more);
    for (name, options, _) in WAYS.iter().filter(|(_, _, six)| !six) {
        assert_eq!(bench.fetch(options, false), Ok(()), "{name}: {}", gateway.ask(&["stats"]));
    }
    // From inside to outside, masqueraded; the router itself answers nobody outside.
    let script = "import socket\ns = socket.create_server(('10.1.0.2', 8000))\ns.settimeout(9)\nprint(s.accept()[1][0])\n";
    let listener = bench.write("listen.py", script);
    let arguments = ["python3", listener.to_str().unwrap()];
    let listener = bench.inside("client", &arguments).stdout(Stdio::piped()).spawn().unwrap();
    bench.await_listener("client", 8000);
    let _ = bench.inside("server", &["curl", "-s", "-m", "2", "http://10.1.0.2:8000/"]).status().unwrap();
    let seen = listener.wait_with_output().unwrap().stdout;
    assert_eq!(String::from_utf8_lossy(&seen).trim(), "10.1.0.1");
    assert!(!bench.reaches("10.1.0.1"));
}

#[test]
#[ignore = "takes root and network namespaces"]
fn the_host_is_reached_by_the_rules_and_reaches_out() {
    let bench = Bench::with("s", Net::Plain);
    let gateway = bench.gateway(OPEN);
    for address in ["10.2.0.2", "[fd02::2]"] {
        assert!(bench.reaches(address), "{address} {}", gateway.ask(&["stats"]));
        assert!(host_reaches(&bench, address), "{address} {}", gateway.ask(&["stats"]));
    }
    // Its own addresses are closed by the input chain, but for one port that the rules answer for.
    for address in ["10.1.0.1", "10.2.0.1", "[fd01::1]"] {
        assert!(!bench.reaches(address), "{address}");
        let url = format!("http://{address}:8/");
        let status = bench.inside("client", &["curl", "-g", "-s", "-m", "2", &url]).status().unwrap();
        assert_eq!(status.code(), Some(7), "{address}: refused by a rule");
    }
    let opened = OPEN.replace("policy drop; ct state", "policy accept; ct state");
    drop(gateway);
    let _gateway = bench.gateway(&opened);
    for address in ["10.1.0.1", "10.2.0.1", "[fd01::1]", "[fd02::1]"] {
        assert!(bench.reaches(address), "{address}");
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn nothing_passes_without_the_gateway() {
    let bench = Bench::with("t", Net::Plain);
    assert!(!bench.reaches("10.2.0.2"), "the kernel does not forward");
    let mut gateway = bench.gateway(OPEN);
    assert!(bench.reaches("10.2.0.2"));
    gateway.child.kill().unwrap();
    gateway.child.wait().unwrap();
    assert!(!bench.reaches("10.2.0.2"));
    assert!(!bench.reaches("10.1.0.1"), "and its host is closed");
    drop(gateway);
    // The next one takes over what the killed one left.
    let gateway = bench.gateway(OPEN);
    assert!(bench.reaches("10.2.0.2"));
    gateway.stop();
    assert!(!bench.reaches("10.2.0.2"));
    assert!(bench.reaches("10.1.0.1"), "its host is open again");
    assert_eq!(bench.run("gateway", &["nft", "list", "ruleset"]), "");
    assert!(!bench.run("gateway", &["ip", "-br", "link"]).contains("pinhole"));

    bench.run("gateway", &["sysctl", "-qw", "net.ipv4.conf.pg1.forwarding=1"]);
    let config = bench.folder().join("pinhole.toml");
    let output = bench.gateway_command(&config).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{message}");
    assert!(message.contains("net.ipv4.conf.pg1.forwarding=0"), "{message}");
}

#[test]
#[ignore = "takes root and network namespaces"]
fn hop_limits_and_mtus_are_told() {
    let bench = Bench::with("u", Net::Plain);
    bench.run("gateway", &["ip", "link", "set", "pg1", "mtu", "1300"]);
    bench.run("server", &["ip", "link", "set", "eth0", "mtu", "1300"]);
    let gateway = bench.gateway(OPEN);
    // A program that asks the kernel what it was told: IP_MTU of a connected socket, and the errors of the error queue.
    let script = r#"
import socket, sys
def errors(s, level):
    s.settimeout(2)
    try:
        s.recv(1)
    except OSError as e:
        return e.errno
for family, server, mtu_option in ((socket.AF_INET, '10.2.0.2', (0, 14)), (socket.AF_INET6, 'fd02::2', (41, 24))):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        s.setsockopt(0, 10, 2)
        s.setsockopt(0, 11, 1)
    else:
        s.setsockopt(41, 23, 2)
        s.setsockopt(41, 25, 1)
    s.connect((server, 9))
    s.send(b'x' * 1400)
    print('mtu', errors(s, 0), s.getsockopt(*mtu_option))
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET:
        s.setsockopt(0, socket.IP_TTL, 1)
        s.setsockopt(0, 11, 1)
    else:
        s.setsockopt(41, socket.IPV6_UNICAST_HOPS, 1)
        s.setsockopt(41, 25, 1)
    s.connect((server, 9))
    s.send(b'x')
    print('hops', errors(s, 0))
"#;
    let script = bench.write("ask.py", script);
    let said = bench.run("client", &["python3", script.to_str().unwrap()]);
    // EMSGSIZE (90) and EHOSTUNREACH (113), which stands for an exceeded hop limit.
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines, ["mtu 90 1300", "hops 113", "mtu 90 1300", "hops 113"], "{}", gateway.ask(&["stats"]));
}

#[test]
#[ignore = "takes root and network namespaces"]
fn changes_of_the_network_are_followed() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    let bench = Bench::with("v", Net::Masquerade);
    let _server = Server::vsftpd(&bench);
    let gateway = bench.gateway(&FTP.rules(Net::Masquerade));
    assert_eq!(bench.fetch(&["-P", "-"], false), Ok(()));
    // Another address to be known as.
    bench.run("gateway", &["ip", "addr", "add", "10.2.0.77/24", "dev", "pg1"]);
    bench.run("gateway", &["ip", "addr", "del", "10.2.0.1/24", "dev", "pg1"]);
    bench.run("gateway", &["ip", "addr", "add", "10.2.0.77/24", "dev", "pg1"]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(bench.fetch(&["-P", "-"], false), Ok(()), "{}", gateway.ask(&["stats"]));
    assert!(gateway.ask(&["list"]).contains("dst=10.2.0.77"));
    // Another card at the server's.
    bench.run("server", &["ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"]);
    bench.run("gateway", &["ip", "neigh", "flush", "dev", "pg1"]);
    assert_eq!(bench.fetch(&["--disable-epsv"], false), Ok(()), "{}", gateway.ask(&["stats"]));
    // A link that goes down and comes back.
    let mut transfer = bench.slow_fetch(&["--disable-epsv"], "1M");
    std::thread::sleep(Duration::from_millis(500));
    bench.run("gateway", &["ip", "link", "set", "pg1", "down"]);
    std::thread::sleep(Duration::from_millis(500));
    bench.run("gateway", &["ip", "link", "set", "pg1", "up"]);
    assert!(transfer.wait().unwrap().success(), "{}", gateway.ask(&["stats"]));
}

/// Sends 400 MB over one TCP stream from the server to the client; returns megabytes a second.
fn stream(bench: &Bench) -> f64 {
    let send = "import socket\ns = socket.create_server(('10.2.0.2', 5001)).accept()[0]\nb = bytes(1 << 20)\nfor _ in range(400): s.sendall(b)\n";
    let take = "import socket\ns = socket.create_connection(('10.2.0.2', 5001))\nb = bytearray(1 << 20)\nn = 0\n\
                while True:\n    k = s.recv_into(b)\n    n += k\n    if not k: break\nprint(n)\n";
    let (send, take) = (bench.write("send.py", send), bench.write("take.py", take));
    let mut sender = bench.inside("server", &["python3", send.to_str().unwrap()]).spawn().unwrap();
    bench.await_listener("server", 5001);
    let begun = Instant::now();
    let taken = bench.run("client", &["python3", take.to_str().unwrap()]);
    assert!(sender.wait().unwrap().success());
    assert_eq!(taken.trim(), (400u64 << 20).to_string());
    400.0 / begun.elapsed().as_secs_f64()
}

#[test]
#[ignore = "takes root and network namespaces"]
fn superframes_pass_whole() {
    let bench = Bench::with("w", Net::Masquerade);
    bench.run("server", &["ip", "route", "add", "default", "via", "10.2.0.1"]);
    for rules in [
        OPEN.to_owned(),
        OPEN.replace(
            "chain c",
            "chain s { type nat hook postrouting priority 100; masquerade; }\n    chain c",
        ),
    ] {
        let gateway = bench.gateway(&rules);
        let rate = stream(&bench);
        eprintln!("{rate:.0} MB/s");
        let ports = gateway.statistics()["ports"].clone();
        let frames = ports[1]["received"].as_u64().unwrap();
        // 400 MB in frames of 1500 bytes would be 280 000.
        assert!(frames < 100_000, "{frames} frames at {rate} MB/s: {ports}");
    }
}

/// What turnutils_natdiscovery says of the mapping and the filtering behind which the client is.
fn discover(bench: &Bench) -> String {
    let arguments = ["timeout", "30", "turnutils_natdiscovery", "-m", "-f", "10.2.0.2"];
    let output = bench.inside("client", &arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.starts_with("NAT with")).collect::<Vec<_>>().join(" ")
}

#[test]
#[ignore = "takes root and network namespaces"]
fn stun_finds_the_nat_that_is_documented() {
    if missing(&["turnserver", "turnutils_natdiscovery"]) {
        return;
    }
    let bench = Bench::with("x", Net::Masquerade);
    bench.run("server", &["ip", "addr", "add", "10.2.0.3/24", "dev", "eth0"]);
    let _server = Server::turn(&bench);
    let rules = OPEN.replace(
        "policy accept; }\n}",
        "policy drop; ct state established,related accept; iifname \"pg0\" accept; ct status dnat accept; }\n\
                 chain s { type nat hook postrouting priority 100; oifname \"pg1\" masquerade; }\n}",
    );
    let gateway = bench.gateway(&rules);
    let found = discover(&bench);
    assert!(found.contains("Endpoint Independent Mapping!"), "a port is kept while it is free: {found}");
    assert!(found.contains("Address and Port Dependent Filtering!"), "{found}");
    drop(gateway);
    let more = "[nat]\ninside = [\"10.1.0.0/24\"]\nmapping = \"endpoint-independent\"\nfiltering = \"endpoint-independent\"\n";
    let _gateway = bench.gateway_with(&rules, more);
    let found = discover(&bench);
    assert!(
        found.contains("Endpoint Independent Mapping!") && found.contains("Endpoint Independent Filtering!"),
        "{found}"
    );
}

/// What `conntrack_icmp_related.sh` of the kernel's selftests asserts: an error about a connection is related, reaches who asked through NAT, and no
/// error passes as anything else.
#[test]
#[ignore = "takes root and network namespaces"]
fn icmp_errors_about_connections_are_related() {
    for net in [Net::Plain, Net::Masquerade] {
        let bench = Bench::with("y", net);
        let masquerade = if net.masquerades() { "masquerade;" } else { "" };
        let gateway = bench.gateway(&format!(
            "table inet f {{
                chain c {{ type filter hook forward priority 0; policy drop;
                    ct state related icmp type destination-unreachable counter accept
                    ct state related icmpv6 type destination-unreachable counter accept
                    meta l4proto {{ icmp, icmpv6 }} counter drop
                    ct state new,established accept
                }}
                chain s {{ type nat hook postrouting priority 100; oifname \"pg1\" {masquerade} }}
            }}"
        ));
        let script = "import socket\nfor family, server in ((socket.AF_INET, '10.2.0.2'), (socket.AF_INET6, 'fd02::2')):\n    \
                      s = socket.socket(family, socket.SOCK_DGRAM)\n    s.settimeout(3)\n    s.connect((server, 9))\n    s.send(b'x')\n    \
                      try:\n        s.recv(1)\n    except OSError as e:\n        print(e.errno)\n";
        let script = bench.write("refused.py", script);
        let said = bench.run("client", &["python3", script.to_str().unwrap()]);
        // ECONNREFUSED
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["111", "111"], "{net:?}");
        let counters = gateway.ask(&["list", "rules"]);
        let packets: Vec<&str> = counters.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
        assert_eq!(packets, ["1", "1", "0"], "{net:?}: {counters}");
    }
}
