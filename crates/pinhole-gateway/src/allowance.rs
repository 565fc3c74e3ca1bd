//! How many answers may still be given.

use pinhole_wire::Time;

/// Most answers in a second. Who sends from forged addresses shall not make a reflector of us (RFC 1812 §4.3.2.8; RFC 4443 §2.4 (f)).
const ANSWERS_PER_SECOND: u64 = 1000;

/// A token bucket that holds a second's worth of answers.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// The time up to which tokens are spent.
    spent: Time,
}

impl Allowance {
    pub(crate) fn take(&mut self, now: Time) -> bool {
        const COST: u64 = 1_000_000_000 / ANSWERS_PER_SECOND;
        let earliest = Time(now.0.saturating_sub(1_000_000_000));
        let spent = self.spent.max(earliest).plus_nanos(COST);
        let allowed = spent <= now;
        if allowed {
            self.spent = spent;
        }
        allowed
    }
}
