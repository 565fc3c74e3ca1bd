//! A ruleset ready to run: the program, and what is needed to explain its decisions.

use crate::ast::ObjectKind;
use crate::field::Field;
use crate::object::{ExpectationObject, HelperObject, ObjectId, TimeoutObject};
use crate::program::{BaseStart, Program};
use crate::source::{Sources, Span};
use crate::state::{Count, RulesetState};
use std::fmt;

/// Family of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
}

/// Where in a packet's way a base chain is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Every packet that comes in.
    Prerouting,
    /// Packets to this host.
    Input,
    /// Packets through this host.
    Forward,
    /// Packets from this host.
    Output,
    /// Every packet that goes out.
    Postrouting,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 5] =
        [Self::Prerouting, Self::Input, Self::Forward, Self::Output, Self::Postrouting];

    /// As nft spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a base chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainKind {
    /// Accepts and drops.
    Filter,
    /// Translates; sees only the first packet of a conn.
    Nat,
    /// Output chain after which the route is looked up again.
    Route,
}

/// What becomes of a packet that no rule of a base chain decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainPolicy {
    /// It passes.
    Accept,
    /// It is gone.
    Drop,
}

/// Which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// Which chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChainId(pub u32);

/// Which base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseChainId(pub u32);

/// A base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// Its id, for [`Ruleset::evaluate`].
    pub id: BaseChainId,
    /// The chain it is.
    pub chain: ChainId,
    /// What it is for.
    pub kind: ChainKind,
    /// Where it is run.
    pub hook: Hook,
    /// Lower runs earlier. Tracking happens at -200: chains below that run before it.
    pub priority: i32,
    /// What becomes of packets that no rule decided about.
    pub policy: ChainPolicy,
    /// Where the policy is written (where the chain is declared, if no policy is).
    pub(crate) policy_span: Span,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location<'a> {
    /// File name, as the loader spelled it.
    pub file: &'a str,
    /// Line, from 1.
    pub line: u32,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A counter's reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterReading<'a> {
    /// Name of the object, or the text of the rule that counts.
    pub name: &'a str,
    /// Where it is.
    pub location: Location<'a>,
    /// What it counted.
    pub count: Count,
}

#[derive(Clone, Debug)]
pub(crate) struct TableInfo {
    pub(crate) family: &'static str,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct ChainInfo {
    pub(crate) table: usize,
    pub(crate) name: String,
    pub(crate) span: Span,
}

#[derive(Clone, Debug)]
pub(crate) struct RuleInfo {
    pub(crate) chain: ChainId,
    pub(crate) span: Span,
    pub(crate) comment: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct ObjectInfo {
    pub(crate) table: usize,
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    pub(crate) span: Span,
}

/// A ruleset that was read, checked and compiled. Immutable; what changes is in [`RulesetState`].
#[derive(Clone, Debug)]
pub struct Ruleset {
    pub(crate) sources: Sources,
    pub(crate) program: Program,
    pub(crate) tables: Vec<TableInfo>,
    pub(crate) chains: Vec<ChainInfo>,
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) bases: Vec<BaseChain>,
    /// Base chains by hook and family, in the order in which they run.
    pub(crate) order: [[Vec<BaseChain>; 2]; 5],
    pub(crate) objects: Vec<ObjectInfo>,
    pub(crate) helpers: Vec<HelperObject>,
    pub(crate) timeouts: Vec<TimeoutObject>,
    pub(crate) expectations: Vec<ExpectationObject>,
    /// Counters, and the name and place of each.
    pub(crate) counters: Vec<(u32, Span, Option<String>)>,
}

impl Ruleset {
    /// The base chains that a packet of this family meets at a hook, in the order in which they run: by priority, and
    /// of equals the one declared last first (as the kernel does).
    pub fn base_chains(&self, hook: Hook, family: Family) -> impl Iterator<Item = BaseChain> + '_ {
        self.order.get(hook as usize).and_then(|f| f.get(family as usize)).into_iter().flatten().copied()
    }

    /// A base chain.
    pub fn base_chain(&self, id: BaseChainId) -> Option<&BaseChain> {
        self.bases.get(id.0 as usize)
    }

    /// What a base chain makes of packets by their state alone: for packets in one of these states (nft's bits) it
    /// accepts, without any effect, by this rule (or by its policy). `None` if that takes more than the first rule.
    pub fn accepted_states(&self, id: BaseChainId) -> Option<(u64, Option<RuleId>)> {
        let start = self.base_start(id);
        match start.shortcut {
            // The rule before the one at which the others begin.
            Some((Field::CtState, mask)) => Some((mask, Some(RuleId(start.next - 1)))),
            None if start.next == start.end && start.policy == ChainPolicy::Accept => Some((u64::MAX, None)),
            _ => None,
        }
    }

    /// Whether any rule looks at a field of which `is` holds.
    pub fn loads(&self, is: impl Fn(Field) -> bool) -> bool {
        self.program.loads(is)
    }

    /// Whether one packet of a conn fares as the next one in the same direction and state, whatever it is, and its passing leaves no trace: no rule
    /// looks at anything but addresses, ports, protocols, interfaces and the conn's state, and none counts, limits, logs or marks.
    pub fn decides_by_flow(&self) -> bool {
        !self.program.loads(|field| !field.is_of_flow()) && self.program.only_decides()
    }

    #[inline]
    pub(crate) fn base_start(&self, id: BaseChainId) -> BaseStart {
        let none = BaseStart { shortcut: None, next: 0, end: 0, policy: ChainPolicy::Accept };
        self.program.bases.get(id.0 as usize).copied().unwrap_or(none)
    }

    /// How many rules there are; their ids are `0..rule_count`.
    pub fn rule_count(&self) -> u32 {
        u32::try_from(self.rules.len()).unwrap_or(u32::MAX)
    }

    fn place(&self, span: Span) -> Location<'_> {
        Location { file: self.sources.name(span.file), line: self.sources.position(span).0 }
    }

    /// Where a rule is written.
    pub fn location(&self, rule: RuleId) -> Option<Location<'_>> {
        self.rules.get(rule.0 as usize).map(|r| self.place(r.span))
    }

    /// The text of a rule, without the white space around it.
    pub fn rule_text(&self, rule: RuleId) -> &str {
        self.rules.get(rule.0 as usize).map_or("", |r| self.sources.slice(r.span).trim())
    }

    /// The comment of a rule.
    pub fn rule_comment(&self, rule: RuleId) -> Option<&str> {
        self.rules.get(rule.0 as usize).and_then(|r| r.comment.as_deref())
    }

    /// The chain a rule is in.
    pub fn rule_chain(&self, rule: RuleId) -> Option<ChainId> {
        self.rules.get(rule.0 as usize).map(|r| r.chain)
    }

    /// Name of a chain.
    pub fn chain_name(&self, chain: ChainId) -> &str {
        self.chains.get(chain.0 as usize).map_or("", |c| c.name.as_str())
    }

    /// Family (`ip`, `ip6`, `inet`) and name of the table a chain is in.
    pub fn table_of(&self, chain: ChainId) -> (&str, &str) {
        let table = self.chains.get(chain.0 as usize).and_then(|c| self.tables.get(c.table));
        table.map_or(("", ""), |t| (t.family, t.name.as_str()))
    }

    /// Where a chain is declared.
    pub fn chain_location(&self, chain: ChainId) -> Option<Location<'_>> {
        self.chains.get(chain.0 as usize).map(|c| self.place(c.span))
    }

    /// Where the policy of a base chain is written (its declaration, if no policy is).
    pub fn policy_location(&self, chain: BaseChainId) -> Option<Location<'_>> {
        self.base_chain(chain).map(|b| self.place(b.policy_span))
    }

    /// The `ct helper` objects.
    pub fn helpers(&self) -> &[HelperObject] {
        &self.helpers
    }

    /// The `ct timeout` objects.
    pub fn timeouts(&self) -> &[TimeoutObject] {
        &self.timeouts
    }

    /// The `ct expectation` objects.
    pub fn expectations(&self) -> &[ExpectationObject] {
        &self.expectations
    }

    /// Name of an object.
    pub fn object_name(&self, object: ObjectId) -> &str {
        self.objects.get(object.0 as usize).map_or("", |o| o.name.as_str())
    }

    /// Where an object is declared.
    pub fn object_location(&self, object: ObjectId) -> Option<Location<'_>> {
        self.objects.get(object.0 as usize).map(|o| self.place(o.span))
    }

    /// Every counter and what it counted.
    pub fn counters<'a>(&'a self, state: &'a RulesetState) -> impl Iterator<Item = CounterReading<'a>> + 'a {
        self.counters.iter().map(|(index, span, name)| CounterReading {
            name: name.as_deref().unwrap_or_else(|| self.sources.slice(*span).trim()),
            location: self.place(*span),
            count: state.counter(*index),
        })
    }

    /// The files the ruleset was read from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}
