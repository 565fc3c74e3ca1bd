//! One line a packet.

use super::words::left_packet;
use super::{Palette, Style};
use crate::replay::{End, Report, Seen, Sink};
use pinhole_engine::Verdict;
use pinhole_track::State;
use pinhole_wire::{Direction, Time};
use std::io::{self, Write};

/// Writes one line a packet.
pub struct Table<W> {
    out: W,
    palette: Palette,
    first: Option<Time>,
}

impl<W: Write> Table<W> {
    /// A table.
    pub fn new(out: W, palette: Palette) -> Self {
        Self { out, palette, first: None }
    }
}

impl<W: Write> Sink for Table<W> {
    fn wants_packets(&self) -> bool {
        true
    }

    fn packet(&mut self, report: &Report, seen: &Seen<'_>) -> io::Result<()> {
        let first = match self.first {
            Some(first) => first,
            None => {
                let p = &self.palette;
                writeln!(
                    self.out,
                    "{}{:>7} {:>11}  {:>6}  {:<11} {:<8} {:<6} packet{}",
                    p.heading,
                    "frame",
                    "time",
                    "conn",
                    "state",
                    "dir",
                    "does",
                    p.heading.end()
                )?;
                *self.first.insert(seen.time)
            }
        };
        row(&mut self.out, &self.palette, report, seen, first)
    }

    fn finish(&mut self, _report: &Report) -> io::Result<()> {
        self.out.flush()
    }
}

fn row(out: &mut dyn Write, p: &Palette, report: &Report, seen: &Seen<'_>, first: Time) -> io::Result<()> {
    let outcome = seen.outcome;
    let several = report.captures.len() > 1;
    let capture = report.captures.get(seen.place.capture()).filter(|_| several).map(|c| c.name.as_str());
    if let Some(capture) = capture {
        write!(out, "{}{capture}{} ", p.dim, p.dim.end())?;
    }
    write!(out, "{:>7} {:>11.6}  ", seen.place.frame(), seen.time.since(first) as f64 / 1e9)?;
    match seen.conn {
        Some(conn) => write!(out, "{conn:>6}  ")?,
        None => write!(out, "{:>6}  ", "-")?,
    }
    let state = state_style(p, outcome.state);
    write!(out, "{state}{:<11}{} ", outcome.state.map_or("-", State::name), state.end())?;
    let direction = match (seen.conn, outcome.direction) {
        (None, _) => "-",
        (Some(_), Direction::Original) => "original",
        (Some(_), Direction::Reply) => "reply",
    };
    let verdict = verdict_style(p, outcome.verdict);
    write!(out, "{direction:<8} {verdict}{:<6}{} ", outcome.verdict.name(), verdict.end())?;
    if let Some(headers) = seen.headers() {
        let source = End(headers.source, headers.source_port);
        let destination = End(headers.destination, headers.destination_port);
        let kind = headers.kind.to_string();
        let gap = if kind.is_empty() { "" } else { " " };
        write!(out, "{} {source} > {destination}{gap}{kind} {} B", headers.protocol, headers.payload)?;
    } else {
        write!(out, "{} bytes of {}", seen.bytes.len(), seen.link)?;
    }
    match seen.left_packets() {
        Some(packets) if packets.is_empty() => write!(out, "  held back")?,
        packets => {
            for packet in packets.unwrap_or_default() {
                write!(out, "  → {}", left_packet(&packet))?;
            }
        }
    }
    write!(out, "{}", p.dim)?;
    if let Some(rule) = outcome.rule.and_then(|rule| report.rule(rule)) {
        write!(out, "  {}", rule.location)?;
    }
    if let Some(reason) = &outcome.reason {
        write!(out, "  {reason}")?;
    }
    writeln!(out, "{}", p.dim.end())
}

/// The colour of a state.
pub(crate) fn state_style(p: &Palette, state: Option<State>) -> Style {
    match state {
        Some(State::Related) => p.related,
        Some(State::Invalid) => p.bad,
        Some(State::New) => p.warn,
        Some(State::Established) => p.good,
        Some(State::Untracked) | None => p.dim,
    }
}

/// The colour of a verdict.
pub(crate) fn verdict_style(p: &Palette, verdict: Verdict) -> Style {
    match verdict {
        Verdict::Accept => p.good,
        Verdict::Drop | Verdict::Reject(_) => p.bad,
        Verdict::Held | Verdict::NotIp => p.dim,
    }
}
