//! A call between two SIPp, with media, in two network namespaces: recorded as it happens, then replayed behind a ruleset that lets in only what the
//! helper announced. Without the helper the media are dropped, so it is the helper that lets them in.
//!
//! Needs root and the Debian packages `iproute2`, `sip-tester` and `tcpdump`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CALLER: &str = "10.77.0.1";
const CALLED: &str = "10.77.0.2";
/// Media that ship with SIPp; its scenario `uac_pcap` sends them.
const MEDIA: &str = "/usr/share/sip-tester";

/// Two namespaces with a wire between them; both go with it.
struct Lab {
    names: [String; 2],
}

impl Lab {
    fn new(kind: &str) -> Self {
        let names = ["a", "b"].map(|end| format!("pinhole-{kind}-{end}-{}", std::process::id()));
        let lab = Self { names };
        let [a, b] = &lab.names;
        for name in &lab.names {
            run("ip", &["netns", "add", name]);
        }
        run("ip", &["link", "add", "wire", "netns", a, "type", "veth", "peer", "name", "wire", "netns", b]);
        for (name, address) in [(a, CALLER), (b, CALLED)] {
            run("ip", &["-n", name, "address", "add", &format!("{address}/24"), "dev", "wire"]);
            run("ip", &["-n", name, "link", "set", "wire", "up"]);
            run("ip", &["-n", name, "link", "set", "lo", "up"]);
        }
        lab
    }

    /// A program in a namespace.
    fn start(&self, end: usize, folder: &Path, program: &str, arguments: &[&str]) -> Child {
        Command::new("ip")
            .args(["netns", "exec", &self.names[end], program])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.names {
            // The wire goes with the first of them.
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().unwrap().success(), "{program} {arguments:?}");
}

/// Ends a program that this test started, as Ctrl-C would, and waits for it.
fn interrupt(mut child: Child) {
    run("kill", &["-INT", &child.id().to_string()]);
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > Duration::from_secs(5) {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the programs and the rights are there; if not, it is said.
fn is_possible(kind: &str) -> bool {
    let works = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        output.is_ok()
    };
    let programs = works("sipp", &["-v"]) && works("tcpdump", &["--version"]) && Path::new(MEDIA).is_dir();
    let probe = format!("pinhole-{kind}-probe-{}", std::process::id());
    let root = works("ip", &["-V"])
        && Command::new("ip")
            .args(["netns", "add", &probe])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success());
    if root {
        run("ip", &["netns", "del", &probe]);
    }
    if !(programs && root) {
        eprintln!("SKIPPED live SIP: needs root, ip, sipp (sip-tester) and tcpdump");
    }
    programs && root
}

/// Records a call whose signalling goes over this transport (`u1`: UDP, `t1`: TCP).
fn record(kind: &str, transport: &str, folder: &Path) {
    let lab = Lab::new(kind);
    std::os::unix::fs::symlink(MEDIA, folder.join("pcap")).unwrap();
    let file = folder.join("call.pcap");
    let recorder =
        lab.start(1, folder, "tcpdump", &["-i", "wire", "-U", "-Z", "root", "-w", file.to_str().unwrap()]);
    let common = ["-t", transport, "-p", "5060", "-nostdin"];
    let called = ["-sn", "uas", "-i", CALLED, "-mi", CALLED, "-rtp_echo"];
    let called = lab.start(1, folder, "sipp", &[&called[..], &common].concat());
    std::thread::sleep(Duration::from_secs(1));
    let caller =
        ["10.77.0.2:5060", "-sn", "uac_pcap", "-i", CALLER, "-mi", CALLER, "-m", "1", "-timeout", "15"];
    let status = lab.start(0, folder, "sipp", &[&caller[..], &common].concat()).wait().unwrap();
    assert!(status.success(), "the call failed: {status}");
    interrupt(called);
    interrupt(recorder);
}

/// Replays the call; how many media packets were accepted and dropped, and how many of them were related.
fn replay(folder: &Path, protocol: &str, with_helper: bool) -> [usize; 3] {
    let helper = if with_helper { "ct helper set \"calls\" " } else { "" };
    let rules = format!(
        "table inet firewall {{\n ct helper calls {{ type \"sip\" protocol {protocol}; }}\n chain forward {{\n  \
         type filter hook forward priority filter; policy drop;\n  ct state established,related accept\n  \
         ip saddr {CALLER} {protocol} dport 5060 ct state new {helper}accept\n }}\n}}\n"
    );
    std::fs::write(folder.join("rules.nft"), rules).unwrap();
    let (capture, rules) = (folder.join("call.pcap"), folder.join("rules.nft"));
    let arguments =
        ["replay", capture.to_str().unwrap(), "--rules", rules.to_str().unwrap(), "--format", "json"];
    let output = support::stdout(&support::pinhole(&arguments));
    let mut counts = [0; 3];
    for line in output.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let is_media = line["type"] == "packet" && line["proto"] == "udp" && line["dport"] == 6000;
        counts[0] += usize::from(is_media && line["verdict"] == "accept");
        counts[1] += usize::from(is_media && line["verdict"] == "drop");
        counts[2] += usize::from(is_media && line["state"] == "related");
    }
    counts
}

fn check(kind: &str, transport: &str, protocol: &str) {
    if !is_possible(kind) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    record(kind, transport, folder.path());
    let [accepted, dropped, related] = replay(folder.path(), protocol, true);
    assert!(
        accepted > 100 && dropped == 0 && related >= 1,
        "{accepted} accepted, {dropped} dropped, {related} related"
    );
    let [accepted, dropped, related] = replay(folder.path(), protocol, false);
    assert!(
        accepted == 0 && dropped > 100 && related == 0,
        "{accepted} accepted, {dropped} dropped, {related} related"
    );
}

#[test]
fn a_call_over_udp() {
    check("sip-udp", "u1", "udp");
}

#[test]
fn a_call_over_tcp() {
    check("sip-tcp", "t1", "tcp");
}
