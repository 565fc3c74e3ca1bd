//! Jumps between chains: no cycles, bounded depth, and every statement at a hook where it can work.

use crate::diagnostic::{Problems, problem};
use crate::eval::MAX_JUMPS;
use crate::ruleset::{BaseChain, ChainId, ChainKind, Hook, Ruleset};
use crate::source::Span;
use std::collections::HashMap;

/// Where a statement may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Restriction {
    Reject,
    Snat,
    Dnat,
    Masquerade,
}

/// Jumps and restrictions of every chain.
#[derive(Default)]
pub(super) struct Graph {
    jumps: HashMap<ChainId, Vec<(ChainId, Span)>>,
    restrictions: HashMap<ChainId, Vec<(Restriction, Span)>>,
}

/// How far the search is with a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Open,
    /// Done; jumps nest so deep below it.
    Depth(usize),
}

impl Graph {
    pub(super) fn jump(&mut self, from: Option<ChainId>, to: ChainId, span: Span) {
        if let Some(from) = from {
            self.jumps.entry(from).or_default().push((to, span));
        }
    }

    pub(super) fn restrict(&mut self, chain: Option<ChainId>, restriction: Restriction, span: Span) {
        if let Some(chain) = chain {
            self.restrictions.entry(chain).or_default().push((restriction, span));
        }
    }

    pub(super) fn check(&self, ruleset: &Ruleset, problems: &mut Problems) {
        let mut marks = HashMap::new();
        for number in 0..ruleset.chains.len() {
            self.search(ChainId(super::index(number)), &mut marks, problems);
        }
        if !problems.is_empty() {
            return;
        }
        for base in &ruleset.bases {
            self.check_base(base, problems);
        }
    }

    /// Depth-first, with a stack of its own: chains may be chained by the thousand.
    fn search(&self, root: ChainId, marks: &mut HashMap<ChainId, Mark>, problems: &mut Problems) {
        let mut path: Vec<(ChainId, usize, usize)> = Vec::new();
        if marks.contains_key(&root) {
            return;
        }
        marks.insert(root, Mark::Open);
        path.push((root, 0, 0));
        while let Some((chain, next, below)) = path.last_mut() {
            let jump = self.jumps.get(chain).and_then(|j| j.get(*next)).copied();
            let Some((target, span)) = jump else {
                let (done, depth) = (*chain, *below);
                marks.insert(done, Mark::Depth(depth));
                path.pop();
                continue;
            };
            *next += 1;
            match marks.get(&target) {
                Some(Mark::Open) => problems.push(
                    problem(span, "this jump leads back to where it came from")
                        .hint("chains must not form a loop"),
                ),
                Some(Mark::Depth(depth)) => {
                    *below = (*below).max(depth + 1);
                    if *below >= MAX_JUMPS {
                        problems
                            .push(problem(span, format!("jumps nest more than {} deep here", MAX_JUMPS - 1)));
                        *below = 0;
                    }
                }
                None => {
                    marks.insert(target, Mark::Open);
                    // Look at the jump again when the depth below its target is known.
                    *next -= 1;
                    path.push((target, 0, 0));
                }
            }
        }
    }

    /// Checks every statement that can be reached from a base chain.
    fn check_base(&self, base: &BaseChain, problems: &mut Problems) {
        let mut seen = std::collections::HashSet::from([base.chain]);
        let mut left = vec![base.chain];
        while let Some(chain) = left.pop() {
            for (restriction, span) in self.restrictions.get(&chain).into_iter().flatten() {
                if let Some(why) = restriction.forbids(base) {
                    problems.push(problem(*span, why.0).hint(why.1));
                }
            }
            for (target, _) in self.jumps.get(&chain).into_iter().flatten() {
                if seen.insert(*target) {
                    left.push(*target);
                }
            }
        }
    }
}

impl Restriction {
    /// Why the statement cannot be reached from this base chain, and what to do.
    fn forbids(self, base: &BaseChain) -> Option<(&'static str, &'static str)> {
        match (self, base.hook) {
            (Self::Reject, Hook::Postrouting) => Some((
                "a packet cannot be rejected at postrouting",
                "drop it, or reject it at input, forward or output",
            )),
            (Self::Reject, _) => None,
            _ if base.kind != ChainKind::Nat => Some((
                "addresses are translated in nat chains only",
                "declare the chain with `type nat hook …`",
            )),
            (Self::Snat, Hook::Postrouting | Hook::Input) | (Self::Masquerade, Hook::Postrouting) => None,
            (Self::Snat | Self::Masquerade, _) => Some((
                "the source is translated at postrouting",
                "move the rule to a nat chain at postrouting",
            )),
            (Self::Dnat, Hook::Prerouting | Hook::Output) => None,
            (Self::Dnat, _) => Some((
                "the destination is translated at prerouting",
                "move the rule to a nat chain at prerouting",
            )),
        }
    }
}
