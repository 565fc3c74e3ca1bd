//! The edits of one direction of a stream: the ledger of runs, and the bytes that replace them.

use super::Edit;
use crate::adjust::{Ledger, LedgerError, Run, after, at_or_after};
use serde::{Deserialize, Serialize};

/// Runs that a direction remembers. FTP clients that send commands without waiting have a few in flight; one message of SIP with all the
/// addresses that its sender has (ICE) may hold some dozens.
const RUNS: usize = 64;
/// Bytes of replacement that a direction remembers: all that may be [held](super::HoldPolicy) and owed, and what it grows by.
const TEXT: usize = 20 * 1024;

/// One direction of a stream with its edits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EditedStream {
    ledger: Ledger,
    /// Original number of offset 0.
    origin: u32,
    /// The replacements of the ledger's runs, one after the other.
    texts: Vec<u8>,
}

impl Default for EditedStream {
    fn default() -> Self {
        Self { ledger: Ledger::new(RUNS), origin: 0, texts: Vec::new() }
    }
}

impl EditedStream {
    /// The stream's offset 0 has original number `next`: one more than the SYN's, or where the stream was picked up. Ignored once
    /// an edit was entered.
    pub fn open(&mut self, next: u32) {
        if self.ledger.is_identity() {
            self.origin = next;
            self.ledger.open(next);
        }
    }

    /// Whether the ledger's runs are in order, and their replacements here.
    pub(super) fn is_sound(&self) -> bool {
        let texts: usize = self.ledger.runs().iter().map(|run| usize::from(run.inserted)).sum();
        self.ledger.is_sound(RUNS) && texts == self.texts.len() && texts <= TEXT
    }

    /// How numbers map.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) const fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Enters an edit of bytes that were not forwarded yet. Edits come in the order of the stream.
    ///
    /// # Errors
    /// See [`LedgerError`]; a replacement longer than 20 KiB is refused as well. Nothing has changed then, but that old edits
    /// may be forgotten.
    pub fn enter(&mut self, edit: &Edit<'_>) -> Result<(), LedgerError> {
        let removed = edit.span.end.checked_sub(edit.span.start).ok_or(LedgerError::Length)?;
        let removed = usize::try_from(removed).map_err(|_| LedgerError::Length)?;
        let start = self.number(edit.span.start);
        self.ledger.admit(start, removed, edit.replacement.len())?;
        if edit.replacement.len() > TEXT {
            return Err(LedgerError::Length);
        }
        while let Some(run) = self.ledger.forget_stale() {
            self.forget_text(run);
        }
        while self.ledger.is_full() || self.texts.len() + edit.replacement.len() > TEXT {
            let run = self.ledger.forget_acknowledged().ok_or(LedgerError::Full)?;
            self.forget_text(run);
        }
        self.ledger.enter(start, removed, edit.replacement.len(), edit.owed)?;
        self.texts.extend_from_slice(edit.replacement);
        Ok(())
    }

    fn forget_text(&mut self, run: Run) {
        let length = usize::from(run.inserted).min(self.texts.len());
        self.texts.drain(..length);
    }

    /// Original number of a stream offset: numbers wrap, offsets do not.
    const fn number(&self, offset: u64) -> u32 {
        self.origin.wrapping_add(offset as u32)
    }

    /// Whether data that begins at `start` follows a gap.
    pub(super) fn is_ahead(&self, start: u32) -> bool {
        after(start, self.ledger.carried())
    }

    /// Whether the segment with original numbers `start..end` carries a replacement. `end` counts a FIN.
    #[inline]
    pub(super) fn touches(&self, start: u32, end: u32) -> bool {
        start != end && self.ledger.runs().iter().rev().any(|run| self.is_carried(run, start, end))
    }

    #[inline]
    fn is_carried(&self, run: &Run, start: u32, end: u32) -> bool {
        let overlaps = after(end, run.start) && after(run.end(), start);
        // Its sender will not repeat the run itself, so it goes with what follows. New data follows what was just forwarded.
        let owed = run.owed
            && start == run.end()
            && start != self.ledger.frontier()
            && !at_or_after(self.ledger.acknowledged(), run.edited_end());
        overlaps || owed
    }

    /// Appends to `out` what the receiver is to get for the original bytes `payload` that begin at number `start`, and returns the
    /// edited number of the first of them. `end` counts a FIN.
    pub(super) fn assemble(&self, start: u32, end: u32, payload: &[u8], out: &mut Vec<u8>) -> u32 {
        let mut first = self.ledger.edited(start);
        let mut taken = 0;
        let mut text = 0;
        for run in self.ledger.runs() {
            let replacement = self.texts.get(text..text + usize::from(run.inserted)).unwrap_or_default();
            text += usize::from(run.inserted);
            if !self.is_carried(run, start, end) {
                continue;
            }
            if after(start, run.start) {
                if start == self.ledger.frontier() {
                    // The segment before this one, forwarded just now, carried the replacement.
                    first = run.edited_end();
                } else {
                    first = run.edited_start();
                    out.extend_from_slice(replacement);
                }
            } else {
                let lead = run.start.wrapping_sub(start) as usize;
                out.extend_from_slice(payload.get(taken..lead).unwrap_or_default());
                out.extend_from_slice(replacement);
            }
            taken = (run.end().wrapping_sub(start) as usize).min(payload.len());
        }
        out.extend_from_slice(payload.get(taken..).unwrap_or_default());
        first
    }
}
