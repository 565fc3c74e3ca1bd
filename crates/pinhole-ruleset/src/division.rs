//! What of a ruleset concerns several engines that run it side by side, each with a state of its own.

use crate::program::{NatKind, Payload, RangeSource};
use crate::ruleset::{Family, Ruleset};

/// Addresses that rules give to sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    /// Their family.
    pub family: Family,
    /// First address, as a number.
    pub first: u128,
    /// Last one.
    pub last: u128,
    /// Each is one host's alone: the host part of its address stays.
    pub is_prefix: bool,
}

impl Ruleset {
    /// The addresses that `snat` statements give to sources, those in maps included; not that of `masquerade`.
    pub fn source_ranges(&self) -> Vec<SourceRange> {
        let mut found = Vec::new();
        for nat in self.program.nats.iter().filter(|nat| nat.statement.kind == NatKind::Snat) {
            let Some(family) = nat.family else { continue };
            let is_prefix = nat.statement.prefix;
            let range = |(first, last)| SourceRange { family, first, last, is_prefix };
            match nat.address {
                None => {}
                Some(RangeSource::Constant(first, last)) => found.push(range((first, last))),
                Some(RangeSource::Map { set, .. }) => {
                    let table = self.program.sets.get(set.0 as usize);
                    let payloads =
                        table.into_iter().flat_map(|table| table.payloads.iter().chain(&table.otherwise));
                    found.extend(payloads.filter_map(|payload| match payload {
                        Payload::Data(values) => values.first().copied().map(range),
                        _ => None,
                    }));
                }
            }
        }
        found.dedup();
        found
    }

    /// Whether it has quotas, which count what all engines let pass.
    pub fn has_quotas(&self) -> bool {
        !self.program.quotas.is_empty()
    }

    /// The ruleset for one of so many engines: limits of rate are divided among them, and each has all of a limit's burst. The first goes on with what
    /// counters begin with.
    #[must_use]
    pub fn divided(mut self, (index, engines): (usize, usize)) -> Self {
        let engines = engines.max(1) as u64;
        if index > 0 {
            self.program.counters.iter_mut().for_each(|counter| *counter = (0, 0));
        }
        for rate in &mut self.program.rates {
            // Tokens are time: what costs more of it comes less often.
            rate.nanoseconds = rate.nanoseconds.saturating_mul(engines);
            rate.capacity = rate.capacity.saturating_mul(engines);
        }
        self
    }
}
