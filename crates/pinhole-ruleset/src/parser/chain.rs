//! Chains: `type … hook … priority …`, `policy`, and rules.

use super::Parser;
use crate::ast::{Base, Chain, Command, ExprKind, Name, Policy, Priority, TableName};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;
use std::collections::HashMap;

impl Parser<'_> {
    /// A chain after its name, in braces. Its declaration and its rules become commands.
    pub(super) fn chain_block(&mut self, table: &TableName, name: &Name, create: bool) -> Checked<()> {
        let at = self.commands.len();
        let mut chain = Chain { name: name.clone(), base: None, policy: None };
        self.scopes.push(HashMap::new());
        let result = self.block(|p| p.chain_statement(table, &mut chain));
        self.scopes.pop();
        // The chain must exist before its rules; what it is is known only now.
        self.commands.insert(at, Command::Chain { table: table.clone(), chain, create });
        result
    }

    fn chain_statement(&mut self, table: &TableName, chain: &mut Chain) -> Checked<()> {
        if let Some(result) = self.shared_statement() {
            return result;
        }
        match () {
            () if self.is_word("type") => chain.base = Some(self.base()?),
            () if self.take_word("policy") => chain.policy = Some(self.policy()?),
            () if self.is_word("devices") || self.is_word("device") => return Err(self.device()),
            () if self.is_word("comment") => {
                self.bump();
                self.quoted("a quoted comment")?;
            }
            () => {
                let rule = self.rule()?;
                let (table, name) = (table.clone(), chain.name.clone());
                self.commands.push(Command::Rule { table, chain: name, rule, first: false });
            }
        }
        Ok(())
    }

    /// `type filter hook input priority 0`.
    pub(super) fn base(&mut self) -> Checked<Base> {
        self.expect_word("type")?;
        let kind = self.name("filter, nat or route")?;
        self.expect_word("hook")?;
        let hook = self.name("a hook")?;
        if self.is_word("device") || self.is_word("devices") {
            return Err(self.device());
        }
        self.expect_word("priority")?;
        let priority = self.priority()?;
        Ok(Base { kind, hook, priority })
    }

    fn device(&self) -> Box<crate::diagnostic::Problem> {
        unsupported(self.span(), "a chain bound to a device", "use a chain at prerouting and match iifname")
    }

    fn priority(&mut self) -> Checked<Priority> {
        let span = self.span();
        if self.kind() == Kind::Dollar {
            let value = self.use_variable()?;
            return match &value.kind {
                ExprKind::Word(text) => match text.parse() {
                    Ok(offset) => Ok(Priority { name: None, offset, span }),
                    Err(_) => Ok(Priority { name: Some(text.clone()), offset: 0, span }),
                },
                _ => Err(problem(span, "this variable is no priority")),
            };
        }
        let name = if self.kind() == Kind::Name { Some(self.name("a priority")?.text) } else { None };
        let negative = match () {
            () if self.take(Kind::Dash) => true,
            () if self.take(Kind::Plus) => false,
            () if name.is_some() => return Ok(Priority { name, offset: 0, span }),
            () => false,
        };
        let magnitude: i32 = self.number("a priority")?;
        let offset = if negative { -magnitude } else { magnitude };
        Ok(Priority { name, offset, span: span.to(self.previous()) })
    }

    pub(super) fn policy(&mut self) -> Checked<(Policy, crate::source::Span)> {
        let word = self.constant_word("accept or drop")?;
        match word.text.as_str() {
            "accept" => Ok((Policy::Accept, word.span)),
            "drop" => Ok((Policy::Drop, word.span)),
            _ => Err(problem(word.span, "the policy of a chain is accept or drop")),
        }
    }
}
