//! Helpers of files: loaded, shown, checked, refused, and at work on captures by others and made here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use support::{Conversation, End, code, golden, pcap, pinhole, stderr, stdout};

/// The folder of declarations.
fn helpers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../helpers").canonicalize().unwrap()
}

fn declaration(name: &str) -> String {
    helpers().join(name).to_str().unwrap().to_owned()
}

/// Captures that are not in the repository.
fn shared(what: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("PINHOLE_SHARED").map_or(beside, PathBuf::from);
    if shared.join("captures").is_dir() {
        return Some(shared.join("captures"));
    }
    println!("SKIPPED {what}: there are no captures in {}", shared.display());
    None
}

fn lines(arguments: &[&str]) -> Vec<Value> {
    let output = pinhole(&[arguments, &["--format", "json"]].concat());
    assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Frame, source, destination and port of what was expected, by the helper's expectations in a replay.
fn expected(arguments: &[&str]) -> Vec<(u64, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or("*").to_owned();
    lines(arguments)
        .iter()
        .filter(|line| line["type"] == "expectation")
        .map(|line| {
            let (expect, frame) = (&line, line["frame"].as_u64().unwrap());
            (frame, text(&expect["src"]), text(&expect["dst"]), expect["dport"].as_u64().unwrap())
        })
        .collect()
}

/// The rows of a capture's truth for UDP or TCP control connections that this helper reads.
fn truth(capture: &Path, helper: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{}.truth.jsonl", capture.display())).unwrap_or_default();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["helper"] == helper).collect()
}

#[test]
fn rsh_expects_what_the_truth_says() {
    let Some(captures) = shared("rsh") else { return };
    let capture = captures.join("rsh/nDPI__rsh.pcap");
    let rsh = declaration("rsh.toml");
    let found = expected(&[
        "replay",
        capture.to_str().unwrap(),
        "--load",
        &rsh,
        "--allow",
        "privileged-ports",
        "--helpers",
        "rsh",
    ]);
    let truth: Vec<_> = truth(&capture, "rsh")
        .iter()
        .map(|row| {
            let expect = &row["expect"];
            let text = |key: &str| expect[key].as_str().unwrap().to_owned();
            (
                row["control_frame"].as_u64().unwrap(),
                text("src"),
                text("dst"),
                expect["dport"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(truth.len(), 2);
    assert_eq!(found, truth);
}

#[test]
fn what_the_port_mapper_named_is_related() {
    let Some(captures) = shared("the port mapper") else { return };
    let portmap = declaration("portmap.toml");
    let mut compared = 0;
    for name in
        ["zeek__nfs_write.pcap", "zeek__nfs_write_bad_stable_how.pcap", "zeek__rpc-portmap-sadmind.pcap"]
    {
        let capture = captures.join("rpc-portmap").join(name);
        let lines = lines(&[
            "replay",
            capture.to_str().unwrap(),
            "--load",
            &portmap,
            "--allow",
            "privileged-ports",
            "--helpers",
            "portmap",
        ]);
        // The declaration reads UDP only.
        for row in truth(&capture, "rpc-portmap").iter().filter(|row| row["expect"]["proto"] == "udp") {
            let Some(data) = row["data_frame"].as_u64() else { continue };
            let packet = lines.iter().find(|line| line["type"] == "packet" && line["frame"] == data).unwrap();
            assert_eq!(packet["state"], "related", "{name} frame {data}");
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared}");
}

/// A relay's conversation in which an offer is taken, and the connection that follows.
fn relay() -> Vec<Vec<u8>> {
    let client = End { address: [10, 0, 0, 5], port: 40_000 };
    let server = End { address: [192, 0, 2, 1], port: 7788 };
    let mut control = Conversation::open(client, server);
    control.client("RELAY/1 me\r\n").server("RELAY/1 you\r\n").client("OFFER tea 10.0.0.5 50000\r\n");
    control.server("TAKE tea\r\n");
    let mut frames = control.frames;
    frames.extend(
        Conversation::open(
            End { address: server.address, port: 40_001 },
            End { address: client.address, port: 50_000 },
        )
        .frames,
    );
    frames
}

#[test]
fn a_declared_helper_works_behind_nat() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("relay.pcap");
    std::fs::write(&capture, pcap(&relay())).unwrap();
    let (capture, relay) = (capture.to_str().unwrap(), declaration("relay.toml"));
    let replay = [
        "replay",
        capture,
        "--load",
        &relay,
        "--helpers",
        "relay",
        "--nat",
        "snat:10.0.0.0/8=203.0.113.7",
        "--one-sided",
    ];
    let found = lines(&replay);
    let packets: Vec<&Value> = found.iter().filter(|line| line["type"] == "packet").collect();
    assert_eq!(packets[5]["left"][0]["bytes"], "OFFER tea 203.0.113.7 50000");
    assert_eq!(packets[7]["state"], "related", "{:?}", packets[7]);
    // Without its NAT half the offer leaves as it came.
    let alone = lines(&[&replay[..], &["--nat-helpers", "none"]].concat());
    let packets: Vec<&Value> = alone.iter().filter(|line| line["type"] == "packet").collect();
    assert_eq!(packets[5]["left"][0]["bytes"], Value::Null);
    let only = lines(&[&replay[..], &["--nat-helpers", "ftp,relay"]].concat());
    assert_eq!(only.iter().filter(|line| line["state"] == "related").count(), 1);
}

#[test]
fn a_ruleset_attaches_a_declared_helper() {
    let folder = tempfile::tempdir().unwrap();
    let (capture, rules) = (folder.path().join("relay.pcap"), folder.path().join("fw.nft"));
    std::fs::write(&capture, pcap(&relay())).unwrap();
    let text = "table inet f {\n  ct helper post { type \"relay\" protocol tcp; }\n  chain p { type filter hook prerouting priority 0; \
                tcp dport 7788 ct helper set \"post\"; }\n  chain f { type filter hook forward priority 0; policy drop; \
                ct state established,related accept\n tcp dport 7788 accept\n }\n}\n";
    std::fs::write(&rules, text).unwrap();
    let (capture, rules, relay) =
        (capture.to_str().unwrap(), rules.to_str().unwrap(), declaration("relay.toml"));
    let output = pinhole(&["replay", capture, "--rules", rules, "--load", &relay, "--fail-on", "drop"]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    for arguments in [&["replay", capture, "--rules", rules][..], &["check", rules]] {
        let output = pinhole(arguments);
        assert_eq!(code(&output), 3);
        assert!(stderr(&output).contains("no helper is called `relay`"), "{}", stderr(&output));
    }
    assert_eq!(code(&pinhole(&["check", rules, "--load", &relay])), 0);
}

#[test]
fn pages_of_declared_helpers() {
    for name in ["relay", "rsh", "quake3", "portmap"] {
        let file = declaration(&format!("{name}.toml"));
        let output = pinhole(&[
            "helpers",
            name,
            "--load",
            &file,
            "--allow",
            "privileged-ports",
            "--allow",
            "introduce",
        ]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let page = stdout(&output).replace(helpers().to_str().unwrap(), "helpers");
        golden(&format!("helpers.{name}.txt"), &page);
    }
    let relay = declaration("relay.toml");
    let json = stdout(&pinhole(&["helpers", "relay", "--load", &relay, "--format", "json"]));
    let page: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&page["origin"], &page["signed"]), (&Value::from(relay), &Value::Null));
    let json = stdout(&pinhole(&["helpers", "ftp", "--format", "json"]));
    assert!(json.contains("\"origin\":\"built-in\""), "{json}");
}

#[track_caller]
fn refused(arguments: &[&str], expected_code: i32, message: &str) {
    let output = pinhole(arguments);
    assert_eq!(code(&output), expected_code, "{arguments:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(message), "{arguments:?}: {}", stderr(&output));
}

#[test]
fn files_that_are_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (rsh, quake3, relay) =
        (declaration("rsh.toml"), declaration("quake3.toml"), declaration("relay.toml"));
    refused(
        &["helpers", "--load", &rsh],
        3,
        "helper `rsh` needs to open ports below 1024: allow it with --allow privileged-ports",
    );
    refused(
        &["helpers", "--load", &quake3, "--allow", "privileged-ports"],
        3,
        "allow it with --allow introduce",
    );
    refused(&["helpers", "--load", "missing.toml"], 3, "missing.toml: cannot read: ");
    refused(&["helpers", "--load", "ftp-active.pcap"], 3, "the name of a declaration ends in .toml");
    refused(&["helpers", "--load", &relay, "--load", &relay], 3, "helper `relay` is loaded from");
    refused(&["helpers", "--load", &file("binary.toml", &[0xff])], 3, "not UTF-8");
    refused(&["helpers", "--load", &file("long.toml", &[b'#'; 70_000])], 3, "longer than 65536 bytes");
    refused(&["helpers", "--load", "/dev/zero.toml"], 3, "cannot read");
    refused(
        &["replay", "ftp-active.pcap", "--load", &relay, "--helpers", "gopher"],
        2,
        "no helper is called `gopher`; there are: ftp",
    );
    let text = std::fs::read_to_string(&relay).unwrap();
    let wrong = file("wrong.toml", text.replace("{address} {port}", "{address} {prt}").as_bytes());
    for arguments in [
        &["check", wrong.as_str()][..],
        &["helpers", "--load", &wrong],
        &["replay", "ftp-active.pcap", "--load", &wrong],
    ] {
        refused(arguments, 3, "there is no field `prt`");
        refused(arguments, 3, "wrong.toml:24:37");
        refused(arguments, 3, "^^^^^");
    }
}

#[test]
fn check_tells_what_a_declaration_needs() {
    let output = pinhole(&["check", &declaration("relay.toml"), &declaration("rsh.toml")]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = stdout(&output).replace(helpers().to_str().unwrap(), "helpers");
    assert_eq!(
        text,
        "helpers/relay.toml: correct\nhelpers/rsh.toml: correct, needs --allow privileged-ports\n"
    );
}

// Made with minisign 0.11 of Debian 12; the signed file is crates/pinhole/tests/signed/relay.toml.
const KEY: &str = include_str!("signed/minisign.pub");
const OTHER_KEY: &str = "RWRwWgrq9kpMRX5QmJzDiki/+1r1sU20NQpk4NALXQL4mEjdOQfgnA2i";

#[test]
fn signatures() {
    let key = KEY.lines().nth(1).unwrap();
    let signed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signed/relay.toml");
    let signed = signed.to_str().unwrap();
    let output = pinhole(&["helpers", "relay", "--load", signed, "--trusted-key", key, "--require-signed"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stdout(&output).contains("\nsigned: relay.toml of pinhole's tests\n"), "{}", stdout(&output));
    refused(
        &["helpers", "--load", signed, "--trusted-key", OTHER_KEY],
        3,
        "signed with a key that is not among the trusted ones",
    );
    let unsigned = declaration("relay.toml");
    refused(
        &["helpers", "--load", &unsigned, "--trusted-key", key, "--require-signed"],
        3,
        "it is not signed, and require-signed is set",
    );
    assert_eq!(code(&pinhole(&["helpers", "--load", &unsigned, "--trusted-key", key])), 0);
    refused(
        &["helpers", "--load", signed, "--trusted-key", "hello"],
        2,
        "`hello` is no public key of minisign",
    );
    refused(&["helpers", "--load", signed, "--require-signed"], 2, "--trusted-key");
    // One byte more, and the signature is another file's.
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("relay.toml");
    std::fs::write(&changed, std::fs::read_to_string(signed).unwrap() + "\n").unwrap();
    std::fs::copy(format!("{signed}.minisig"), folder.path().join("relay.toml.minisig")).unwrap();
    refused(
        &["helpers", "--load", changed.to_str().unwrap(), "--trusted-key", key],
        3,
        "its signature does not fit",
    );
}

#[test]
fn conformance_cases() {
    for (name, count) in [("relay", 4), ("rsh", 4), ("quake3", 4), ("portmap", 1)] {
        let cases = helpers().join("cases").join(name);
        let output =
            pinhole(&["helper", "test", &declaration(&format!("{name}.toml")), cases.to_str().unwrap()]);
        assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
        assert!(
            stdout(&output).ends_with(&format!("{name}: {count} cases, 0 failed\n")),
            "{}",
            stdout(&output)
        );
    }
    // Another helper fails them, and says what it should have asked for.
    let cases = helpers().join("cases/relay");
    let output = pinhole(&["helper", "test", "ftp", cases.to_str().unwrap()]);
    assert_eq!(code(&output), 4);
    assert!(
        stdout(&output).contains("FAILED offers: line 1\n    expected {\"turn_to_line\":"),
        "{}",
        stdout(&output)
    );
    refused(&["helper", "test", "gopher", cases.to_str().unwrap()], 2, "no helper is called `gopher`");
    refused(&["helper", "test", "ftp", "."], 2, "there is no case");
}

#[test]
fn a_new_declaration_works() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("post");
    let place = place.to_str().unwrap();
    let new = ["helper", "new", "post", "--folder", place];
    let output = pinhole(&new);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let output = pinhole(&["helper", "test", &format!("{place}/post.toml"), &format!("{place}/cases")]);
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).ends_with("post: 3 cases, 0 failed\n"), "{}", stdout(&output));
    // Nothing is written over.
    refused(&new, 5, "exists");
    refused(&["helper", "new", "../x"], 2, "cannot be a helper's name");
    refused(&["helper", "new", "x", "--source", "."], 2, "--source is for --lang rust");
}
