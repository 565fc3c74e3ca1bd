//! Real FTP lines through the whole engine, over a bad network: what the engine reads, holds, rewrites, acknowledges and splits, the two ends must
//! not notice.
//!
//! Both ends are hidden from each other, so that both directions are rewritten, texts that grow and texts that shrink. Segments are cut at random,
//! lost, doubled and reordered; senders with Nagle's algorithm keep the rest of a line until its first part is acknowledged; segments may
//! be so short that a line that grew needs another one. At every step: each copy of each byte that an end receives is that of the model's stream;
//! nothing is acknowledged that was not sent; nothing that its receiver lacks, but for what the engine holds. In the end both
//! streams have arrived whole, and a reset is in the receiver's window.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod end;
#[path = "../support/mod.rs"]
mod support;

use end::{End, Segment};
use pinhole_engine::{Attachment, EmissionKind, NatHelpers, NatRule, Settings, Verdict};
use pinhole_track::State;
use std::net::SocketAddr;
use support::conversation::Dice;
use support::lab::{Lab, address};

const OUTER: &str = "203.0.113.7";
/// Rounds after which a session that does not end has failed.
const ROUNDS: usize = 20_000;

/// One session's conditions.
struct Conditions {
    /// The inside addresses of client and server.
    inside: [&'static str; 2],
    /// Longest payload that an end sends, and that the engine lets a segment grow to.
    longest: usize,
    /// Of a hundred segments, how many are lost, and how many doubled.
    bad: usize,
    /// Senders wait for acknowledgements before they send less than a whole segment.
    nagle: bool,
    lines: usize,
}

#[test]
fn both_ends_read_what_the_model_says() {
    for seed in 0..400u64 {
        let mut dice = Dice(seed);
        let longest = [7, 24, 60, 1460][dice.below(4)];
        let conditions = Conditions {
            inside: [["10.0.0.5", "10.0.0.21"], ["10.200.100.200", "10.100.200.100"]][dice.below(2)],
            longest,
            bad: [0, 5, 20][dice.below(3)],
            nagle: dice.one_in(2),
            lines: 6 + dice.below(30),
        };
        talk(seed, &conditions, &mut dice);
    }
}

fn engine(conditions: &Conditions) -> Lab {
    let [_, server] = conditions.inside;
    let mut settings = Settings {
        attachments: vec![Attachment { helper: "ftp".to_owned(), ports: vec![21] }],
        ..Settings::default()
    };
    settings.nat.rules = vec![
        NatRule::Dnat { to: format!("{OUTER}/32").parse().unwrap(), target: server.parse().unwrap() },
        NatRule::Snat { from: "10.0.0.0/8".parse().unwrap(), to: OUTER.parse().unwrap() },
    ];
    settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
    settings.nat.longest_segment = conditions.longest as u16;
    // Lines of seven bytes at a time, half of them lost, take longer than the default.
    settings.nat.hold.release_after = 3_600_000_000_000;
    Lab::new(settings, None)
}

/// Client and server, each as it is known to itself and to the other.
struct Link {
    own: [SocketAddr; 2],
    outer: [SocketAddr; 2],
}

fn talk(seed: u64, conditions: &Conditions, dice: &mut Dice) {
    let mut lab = engine(conditions);
    let [client, server] = conditions.inside;
    let link = Link {
        own: [address(&format!("{client}:4000")), address(&format!("{server}:21"))],
        outer: [address(&format!("{OUTER}:4000")), address(&format!("{OUTER}:21"))],
    };
    let initial =
        [0, 1].map(|_| [u32::MAX - dice.below(3000) as u32, dice.below(1 << 30) as u32][dice.below(2)]);
    let mut ends = [0, 1].map(|side| End::new(initial[side], initial[1 - side], conditions.inside[side]));
    for (from, segment) in end::handshake(initial) {
        let left = pass(&mut lab, &link, from, &segment, None);
        assert_eq!(left.len(), 1, "seed {seed}");
    }
    let mut said = 0;
    for _ in 0..ROUNDS {
        // The client waits for the greeting, and then may say several lines before it hears an answer.
        if said < conditions.lines && ends[0].is_greeted() && dice.one_in(3) {
            said += 1;
            ends[0].command(dice, said as u8);
        }
        ends[1].answer(dice);
        for from in 0..2 {
            let burst = ends[from].burst(dice, conditions.longest, conditions.nagle);
            let arrived = network(burst, conditions.bad, dice, &mut ends[from]);
            for segment in arrived {
                let left = pass(&mut lab, &link, from, &segment, Some(&mut ends));
                let arrived = network(left, conditions.bad, dice, &mut End::new(0, 0, ""));
                deliver(seed, &mut ends, from, arrived);
            }
        }
        lab.now = lab.now.plus_nanos(dice.below(25_000_000) as u64);
        lab.engine.advance(lab.now, 100);
        let mut made = made(&lab, &link);
        take_acknowledgements(&mut made, &mut ends);
        assert!(made.is_empty(), "seed {seed}: given up: {made:?}");
        if said == conditions.lines && ends[0].is_done(&ends[1]) && ends[1].is_done(&ends[0]) {
            return finish(seed, &mut lab, &link, &mut ends);
        }
    }
    panic!("seed {seed}: {ends:?}");
}

/// Each end resets the conn just where its receiver waits for it.
fn finish(seed: u64, lab: &mut Lab, link: &Link, ends: &mut [End; 2]) {
    assert!(lab.expected().count() > 0, "seed {seed}");
    let reset = ends[0].reset();
    let left = pass(lab, link, 0, &reset, None);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].sequence, ends[1].waits_for(), "seed {seed}: the reset lies in the window");
}

/// Loses, doubles and reorders. Of an end's oldest segment two copies are not lost in a row, so that nobody's patience ends.
fn network(mut segments: Vec<Segment>, bad: usize, dice: &mut Dice, sender: &mut End) -> Vec<Segment> {
    let mut arriving = Vec::new();
    for (index, segment) in segments.drain(..).enumerate() {
        let is_lost = dice.below(100) < bad && !(index == 0 && sender.lost_oldest);
        if index == 0 {
            sender.lost_oldest = is_lost;
        }
        if is_lost {
            continue;
        }
        if dice.below(100) < bad {
            arriving.push(segment.clone());
        }
        arriving.push(segment);
    }
    if bad > 0 {
        for last in (1..arriving.len()).rev() {
            arriving.swap(last, dice.below(last + 1));
        }
    }
    arriving
}

fn deliver(seed: u64, ends: &mut [End; 2], from: usize, segments: Vec<Segment>) {
    let [first, second] = ends;
    let (sender, receiver) = if from == 0 { (first, second) } else { (second, first) };
    for segment in segments {
        receiver.receive(seed, &segment, sender);
    }
}

/// What leaves when an end has sent a segment, as its receiver gets it. Acknowledgements of what is held go back.
fn pass(
    lab: &mut Lab,
    link: &Link,
    from: usize,
    segment: &Segment,
    ends: Option<&mut [End; 2]>,
) -> Vec<Segment> {
    let datagram = segment.datagram(link.own[from], link.outer[1 - from]);
    let outcome = lab.send(&datagram);
    assert_ne!(outcome.state, Some(State::Invalid), "{outcome:?}: {segment:?}");
    let mut left: Vec<_> = made(lab, link);
    if let Some(ends) = ends {
        take_acknowledgements(&mut left, ends);
    }
    if outcome.verdict != Verdict::Accept {
        assert!(left.is_empty());
    }
    assert!(left.iter().all(|(to, ..)| *to == 1 - from));
    left.into_iter().map(|(_, _, segment)| segment).collect()
}

/// What the engine's last call made: for whom, what it is, the segment.
fn made(lab: &Lab, link: &Link) -> Vec<(usize, EmissionKind, Segment)> {
    let read = |made: pinhole_engine::Emission<'_>| {
        let (to, segment) = Segment::read(&made.packet(&[]), &link.own);
        (to, made.kind, segment)
    };
    lab.engine.output().map(read).collect()
}

fn take_acknowledgements(made: &mut Vec<(usize, EmissionKind, Segment)>, ends: &mut [End; 2]) {
    made.retain(|(to, kind, segment)| {
        let is_engine_s = *kind == EmissionKind::Acknowledgement;
        if is_engine_s {
            ends[*to].acknowledged_by_engine(segment);
        }
        !is_engine_s
    });
}
