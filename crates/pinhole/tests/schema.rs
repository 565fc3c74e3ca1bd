//! JSON lines are as `docs/json.md` says, on captures made here.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::{Map, Value};
use support::{Conversation, End, code, pcap, pinhole, stderr, stdout};

const CLIENT: End = End { address: [10, 0, 0, 2], port: 40_000 };
const SERVER: End = End { address: [10, 0, 0, 1], port: 21 };

/// An active transfer, a bounce attempt, and a capability that was never agreed to.
fn conversation() -> Vec<Vec<u8>> {
    let mut control = Conversation::open(CLIENT, SERVER);
    control
        .server("220 ready\r\n")
        .client("USER anonymous\r\n")
        .server("230 in\r\n")
        .client("PORT 10,0,0,2,195,101\r\n")
        .server("200 PORT command successful\r\n")
        .client("RETR file\r\n");
    let mut frames = control.frames.split_off(0);
    let data = Conversation::open(
        End { address: SERVER.address, port: 20 },
        End { address: CLIENT.address, port: 50_021 },
    );
    frames.extend(data.frames);
    control.client("PORT 10,0,0,9,195,102\r\n").server("500 no\r\n");
    frames.append(&mut control.frames);
    let bounced = Conversation::open(
        End { address: SERVER.address, port: 20 },
        End { address: [10, 0, 0, 9], port: 50_022 },
    );
    frames.extend(bounced.frames);
    frames
}

fn capture() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pcap");
    std::fs::write(&path, pcap(&conversation())).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn lines(arguments: &[&str]) -> Vec<Map<String, Value>> {
    let output = pinhole(arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(lines: &'a [Map<String, Value>], kind: &str) -> Vec<&'a Map<String, Value>> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

#[test]
fn every_line_has_the_documented_fields() {
    let (_folder, path) = capture();
    let lines = lines(&["replay", &path, "--rules", "with-helper.nft", "--format", "json"]);
    assert_eq!(lines[0]["type"], "header");
    assert_eq!(lines[0]["schema"], 1);
    assert_eq!(lines.last().unwrap()["type"], "summary");
    let fields = [
        ("header", "schema pinhole captures rules settings"),
        (
            "packet",
            "capture frame conn state direction verdict rule reason message about proto src sport dst dport length time \
             left",
        ),
        (
            "expectation",
            "capture frame id helper master attached_by bytes direction offset proto src sport dst dport src_prefix \
             dport_range permanent active_frame fulfilled_by fulfilled_capture conns ended ended_frame",
        ),
        ("refusal", "capture frame helper master bytes direction offset reason message"),
        (
            "conn",
            "capture frame conn original reply translated_by nat_helper status assured protocol_state helper helper_by master expectation \
             packets bytes mark timeout ended ended_frame",
        ),
        ("summary", "packets conns expectations fulfilled refusals states complete"),
    ];
    for (kind, names) in fields {
        let found = of(&lines, kind);
        assert!(!found.is_empty(), "no {kind}");
        for line in found {
            let mut documented: Vec<&str> = names.split_whitespace().chain(["type"]).collect();
            let mut present: Vec<&str> = line.keys().map(String::as_str).collect();
            documented.sort_unstable();
            present.sort_unstable();
            assert_eq!(documented, present, "{kind}");
        }
    }
    let frames: Vec<u64> = of(&lines, "packet").iter().map(|line| line["frame"].as_u64().unwrap()).collect();
    assert_eq!(frames, (1..=u64::try_from(conversation().len()).unwrap()).collect::<Vec<_>>());
}

#[test]
fn an_expectation_tells_its_origin_and_its_fulfilment() {
    let (_folder, path) = capture();
    let lines = lines(&["replay", &path, "--rules", "with-helper.nft", "--format", "json"]);
    let expectations = of(&lines, "expectation");
    assert_eq!(expectations.len(), 1);
    let e = expectations[0];
    assert_eq!(e["bytes"], "PORT 10,0,0,2,195,101");
    assert_eq!((&e["frame"], &e["active_frame"], &e["fulfilled_by"]), (&7.into(), &7.into(), &10.into()));
    assert_eq!((&e["src"], &e["dst"], &e["dport"]), (&"10.0.0.1".into(), &"10.0.0.2".into(), &50_021.into()));
    assert_eq!(e["attached_by"], "with-helper.nft:14");
    let related = of(&lines, "packet").into_iter().find(|p| p["state"] == "related").unwrap();
    assert_eq!((&related["frame"], &related["verdict"]), (&10.into(), &"accept".into()));
    let conns = of(&lines, "conn");
    assert_eq!((&conns[1]["master"], &conns[1]["expectation"]), (&1.into(), &1.into()));
}

#[test]
fn policies_of_media_and_callers_are_told() {
    let (_folder, path) = capture();
    let settings = |more: &[&str]| {
        let lines = lines(&[&["replay", &path, "--format", "json"][..], more].concat());
        let settings = &of(&lines, "header")[0]["settings"];
        ["media_source", "any_caller", "introductions"].map(|name| settings[name].clone())
    };
    assert_eq!(settings(&[]), [Value::from("announced"), false.into(), false.into()]);
    let asked = settings(&["--media-source", "anyone", "--any-caller", "--introductions"]);
    assert_eq!(asked, [Value::from("anyone"), true.into(), true.into()]);
}

#[test]
fn with_wait_for_answer_the_answer_arms() {
    let (_folder, path) = capture();
    let lines = lines(&["replay", &path, "--helpers", "ftp", "--wait-for-answer", "--format", "json"]);
    let e = of(&lines, "expectation")[0];
    assert_eq!((&e["frame"], &e["active_frame"], &e["fulfilled_by"]), (&7.into(), &8.into(), &10.into()));
}

#[test]
fn a_bounce_is_refused_and_its_connection_explained() {
    let (_folder, path) = capture();
    let lines = lines(&["replay", &path, "--rules", "with-helper.nft", "--format", "json"]);
    let refusal = of(&lines, "refusal")[0];
    assert_eq!(refusal["reason"], "foreign-address");
    assert_eq!(refusal["bytes"], "PORT 10,0,0,9,195,102");
    let dropped = of(&lines, "packet").into_iter().find(|p| p["verdict"] == "drop").unwrap();
    assert_eq!((&dropped["state"], &dropped["conn"]), (&"new".into(), &Value::Null));

    let explained = stdout(&pinhole(&["replay", &path, "--rules", "with-helper.nft", "--explain"]));
    assert!(
        explained.contains("frame 13 announced 10.0.0.9:50022 (\"PORT 10,0,0,9,195,102\"), refused: "),
        "{explained}"
    );
}

#[test]
fn without_a_helper_the_explanation_names_the_one_that_is_missing() {
    let (_folder, path) = capture();
    let text = stdout(&pinhole(&["replay", &path, "--rules", "without-helper.nft", "--explain"]));
    assert!(text.contains("conn 1 between the same hosts has no helper"), "{text}");
    assert!(text.contains("--helpers ftp=21"), "{text}");
}

#[test]
fn fail_on_is_an_exit_code() {
    let (_folder, path) = capture();
    assert_eq!(code(&pinhole(&["replay", &path, "--helpers", "ftp"])), 0);
    assert_eq!(code(&pinhole(&["replay", &path, "--helpers", "ftp", "--fail-on", "refusal"])), 4);
    assert_eq!(code(&pinhole(&["replay", &path, "--helpers", "ftp", "--fail-on", "drop"])), 0);
    assert_eq!(code(&pinhole(&["replay", &path, "--rules", "without-helper.nft", "--fail-on", "drop"])), 4);
}
