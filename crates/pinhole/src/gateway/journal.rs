//! What is known of the traffic.
//!
//! Conns leave when they end, expectations when they and their conns have; of refusals and dropped packets the latest are kept, for `explain`.
//! So the journal is as large as the table, whatever passes.

use super::log::{Log, Traced};
use crate::render::conntrack::Events;
use crate::replay::{Change, Headers, Keep, Left, Place, Report, Seen, Sink, rules_of};
use pinhole_engine::{Engine, Event, Frame, Outcome, Verdict};
use pinhole_gateway::Observer;
use pinhole_helper::Name;
use pinhole_track::ConnId;
use pinhole_wire::{LinkType, Time};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

/// Dropped packets that are kept, and how much of each.
const DROPS: usize = 2_048;
const DROP_BYTES: usize = 128;

/// Refusals and the like that survive a compaction.
const LATEST: usize = 1_024;

/// Bytes that may wait for clients who watch.
const MOST_WATCHED: usize = 1 << 20;

/// What is known.
pub(super) struct Journal {
    pub(super) report: Report,
    drops: VecDeque<Drop>,
    compact_at: usize,
    /// Whether anybody watches; else no line is made.
    pub(super) watched: bool,
    news: Vec<u8>,
    news_lost: u64,
    pub(super) log: Log,
    pub(super) tallies: Tallies,
}

/// What helpers did not do, by helper and reason.
#[derive(Clone, Default)]
pub(super) struct Tallies {
    pub(super) refusals: BTreeMap<(Name, &'static str), u64>,
    pub(super) blind: BTreeMap<(Name, &'static str), u64>,
}

impl Tallies {
    /// Adds those of another shard.
    pub(super) fn add(&mut self, other: Self) {
        for (all, more) in [(&mut self.refusals, other.refusals), (&mut self.blind, other.blind)] {
            for (what, count) in more {
                *all.entry(what).or_default() += count;
            }
        }
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Refusal(record) => {
                *self.refusals.entry((record.provenance.helper, record.reason.name())).or_default() += 1;
            }
            Event::HelperBlind { helper, reason, .. } => {
                *self.blind.entry((*helper, reason.name())).or_default() += 1;
            }
            _ => {}
        }
    }
}

/// A packet that did not survive.
struct Drop {
    place: Place,
    time: Time,
    outcome: Outcome,
    conn: Option<u32>,
    about: Option<u32>,
    original_length: u32,
    length: usize,
    bytes: [u8; DROP_BYTES],
}

impl Journal {
    /// Of traffic between these ports: in the report they are what captures are in a replay.
    pub(super) fn new(ports: Vec<String>) -> Self {
        Self {
            report: Report::new(ports, Keep::None),
            drops: VecDeque::with_capacity(DROPS),
            compact_at: 4 * LATEST,
            watched: false,
            news: Vec::new(),
            news_lost: 0,
            log: Log::default(),
            tallies: Tallies::default(),
        }
    }

    /// Lines for those who watch, since the last call, and how many there was no room for.
    pub(super) fn take_news(&mut self) -> (Vec<u8>, u64) {
        (std::mem::take(&mut self.news), std::mem::take(&mut self.news_lost))
    }

    /// Brings a conn's counters and timeout up to date.
    pub(super) fn refresh(&mut self, engine: &Engine, conn: ConnId, now: Time) {
        if let Some(snapshot) = engine.tracker().snapshot(conn, now) {
            self.report.refresh(&snapshot);
        }
    }

    /// Shows a format the dropped packets that are kept, oldest first.
    pub(super) fn show_drops(&self, sink: &mut dyn Sink) -> std::io::Result<()> {
        for drop in &self.drops {
            let seen = Seen {
                place: drop.place,
                time: drop.time,
                link: LinkType::ETHERNET,
                bytes: drop.bytes.get(..drop.length).unwrap_or_default(),
                original_length: drop.original_length,
                interface: 0,
                described: None,
                outcome: &drop.outcome,
                left: Left::AsItCame,
                conn: drop.conn,
                about: drop.about,
            };
            sink.packet(&self.report, &seen)?;
        }
        Ok(())
    }

    /// Another ruleset is in force.
    pub(super) fn ruleset_replaced(&mut self) {
        self.report.rules.clear();
    }

    #[cold]
    fn trace(&mut self, engine: &Engine, frame: &Frame<'_>, outcome: &Outcome) {
        if let Some(rule) = outcome.rule {
            self.report.rules.note(engine.ruleset(), rule);
        }
        let place = Place::from_number(frame.number);
        let rule = outcome.rule.and_then(|rule| self.report.rule(rule)).map(|rule| rule.location.as_str());
        self.log.trace(&Traced {
            time: frame.time,
            port: self.report.captures.get(place.capture()).map_or("", |port| port.name.as_str()),
            frame: place.frame(),
            headers: Headers::read(frame.link, frame.bytes),
            outcome,
            rule,
            conn: outcome.conn.and_then(|id| self.report.number_of(id)),
        });
    }

    #[cold]
    fn dropped(&mut self, engine: &Engine, frame: &Frame<'_>, outcome: &Outcome) {
        if let Some(rule) = outcome.rule {
            self.report.rules.note(engine.ruleset(), rule);
        }
        let mut drop = Drop {
            place: Place::from_number(frame.number),
            time: frame.time,
            outcome: *outcome,
            conn: outcome.conn.and_then(|id| self.report.number_of(id)),
            about: outcome.about.and_then(|id| self.report.number_of(id)),
            original_length: frame.bytes.len() as u32,
            length: frame.bytes.len().min(DROP_BYTES),
            bytes: [0; DROP_BYTES],
        };
        drop.bytes.iter_mut().zip(frame.bytes).for_each(|(kept, byte)| *kept = *byte);
        if self.drops.len() >= DROPS {
            self.drops.pop_front();
        }
        self.drops.push_back(drop);
        if self.watched {
            self.tell_drop(frame, outcome);
        }
    }

    fn tell_drop(&mut self, frame: &Frame<'_>, outcome: &Outcome) {
        let tag = if outcome.verdict == Verdict::Drop { "[DROP]" } else { "[REJECT]" };
        let mut line = format!("{tag:>9}");
        // Writing to memory cannot fail.
        let _ = match Headers::read(frame.link, frame.bytes) {
            Some(headers) => write!(line, " {headers} {}", headers.kind),
            None => write!(line, " {} bytes that are not IP", frame.bytes.len()),
        };
        if let Some(state) = outcome.state {
            let _ = write!(line, " state={}", state.name());
        }
        if let Some(rule) = outcome.rule.and_then(|rule| self.report.rule(rule)) {
            let _ = write!(line, " rule={}", rule.location);
        }
        if let Some(reason) = &outcome.reason {
            let _ = write!(line, " reason={}", reason.name());
        }
        line.push('\n');
        self.tell(line.as_bytes());
    }

    fn tell(&mut self, line: &[u8]) {
        if self.news.len() + line.len() > MOST_WATCHED {
            self.news_lost += 1;
        } else {
            self.news.extend_from_slice(line);
        }
    }

    fn tell_change(&mut self, change: Change) {
        let mut line = Vec::new();
        // Writing to memory cannot fail.
        let _ = Events::new(&mut line).change(&self.report, change);
        self.tell(&line);
    }

    fn compact(&mut self) {
        let report = &self.report;
        if report.expectations.len() + report.refusals.len() + report.unread.len() < self.compact_at {
            return;
        }
        self.report.compact(LATEST);
        self.compact_at = 2 * self.report.expectations.len() + 4 * LATEST;
    }
}

impl Observer for Journal {
    fn packet(&mut self, engine: &Engine, frame: &Frame<'_>, outcome: &Outcome) {
        let place = Place::from_number(frame.number);
        self.report.packet(place, frame.time, outcome, || Headers::read(frame.link, frame.bytes));
        if matches!(outcome.verdict, Verdict::Drop | Verdict::Reject(_)) {
            self.dropped(engine, frame, outcome);
        }
        if self.log.traces() {
            self.trace(engine, frame, outcome);
        }
    }

    fn event(&mut self, engine: &Engine, event: Event) {
        self.tallies.count(&event);
        let time = match &event {
            Event::HelperAttached { time, .. } | Event::Log { time, .. } => *time,
            _ => Time(0),
        };
        for rule in rules_of(&event).into_iter().flatten() {
            self.report.rules.note(engine.ruleset(), rule);
        }
        if let Event::Log { rule, logged, .. } = &event {
            let line = self.report.rule(pinhole_engine::RuleRef::Rule(*rule));
            let place = line.map_or_else(String::new, |line| line.location.clone());
            self.log.packet(time, logged, &place, engine.topology());
        }
        let Some(change) = self.report.event(event) else { return };
        if self.watched {
            self.tell_change(change);
        }
        self.report.settle(change);
        self.compact();
    }
}
