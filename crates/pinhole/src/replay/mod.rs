//! A replay: captures go through an engine, and what comes out is kept in a [`Report`] and shown by [`Sink`]s.
//!
//! ```text
//! Merge ─► Batch ─► Engine ─► outcomes and events, frame by frame ─► Report ─► Sinks
//! ```
//!
//! Invariant: when a sink sees a packet, all events up to that packet, and none of a later one, are in the report.

mod ahead;
pub mod announced;
mod batch;
mod headers;
mod left;
mod one_sided;
mod place;
pub mod record;
pub mod report;
mod rules;
mod totals;

pub use headers::{End, Headers, Kind};
pub use left::{Left, LeftFrame, LeftPacket};
pub use one_sided::OneSided;
pub use place::Place;
pub use report::{Change, Keep, Report};
pub use rules::{RuleBook, RuleLine};
pub use totals::{STATES, Totals, VERDICTS};

use crate::arguments::Clock;
use batch::{BATCH, Batch, Entry, NO_FRAME};
use pinhole_engine::{Engine, Event, Outcome, Reason, RuleRef, TranslatedBy, Verdict};
use pinhole_io::capture::{CaptureError, CaptureReader, Interface, Merge};
use pinhole_wire::{LinkType, Time};
use std::io;

/// A format: it sees packets and changes as they come, and the whole report at the end.
pub trait Sink {
    /// Whether [`Self::packet`] is to be called; formats that only sum up are faster without.
    fn wants_packets(&self) -> bool {
        false
    }

    /// A packet and its outcome.
    ///
    /// # Errors
    /// Writing failed.
    fn packet(&mut self, _report: &Report, _seen: &Seen<'_>) -> io::Result<()> {
        Ok(())
    }

    /// A change; what it concerns is already in the report.
    ///
    /// # Errors
    /// Writing failed.
    fn change(&mut self, _report: &Report, _change: Change) -> io::Result<()> {
        Ok(())
    }

    /// The captures are at their end.
    ///
    /// # Errors
    /// Writing failed.
    fn finish(&mut self, report: &Report) -> io::Result<()>;
}

/// A packet with its outcome.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Which frame of which capture.
    pub place: Place,
    /// When it was captured.
    pub time: Time,
    /// What `bytes` start with.
    pub link: LinkType,
    /// The frame as it came to the firewall.
    pub bytes: &'a [u8],
    /// Its length on the wire.
    pub original_length: u32,
    /// Where it was captured: index among its capture's interfaces.
    pub interface: u32,
    /// That interface's description, if the capture has one.
    pub described: Option<&'a Interface>,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// What left in its place.
    pub left: Left<'a>,
    /// The number of its conn.
    pub conn: Option<u32>,
    /// The number of the conn whose state it does not fit, if it is invalid for that reason.
    pub about: Option<u32>,
}

impl Seen<'_> {
    /// Its headers, if it is an IP packet that can be read.
    pub fn headers(&self) -> Option<Headers> {
        Headers::read(self.link, self.bytes)
    }
}

/// How a replay goes about address translation.
pub enum Translation {
    /// Captures show packets as they come to the firewall.
    AsCaptured,
    /// Captures show one side of the firewall.
    OneSided(OneSided),
}

/// A replay under way.
pub struct Replay {
    merge: Merge,
    engine: Engine,
    report: Report,
    clock: Clock,
    frozen: Option<Time>,
    latest: Time,
    outcomes: Vec<Outcome>,
    /// How frames are taken by a firewall that translates addresses; `None` if this one does not.
    translation: Option<Translation>,
    left: Vec<LeftFrame>,
    /// An event that belongs to a later packet than the one being reported.
    pending: Option<Event>,
}

impl Replay {
    /// A replay of captures through an engine.
    pub fn new(merge: Merge, engine: Engine, clock: Clock, keep: Keep) -> Self {
        let report = Report::new(merge.readers().iter().map(|reader| reader.name().to_owned()), keep);
        Self {
            merge,
            engine,
            report,
            clock,
            frozen: None,
            latest: Time(0),
            outcomes: Vec::with_capacity(BATCH),
            translation: None,
            left: Vec::new(),
            pending: None,
        }
    }

    /// The same, for a firewall that translates addresses and rewrites the announcements that these NAT helpers know.
    #[must_use]
    pub fn translating(mut self, translation: Option<Translation>, nat_helpers: Vec<String>) -> Self {
        self.report.nat_helpers = nat_helpers;
        Self { translation, ..self }
    }

    /// Runs to the end of the captures. `progress` is called now and then with the bytes read so far. A damaged capture ends early and
    /// becomes a warning of the report; the others go on.
    ///
    /// # Errors
    /// A sink could not write.
    pub fn run(mut self, sinks: &mut [&mut dyn Sink], mut progress: impl FnMut(u64)) -> io::Result<Report> {
        let mut batch = Batch::default();
        let wants_packets = sinks.iter().any(|sink| sink.wants_packets());
        for count in 0u32.. {
            let more = self.fill(&mut batch);
            self.handle(&batch, sinks, wants_packets)?;
            if count % 64 == 0 {
                progress(self.merge.readers().iter().map(CaptureReader::bytes_read).sum());
            }
            if !more {
                break;
            }
        }
        self.finish(sinks)?;
        Ok(self.report)
    }

    /// Reads the next frames; `false` at the end.
    fn fill(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        while !batch.is_full() {
            match self.merge.next() {
                Ok(Some(merged)) => {
                    let time = merged.frame.time;
                    self.latest = self.latest.max(time);
                    let clock = match self.clock {
                        Clock::Capture => time,
                        Clock::Frozen => *self.frozen.get_or_insert(time),
                    };
                    batch.push(&merged, clock);
                }
                Ok(None) => return false,
                Err(error) => self.damaged(&error),
            }
        }
        true
    }

    #[cold]
    fn damaged(&mut self, error: &CaptureError) {
        self.report.incomplete = true;
        self.report.warnings.push(error.to_string());
    }

    fn handle(&mut self, batch: &Batch, sinks: &mut [&mut dyn Sink], wants_packets: bool) -> io::Result<()> {
        if self.translation.is_some() {
            return self.handle_translated(batch, sinks, wants_packets);
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.clear();
        let mut room = [NO_FRAME; BATCH];
        self.engine.handle_batch(batch.frames(&mut room), &mut outcomes);
        for (entry, outcome) in batch.entries().iter().zip(&outcomes) {
            self.tell(entry, batch.bytes(entry), outcome, Left::AsItCame, sinks, wants_packets)?;
        }
        self.outcomes = outcomes;
        Ok(())
    }

    /// One frame after the other: what the other side's next frame would have been depends on what became of this one.
    fn handle_translated(
        &mut self,
        batch: &Batch,
        sinks: &mut [&mut dyn Sink],
        wants_packets: bool,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        for entry in batch.entries() {
            let captured = entry.frame(batch.bytes(entry));
            if let Some(Translation::OneSided(one_sided)) = &self.translation {
                one_sided.arriving(&self.engine, &captured, &mut bytes);
            } else {
                bytes.clear();
                bytes.extend_from_slice(captured.bytes);
            }
            let outcome = self.engine.handle(&entry.frame(&bytes));
            let mut left = std::mem::take(&mut self.left);
            left.clear();
            left.extend(
                self.engine.output().map(|made| LeftFrame { link: made.link, bytes: made.packet(&bytes) }),
            );
            // What was held may leave with a frame that is none of NAT's business.
            if outcome.verdict == Verdict::Accept && !outcome.rewritten && !left.is_empty() {
                left.push(LeftFrame { link: entry.link, bytes: bytes.clone() });
            }
            let is_held = outcome.verdict == Verdict::Held && outcome.reason != Some(Reason::FragmentHeld);
            let shown = if left.is_empty() && !is_held { Left::AsItCame } else { Left::Changed(&left) };
            self.tell(entry, &bytes, &outcome, shown, sinks, wants_packets)?;
            self.left = left;
        }
        Ok(())
    }

    /// Reports one frame, after the events that led to it.
    fn tell(
        &mut self,
        entry: &Entry,
        bytes: &[u8],
        outcome: &Outcome,
        left: Left<'_>,
        sinks: &mut [&mut dyn Sink],
        wants_packets: bool,
    ) -> io::Result<()> {
        self.take_events(Some(entry.place), sinks)?;
        self.report.packet(entry.place, entry.time, outcome, || Headers::read(entry.link, bytes));
        if !wants_packets && outcome.verdict == Verdict::Accept {
            return Ok(());
        }
        if let Some(rule) = outcome.rule {
            self.report.rules.note(self.engine.ruleset(), rule);
        }
        if wants_packets {
            let reader = self.merge.readers().get(entry.place.capture());
            let seen = Seen {
                place: entry.place,
                time: entry.time,
                link: entry.link,
                bytes,
                original_length: entry.original_length,
                interface: entry.interface,
                described: reader.and_then(|reader| reader.interfaces().get(entry.interface as usize)),
                outcome,
                left,
                conn: outcome.conn.and_then(|id| self.report.number_of(id)),
                about: outcome.about.and_then(|id| self.report.number_of(id)),
            };
            for sink in sinks.iter_mut().filter(|sink| sink.wants_packets()) {
                sink.packet(&self.report, &seen)?;
            }
        }
        Ok(())
    }

    /// Hands on the events of the packets up to this one; of all packets, if none is given.
    #[inline]
    fn take_events(&mut self, until: Option<Place>, sinks: &mut [&mut dyn Sink]) -> io::Result<()> {
        while let Some(event) = self.pending.take().or_else(|| self.engine.next_event()) {
            let later = until.is_some_and(|until| caused_by(&event).is_some_and(|place| place != until));
            if later {
                self.pending = Some(event);
                return Ok(());
            }
            self.show(event, sinks)?;
        }
        Ok(())
    }

    fn show(&mut self, event: Event, sinks: &mut [&mut dyn Sink]) -> io::Result<()> {
        for rule in rules_of(&event).into_iter().flatten() {
            self.report.rules.note(self.engine.ruleset(), rule);
        }
        let Some(change) = self.report.event(event) else { return Ok(()) };
        for sink in sinks.iter_mut() {
            sink.change(&self.report, change)?;
        }
        self.report.settle(change);
        Ok(())
    }

    fn finish(&mut self, sinks: &mut [&mut dyn Sink]) -> io::Result<()> {
        self.take_events(None, sinks)?;
        let now = self.frozen.unwrap_or(self.latest);
        let living: Vec<_> = self.engine.tracker().conns().collect();
        for snapshot in living.into_iter().filter_map(|id| self.engine.tracker().snapshot(id, now)) {
            self.report.refresh(&snapshot);
        }
        let lost = self.engine.statistics().events_dropped;
        if lost > 0 {
            self.report
                .warnings
                .push(format!("{lost} events were lost: the numbers of connections are too low"));
        }
        for sink in sinks.iter_mut() {
            sink.finish(&self.report)?;
        }
        Ok(())
    }
}

/// The frame that was handled when an event happened; `None` for events that go with the one before.
fn caused_by(event: &Event) -> Option<Place> {
    let number = match event {
        Event::ConnNew { packet, .. }
        | Event::ConnUpdate { packet, .. }
        | Event::ConnDestroy { packet, .. }
        | Event::HelperBlind { packet, .. }
        | Event::HelperCondition { packet, .. }
        | Event::ExpectationActive { packet, .. }
        | Event::ExpectationAimed { packet, .. }
        | Event::ExpectationHit { packet, .. }
        | Event::ExpectationEnd { packet, .. }
        | Event::HelperAttached { packet, .. }
        | Event::ConnTranslated { packet, .. }
        | Event::NatFailed { packet, .. }
        | Event::Log { packet, .. } => *packet,
        Event::ExpectationNew(record) => record.provenance.read_with,
        Event::Refusal(record) => record.provenance.read_with,
        _ => return None,
    };
    Some(Place::from_number(number))
}

/// The rules that an event names.
pub(crate) fn rules_of(event: &Event) -> [Option<RuleRef>; 2] {
    match event {
        Event::HelperAttached { rule, .. } => [rule.map(RuleRef::Rule), None],
        Event::Log { rule, .. } => [Some(RuleRef::Rule(*rule)), None],
        Event::ConnTranslated { source, destination, .. } => [*source, *destination].map(|by| match by {
            Some(TranslatedBy::Rule(rule)) => Some(RuleRef::Rule(rule)),
            _ => None,
        }),
        _ => [None; 2],
    }
}
