//! The replaced runs of one direction, and the mapping of numbers across them.

use serde::{Deserialize, Serialize};

/// How far back a run can matter: no window is larger (RFC 7323 §2.3).
const REACH: u32 = 1 << 30;

/// Whether `a` is at or after `b` in sequence space (RFC 9293 §3.4).
#[inline]
pub(crate) const fn at_or_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 >= 0
}

/// Whether `a` is after `b`.
#[inline]
pub(crate) const fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

/// A run of original bytes and the length of what replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Original number of its first byte.
    pub start: u32,
    /// Original bytes; not zero.
    pub removed: u16,
    /// Edited bytes; not zero.
    pub inserted: u16,
    /// The gateway acknowledged some of it to its sender, who will not send that again: see [`crate::rewrite::Edit::owed`].
    pub owed: bool,
    /// Difference of the numbers before it.
    before: u32,
}

impl Run {
    /// Original number after its last byte.
    pub const fn end(&self) -> u32 {
        self.start.wrapping_add(self.removed as u32)
    }

    /// Edited number of its first byte.
    pub const fn edited_start(&self) -> u32 {
        self.start.wrapping_add(self.before)
    }

    /// Edited number after its last byte.
    pub const fn edited_end(&self) -> u32 {
        self.edited_start().wrapping_add(self.inserted as u32)
    }

    /// What to add to original numbers after it, modulo 2^32.
    const fn difference_after(&self) -> u32 {
        self.edited_end().wrapping_sub(self.end())
    }
}

/// Why a run cannot be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum LedgerError {
    /// The beginning of the stream is not known.
    #[error("the stream's beginning was not seen")]
    NotOpen,
    /// No place for another run, and the oldest is not acknowledged.
    #[error("too many edits are in flight")]
    Full,
    /// Its first byte was forwarded already, or belongs to another run.
    #[error("the bytes were forwarded already")]
    Passed,
    /// It lies too far beyond what was forwarded to be of this stream.
    #[error("the bytes are out of reach")]
    Beyond,
    /// The run or its replacement is empty or longer than 65535 bytes.
    #[error("an edit must replace 1 to 65535 bytes by 1 to 65535 bytes")]
    Length,
}

/// The replaced runs of one direction of a conn. See [the module](super) for its rules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// In the order of the stream; at most `capacity`, which is reserved.
    runs: Vec<Run>,
    capacity: usize,
    /// Difference before the first run.
    base: u32,
    /// Original number up to which the stream was forwarded; meaningless while not open.
    frontier: u32,
    /// Edited number up to which the receiver acknowledged.
    acknowledged: u32,
    open: bool,
}

impl Ledger {
    /// An empty ledger with room for `capacity` runs. It maps every number to itself.
    pub fn new(capacity: usize) -> Self {
        Self { runs: Vec::new(), capacity, base: 0, frontier: 0, acknowledged: 0, open: false }
    }

    /// Whether a ledger with this capacity can come to be like this: runs in order, each with the difference of what is before it.
    pub(crate) fn is_sound(&self, capacity: usize) -> bool {
        let before = [self.base].into_iter().chain(self.runs.iter().map(Run::difference_after));
        let ends = self.runs.iter().map(Run::end);
        self.capacity == capacity
            && self.runs.len() <= capacity
            && (self.open || self.is_identity())
            && self
                .runs
                .iter()
                .zip(before)
                .all(|(run, before)| run.before == before && run.removed > 0 && run.inserted > 0)
            && self.runs.iter().skip(1).zip(ends).all(|(run, end)| at_or_after(run.start, end))
    }

    /// The stream begins, or is picked up, at original number `next`. Ignored once a run was entered.
    pub fn open(&mut self, next: u32) {
        if self.is_identity() {
            self.frontier = next;
            self.acknowledged = next;
            self.open = true;
        }
    }

    /// Whether the stream's beginning is known.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Whether every number maps to itself.
    #[inline]
    pub fn is_identity(&self) -> bool {
        self.runs.is_empty() && self.base == 0
    }

    /// The runs that are remembered, in the order of the stream.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// What is added to numbers at the end of the stream, as a signed number modulo 2^32.
    pub fn difference(&self) -> i32 {
        self.runs.last().map_or(self.base, Run::difference_after) as i32
    }

    /// Original number up to which the stream was forwarded.
    pub const fn frontier(&self) -> u32 {
        self.frontier
    }

    /// Original number up to which the receiver may have everything: the [frontier](Self::frontier), or the end of the run that it lies
    /// in, all of whose replacement was forwarded with its first part. The receiver may acknowledge that much.
    pub fn carried(&self) -> u32 {
        match self.run_at(self.frontier) {
            Some(run) if after(self.frontier, run.start) && !at_or_after(self.frontier, run.end()) => {
                run.end()
            }
            _ => self.frontier,
        }
    }

    /// Edited number up to which the receiver acknowledged.
    pub const fn acknowledged(&self) -> u32 {
        self.acknowledged
    }

    /// Whether there is no room for another run.
    pub fn is_full(&self) -> bool {
        self.runs.len() >= self.capacity
    }

    /// Enters a run that begins at original number `start`, beyond all others and beyond what was forwarded.
    ///
    /// # Errors
    /// See [`LedgerError`]; the ledger is unchanged then.
    pub fn enter(
        &mut self,
        start: u32,
        removed: usize,
        inserted: usize,
        owed: bool,
    ) -> Result<(), LedgerError> {
        let (removed, inserted) = self.admit(start, removed, inserted)?;
        if self.is_full() {
            return Err(LedgerError::Full);
        }
        let before = self.difference() as u32;
        self.runs.push(Run { start, removed, inserted, owed, before });
        Ok(())
    }

    /// Whether a run could be entered if there is room, and its lengths.
    pub(crate) fn admit(
        &self,
        start: u32,
        removed: usize,
        inserted: usize,
    ) -> Result<(u16, u16), LedgerError> {
        let length = |length: usize| u16::try_from(length).ok().filter(|&n| n > 0).ok_or(LedgerError::Length);
        let lengths = (length(removed)?, length(inserted)?);
        if !self.open {
            return Err(LedgerError::NotOpen);
        }
        let overlaps = self.runs.last().is_some_and(|last| !at_or_after(start, last.end()));
        if !at_or_after(start, self.frontier) || overlaps {
            return Err(LedgerError::Passed);
        }
        if start.wrapping_sub(self.frontier) > REACH {
            return Err(LedgerError::Beyond);
        }
        Ok(lengths)
    }

    /// Forgets the oldest run if the receiver has acknowledged all of it.
    pub fn forget_acknowledged(&mut self) -> Option<Run> {
        let first = *self.runs.first()?;
        at_or_after(self.acknowledged, first.edited_end()).then(|| self.forget_first(first))
    }

    /// Forgets the oldest run if it is too far back to matter.
    pub fn forget_stale(&mut self) -> Option<Run> {
        let first = *self.runs.first()?;
        let behind = self.frontier.wrapping_sub(first.end());
        (after(self.frontier, first.end()) && behind > REACH).then(|| self.forget_first(first))
    }

    fn forget_first(&mut self, first: Run) -> Run {
        self.runs.remove(0);
        self.base = first.difference_after();
        first
    }

    /// All bytes before original number `end` were forwarded.
    #[inline]
    pub fn forwarded(&mut self, end: u32) {
        if self.open && after(end, self.frontier) {
            self.frontier = end;
        }
    }

    /// The receiver acknowledged all before edited number `number`. Ignored when it goes back, or beyond what was forwarded.
    #[inline]
    pub fn acknowledge(&mut self, number: u32) {
        if self.open && after(number, self.acknowledged) && !after(number, self.edited_ceiling(self.frontier))
        {
            self.acknowledged = number;
        }
    }

    /// The last run that begins at or before an original number.
    #[inline]
    fn run_at(&self, number: u32) -> Option<&Run> {
        self.runs.iter().rev().find(|run| at_or_after(number, run.start))
    }

    /// The last run that begins at or before an edited number.
    #[inline]
    fn edited_run_at(&self, number: u32) -> Option<&Run> {
        self.runs.iter().rev().find(|run| at_or_after(number, run.edited_start()))
    }

    /// Original → edited; a number inside a run maps to the beginning of its replacement.
    #[inline]
    pub fn edited(&self, number: u32) -> u32 {
        match self.run_at(number) {
            None => number.wrapping_add(self.base),
            Some(run) if at_or_after(number, run.end()) => number.wrapping_add(run.difference_after()),
            Some(run) => run.edited_start(),
        }
    }

    /// Original → edited; a number inside a run maps to the end of its replacement.
    #[inline]
    pub fn edited_ceiling(&self, number: u32) -> u32 {
        match self.run_at(number) {
            Some(run) if after(number, run.start) && !at_or_after(number, run.end()) => run.edited_end(),
            _ => self.edited(number),
        }
    }

    /// Edited → original; a number inside a replacement maps to the beginning of its run.
    #[inline]
    pub fn original(&self, number: u32) -> u32 {
        match self.edited_run_at(number) {
            None => number.wrapping_sub(self.base),
            Some(run) if at_or_after(number, run.edited_end()) => number.wrapping_sub(run.difference_after()),
            Some(run) => run.start,
        }
    }

    /// Edited → original; a number inside a replacement maps to the end of its run.
    #[inline]
    pub fn original_ceiling(&self, number: u32) -> u32 {
        match self.edited_run_at(number) {
            Some(run) if after(number, run.edited_start()) && !at_or_after(number, run.edited_end()) => {
                run.end()
            }
            _ => self.original(number),
        }
    }
}
