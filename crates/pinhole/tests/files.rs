//! What is written to files: packets with comments, and pictures.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use pinhole_io::capture::CaptureReader;
use support::{code, demo, pinhole, stderr, stdout};

fn count(path: &std::path::Path) -> usize {
    let mut reader = CaptureReader::open(path).unwrap();
    let mut count = 0;
    while reader.next().unwrap().is_some() {
        count += 1;
    }
    count
}

#[test]
fn survivors_are_written_with_comments() {
    let folder = tempfile::tempdir().unwrap();
    let (some, all) = (folder.path().join("some.pcapng"), folder.path().join("all.pcapng"));
    let rules = ["replay", "ftp-active.pcap", "--rules", "without-helper.nft", "--write"];
    let run = |extra: &[&str]| {
        let arguments: Vec<&str> = rules.iter().chain(extra).copied().collect();
        let output = pinhole(&arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    };
    run(&[some.to_str().unwrap()]);
    run(&[all.to_str().unwrap(), "--write-all"]);
    let original = count(&demo("ftp-active.pcap"));
    assert_eq!(count(&all), original);
    assert_eq!(count(&some), original - 8);
    let text = String::from_utf8_lossy(&std::fs::read(&all).unwrap()).into_owned();
    assert!(
        text.contains(
            "pinhole: drop, new, by without-helper.nft:4 \"policy drop of chain inet demo forward\""
        )
    );
    assert!(text.contains("pinhole: accept, established, conn 1 reply, by without-helper.nft:6"));
}

#[test]
fn pictures_in_the_documentation_are_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ftp-active", "ftp-passive", "irc-dcc"] {
        let drawn = folder.path().join(format!("{name}.svg"));
        let capture = format!("{name}.pcap");
        let output = pinhole(&[
            "replay",
            &capture,
            "--helpers",
            "ftp",
            "--helpers",
            "irc",
            "--diagram",
            drawn.to_str().unwrap(),
        ]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        let svg = std::fs::read_to_string(&drawn).unwrap();
        support::golden(&format!("../../../../docs/images/{name}.svg"), &svg);
    }
}

#[test]
fn a_page_holds_the_picture_and_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    let output =
        pinhole(&["replay", "ftp-active.pcap", "--helpers", "ftp", "--diagram", page.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("<svg ") && html.contains("PORT 192,0,2,10,") && html.contains("is RELATED"),
        "{html}"
    );
    assert!(!html.contains("http://") || html.matches("http://").count() == 1, "only the SVG name space");
}

#[test]
fn nothing_to_draw_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.svg");
    let output = pinhole(&["replay", "ftp-active.pcap", "--diagram", page.to_str().unwrap()]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("nothing to draw"), "{}", stderr(&output));
    assert!(stdout(&output).contains("packets"), "the replay itself is shown");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let output = pinhole(&["replay", "ftp-active.pcap", "--write", "/nonexistent/out.pcapng"]);
    assert_eq!(code(&output), 5);
    assert!(stderr(&output).contains("/nonexistent/out.pcapng: cannot write"), "{}", stderr(&output));
}
