//! Whatever is wrong with the input is told precisely, with its exit code.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::path::PathBuf;
use support::{code, demo, pinhole, stderr, stdout};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[track_caller]
fn fails(arguments: &[&str], exit: i32, message: &str) {
    let output = pinhole(arguments);
    let error = stderr(&output);
    assert!(error.contains(message), "{arguments:?}: {error}");
    assert_eq!(code(&output), exit, "{arguments:?}: {error}");
}

#[test]
fn captures() {
    let folder = Folder::new();
    fails(&["replay", "missing.pcap"], 1, "missing.pcap: cannot open");
    fails(&["replay", &folder.file("empty.pcap", b"")], 1, "the file is empty");
    fails(&["replay", &folder.file("text.pcap", b"hello world, this is no capture")], 1, "not a capture");
    fails(&["replay"], 2, "no capture");
    fails(&["replay", "-", "-"], 2, "only one");
}

#[test]
fn a_truncated_capture_is_shown_as_far_as_it_goes() {
    let folder = Folder::new();
    let whole = std::fs::read(demo("ftp-active.pcap")).unwrap();
    let path = folder.file("cut.pcap", &whole[..whole.len() - 10]);
    let output = pinhole(&["replay", &path, "--helpers", "ftp"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("36 packets"), "{}", stdout(&output));
    assert!(stderr(&output).contains("packet 37"), "{}", stderr(&output));
    let json = stdout(&pinhole(&["replay", &path, "--format", "json"]));
    assert!(json.lines().last().unwrap().contains("\"complete\":false"), "{json}");
}

#[test]
fn rulesets() {
    let folder = Folder::new();
    let wrong = folder.file("wrong.nft", b"table inet t {\n  chain c {\n    tcp dprot 21 accept\n  }\n}\n");
    let capture = "ftp-active.pcap";
    fails(&["replay", capture, "--rules", &wrong], 3, "wrong.nft:3");
    fails(&["replay", capture, "--rules", &wrong], 3, "^^^");
    fails(&["check", &wrong], 3, "wrong.nft:3");
    fails(&["replay", capture, "--rules", "missing.nft"], 3, "missing.nft");
    let unknown =
        folder.file("unknown.nft", b"table inet t {\n  ct helper h { type \"gopher\" protocol tcp; }\n}\n");
    fails(&["replay", capture, "--rules", &unknown], 3, "no helper is called `gopher`");
    fails(&["check", &unknown], 3, "no helper is called `gopher`");
    let binary = folder.file("binary.nft", &[0xff, 0xfe, 0]);
    fails(&["check", &binary], 3, "UTF-8");
}

#[test]
fn check_tells_what_is_right() {
    let output = pinhole(&["check", "with-helper.nft", "without-helper.nft"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert_eq!(stdout(&output), "with-helper.nft: correct\nwithout-helper.nft: correct\n");
    let json = stdout(&pinhole(&["check", "--format", "json", "with-helper.nft"]));
    assert_eq!(json, "{\"type\":\"file\",\"file\":\"with-helper.nft\",\"correct\":true}\n");
}

#[test]
fn arguments() {
    let capture = "ftp-active.pcap";
    fails(&["replay", capture, "--helpers", "gopher"], 2, "no helper is called `gopher`; there are: ftp");
    fails(&["replay", capture, "--helpers", "ftp=0"], 2, "`0` is not a port");
    fails(&["replay", capture, "--helpers", "ftp=21,x"], 2, "`x` is not a port");
    fails(&["replay", capture, "--local", "10.0.0.1/8"], 2, "did you mean 10.0.0.0/8?");
    fails(&["replay", capture, "--local", "lan"], 2, "`lan` is not an IP address");
    fails(&["replay", capture, "--iface", "lan"], 2, "NAME=CIDR");
    fails(&["replay", capture, "--iface", "lan=10.0.0.0/40"], 2, "`40` is not a prefix length");
    fails(&["replay", capture, "--explain", "nonsense"], 2, "`nonsense` is neither");
    fails(&["replay", capture, "--diagram", "picture.png"], 2, ".svg or .html");
    fails(&["replay", capture, "--write-all"], 2, "--write");
    fails(&["replay", capture, "--max-conns", "0"], 2, "0");
    fails(&["helpers", "gopher"], 2, "no helper is called `gopher`");
    fails(&["fly"], 2, "fly");
}

#[test]
fn explain_leaves_captures_alone() {
    let before = pinhole(&["replay", "--explain", "ftp-active.pcap", "--helpers", "ftp"]);
    let after = pinhole(&["replay", "ftp-active.pcap", "--helpers", "ftp", "--explain"]);
    assert_eq!(code(&before), 0, "{}", stderr(&before));
    assert_eq!(stdout(&before), stdout(&after));
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("pinhole"))
        .args(["replay", "irc-dcc.pcap", "irc-dcc.pcap", "--format", "json"])
        .current_dir(demo(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
fn completions_man_pages_and_helpers_are_printed() {
    let bash = stdout(&pinhole(&["completions", "bash"]));
    assert!(bash.contains("--explain"));
    let man = stdout(&pinhole(&["man"]));
    assert!(man.starts_with(".ie") && man.contains("pinhole"));
    let folder = Folder::new();
    let pages = folder.0.path().join("man");
    assert_eq!(code(&pinhole(&["man", pages.to_str().unwrap()])), 0);
    assert!(std::fs::read_to_string(pages.join("pinhole-replay.1")).unwrap().contains("CAPTURE"));
    let list = stdout(&pinhole(&["helpers"]));
    assert!(list.contains("ftp") && list.contains("irc"), "{list}");
    let ftp = stdout(&pinhole(&["helpers", "ip_conntrack_ftp"]));
    assert!(ftp.starts_with("ftp"), "{ftp}");
    let json = stdout(&pinhole(&["helpers", "--format", "json"]));
    for line in json.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["name"].is_string() && value["limits"].is_array());
    }
}
