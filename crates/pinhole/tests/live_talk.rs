//! talk and talkd, as Debian has them: two users talk between network namespaces, the recording is replayed behind a default-drop
//! ruleset. With the helper the call goes through; without it, it does not. The kernel has no helper for talk.
//!
//! Needs root and a few programs; says aloud what it lacks, and skips.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use support::{code, command, stderr, stdout};

/// What the recording takes, and the Debian package that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("tcpdump", "tcpdump"),
    ("tmux", "tmux"),
    ("talk", "talk"),
    ("/usr/sbin/in.ntalkd", "talkd"),
    ("/usr/sbin/inetd", "openbsd-inetd"),
];

/// Callers are in 10.1.0.0/24; nothing else comes in unasked.
const WITH_HELPER: &str = r#"table inet firewall {
    ct helper talk-reader { type "talk" protocol udp; }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ip saddr 10.1.0.0/24 udp dport 518 ct helper set "talk-reader" accept
    }
}
"#;
const WITHOUT_HELPER: &str = r#"table inet firewall {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ip saddr 10.1.0.0/24 udp dport 518 accept
    }
}
"#;

/// What is missing; `None` if nothing is.
fn missing() -> Option<String> {
    let run = |line: &str| {
        Command::new("sh").args(["-c", line]).output().is_ok_and(|output| output.status.success())
    };
    if !run("test $(id -u) = 0 && ip netns add pinhole-probe && ip netns del pinhole-probe") {
        return Some("root, and leave to make network namespaces".to_owned());
    }
    let lacks = |program: &&(&str, &str)| !run(&format!("command -v {}", program.0));
    PROGRAMS.iter().find(lacks).map(|(program, package)| format!("{program} (apt-get install {package})"))
}

/// The packets of a replay, as JSON.
fn replayed(capture: &Path, rules: &str) -> Vec<Value> {
    let path = capture.with_extension("nft");
    std::fs::write(&path, rules).unwrap();
    let output =
        command().args(["replay", "--format", "json", "--rules"]).args([&path, capture]).output().unwrap();
    assert!(code(&output) <= 1, "{}", stderr(&output));
    let lines = stdout(&output);
    let values = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    values.filter(|value: &Value| value["type"] == "packet" && value["src"].is_string()).collect()
}

fn is(packet: &Value, proto: &str, from: &str) -> bool {
    packet["proto"] == proto && packet["src"] == from
}

#[test]
fn a_call_goes_through_with_the_helper_only() {
    if let Some(missing) = missing() {
        eprintln!("SKIPPED a call of talk: it takes {missing}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/talk.sh");
    let output = Command::new(script).arg(directory.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let screen = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(screen("caller.txt").contains("hello from the callee"), "{}", screen("caller.txt"));
    assert!(screen("callee.txt").contains("hello from the caller"), "{}", screen("callee.txt"));
    let capture = directory.path().join("talk.pcap");

    let packets = replayed(&capture, WITH_HELPER);
    let dropped: Vec<_> = packets.iter().filter(|packet| packet["verdict"] != "accept").collect();
    assert!(dropped.is_empty(), "{dropped:#?}");
    // The callee's look-up, and the beginning of the conversation.
    let look_up = packets.iter().find(|packet| is(packet, "udp", "10.2.0.2") && packet["dport"] == 518);
    let conversation = packets.iter().find(|packet| is(packet, "tcp", "10.2.0.2"));
    for first in [look_up, conversation] {
        assert_eq!(first.map(|packet| &packet["state"]), Some(&Value::from("related")), "{first:?}");
    }

    let packets = replayed(&capture, WITHOUT_HELPER);
    let passed = |packet: &&Value| is(packet, "tcp", "10.2.0.2") && packet["verdict"] == "accept";
    let look_up = packets.iter().find(|packet| is(packet, "udp", "10.2.0.2") && packet["dport"] == 518);
    assert_eq!(look_up.map(|packet| &packet["verdict"]), Some(&Value::from("drop")));
    assert!(packets.iter().any(|packet| packet["proto"] == "tcp"));
    assert_eq!(packets.iter().find(passed), None);
}
