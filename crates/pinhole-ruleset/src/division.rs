//! What of a ruleset concerns several engines that run it side by side, each with a state of its own.

use crate::field::{NameField, Origin, name_value};
use crate::program::{Instruction, NatKind, Payload, RangeSource};
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

    /// Whether a rule that translates sources names this interface as the way out (`oifname`); or, if `destinations`, whether one that translates
    /// destinations names it as the way in. What calling chains match is not looked at.
    pub fn translates_by(&self, interface: &str, destinations: bool) -> bool {
        let Some(name) = name_value(interface) else { return false };
        let field = if destinations { NameField::InterfaceIn } else { NameField::InterfaceOut };
        self.program.rules.iter().any(|rule| {
            let code = self.program.code.get(rule.start as usize..rule.end as usize).unwrap_or_default();
            let translates = code.iter().any(|instruction| match instruction {
                Instruction::Nat(number) => self.program.nats.get(*number as usize).is_some_and(|nat| {
                    matches!(nat.statement.kind, NatKind::Dnat | NatKind::Redirect) == destinations
                }),
                _ => false,
            });
            let matches: Vec<bool> =
                code.iter().filter_map(|one| self.name_matches(one, field, name)).collect();
            translates && !matches.is_empty() && matches.iter().all(|matches| *matches)
        })
    }

    /// Whether a name matches, if an instruction compares this field with anything.
    fn name_matches(&self, instruction: &Instruction, field: NameField, name: u128) -> Option<bool> {
        match instruction {
            Instruction::Compare { operand, low, high, negate } if operand.origin == Origin::Name(field) => {
                Some((*low <= name && name <= *high) != *negate)
            }
            Instruction::Contains { key, set, negate } if key.count == 1 => {
                let operand = self.program.operands.get(key.first as usize)?;
                let table = self.program.sets.get(set.0 as usize)?;
                let is_it = operand.origin == Origin::Name(field);
                is_it.then(|| table.lookup.value(name).is_some() != *negate)
            }
            _ => None,
        }
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
