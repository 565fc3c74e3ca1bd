//! What others' tests assert, of the gateway: `udpclash` and `conntrack_reverse_clash` of the kernel's selftests, Open vSwitch's FTP cases,
//! `proxy` of FreeBSD's pf.

use crate::bench::{Bench, ControlOnly, Net, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;
use std::process::Stdio;

const FTP: ControlOnly<'_> = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true };

const ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
s.bind(('', 9000))
print('ready', flush=True)
while True:
    data, peer = s.recvfrom(64)
    s.sendto(data + str(peer[1]).encode(), peer)
";

/// Many threads send the first packets of one connection at once; each must be answered, and all have one outside port.
const CLASH: &str = "
import socket, sys, threading
for around in range(20):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('', 20000 + around))
    s.connect((sys.argv[1], 9000))
    s.settimeout(5)
    barrier = threading.Barrier(32)
    def send():
        barrier.wait()
        s.send(b'x')
    threads = [threading.Thread(target=send) for _ in range(32)]
    for t in threads: t.start()
    for t in threads: t.join()
    answers = {s.recv(64) for _ in range(32)}
    assert len(answers) == 1, answers
print('all answered')
";

/// Two ends send to each other at once, each believing to be the first; none of their ports may change.
const REVERSE: &str = "
import socket, sys, time
own, other, begin = int(sys.argv[1]), int(sys.argv[3]), float(sys.argv[4])
sockets = []
for n in range(60):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('', own + n))
    s.settimeout(5)
    sockets.append(s)
for n, s in enumerate(sockets):
    time.sleep(max(0, begin + n / 50 - time.time()))
    s.sendto(b'x', (sys.argv[2], other + n))
print(sum(s.recvfrom(9)[1] != (sys.argv[2], other + n) for n, s in enumerate(sockets)))
";

/// UDP passes in both directions.
fn udp_rules(more: &str) -> String {
    format!(
        "table inet f {{
    chain c {{ type filter hook forward priority 0; policy drop; meta l4proto udp accept; }}
    {more}
}}
"
    )
}

#[test]
#[ignore = "takes root and network namespaces"]
fn first_packets_at_once_are_one_connection() {
    if missing(&["python3", "ss"]) {
        return;
    }
    let bench = Bench::with("oc", Net::Both);
    let gateway = bench.gateway(&udp_rules(
        "chain d { type nat hook prerouting priority -100; ip daddr 10.1.0.1 udp dport 9000 dnat ip to 10.2.0.2; }
         chain s { type nat hook postrouting priority 100; oifname \"pg1\" masquerade fully-random; }",
    ));
    let echo = bench.write("echo.py", ECHO);
    let mut echo =
        bench.inside("server", &["python3", echo.to_str().unwrap()]).stdout(Stdio::null()).spawn().unwrap();
    while bench.run("server", &["ss", "-Hlnu", "sport", "=", ":9000"]).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let clash = bench.write("clash.py", CLASH);
    let said = bench.run("client", &["python3", clash.to_str().unwrap(), "10.1.0.1"]);
    assert_eq!(said.trim(), "all answered");
    let conns = gateway.ask(&["list", "conns", "--flow", "udp 10.1.0.2"]);
    assert_eq!(conns.lines().count(), 20, "{conns}");
    echo.kill().unwrap();
    echo.wait().unwrap();
}

#[test]
#[ignore = "takes root and network namespaces"]
fn ends_that_begin_at_once_keep_their_ports() {
    if missing(&["python3"]) {
        return;
    }
    let bench = Bench::with("or", Net::Plain);
    // There is a rule that translates, though not these.
    let gateway = bench.gateway(&udp_rules(
        "chain s { type nat hook postrouting priority 100; ip saddr 192.0.2.0/24 masquerade; }",
    ));
    let script = bench.write("reverse.py", REVERSE);
    let begin = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 2;
    let ends = [("client", "21000", "10.2.0.2", "31000"), ("server", "31000", "10.1.0.2", "21000")];
    let ends = ends.map(|(role, own, peer, other)| {
        let arguments = ["python3", script.to_str().unwrap(), own, peer, other, &begin.to_string()];
        bench.inside(role, &arguments).stdout(Stdio::piped()).spawn().unwrap()
    });
    for end in ends {
        let said = end.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&said).trim(), "0", "{}", gateway.ask(&["list"]));
    }
    let conns = gateway.ask(&["list", "conns", "--flow", "udp"]);
    assert_eq!(conns.lines().count(), 60, "two packets that cross are one connection: {conns}");
}

/// `conntrack - FTP`, `- FTP over IPv6`, `- IPv6 FTP Passive`, `- FTP SNAT`: the transfer succeeds, and the table says what they say it says.
#[test]
#[ignore = "takes root and network namespaces"]
fn tables_after_transfers() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    for net in [Net::Plain, Net::Masquerade] {
        let bench = Bench::with("ov", net);
        let _server = Server::vsftpd(&bench);
        let gateway = bench.gateway(&FTP.rules(net));
        for (name, options, six) in WAYS {
            gateway.ask(&["flush"]);
            assert_eq!(bench.fetch(options, six), Ok(()), "{net:?}, {name}");
            let (client, server) = (net.client()[usize::from(six)], net.server()[usize::from(six)]);
            let seen = match (net.masquerades(), six) {
                (true, false) => "10.2.0.1",
                (true, true) => "fd02::1",
                _ => client,
            };
            let table = gateway.ask(&["list", "conns", "--flow", "tcp"]);
            let lines: Vec<&str> = table.lines().collect();
            assert_eq!(lines.len(), 2, "{net:?}, {name}: {table}");
            let is_active = options.contains(&"-P");
            for line in lines {
                let words: Vec<&str> = line.split_whitespace().collect();
                let has = |word: &str| words.contains(&word);
                assert!(has("TIME_WAIT") && has("[ASSURED]"), "{line}");
                let sources: Vec<&str> = words.iter().filter_map(|word| word.strip_prefix("src=")).collect();
                let destinations: Vec<&str> =
                    words.iter().filter_map(|word| word.strip_prefix("dst=")).collect();
                if has("dport=21") {
                    assert!(has("helper=ftp"), "{line}");
                    assert_eq!((sources, destinations), (vec![client, server], vec![server, seen]), "{line}");
                } else if is_active {
                    // From the server's port 20, to whom the client is outside.
                    assert!(has("sport=20") && !has("helper=ftp"), "{line}");
                    assert_eq!((sources, destinations), (vec![server, client], vec![seen, server]), "{line}");
                } else {
                    assert!(!has("helper=ftp"), "{line}");
                    assert_eq!((sources, destinations), (vec![client, server], vec![server, seen]), "{line}");
                }
            }
        }
    }
}

/// pf's `proxy.sh`: behind a NAT that lets nothing in, with a proxy for FTP and one for TFTP, a file arrives by extended passive mode, and one by TFTP.
#[test]
#[ignore = "takes root and network namespaces"]
fn pf_proxies_for_ftp_and_tftp() {
    if missing(&["vsftpd", "curl", "in.tftpd", "tftp"]) {
        return;
    }
    let bench = Bench::with("opf", Net::Masquerade);
    let _server = Server::vsftpd(&bench);
    let root = Server::files(&bench);
    let folder = root.join("pub");
    let arguments = ["in.tftpd", "-L", "--secure", "--user", "nobody", folder.to_str().unwrap()];
    let mut tftpd = bench.inside("server", &arguments).spawn().unwrap();
    let fetch = || {
        let place = bench.folder().join("fetched");
        let _ = std::fs::remove_dir_all(&place);
        std::fs::create_dir(&place).unwrap();
        let mut command = bench
            .inside("client", &["timeout", "5", "tftp", "-m", "binary", "10.2.0.2", "-c", "get", "f.bin"]);
        let _ = command.current_dir(&place).status().unwrap();
        std::fs::read(place.join("f.bin"))
            .is_ok_and(|got| got == std::fs::read(folder.join("f.bin")).unwrap())
    };
    let passive = &WAYS.iter().find(|(name, _, six)| name.starts_with("EPSV") && !six).unwrap().1;
    for helped in [true, false] {
        let attach = if helped {
            "chain p { type filter hook prerouting priority 0; tcp dport 21 ct helper set \"ftp\"; udp dport 69 ct helper set \"tftp\"; }"
        } else {
            ""
        };
        let gateway = bench.gateway(&format!(
            "table inet f {{
                ct helper ftp {{ type \"ftp\" protocol tcp; }}
                ct helper tftp {{ type \"tftp\" protocol udp; }}
                {attach}
                chain c {{ type filter hook forward priority 0; policy drop;
                    ct state established,related accept
                    iifname \"pg0\" tcp dport 21 accept
                    iifname \"pg0\" udp dport 69 accept
                }}
                chain s {{ type nat hook postrouting priority 100; oifname \"pg1\" masquerade; }}
            }}"
        ));
        let fetched = (bench.fetch(passive, false).is_ok(), fetch());
        assert_eq!(fetched, (helped, helped), "{}", gateway.ask(&["explain", "udp"]));
    }
    tftpd.kill().unwrap();
    tftpd.wait().unwrap();
}
