//! Packets by state and verdict.

use pinhole_engine::{Outcome, Verdict};
use pinhole_track::State;
use pinhole_wire::Time;

/// Packets by state and verdict.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    cells: [[u64; VERDICTS.len()]; STATES.len()],
    /// Packets.
    pub packets: u64,
    /// Time of the first packet and the latest one.
    pub span: Option<(Time, Time)>,
}

/// Rows of [`Totals`]; `None` are packets that never came to tracking.
pub const STATES: [Option<State>; 6] = [
    Some(State::New),
    Some(State::Established),
    Some(State::Related),
    Some(State::Invalid),
    Some(State::Untracked),
    None,
];

/// Columns of [`Totals`], by name.
pub const VERDICTS: [&str; 5] = ["accept", "drop", "reject", "held", "not-ip"];

impl Totals {
    #[inline]
    pub(super) fn count(&mut self, time: Time, outcome: &Outcome) {
        let row = match outcome.state {
            Some(State::New) => 0,
            Some(State::Established) => 1,
            Some(State::Related) => 2,
            Some(State::Invalid) => 3,
            Some(State::Untracked) => 4,
            None => 5,
        };
        let column = match outcome.verdict {
            Verdict::Accept => 0,
            Verdict::Drop => 1,
            Verdict::Reject(_) => 2,
            Verdict::Held => 3,
            Verdict::NotIp => 4,
        };
        self.cells[row][column] += 1;
        self.packets += 1;
        self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }

    /// Adds those of another engine.
    pub(crate) fn add(&mut self, other: &Self) {
        for (row, more) in self.cells.iter_mut().zip(&other.cells) {
            row.iter_mut().zip(more).for_each(|(cell, more)| *cell += more);
        }
        self.packets += other.packets;
        self.span = match (self.span, other.span) {
            (Some((first, last)), Some((earlier, later))) => Some((first.min(earlier), last.max(later))),
            (span, other) => span.or(other),
        };
    }

    /// Packets of the state with this index in [`STATES`] and the verdict with this index in [`VERDICTS`].
    pub fn cell(&self, state: usize, verdict: usize) -> u64 {
        self.cells.get(state).and_then(|row| row.get(verdict)).copied().unwrap_or(0)
    }

    /// Packets with the verdict with this index in [`VERDICTS`].
    pub fn verdict(&self, verdict: usize) -> u64 {
        (0..STATES.len()).map(|state| self.cell(state, verdict)).sum()
    }
}
