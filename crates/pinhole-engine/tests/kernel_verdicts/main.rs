//! A ruleset means the same here as in the running kernel: the same packets get the same state, direction and verdict, and rules count the
//! same.
//!
//! Rulesets by hand stand in `rulesets/`; those of `examples/` are shown too, and generated ones (`PINHOLE_FUZZ_RULESETS=N` for N of
//! them, `PINHOLE_FUZZ_SEED` for where to start). Needs root, `nft` and TUN devices; without them the tests are skipped, said aloud.
//! Differences that are meant stand in docs/divergences.md, "Rules"; the rulesets here keep away from them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod grammar;
mod judges;
#[path = "../support/mod.rs"]
mod support;
mod traffic;

use judges::{Answer, Fate, Judgement, Kernel, Pinhole, cannot_ask, is_unanswerable};
use pinhole_wire::{Address, Packet};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use support::conversation::Dice;

/// Differences shown of one comparison.
const SHOWN: usize = 4;

/// Largest shared capture that is shown, in bytes.
const LARGEST: u64 = 60_000;

/// The kernel's clock runs and ours stands still: within this time no timeout of the kernel's is noticed. The shortest is the two seconds after
/// which a UDP conn counts as a stream.
const MOMENT: Duration = Duration::from_millis(1900);

/// How often packets are shown again that took longer than that, on a machine that is busy.
const ATTEMPTS: usize = 5;

/// How a comparison came out.
enum Comparison {
    /// There is no kernel to ask.
    Impossible(String),
    /// `nft` does not take the ruleset.
    Refused(String),
    /// What differs, in words; nothing if empty.
    Done(String),
}

/// Shows packets to both judges, under one ruleset. A difference counts if the kernel saw all packets within a [`MOMENT`].
fn compare(ruleset: &str, packets: &[Vec<u8>]) -> Comparison {
    let mut shown = compare_once(ruleset, packets);
    for _ in 1..ATTEMPTS {
        match &shown {
            (Comparison::Done(differences), took) if !differences.is_empty() && *took > MOMENT => {
                eprintln!("again, since {took:?} passed:\n{differences}");
                shown = compare_once(ruleset, packets);
            }
            _ => break,
        }
    }
    shown.0
}

/// One comparison, and how long the kernel took for it.
fn compare_once(ruleset: &str, packets: &[Vec<u8>]) -> (Comparison, Duration) {
    let mut took = Duration::ZERO;
    // A thread each: the kernel's judge takes its thread into a network namespace of its own, for good.
    let compare = || {
        let mut kernel = match Kernel::start(ruleset) {
            Ok(kernel) => kernel,
            Err(error) if cannot_ask(&error) => return Comparison::Impossible(error.to_string()),
            Err(error) => return Comparison::Refused(error.to_string()),
        };
        let ours = match pinhole_ruleset::compile_text("ruleset.nft", ruleset) {
            Ok(ruleset) => ruleset,
            Err(errors) => {
                return Comparison::Done(errors.iter().map(|e| e.render(false) + "\n").collect());
            }
        };
        let mut pinhole = Pinhole::start(ours);
        let mut differences = String::new();
        let began = Instant::now();
        let mut shown = 0;
        // Conns in which a reset may have been tracked: `reset-not-tracked` in docs/divergences.md.
        let mut tracked_answers = HashSet::new();
        for (index, packet) in packets.iter().enumerate() {
            let Some(mut theirs) = kernel.judge(packet) else { continue };
            let ours = pinhole.judge(packet);
            if theirs.fate == Fate::Drop
                && matches!(ours.fate, Fate::Reject(_))
                && !agree(packet, theirs, ours)
            {
                theirs.fate = kernel.late_fate(packet);
            }
            if theirs.direction.is_none() && theirs.fate == Fate::Reject(Answer::Reset) {
                tracked_answers.insert(ends(packet));
            }
            if !agree(packet, theirs, ours) && !tracked_answers.contains(&ends(packet)) && shown < SHOWN {
                shown += 1;
                let _ = writeln!(differences, "packet {index}: kernel {theirs}, pinhole {ours}");
                let _ = writeln!(differences, "    {}", hex(packet));
            }
        }
        took = began.elapsed();
        if shown == 0 && tracked_answers.is_empty() {
            let ours = pinhole.counts();
            for (rule, count) in kernel.counts().iter().filter(|(rule, count)| ours.get(*rule) != Some(count))
            {
                let text = ruleset.lines().find(|line| line.contains(&format!("comment \"{rule}\"")));
                let (ours, text) = (ours.get(rule), text.unwrap_or(rule).trim());
                let _ = writeln!(differences, "kernel {count:?}, pinhole {ours:?}: {text}");
            }
        }
        Comparison::Done(differences)
    };
    let comparison = thread::scope(|scope| scope.spawn(compare).join()).unwrap();
    (comparison, took)
}

fn agree(packet: &[u8], theirs: Judgement, ours: Judgement) -> bool {
    if theirs == ours {
        return true;
    }
    let silent = matches!(ours.fate, Fate::Reject(answer) if is_unanswerable(packet, answer));
    silent && theirs == Judgement { fate: Fate::Drop, ..ours }
}

/// Both ends of a packet, whichever way it goes.
fn ends(packet: &[u8]) -> Option<[(Address, Option<u16>); 2]> {
    let packet = Packet::parse(packet, 0).ok()?;
    let mut ends = [(packet.source, packet.source_port()), (packet.destination, packet.destination_port())];
    ends.sort();
    Some(ends)
}

fn hex(packet: &[u8]) -> String {
    packet.iter().take(96).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn hand_written(folder: &Path) -> Vec<(String, String)> {
    let mut rulesets: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "nft"))
        .map(|path| {
            (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())
        })
        .collect();
    rulesets.sort();
    rulesets
}

#[test]
fn rulesets_by_hand() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut rulesets = hand_written(&crate_folder.join("tests/kernel_verdicts/rulesets"));
    rulesets.extend(hand_written(&crate_folder.join("../../examples")));
    rulesets.extend(hand_written(&crate_folder.join("../pinhole/demo")));
    let only = std::env::var("PINHOLE_RULESET").ok();
    rulesets.retain(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only.as_str())));
    let packets = [traffic::demos(), traffic::made_to_order()].concat();
    let mut bad = String::new();
    for (name, ruleset) in &rulesets {
        match compare(ruleset, &packets) {
            Comparison::Impossible(why) => {
                eprintln!("SKIPPED rulesets by hand against the kernel: {why}");
                return;
            }
            Comparison::Refused(why) => bad.push_str(&format!("{name}: {why}\n")),
            Comparison::Done(differences) if differences.is_empty() => {}
            Comparison::Done(differences) => bad.push_str(&format!("{name}:\n{differences}")),
        }
    }
    eprintln!("{} rulesets, {} packets each", rulesets.len(), packets.len());
    assert!(bad.is_empty(), "\n{bad}");
}

/// Captures of many protocols, under rulesets that attach no helper.
#[test]
fn shared_captures() {
    let Some(shared) = support::shared("rulesets against the kernel, on shared captures") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernel_verdicts/rulesets");
    let mut rulesets = hand_written(&folder);
    rulesets.retain(|(_, ruleset)| !ruleset.contains("ct helper set"));
    let (mut bad, mut packets) = (String::new(), 0);
    for protocol in ["ftp", "irc", "sip", "snmp", "tftp", "h323", "pptp", "rtsp"] {
        // Small ones, and of each another ruleset.
        for path in support::captures(&shared.join("captures").join(protocol)) {
            if std::fs::metadata(&path).unwrap().len() > LARGEST {
                continue;
            }
            let datagrams = traffic::capture(&path);
            packets += datagrams.len();
            rulesets.rotate_left(1);
            let (name, ruleset) = &rulesets[0];
            match compare(ruleset, &datagrams) {
                Comparison::Impossible(why) => {
                    eprintln!("SKIPPED shared captures against the kernel: {why}");
                    return;
                }
                Comparison::Refused(why) => bad.push_str(&format!("{name}: {why}\n")),
                Comparison::Done(differences) if differences.is_empty() => {}
                Comparison::Done(differences) => {
                    bad.push_str(&format!("{} under {name}:\n{differences}", path.display()));
                }
            }
        }
    }
    eprintln!("{packets} packets of shared captures");
    assert!(bad.is_empty(), "\n{bad}");
}

#[test]
fn rulesets_by_chance() {
    let variable = |name, otherwise| std::env::var(name).map_or(otherwise, |n| n.parse().unwrap());
    let (count, first) = (variable("PINHOLE_FUZZ_RULESETS", 40), variable("PINHOLE_FUZZ_SEED", 0));
    let packets = [traffic::demos(), traffic::made_to_order()].concat();
    let (mut refused, mut differing, mut bad) = (0, 0, String::new());
    for seed in first..first + count {
        let mut dice = Dice(seed << 20);
        let ruleset = grammar::ruleset(&mut dice);
        match compare(&ruleset, &traffic::shaken(&packets, &mut dice)) {
            Comparison::Impossible(why) => {
                eprintln!("SKIPPED generated rulesets against the kernel: {why}");
                return;
            }
            Comparison::Refused(why) => {
                refused += 1;
                if refused <= 3 {
                    eprintln!("seed {seed}: {why}");
                }
            }
            Comparison::Done(differences) if differences.is_empty() => {}
            Comparison::Done(differences) => {
                differing += 1;
                if differing <= 6 {
                    let _ = writeln!(bad, "seed {seed}:\n{differences}{ruleset}");
                }
            }
        }
    }
    eprintln!("{count} generated rulesets, {refused} of them refused by nft, {differing} differ");
    assert!(bad.is_empty(), "\n{bad}");
    assert!(refused * 3 <= count, "the generator makes too many rulesets that nft refuses");
}
