//! NAT and payload rewriting equal the Linux kernel's: states, expectations, and every datagram that left, byte for byte.
//!
//! The recordings (`../shared/oracle/nat`) were made by driving captures through the kernel with one host of each behind 203.0.113.7. Here
//! the same captures are driven through the engine in the same way ([`recorder`]), under the same ruleset. A difference must be one that
//! docs/divergences.md names and [`divergences`] lists; a listed one that does not occur any more fails the test, too.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod datagram;
mod divergences;
mod gateway;
mod live;
mod recorder;
mod recording;
#[path = "../support/mod.rs"]
mod support;

use divergences::{Aspect, Listed};
use gateway::{Gateway, Passed};
use pinhole_wire::link::{self, NetworkKind};
use recorder::Recorder;
use recording::{ExpectationRow, Job, StateRow};
use std::fmt::Write as _;
use support::Captured;

/// Differences shown of one job.
const SHOWN: usize = 6;

#[test]
fn datagrams_states_and_expectations_equal_the_kernel_s() {
    let Some(shared) = support::shared("kernel NAT") else { return };
    let only = std::env::var("PINHOLE_CAPTURE").ok();
    let mut listed = Listed::new();
    let (mut bad, mut jobs, mut datagrams) = (String::new(), 0, 0);
    for job in Job::all(&shared) {
        let is_asked_for = only.as_ref().is_none_or(|only| job.name().contains(only.as_str()));
        if !gateway::is_compared(&job.protocol) || !is_asked_for {
            continue;
        }
        jobs += 1;
        let recording = job.recording(&shared);
        datagrams += recording.left.values().map(Vec::len).sum::<usize>();
        let mut comparison =
            Comparison { job: job.name(), listed: &mut listed, shown: 0, text: String::new() };
        let (passed, expectations) = replay(&job, &support::frames(&job.path(&shared)));
        for row in &recording.states {
            let left = recording.left.get(&row.frame).map_or(&[][..], Vec::as_slice);
            comparison.frame(row, left, passed.iter().find(|p| p.frame == row.frame));
        }
        let of_helper = |rows: &[ExpectationRow]| -> Vec<ExpectationRow> {
            rows.iter().filter(|row| gateway::is_helper_of(&job.protocol, &row.helper)).cloned().collect()
        };
        comparison.expectations(&of_helper(&recording.expectations), &of_helper(&expectations));
        bad.push_str(&comparison.text);
        if comparison.shown > SHOWN {
            let _ = writeln!(bad, "{}: {} more", job.name(), comparison.shown - SHOWN);
        }
    }
    eprintln!("{jobs} jobs, {datagrams} datagrams compared; named divergences: {:?}", listed.counts());
    if only.is_none() {
        bad.push_str(&listed.stale());
    }
    assert!(bad.is_empty(), "\n{bad}");
}

/// Drives a capture through an engine.
fn replay(job: &Job, frames: &[Captured]) -> (Vec<Passed>, Vec<ExpectationRow>) {
    let mut recorder = Recorder::new(job.inside, job.public);
    let mut gateway = Gateway::new(job, true);
    let start = frames.first().map(|frame| frame.time).unwrap_or_default();
    let mut passed = Vec::new();
    for frame in frames {
        let Some((bytes, from_inside)) =
            network(frame).and_then(datagram::complete).and_then(|datagram| recorder.arriving(datagram))
        else {
            continue;
        };
        recorder.came(frame.number, &bytes, from_inside);
        let one = gateway.pass(frame.number, start, &bytes, from_inside);
        recorder.left(&one.left);
        passed.push(one);
    }
    (passed, gateway.into_expectations())
}

/// The datagram in a frame.
fn network(frame: &Captured) -> Option<&[u8]> {
    let network = link::strip(frame.link, &frame.bytes).ok()?;
    match network.kind {
        NetworkKind::Other(_) => None,
        _ => frame.bytes.get(network.offset as usize..),
    }
}

struct Comparison<'a> {
    job: String,
    listed: &'a mut Listed,
    shown: usize,
    text: String,
}

impl Comparison<'_> {
    fn frame(&mut self, row: &StateRow, kernel: &[Vec<u8>], ours: Option<&Passed>) {
        let state = ours.map_or_else(String::new, Passed::state);
        // Datagrams that never came to conntrack have no state there.
        let is_seen = !matches!(row.state.as_str(), "NONIP" | "SKIP" | "NOTSEEN" | "WRITEERR");
        let wanted = format!("{} {} {}", row.state, row.direction, expected(&row.status));
        if is_seen && state != wanted {
            self.differs(row.frame, Aspect::State, || {
                format!("kernel {wanted}, pinhole {state} ({})", row.note)
            });
        }
        let left = ours.map_or(&[][..], |passed| &passed.left[..]);
        let left: Vec<&[u8]> = left.iter().map(|left| &left.bytes[..]).filter(|d| is_recorded(d)).collect();
        if left != kernel {
            self.differs(row.frame, Aspect::Datagram, || {
                let mut text = format!("{} left the kernel, {} pinhole", kernel.len(), left.len());
                for (side, datagram) in kernel
                    .iter()
                    .map(|d| ("kernel ", d.as_slice()))
                    .chain(left.iter().map(|&d| ("pinhole", d)))
                {
                    let _ = write!(text, "\n    {side} {}", words(datagram));
                }
                text
            });
        }
    }

    fn expectations(&mut self, kernel: &[ExpectationRow], ours: &[ExpectationRow]) {
        for row in kernel.iter().filter(|row| !ours.contains(row)) {
            self.differs(row.frame, Aspect::Expectation, || format!("only the kernel expects {row:?}"));
        }
        for row in ours.iter().filter(|row| !kernel.contains(row)) {
            self.differs(row.frame, Aspect::Expectation, || format!("only pinhole expects {row:?}"));
        }
    }

    fn differs(&mut self, frame: u64, aspect: Aspect, words: impl FnOnce() -> String) {
        if self.listed.covers(&self.job, frame, aspect) {
            return;
        }
        self.shown += 1;
        if self.shown <= SHOWN {
            let _ = writeln!(self.text, "{}: frame {frame}: {}", self.job, words());
        }
    }
}

/// Of the status bits, the one that conns have or lack from their first packet on.
fn expected(status: &str) -> &'static str {
    if status.split('|').any(|bit| bit == "EXPECTED") { "expected" } else { "" }
}

/// Whether the recorder writes down such datagrams when they leave.
fn is_recorded(bytes: &[u8]) -> bool {
    datagram::read(bytes)
        .is_some_and(|header| matches!(header.protocol, datagram::TCP | datagram::UDP | datagram::GRE))
}

/// A datagram in words.
fn words(bytes: &[u8]) -> String {
    let Some(header) = datagram::read(bytes) else { return format!("{bytes:02x?}") };
    let payload = bytes.get(header.payload.0..header.payload.1).unwrap_or_default();
    format!(
        "{} {}:{} > {}:{} seq {} ack {:?} {} B of {}: {}",
        header.protocol,
        header.source,
        header.source_port,
        header.destination,
        header.destination_port,
        header.sequence,
        header.acknowledgement,
        payload.len(),
        bytes.len(),
        payload.get(..120).unwrap_or(payload).escape_ascii(),
    )
}
