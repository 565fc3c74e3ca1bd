//! The chains of hooks, cut where NAT happens: the way of a packet whose conn is new, or translated.

use super::CONNTRACK_PRIORITY;
use crate::nat::Side;
use pinhole_ruleset::{BaseChainId, ChainKind, Family, Hook, Ruleset};

/// Priorities at which netfilter translates (`NF_IP_PRI_NAT_DST`, `NF_IP_PRI_NAT_SRC`), whatever the priorities of the NAT chains:
/// these say only which of them comes first.
const DESTINATION_PRIORITY: i32 = -100;
const SOURCE_PRIORITY: i32 = 100;

/// The steps of a hook.
#[derive(Clone, Copy, Default)]
pub(crate) struct Steps {
    steps: [Step; 3],
    count: u8,
}

/// One part of a hook's chains, as it is walked.
#[derive(Clone, Copy, Default)]
pub(crate) struct Step {
    /// Number of the part.
    pub(crate) number: usize,
    /// The end that is translated in it.
    pub(crate) side: Option<Side>,
    /// There are chains in it.
    pub(crate) runs: bool,
}

impl Steps {
    /// The place where NAT happens, where there are no rules.
    pub(crate) fn without_rules(hook: Hook) -> Self {
        let side = match hook {
            Hook::Prerouting | Hook::Output => Side::Destination,
            Hook::Input | Hook::Postrouting => Side::Source,
            Hook::Forward => return Self::default(),
        };
        let step = Step { number: 0, side: Some(side), runs: false };
        Self { steps: [step, Step::default(), Step::default()], count: 1 }
    }

    /// Those parts of a hook where there is anything to do.
    pub(super) fn of(legs: &[Leg], hook: Hook) -> Self {
        let mut all = Self::default();
        let parts = legs.iter().enumerate().filter(|(_, leg)| leg.hook == hook);
        let parts = parts.filter(|(_, leg)| leg.translates.is_some() || !leg.chains.is_empty());
        for (step, (number, leg)) in all.steps.iter_mut().zip(parts) {
            *step = Step { number, side: leg.translates, runs: !leg.chains.is_empty() };
            all.count += 1;
        }
        all
    }

    pub(crate) fn as_slice(&self) -> &[Step] {
        self.steps.get(..usize::from(self.count)).unwrap_or_default()
    }
}

/// A part of a hook's chains.
pub(super) struct Leg {
    hook: Hook,
    pub(super) chains: Vec<BaseChainId>,
    pub(super) translates: Option<Side>,
}

/// The chains of all hooks after tracking, cut at the priorities at which NAT happens.
pub(super) fn legs(ruleset: &Ruleset, family: Family) -> Vec<Leg> {
    let mut legs = Vec::new();
    for (hook, side) in [
        (Hook::Prerouting, Some((Side::Destination, DESTINATION_PRIORITY))),
        (Hook::Input, Some((Side::Source, SOURCE_PRIORITY))),
        (Hook::Forward, None),
        (Hook::Output, Some((Side::Destination, DESTINATION_PRIORITY))),
        (Hook::Postrouting, Some((Side::Source, SOURCE_PRIORITY))),
    ] {
        let raw = |priority| matches!(hook, Hook::Prerouting | Hook::Output) && priority < CONNTRACK_PRIORITY;
        let mut before = Vec::new();
        let mut nat = Vec::new();
        let mut after = Vec::new();
        for chain in ruleset.base_chains(hook, family).filter(|chain| !raw(chain.priority)) {
            let list = match side {
                _ if chain.kind == ChainKind::Nat => &mut nat,
                Some((_, priority)) if chain.priority >= priority => &mut after,
                _ => &mut before,
            };
            list.push(chain.id);
        }
        legs.push(Leg { hook, chains: before, translates: None });
        if let Some((side, _)) = side {
            legs.push(Leg { hook, chains: nat, translates: Some(side) });
            legs.push(Leg { hook, chains: after, translates: None });
        }
    }
    legs
}
