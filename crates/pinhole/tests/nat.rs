//! `replay` with address translation, on captures made here: what leaves, and that every format shows both sides.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use pinhole_io::capture::CaptureReader;
use serde_json::{Map, Value};
use support::{Conversation, End, code, golden, pcap, pinhole, stderr, stdout};

const CLIENT: End = End { address: [10, 0, 0, 5], port: 40_000 };
const SERVER: End = End { address: [192, 0, 2, 1], port: 21 };
const SNAT: &str = "snat:10.0.0.0/8=203.0.113.7";
/// The demo's clients are in 192.0.2.0/24.
const DEMO: &str = "snat:192.0.2.0/24=203.0.113.7";

/// An active transfer as the client's own network sees it.
fn active() -> Vec<Vec<u8>> {
    let mut control = Conversation::open(CLIENT, SERVER);
    control
        .server("220 ready\r\n")
        .client("USER anonymous\r\n")
        .server("230 in\r\n")
        .client("PORT 10,0,0,5,195,101\r\n")
        .server("200 PORT command successful\r\n");
    let mut frames = control.frames.split_off(0);
    let data = Conversation::open(
        End { address: SERVER.address, port: 20 },
        End { address: CLIENT.address, port: 50_021 },
    );
    frames.extend(data.frames);
    control.client("QUIT\r\n").server("221 bye\r\n");
    frames.append(&mut control.frames);
    frames
}

/// A passive transfer as the server's own network sees it.
fn passive(server: End) -> Vec<Vec<u8>> {
    let client = End { address: [198, 51, 100, 9], port: 40_000 };
    let mut control = Conversation::open(client, server);
    control
        .server("220 ready\r\n")
        .client("USER anonymous\r\n")
        .server("230 in\r\n")
        .client("PASV\r\n")
        .server("227 Entering Passive Mode (10,0,0,5,195,101)\r\n");
    let mut frames = control.frames;
    let data = Conversation::open(
        End { address: client.address, port: 40_001 },
        End { address: server.address, port: 50_021 },
    );
    frames.extend(data.frames);
    frames
}

struct Captured {
    _folder: tempfile::TempDir,
    path: String,
    written: String,
}

fn capture(frames: &[Vec<u8>]) -> Captured {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pcap");
    std::fs::write(&path, pcap(frames)).unwrap();
    let written = folder.path().join("left.pcapng").to_str().unwrap().to_owned();
    Captured { path: path.to_str().unwrap().to_owned(), written, _folder: folder }
}

impl Captured {
    fn replay(&self, arguments: &[&str]) -> String {
        let mut all = vec!["replay", self.path.as_str(), "--helpers", "ftp=21,2121", "--one-sided"];
        all.extend_from_slice(arguments);
        let output = pinhole(&all);
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
        stdout(&output)
    }

    fn json(&self, arguments: &[&str]) -> Vec<Map<String, Value>> {
        let text = self.replay(&[arguments, &["--format", "json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn of<'a>(lines: &'a [Map<String, Value>], kind: &str) -> Vec<&'a Map<String, Value>> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn a_hidden_client_s_transfer_goes_on_as_if_it_were_not_hidden() {
    let capture = capture(&active());
    let tree = capture.replay(&["--nat", SNAT]);
    assert!(tree.contains("source 10.0.0.5:40000 as 203.0.113.7:40000"), "{tree}");
    assert!(tree.contains("expects tcp 192.0.2.1 > 203.0.113.7:50021"), "{tree}");
    assert!(tree.contains("RELATED conn 2 tcp 192.0.2.1:20 > 203.0.113.7:50021"), "{tree}");
    assert!(tree.contains("destination 203.0.113.7:50021 is 10.0.0.5:50021"), "{tree}");
    assert!(!tree.contains("invalid"), "{tree}");
}

#[test]
fn json_shows_both_sides() {
    let capture = capture(&active());
    let lines = capture.json(&["--nat", SNAT]);
    let settings = &lines[0]["settings"];
    assert_eq!(settings["nat"][0], SNAT);
    assert_eq!((&settings["nat_helpers"], &settings["one_sided"]), (&"all".into(), &true.into()));
    let packets = of(&lines, "packet");
    let first = &packets[0];
    assert_eq!((&first["src"], &first["left"][0]["src"]), (&"10.0.0.5".into(), &"203.0.113.7".into()));
    assert_eq!(first["left"][0]["bytes"], Value::Null);
    let command = packets.iter().find(|p| p["frame"] == 7).unwrap();
    assert_eq!(command["left"][0]["bytes"], "PORT 203,0,113,7,195,101");
    let conns = of(&lines, "conn");
    assert_eq!(conns[0]["original"]["src"], "10.0.0.5");
    assert_eq!(conns[0]["reply"]["dst"], "203.0.113.7");
    assert!(conns[0]["status"].as_array().unwrap().contains(&"src-nat".into()));
    assert_eq!(conns[0]["translated_by"]["source"], "--nat:6");
    assert!(conns[1]["status"].as_array().unwrap().contains(&"dst-nat".into()));
    assert_eq!(of(&lines, "packet").iter().filter(|p| p["state"] == "invalid").count(), 0);
}

#[test]
fn the_written_capture_is_what_the_outside_sees() {
    let capture = capture(&active());
    capture.replay(&["--nat", SNAT, "--write", &capture.written]);
    let mut reader = CaptureReader::open(std::path::Path::new(&capture.written)).unwrap();
    let (mut sent, mut text) = (0, Vec::new());
    while let Some(frame) = reader.next().unwrap() {
        let source = &frame.bytes[26..30];
        if source == [203, 0, 113, 7] {
            sent += 1;
            text.extend_from_slice(&frame.bytes[54..]);
        } else {
            assert_eq!(source, [192, 0, 2, 1], "packet {}", frame.number);
            assert_eq!(frame.bytes[30..34], [10, 0, 0, 5]);
        }
    }
    assert_eq!(sent, 6);
    let text = text.escape_ascii().to_string();
    assert_eq!(text, "USER anonymous\\r\\nPORT 203,0,113,7,195,101\\r\\nQUIT\\r\\n");
}

#[test]
fn a_server_behind_a_public_address_on_another_port() {
    let server = End { address: [10, 0, 0, 5], port: 21 };
    let capture = capture(&passive(server));
    let tree = capture.replay(&["--nat", "dnat:203.0.113.7:2121=10.0.0.5:21"]);
    assert!(tree.contains("conn 1 tcp 198.51.100.9:40000 > 203.0.113.7:2121"), "{tree}");
    assert!(tree.contains("destination 203.0.113.7:2121 is 10.0.0.5:21"), "{tree}");
    assert!(tree.contains("RELATED conn 2 tcp 198.51.100.9:40001 > 203.0.113.7:50021"), "{tree}");
    let explained = capture.replay(&["--nat", "dnat:203.0.113.7:2121=10.0.0.5:21", "--explain", "frame 8"]);
    assert!(explained.contains("227 Entering Passive Mode (203,0,113,7,195,101)"), "{explained}");
}

#[test]
fn without_its_nat_helper_the_announcement_stays_as_it_is_and_the_explanation_says_why() {
    let capture = capture(&active());
    let lines = capture.json(&["--nat", SNAT, "--nat-helpers", "none"]);
    let command = of(&lines, "packet").into_iter().find(|p| p["frame"] == 7).unwrap();
    assert_eq!(command["left"][0]["bytes"], Value::Null);
    assert_eq!(of(&lines, "conn")[0]["helper"], "ftp");
    for arguments in [&["--explain"][..], &["--explain", "frame 7"], &["--explain", "conn 1"]] {
        let text = capture.replay(&[&["--nat", SNAT, "--nat-helpers", "none"], arguments].concat());
        assert!(text.contains("NAT helper ftp is not loaded"), "{arguments:?}\n{text}");
    }
}

#[test]
fn every_format_shows_both_sides() {
    let capture = capture(&active());
    let listing = capture.replay(&["--nat", SNAT, "--format", "conntrack"]);
    assert!(
        listing.contains("src=10.0.0.5 dst=192.0.2.1 sport=40000 dport=21 packets=")
            && listing.contains("src=192.0.2.1 dst=203.0.113.7 sport=21 dport=40000 packets="),
        "{listing}"
    );
    let events = capture.replay(&["--nat", SNAT, "--events"]);
    assert!(events.contains("src=192.0.2.1 dst=203.0.113.7 sport=21 dport=40000"), "{events}");
    let table = capture.replay(&["--nat", SNAT, "--format", "table"]);
    assert!(table.contains("→ 203.0.113.7:40000 > 192.0.2.1:21 \"PORT 203,0,113,7,195,101\""), "{table}");
    let explained = capture.replay(&["--nat", SNAT, "--explain", "frame 1"]);
    assert!(explained.contains("nat      source 10.0.0.5:40000 as 203.0.113.7:40000"), "{explained}");
    assert!(explained.contains("left     203.0.113.7:40000 > 192.0.2.1:21"), "{explained}");
    assert!(explained.contains("snat to 203.0.113.7"), "{explained}");
    let picture = format!("{}.svg", capture.written);
    capture.replay(&["--nat", SNAT, "--diagram", &picture]);
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.contains("10.0.0.5, known as 203.0.113.7"), "{picture}");
    assert!(picture.contains("PORT 203,0,113,7,195,101"), "{picture}");
}

/// All that is shown of a demo capture's active transfer, translated: against golden files.
#[test]
fn formats_of_a_translated_transfer() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("picture.svg");
    let picture = picture.to_str().unwrap();
    let replay = ["replay", "ftp-active.pcap", "--nat", DEMO, "--one-sided", "--helpers", "ftp"];
    let formats: [(&str, &[&str]); 6] = [
        ("tree.txt", &["--diagram", picture]),
        ("jsonl", &["--format", "json"]),
        ("conntrack.txt", &["--format", "conntrack"]),
        ("events.txt", &["--events"]),
        ("table.txt", &["--format", "table"]),
        ("explain.txt", &["--explain"]),
    ];
    for (name, format) in formats {
        let output = pinhole(&[&replay[..], format].concat());
        assert_eq!(code(&output), 0, "{name}: {}", stderr(&output));
        golden(&format!("nat-active.{name}"), &stdout(&output));
    }
    golden("nat-active.svg", &std::fs::read_to_string(picture).unwrap());
}

#[test]
fn a_ruleset_s_masquerade_takes_the_address_of_its_interface() {
    let capture = capture(&active());
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("router.nft");
    std::fs::write(
        &rules,
        "table ip nat { chain post { type nat hook postrouting priority srcnat; oifname wan masquerade; } }\n",
    )
    .unwrap();
    let rules = rules.to_str().unwrap();
    let interfaces = ["--iface", "wan=0.0.0.0/0,address=203.0.113.7", "--iface", "lan=10.0.0.0/8"];
    let tree = capture.replay(&[&["--rules", rules][..], &interfaces].concat());
    assert!(tree.contains("source 10.0.0.5:40000 as 203.0.113.7:40000"), "{tree}");
    assert!(tree.contains("RELATED conn 2"), "{tree}");
    // Without an address nothing leaves under a wrong one.
    let dropped = capture.json(&["--rules", rules, "--iface", "wan=0.0.0.0/0", "--iface", "lan=10.0.0.0/8"]);
    assert_eq!(of(&dropped, "packet")[0]["reason"], "nat-no-address");
}

/// Two inside ends that want one port, to two servers; then somebody who was never asked.
fn meeting() -> Vec<Vec<u8>> {
    let end = |address: [u8; 4], port| End { address, port };
    let mut frames = Vec::new();
    for (client, server) in [
        (end([10, 0, 0, 5], 5000), end([192, 0, 2, 1], 3478)),
        (end([10, 0, 0, 6], 5000), end([192, 0, 2, 2], 3478)),
        (end([192, 0, 2, 9], 5000), end([203, 0, 113, 7], 5000)),
    ] {
        frames.extend(Conversation::open(client, server).frames.into_iter().take(1));
    }
    frames
}

#[test]
fn options_beyond_netfilter_s_ways() {
    let capture = capture(&meeting());
    let replay = |options: &[&str]| {
        let arguments = [&["replay", &capture.path, "--nat", SNAT, "--format", "json"], options].concat();
        let output = pinhole(&arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let lines: Vec<Map<String, Value>> =
            stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        lines
    };
    let ports = |lines: &[Map<String, Value>]| -> Vec<Value> {
        of(lines, "conn").iter().map(|conn| conn["reply"]["dport"].clone()).collect()
    };
    let as_netfilter = replay(&[]);
    assert_eq!(ports(&as_netfilter)[..2], [5000, 5000]);
    assert_eq!(as_netfilter[0]["settings"]["nat_options"], serde_json::json!({}));
    let independent = replay(&["--nat-mapping", "endpoint-independent"]);
    assert_eq!(ports(&independent)[0], 5000);
    assert_ne!(ports(&independent)[1], 5000);
    assert_eq!(of(&independent, "conn")[2]["reply"]["src"], "203.0.113.7");
    let open = replay(&[
        "--nat-mapping",
        "endpoint-independent",
        "--nat-filtering",
        "endpoint-independent",
        "--nat-parity",
    ]);
    assert_eq!(of(&open, "conn")[2]["reply"]["src"], "10.0.0.5");
    let given = serde_json::json!({
        "mapping": "endpoint-independent", "filtering": "endpoint-independent", "parity": true
    });
    assert_eq!(open[0]["settings"]["nat_options"], given);
    let blocks = replay(&["--nat-ports-per-host", "4096"]);
    assert_eq!(blocks[0]["settings"]["nat_options"]["ports_per_host"], 4096);
    let block = |port: &Value| (port.as_u64().unwrap() - 1024) / 4096;
    assert_ne!(block(&ports(&blocks)[0]), block(&ports(&blocks)[1]));
    let explain = ["replay", &capture.path, "--nat", SNAT, "--nat-mapping", "endpoint-independent"];
    let explain =
        [&explain[..], &["--nat-filtering", "endpoint-independent", "--explain", "conn 3"]].concat();
    let explained = stdout(&pinhole(&explain));
    assert!(explained.contains("destination 203.0.113.7:5000 is 10.0.0.5:5000"), "{explained}");
    assert!(explained.contains("because that end stands for this one"), "{explained}");
}

/// What translates without a rule is named: a prefix, a hairpin.
#[test]
fn what_translated_without_a_rule_is_told() {
    let rules = tempfile::tempdir().unwrap();
    let path = rules.path().join("router.nft");
    let text = "table ip nat { chain pre { type nat hook prerouting priority dstnat; ip daddr 203.0.113.7 dnat to 10.0.0.5; } }";
    std::fs::write(&path, text).unwrap();
    let itself = Conversation::open(
        End { address: [10, 0, 0, 6], port: 5000 },
        End { address: [203, 0, 113, 7], port: 80 },
    );
    let capture = capture(&itself.frames[..1]);
    let replay = ["replay", &capture.path, "--rules", path.to_str().unwrap(), "--nat-hairpin"];
    let lan = ["--iface", "lan=10.0.0.0/8", "--iface", "wan=0.0.0.0/0,address=203.0.113.7"];
    let output = pinhole(&[&replay[..], &lan, &["--format", "json"]].concat());
    let lines: Vec<Map<String, Value>> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let conn = of(&lines, "conn")[0];
    assert_eq!(conn["translated_by"]["source"], "--nat-hairpin");
    assert_eq!((&conn["reply"]["src"], &conn["reply"]["dst"]), (&"10.0.0.5".into(), &"203.0.113.7".into()));
    let explained = stdout(&pinhole(&[&replay[..], &lan, &["--explain", "conn 1"]].concat()));
    assert!(explained.contains("because it turns round here (--nat-hairpin)"), "{explained}");

    let prefix = "nptv6:2001:db8:1::/48=2001:db8:2::/48";
    let replay = ["replay", "ftp-eprt-ipv6.pcap", "--nat", prefix, "--helpers", "ftp", "--one-sided"];
    let explained = stdout(&pinhole(&[&replay[..], &["--explain", "conn 1"]].concat()));
    assert!(explained.contains("by --nat"), "{explained}");
}

#[test]
fn options_that_need_others_say_so() {
    for (options, missing) in [
        (&["--nat-filtering", "endpoint-independent"][..], "--nat-mapping"),
        (&["--nat-hairpin"], "--iface"),
        (&["--nat-ports-per-host", "0"], "--nat-ports-per-host"),
    ] {
        let output = pinhole(&[&["replay", "ftp-active.pcap"], options].concat());
        assert_eq!(code(&output), 2, "{options:?}");
        assert!(stderr(&output).contains(missing), "{options:?}: {}", stderr(&output));
    }
}

#[test]
fn wrong_arguments_are_told_precisely() {
    for (arguments, message) in [
        (["--nat", "snat:10.0.0.0/8"], "as in snat:10.0.0.0/8=203.0.113.7"),
        (["--nat", "dnat:203.0.113.7=10.0.0.5:21"], "name the port on the left side too"),
        (["--nat-helpers", "smtp"], "no NAT helper is called `smtp`"),
        (["--iface", "wan=0.0.0.0/0,addr=1.2.3.4"], "expected address=IP behind the comma"),
        (["--iface", "wan=0.0.0.0/0,address=wan"], "`wan` is not an IP address"),
    ] {
        let output = pinhole(&["replay", "ftp-active.pcap", arguments[0], arguments[1]]);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
    }
}
