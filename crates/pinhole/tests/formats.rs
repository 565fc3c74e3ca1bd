//! Every format on every demo capture, against golden files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{code, golden, pinhole, stdout};

const CAPTURES: [&str; 5] = ["ftp-active", "ftp-passive", "ftp-eprt-ipv6", "ftp-epsv-ipv6", "irc-dcc"];

fn check(suffix: &str, arguments: &[&str]) {
    for capture in CAPTURES {
        let file = format!("{capture}.pcap");
        let mut all = vec!["replay", file.as_str()];
        all.extend_from_slice(arguments);
        let output = pinhole(&all);
        assert_eq!(code(&output), 0, "{capture} {arguments:?}: {}", support::stderr(&output));
        golden(&format!("{capture}.{suffix}"), &stdout(&output));
    }
}

const WITH: [&str; 2] = ["--rules", "with-helper.nft"];

#[test]
fn tree() {
    check("tree.txt", &WITH);
}

#[test]
fn tree_without_helper() {
    check("without.tree.txt", &["--rules", "without-helper.nft"]);
}

#[test]
fn table() {
    check("table.txt", &[WITH[0], WITH[1], "--format", "table"]);
}

#[test]
fn conntrack() {
    check("conntrack.txt", &[WITH[0], WITH[1], "--format", "conntrack"]);
}

#[test]
fn events() {
    check("events.txt", &[WITH[0], WITH[1], "--events"]);
}

#[test]
fn json() {
    check("jsonl", &[WITH[0], WITH[1], "--format", "json"]);
}

#[test]
fn explain_everything() {
    check("explain.txt", &[WITH[0], WITH[1], "--explain"]);
    check("without.explain.txt", &["--rules", "without-helper.nft", "--explain"]);
}

#[test]
fn explain_one_frame_and_one_flow() {
    check("explain-frame.txt", &[WITH[0], WITH[1], "--explain", "frame", "28"]);
    check("explain-flow.txt", &[WITH[0], WITH[1], "--explain", "conn 2"]);
}

#[test]
fn demo_fits_a_screen() {
    let output = pinhole(&["demo"]);
    assert_eq!(code(&output), 0);
    let text = stdout(&output);
    assert!(text.lines().count() <= 50, "{} lines", text.lines().count());
    golden("demo.txt", &text);
}

#[test]
fn colours_are_only_styles() {
    let plain = stdout(&pinhole(&["replay", "ftp-active.pcap", "--rules", "without-helper.nft"]));
    let colored = stdout(&pinhole(&[
        "replay",
        "ftp-active.pcap",
        "--rules",
        "without-helper.nft",
        "--color",
        "always",
    ]));
    assert!(colored.contains('\x1b'));
    let mut stripped = String::new();
    let mut rest = colored.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert_eq!(plain, stripped);
}

#[test]
fn captures_are_merged_and_read_from_standard_input() {
    let both = ["replay", "ftp-active.pcap", "irc-dcc.pcap", "--helpers", "ftp", "--helpers", "irc"];
    let output = pinhole(&both);
    assert_eq!(code(&output), 0);
    golden("merged.tree.txt", &stdout(&output));

    let bytes = std::fs::read(support::demo("ftp-active.pcap")).unwrap();
    let piped =
        support::command().args(["replay", "-", "--helpers", "ftp"]).write_stdin(bytes).output().unwrap();
    let named = pinhole(&["replay", "ftp-active.pcap", "--helpers", "ftp"]);
    assert_eq!(stdout(&piped), stdout(&named).replace("ftp-active.pcap", "-"));
}
