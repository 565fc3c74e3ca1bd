//! Where rules stand and what they say, for output.

use pinhole_engine::RuleRef;
use pinhole_ruleset::{BaseChainId, ChainPolicy, Ruleset};
use std::collections::HashMap;

/// A rule or policy, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleLine {
    /// `fw.nft:12`
    pub location: String,
    /// Its text, on one line.
    pub text: String,
}

/// The rules that were met so far. Filled as they are met, since the engine owns the ruleset.
#[derive(Debug, Default)]
pub struct RuleBook {
    lines: HashMap<RuleRef, RuleLine>,
    latest: Option<RuleRef>,
}

impl RuleBook {
    /// Notes a rule.
    pub(crate) fn note(&mut self, ruleset: Option<&Ruleset>, rule: RuleRef) {
        // Most packets meet the same rule as the packet before.
        if self.latest == Some(rule) {
            return;
        }
        self.latest = Some(rule);
        if let Some(ruleset) = ruleset
            && !self.lines.contains_key(&rule)
        {
            self.lines.insert(rule, read(ruleset, rule));
        }
    }

    /// Forgets all rules: another ruleset is in force.
    pub(crate) fn clear(&mut self) {
        self.lines.clear();
        self.latest = None;
    }

    /// A rule that was noted.
    pub fn line(&self, rule: RuleRef) -> Option<&RuleLine> {
        self.lines.get(&rule)
    }
}

fn read(ruleset: &Ruleset, rule: RuleRef) -> RuleLine {
    let (location, text) = match rule {
        RuleRef::Rule(id) => (ruleset.location(id), one_line(ruleset.rule_text(id))),
        RuleRef::Policy(id) => (ruleset.policy_location(id), policy(ruleset, id)),
    };
    RuleLine { location: location.map(|place| place.to_string()).unwrap_or_default(), text }
}

fn policy(ruleset: &Ruleset, id: BaseChainId) -> String {
    let Some(base) = ruleset.base_chain(id) else { return String::new() };
    let policy = match base.policy {
        ChainPolicy::Accept => "accept",
        ChainPolicy::Drop => "drop",
    };
    let (family, table) = ruleset.table_of(base.chain);
    format!("policy {policy} of chain {family} {table} {}", ruleset.chain_name(base.chain))
}

/// Rules may be written over several lines.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
