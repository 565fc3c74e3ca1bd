//! Base chains: type, hook, priority, policy.

use super::{Compiler, index};
use crate::ast::{Base, Policy, Priority, TableFamily};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::field::Field;
use crate::model::ChainModel;
use crate::program::{BaseStart, Instruction, VerdictCode};
use crate::ruleset::{BaseChain, BaseChainId, ChainId, ChainKind, ChainPolicy, Family, Hook};
use std::ops::Range;

/// NAT chains must run after tracking, as the kernel demands.
const TRACKING: i32 = -200;

impl Compiler {
    pub(super) fn base_chain(&mut self, id: ChainId, chain: &ChainModel) -> Checked<()> {
        let Some(base) = &chain.base else {
            return match chain.policy {
                Some((_, span)) => Err(problem(span, "only a base chain has a policy")
                    .hint("say where the chain is run: `type filter hook forward priority 0`")),
                None => Ok(()),
            };
        };
        let hook = hook(base)?;
        let kind = kind(base, hook)?;
        let priority = priority(&base.priority, hook)?;
        if kind == ChainKind::Nat && priority <= TRACKING {
            return Err(problem(base.priority.span, "a nat chain must have a priority above -200")
                .hint("translation needs the conn, which tracking enters at -200"));
        }
        let policy = match chain.policy {
            Some((Policy::Drop, _)) => ChainPolicy::Drop,
            _ => ChainPolicy::Accept,
        };
        if let (ChainKind::Nat, Some((Policy::Drop, span))) = (kind, chain.policy) {
            return Err(problem(span, "a nat chain cannot have policy drop").hint("drop in a filter chain"));
        }
        let base = BaseChain {
            id: BaseChainId(index(self.ruleset.bases.len())),
            chain: id,
            kind,
            hook,
            priority,
            policy,
            policy_span: chain.policy.map_or(chain.span, |(_, span)| span),
        };
        self.ruleset.bases.push(base);
        Ok(())
    }

    /// The flags that the first rule accepts, if that is all it does.
    fn shortcut(&self, mut rules: Range<u32>) -> Option<(Field, u64)> {
        let program = &self.ruleset.program;
        let code = program.rules.get(rules.next()? as usize)?;
        match program.code.get(code.start as usize..code.end as usize)? {
            [Instruction::AnyFlag { field, mask }, Instruction::Verdict(VerdictCode::Accept)] => {
                Some((*field, *mask))
            }
            _ => None,
        }
    }

    pub(super) fn order_base_chains(&mut self) {
        let mut starts = Vec::new();
        for base in &self.ruleset.bases {
            let rules = self.ruleset.program.chains.get(base.chain.0 as usize).cloned().unwrap_or(0..0);
            let shortcut = self.shortcut(rules.clone());
            let next = if shortcut.is_some() { rules.start + 1 } else { rules.start };
            let start = BaseStart { shortcut, next, end: rules.end, policy: base.policy };
            starts.push(start);
            let table = self.ruleset.table_of(base.chain).0;
            let wanted = [(Family::Ip, TableFamily::Ip), (Family::Ip6, TableFamily::Ip6)]
                .map(|(family, only)| (family, table == only.text() || table == TableFamily::Inet.text()));
            for (family, wanted) in wanted {
                let chains =
                    self.ruleset.order.get_mut(base.hook as usize).and_then(|f| f.get_mut(family as usize));
                if let (true, Some(chains)) = (wanted, chains) {
                    // Of equals the one declared last runs first, as in the kernel.
                    let at = chains.partition_point(|c| c.priority < base.priority);
                    chains.insert(at, *base);
                }
            }
        }
        self.ruleset.program.bases = starts;
    }
}

fn hook(base: &Base) -> Checked<Hook> {
    if let Some(hook) = Hook::ALL.into_iter().find(|h| h.name() == base.hook.text) {
        return Ok(hook);
    }
    if matches!(base.hook.text.as_str(), "ingress" | "egress") {
        return Err(unsupported(
            base.hook.span,
            format!("the {} hook", base.hook.text),
            "use a chain at prerouting",
        ));
    }
    Err(problem(base.hook.span, format!("there is no hook `{}`", base.hook.text))
        .hint("the hooks are prerouting, input, forward, output and postrouting"))
}

fn kind(base: &Base, hook: Hook) -> Checked<ChainKind> {
    match (base.kind.text.as_str(), hook) {
        ("filter", _) => Ok(ChainKind::Filter),
        ("nat", Hook::Forward) => Err(problem(base.hook.span, "there is no nat chain at forward")
            .hint("translate the destination at prerouting, the source at postrouting")),
        ("nat", _) => Ok(ChainKind::Nat),
        ("route", Hook::Output) => Ok(ChainKind::Route),
        ("route", _) => Err(problem(base.hook.span, "a route chain can only be at output")),
        _ => Err(problem(base.kind.span, format!("there is no chain type `{}`", base.kind.text))
            .hint("the types are filter, nat and route")),
    }
}

fn priority(priority: &Priority, hook: Hook) -> Checked<i32> {
    let base = match priority.name.as_deref() {
        None => 0,
        Some("raw") => -300,
        Some("mangle") => -150,
        Some("dstnat") if hook == Hook::Prerouting => -100,
        Some("filter") => 0,
        Some("security") => 50,
        Some("srcnat") if hook == Hook::Postrouting => 100,
        Some(name @ ("dstnat" | "srcnat")) => {
            return Err(problem(priority.span, format!("priority {name} does not exist at {hook}"))
                .hint("dstnat belongs to prerouting, srcnat to postrouting; or write the number"));
        }
        Some(name) => {
            return Err(problem(priority.span, format!("there is no priority `{name}`"))
                .hint("the names are raw, mangle, dstnat, filter, security and srcnat; or write a number"));
        }
    };
    Ok(base + priority.offset.clamp(-1_000_000_000, 1_000_000_000))
}
