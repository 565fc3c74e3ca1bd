//! Per-packet state and direction equal the Linux kernel's, recorded with its clock frozen.
//!
//! The recordings (`../shared/oracle/*/NAME.state.tsv`) were made by running the kernel, with all its helpers attached. A difference must be
//! one that docs/divergences.md names; each is recognised here by [`named`].
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod support;

use pinhole_engine::{Outcome, Verdict};
use pinhole_helper::Pickup;
use pinhole_track::State;
use pinhole_wire::checksum;
use pinhole_wire::link;
use pinhole_wire::{Direction, Packet};
use std::collections::BTreeMap;
use std::path::Path;
use support::Captured;

const HELPERS: &[(&str, &[u16])] = &[
    ("ftp", &[21]),
    ("irc", &[6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 7000]),
    ("sip", &[5060]),
    ("RAS", &[1719]),
    ("Q.931", &[1720]),
    ("tftp", &[69]),
    ("pptp", &[1723]),
];

struct Row {
    frame: u64,
    state: String,
    direction: String,
    note: String,
}

fn rows(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let mut columns = line.split('\t');
            let mut next = || columns.next().unwrap_or_default().to_owned();
            let (frame, _, state, direction) = (next(), next(), next(), next());
            let note = columns.nth(5).unwrap_or_default().to_owned();
            Row { frame: frame.parse().unwrap(), state, direction, note }
        })
        .collect()
}

fn ours(outcome: &Outcome) -> (String, String) {
    match (outcome.verdict, outcome.state) {
        (Verdict::NotIp, _) => ("NONIP".into(), String::new()),
        (Verdict::Held, _) | (_, None) => ("NOTSEEN".into(), String::new()),
        (_, Some(state)) => {
            let direction = match (state, outcome.direction) {
                (State::Invalid | State::Untracked, _) => "",
                (_, Direction::Original) => "orig",
                (_, Direction::Reply) => "reply",
            };
            (state.name().to_uppercase(), direction.to_owned())
        }
    }
}

/// The divergence, by its id in docs/divergences.md, that explains a difference.
fn named(row: &Row, ours: &(String, String), outcome: &Outcome, frame: &Captured) -> Option<&'static str> {
    let packet =
        link::strip(frame.link, &frame.bytes).ok().and_then(|n| Packet::parse(&frame.bytes, n.offset).ok());
    let bad_checksum = packet.is_some_and(|p| {
        p.missing > 0 || checksum::verify_transport(&p, &frame.bytes) == checksum::Checksum::Bad
    });
    match (row.state.as_str(), ours.0.as_str()) {
        ("NOTSEEN" | "NONIP", "NOTSEEN") => Some("dropped-before-tracking"),
        ("NOTSEEN", "NEW" | "ESTABLISHED") if outcome.verdict == Verdict::Accept => Some("martian-addresses"),
        // The recorder repairs checksums only where the UDP length fits the datagram.
        ("INVALID", _) if bad_checksum => Some("checksums-not-verified"),
        ("NEW", "RELATED") => Some("reads-from-the-first-byte"),
        _ => None,
    }
}

#[test]
fn states_equal_the_kernel() {
    let Some(shared) = support::shared("kernel states") else { return };
    let mut bad = String::new();
    let mut divergences: BTreeMap<&str, usize> = BTreeMap::new();
    let mut packets = 0;
    let only = std::env::var("PINHOLE_CAPTURE").ok();
    for folder in std::fs::read_dir(shared.join("captures")).unwrap().flatten() {
        for path in support::captures(&folder.path()) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if only.as_ref().is_some_and(|o| !name.contains(o.as_str())) {
                continue;
            }
            let protocol = folder.file_name();
            let table = shared.join("oracle").join(&protocol).join(format!("{name}.state.tsv"));
            if !table.exists() {
                continue;
            }
            let frames = support::frames(&path);
            let (outcomes, _) = support::run(support::settings(Pickup::Lenient, HELPERS), &frames, true);
            let mut shown = 0;
            for row in rows(&table) {
                packets += 1;
                let Some(index) = frames.iter().position(|f| f.number == row.frame) else {
                    bad.push_str(&format!("{name}: frame {} was not read\n", row.frame));
                    continue;
                };
                let mine = ours(&outcomes[index]);
                if (row.state.clone(), row.direction.clone()) == mine {
                    continue;
                }
                if let Some(divergence) = named(&row, &mine, &outcomes[index], &frames[index]) {
                    *divergences.entry(divergence).or_default() += 1;
                    continue;
                }
                shown += 1;
                if shown <= 5 {
                    bad.push_str(&format!(
                        "{}/{name}: frame {}: kernel {} {} {}, pinhole {} {} {:?}\n",
                        protocol.to_string_lossy(),
                        row.frame,
                        row.state,
                        row.direction,
                        row.note,
                        mine.0,
                        mine.1,
                        outcomes[index].reason
                    ));
                }
            }
            if shown > 5 {
                bad.push_str(&format!("{name}: {} more\n", shown - 5));
            }
        }
    }
    eprintln!("{packets} packets compared; named divergences: {divergences:?}");
    assert!(bad.is_empty(), "\n{bad}");
}
