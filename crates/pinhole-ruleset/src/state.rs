//! What changes while a ruleset runs: counters, token buckets, quotas. One per engine; the ruleset itself is immutable
//! and may be shared.

use crate::program::Rate;
use crate::ruleset::Ruleset;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP headers included.
    pub bytes: u64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u64,
    /// When the tokens were last reckoned; `None` before the first packet.
    at: Option<u64>,
}

/// Counters, token buckets and quotas of one engine.
#[derive(Clone, Debug)]
pub struct RulesetState {
    counters: Vec<Count>,
    buckets: Vec<Bucket>,
    used: Vec<u64>,
}

impl RulesetState {
    /// The state that `ruleset` starts with.
    pub fn new(ruleset: &Ruleset) -> Self {
        let program = &ruleset.program;
        Self {
            counters: program
                .counters
                .iter()
                .map(|(packets, bytes)| Count { packets: *packets, bytes: *bytes })
                .collect(),
            buckets: program.rates.iter().map(|r| Bucket { tokens: r.capacity, at: None }).collect(),
            used: program.quota_used.clone(),
        }
    }

    /// Back to the state that `ruleset` starts with.
    pub fn reset(&mut self, ruleset: &Ruleset) {
        *self = Self::new(ruleset);
    }

    pub(crate) fn counter(&self, index: u32) -> Count {
        self.counters.get(index as usize).copied().unwrap_or_default()
    }

    pub(crate) fn count(&mut self, index: u32, length: u64) {
        if let Some(count) = self.counters.get_mut(index as usize) {
            count.packets = count.packets.saturating_add(1);
            count.bytes = count.bytes.saturating_add(length);
        }
    }

    /// Takes tokens for a packet; false if there are too few.
    pub(crate) fn within(&mut self, index: u32, rate: &Rate, length: u64, now_nanos: u64) -> bool {
        let Some(bucket) = self.buckets.get_mut(index as usize) else { return false };
        let earned = bucket.at.map_or(0, |at| now_nanos.saturating_sub(at));
        bucket.at = Some(bucket.at.map_or(now_nanos, |at| at.max(now_nanos)));
        bucket.tokens = bucket.tokens.saturating_add(earned).min(rate.capacity);
        match bucket.tokens.checked_sub(rate.cost(length)) {
            Some(left) => {
                bucket.tokens = left;
                true
            }
            None => false,
        }
    }

    /// Adds to a quota; what is used of it now.
    pub(crate) fn consume(&mut self, index: u32, length: u64) -> u64 {
        match self.used.get_mut(index as usize) {
            Some(used) => {
                *used = used.saturating_add(length);
                *used
            }
            None => 0,
        }
    }
}
