//! Recordings of protocols of which there is no capture by others (`xtask/recordings/record-peers.sh`): what their helpers expect, and which conns are
//! related for that. `PINHOLE_UPDATE=1` writes the expected lines anew.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use serde_json::Value;
use std::path::Path;

/// A capture, the helper that reads it and where, and how many of its conns are announced.
const RECORDINGS: [(&str, &str, usize); 5] = [
    ("talk", "talk=518", 2),
    ("sane", "sane=6566", 1),
    ("pptp", "pptp=1723", 1),
    ("rtsp", "rtsp=554", 2),
    ("amanda", "amanda=10080", 4),
];

#[test]
fn what_they_announce_is_expected_and_comes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    for (name, helper, announced) in RECORDINGS {
        let capture = folder.join(format!("{name}.pcap"));
        let arguments = ["replay", capture.to_str().unwrap(), "--helpers", helper, "--format", "json"];
        let output = support::stdout(&support::pinhole(&arguments)).replace(capture.to_str().unwrap(), name);
        let lines: Vec<(&str, Value)> =
            output.lines().map(|line| (line, serde_json::from_str(line).unwrap())).collect();
        let related: std::collections::BTreeSet<_> = lines
            .iter()
            .filter(|(_, line)| line["type"] == "packet" && line["state"] == "related")
            .map(|(_, line)| line["conn"].as_u64())
            .collect();
        assert_eq!(related.len(), announced, "{name}");
        let is_expectation =
            |line: &Value| line["type"].as_str().is_some_and(|kind| kind.starts_with("expect"));
        let found: String = lines
            .iter()
            .filter(|(_, line)| is_expectation(line))
            .map(|(text, _)| format!("{text}\n"))
            .collect();
        let expected = folder.join(format!("{name}.jsonl"));
        if std::env::var_os("PINHOLE_UPDATE").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&expected).unwrap(), "{name}");
        assert!(!found.is_empty(), "{name}");
    }
}
