use super::*;
use serde_json::json;
use std::time::Duration;

fn conn(number: u64, master: Option<u64>, helper: Option<&str>, port: u16, bytes: u64) -> Value {
    json!({
        "type": "conn", "conn": number, "master": master, "helper": helper, "protocol_state": "ESTABLISHED",
        "original": {"proto": "tcp", "src": "10.0.0.1", "sport": 4000 + number, "dst": "192.0.2.1", "dport": port},
        "packets": [bytes / 100, 0], "bytes": [bytes, 0],
    })
}

fn answer(bytes: [u64; 3], passed: u64) -> Snapshot {
    Snapshot {
        conns: vec![
            conn(1, None, Some("ftp"), 21, bytes[0]),
            conn(2, None, Some("irc"), 6667, bytes[1]),
            conn(3, Some(1), None, 50_000, bytes[2]),
        ],
        counters: json!({
            "conns": 3, "expectations": 1, "sessions": 2, "verdicts": {"accept": passed, "drop": 7},
            "ports": [{"name": "lan0", "received": 5, "sent": 6}],
            "drops": [{"verdict": "drop", "packets": 7, "by": "fw.nft:4", "ends": "tcp 10.0.0.9 > 192.0.2.1:80"}],
        }),
    }
}

fn screen() -> Screen {
    let mut screen = Screen::default();
    let start = Instant::now();
    screen.take(answer([1000, 1000, 1000], 100), start);
    screen.take(answer([1000, 5000, 91_000], 300), start + Duration::from_secs(2));
    screen
}

fn flows(picture: &str) -> Vec<&str> {
    let lines = picture.lines().filter(|line| line.contains("10.0.0.1:"));
    lines.filter_map(|line| line.split_whitespace().next()).collect()
}

#[test]
fn control_conns_stand_before_what_they_announced_with_rates() {
    let picture = screen().draw(120, 20);
    assert_eq!(picture.lines().count(), 20, "{picture}");
    assert!(picture.lines().all(|line| line.chars().count() == 120), "{picture}");
    assert_eq!(flows(&picture), ["1", "3", "2"]);
    assert!(
        picture
            .starts_with("pinhole · 100 packets/s, 0 dropped/s · 3 connections, 1 expectations, 2 sessions")
    );
    assert!(picture.contains("lan0 5 in, 6 out"));
    let child = picture.lines().find(|line| line.contains(":50000")).unwrap();
    assert!(child.contains("└ tcp 10.0.0.1:4003 > 192.0.2.1:50000") && child.contains("45.0 kB"), "{child}");
    assert!(picture.contains("drop 7 by fw.nft:4 tcp 10.0.0.9 > 192.0.2.1:80"));
}

#[test]
fn keys_sort_filter_and_end() {
    let mut screen = screen();
    assert!(screen.press(Key::Character('s')));
    assert_eq!(flows(&screen.draw(120, 20)), ["1", "3", "2"], "by bytes a second: its child has the most");
    for key in Key::of(b"/irc\r") {
        assert!(screen.press(key));
    }
    assert_eq!(flows(&screen.draw(120, 20)), ["2"]);
    assert!(screen.draw(120, 20).contains("filter: irc (Esc: all)"));
    for key in Key::of(b"/50000x\x7f\n") {
        assert!(screen.press(key));
    }
    assert_eq!(flows(&screen.draw(120, 20)), ["1", "3"], "who announced it is shown, too");
    screen.press(Key::Escape);
    assert_eq!(flows(&screen.draw(120, 20)).len(), 3);
    assert_eq!(Key::of(b"\x1b[A"), [], "arrows mean nothing");
    assert_eq!(Key::of(b"\x1b"), [Key::Escape]);
    assert!(!screen.press(Key::Character('q')) && !screen.press(Key::Interrupt));
}

#[test]
fn any_size_and_any_answer_can_be_drawn() {
    let mut screen = screen();
    for (columns, rows) in [(0, 0), (1, 1), (7, 3), (300, 200)] {
        let picture = screen.draw(columns, rows);
        assert!(picture.lines().count() <= usize::from(rows));
    }
    let strange =
        json!({"conn": 9, "helper": "a\u{1b}[2J", "original": 5, "packets": "x", "bytes": [u64::MAX, 1]});
    let conns = vec![strange, json!({}), json!(null)];
    screen.take(Snapshot { conns, counters: json!([1]) }, Instant::now());
    assert!(!screen.draw(120, 20).contains('\u{1b}'), "nothing of theirs reaches the terminal");
}
