//! FTP read by its two modules (`cargo xtask guests`): transfers, and modules that come and go while others use the gateway.

use crate::bench::{Bench, ControlOnly, Gateway, Net, missing};
use crate::ftp_clients::WAYS;
use crate::servers::Server;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const FTP: ControlOnly<'_> = ControlOnly { helper: "ftp", protocol: "tcp", port: 21, attached: true };

/// Numbered datagrams, a thousand a second.
const SENDER: &str = "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for n in range(int(sys.argv[2])):
    s.sendto(n.to_bytes(4, 'big'), (sys.argv[1], 9000))
    time.sleep(max(0, start + n / 1000 - time.monotonic()))
for _ in range(20):
    s.sendto(b'end', (sys.argv[1], 9000))
    time.sleep(0.05)
";

/// Tells how many of them came, each counted once.
const RECEIVER: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
s.bind(('', 9000))
s.settimeout(20)
print('ready', flush=True)
seen = set()
while (data := s.recv(64)) != b'end':
    seen.add(data)
print(len(seen))
";

/// Both modules; `None` if they are not built.
fn modules() -> Option<[PathBuf; 2]> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    let folder = std::env::var_os("PINHOLE_GUESTS").map_or(folder, PathBuf::from);
    let files = ["conntrack_ftp.wasm", "nat_ftp.wasm"].map(|name| folder.join(name));
    if files.iter().all(|file| file.is_file()) {
        return Some(files);
    }
    eprintln!("SKIPPED: no modules in {} (cargo xtask guests)", folder.display());
    None
}

/// The lines of configuration that load them.
fn loading(modules: &[PathBuf]) -> String {
    format!("[helpers]\nload = {modules:?}\n")
}

/// What is known of a half.
fn half(gateway: &Gateway, name: &str) -> Value {
    let all = gateway.ask(&["list", "modules", "--format", "json"]);
    let halves = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    halves.into_iter().find(|half| half["name"] == name).unwrap()
}

#[test]
#[ignore = "takes root and network namespaces"]
fn ftp_is_read_by_its_modules() {
    if missing(&["vsftpd", "curl"]) {
        return;
    }
    let Some(files) = modules() else { return };
    for net in [Net::Bridged, Net::Plain, Net::Masquerade, Net::Both] {
        let bench = Bench::with("mf", net);
        let _server = Server::vsftpd(&bench);
        let gateway = bench.gateway_with(&FTP.rules(net), &loading(&files));
        for (name, options, six) in WAYS {
            assert_eq!(
                bench.fetch(options, six),
                Ok(()),
                "{net:?}, {name}: {}",
                gateway.ask(&["explain", "tcp"])
            );
        }
        let statistics = gateway.statistics();
        assert_eq!(statistics["expectations_fulfilled"], WAYS.len(), "{statistics}");
        let read = half(&gateway, "conntrack_ftp");
        assert_eq!(read["origin"], files[0].to_str().unwrap());
        assert!(read["calls"].as_u64() > Some(WAYS.len() as u64 * 4), "{read}");
        assert!(read["faults"] == 0 && read["fuel"].as_u64() > Some(0), "{read}");
        let written = half(&gateway, "nat_ftp");
        assert_eq!(
            written["calls"].as_u64() > Some(0),
            net != Net::Bridged && net != Net::Plain,
            "{written}"
        );
        drop(gateway);

        // The same module, and nobody to rewrite what it locates.
        if net == Net::Masquerade {
            let gateway = bench.gateway_with(&FTP.rules(net), &format!("{}nat = []\n", loading(&files[..1])));
            assert!(bench.fetch(WAYS[2].1, false).is_err());
            let story = gateway.ask(&["explain", "tcp"]);
            assert!(story.contains("NAT helper ftp is not loaded"), "{story}");
        }
    }
}

/// Datagrams that pass through the gateway for some seconds.
struct Stream {
    sender: Child,
    receiver: Child,
    count: usize,
}

impl Stream {
    fn start(bench: &Bench, seconds: usize) -> Self {
        let count = seconds * 1000;
        let [sender, receiver] =
            [("send.py", SENDER), ("receive.py", RECEIVER)].map(|(name, text)| bench.write(name, text));
        let mut receiver = bench.inside("server", &["python3", receiver.to_str().unwrap()]);
        let receiver = receiver.stdout(Stdio::piped()).spawn().unwrap();
        let listens = || bench.run("server", &["ss", "-Hlnu", "sport", "=", ":9000"]);
        while listens().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let arguments = ["python3", sender.to_str().unwrap(), bench.net.server()[0], &count.to_string()];
        Self { sender: bench.inside("client", &arguments).spawn().unwrap(), receiver, count }
    }

    fn runs(&mut self) -> bool {
        matches!(self.sender.try_wait(), Ok(None))
    }

    /// All of them arrived.
    fn finish(mut self) {
        assert!(self.sender.wait().unwrap().success());
        let told = self.receiver.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&told), format!("ready\n{}\n", self.count));
    }
}

#[test]
#[ignore = "takes root and network namespaces"]
fn modules_come_and_go_and_others_lose_no_packet() {
    if missing(&["vsftpd", "curl", "python3", "ss"]) {
        return;
    }
    let Some(files) = modules() else { return };
    let [conntrack, nat] = [&files[0], &files[1]].map(|file| file.to_str().unwrap());
    let net = Net::Masquerade;
    let bench = Bench::with("mg", net);
    let _server = Server::vsftpd(&bench);
    let rules =
        FTP.rules(net).replace("ct state new accept", "ct state new accept\n        udp dport 9000 accept");
    let gateway = bench.gateway_with(&rules, &loading(&files));
    let fetch = || bench.fetch(WAYS[2].1, false);

    // A session of the module is open all the time, and its transfer runs.
    let mut slow = bench.slow_fetch(WAYS[0].1, "600K");
    let mut stream = Stream::start(&bench, 5);
    let mut rounds = 0;
    while stream.runs() {
        gateway.ask(&["reload-module", "conntrack_ftp", "nat_ftp"]);
        assert_eq!(fetch(), Ok(()), "read again, round {rounds}");
        gateway.ask(&["unload", "nat_ftp", "conntrack_ftp", "--force"]);
        assert_eq!(half(&gateway, "conntrack_ftp")["origin"], "built-in");
        assert_eq!(fetch(), Ok(()), "built in, round {rounds}");
        gateway.ask(&["load", conntrack, nat]);
        assert_eq!(fetch(), Ok(()), "loaded, round {rounds}");
        rounds += 1;
    }
    stream.finish();
    assert!(rounds >= 2, "{rounds} rounds");
    assert!(slow.wait().unwrap().success());
    let statistics = gateway.statistics();
    assert_eq!(statistics["verdicts"]["drop"], 0, "{statistics}");
    assert_eq!(half(&gateway, "conntrack_ftp")["origin"], conntrack);
    // What is used stays, unless it is forced out: that session reads no more, and its transfer goes on.
    let mut slow = bench.slow_fetch(WAYS[0].1, "3M");
    let start = std::time::Instant::now();
    let before = half(&gateway, "conntrack_ftp")["calls"].clone();
    while half(&gateway, "conntrack_ftp")["calls"] == before {
        assert!(start.elapsed().as_secs() < 10, "no transfer");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let mut unload = std::process::Command::new(env!("CARGO_BIN_EXE_pinhole"));
    let told = unload
        .args(["unload", "nat_ftp", "conntrack_ftp", "--socket"])
        .arg(gateway.socket())
        .output()
        .unwrap();
    let (code, told) = (told.status.code(), String::from_utf8_lossy(&told.stderr));
    assert!(code != Some(0) && told.contains("conntrack_ftp: it is in use by "), "{code:?} {told}");
    gateway.ask(&["unload", "conntrack_ftp", "--force"]);
    let story = gateway.ask(&["explain", "tcp"]);
    assert!(story.contains("the helper was unloaded"), "{story}");
    assert!(slow.wait().unwrap().success());
}
