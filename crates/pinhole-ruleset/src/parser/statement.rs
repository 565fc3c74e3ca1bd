//! Rules and their statements.

mod log;
mod nat;
mod rate;

use super::Parser;
use super::expression::Mode;
use crate::ast::{
    AssignTarget, Comparison, Expr, ExprKind, ObjectKind, RejectWord, Rule, Statement, StatementKind,
};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::field::{Field, NameField, Origin};
use crate::lexer::Kind;
use crate::source::Span;
use std::rc::Rc;

impl Parser<'_> {
    /// A rule, up to the end of its statement.
    pub(super) fn rule(&mut self) -> Checked<Rule> {
        let start = self.span();
        let mut statements = Vec::new();
        let mut comment = None;
        while !self.at_end_of_statement() {
            if self.is_word("comment") {
                self.bump();
                comment = Some(self.name_or_quoted("a comment")?.text);
                self.end_of_statement()?;
                break;
            }
            statements.push(self.statement()?);
        }
        Ok(Rule { statements, comment, span: self.through_quote(start) })
    }

    /// From `start` to the previous token, the quote after a string included.
    fn through_quote(&self, start: Span) -> Span {
        let mut span = start.to(self.previous());
        let next = Span { start: span.end, end: span.end + 1, ..span };
        if self.sources.slice(next) == "\"" {
            span.end += 1;
        }
        span
    }

    fn statement(&mut self) -> Checked<Statement> {
        let start = self.span();
        let kind = self.statement_kind()?;
        Ok(Statement { kind, span: start.to(self.previous()) })
    }

    fn statement_kind(&mut self) -> Checked<StatementKind> {
        if let Some(verdict) = self.verdict()? {
            return Ok(StatementKind::Verdict(verdict));
        }
        let token = self.peek(0);
        let word = if token.kind == Kind::Name { self.text(token).to_owned() } else { String::new() };
        match word.as_str() {
            "counter" => self.counter_statement(),
            "limit" => self.limit_statement(),
            "quota" => self.quota_statement(),
            "log" => self.log_statement(),
            "reject" => self.reject_statement(),
            "notrack" => {
                self.bump();
                Ok(StatementKind::Notrack)
            }
            "snat" | "dnat" | "masquerade" | "redirect" => self.nat_statement(&word),
            "ct" if self.is_word_at(1, "timeout") || self.is_word_at(1, "expectation") => self.ct_object(),
            "ct" if self.is_word_at(1, "count") => Err(unsupported(
                token.span,
                "`ct count`",
                "conns are not counted by rules; use `limit rate` to bound new ones",
            )),
            "queue" => {
                Err(unsupported(token.span, "`queue`", "no other program decides here; accept or drop"))
            }
            "dup" | "fwd" => {
                Err(unsupported(token.span, format!("`{word}`"), "packets are not copied; remove it"))
            }
            "tproxy" | "synproxy" => {
                Err(unsupported(token.span, format!("`{word}`"), "connections are not proxied; remove it"))
            }
            "flow" => {
                Err(unsupported(token.span, "`flow`", "there is no flow offload; remove the statement"))
            }
            "add" | "update" | "delete" | "set" => {
                Err(unsupported(token.span, "changing a set from a rule", "list the elements in the set"))
            }
            "meter" => {
                Err(unsupported(token.span, "`meter`", "use `limit rate`, which counts all packets together"))
            }
            "last" | "xt" => Err(unsupported(token.span, format!("`{word}`"), "remove the statement")),
            _ => self.match_or_assignment(),
        }
    }

    fn match_or_assignment(&mut self) -> Checked<StatementKind> {
        let left = self.concat(Mode::Left)?;
        if self.take_word("vmap") {
            let map = self.set_or_name()?;
            return Ok(StatementKind::VerdictMap { key: left, map });
        }
        if self.is_word("set") {
            return self.assignment(&left);
        }
        if self.is_word("map") {
            return Err(unsupported(
                self.span(),
                "matching the result of a map",
                "match the key with a set instead",
            ));
        }
        let comparison = self.comparison();
        let right = self.list()?;
        let mask = if self.take(Kind::Slash) { Some(self.list()?) } else { None };
        Ok(StatementKind::Match { left, comparison, right, mask })
    }

    fn comparison(&mut self) -> Comparison {
        let token = self.peek(0);
        let comparison = match token.kind {
            Kind::Equal => Comparison::Equal,
            Kind::NotEqual => Comparison::NotEqual,
            Kind::Not => Comparison::None,
            Kind::Less => Comparison::Less,
            Kind::LessEqual => Comparison::LessEqual,
            Kind::Greater => Comparison::Greater,
            Kind::GreaterEqual => Comparison::GreaterEqual,
            Kind::Name => match self.text(token) {
                "eq" => Comparison::Equal,
                "ne" => Comparison::NotEqual,
                "lt" => Comparison::Less,
                "le" => Comparison::LessEqual,
                "gt" => Comparison::Greater,
                "ge" => Comparison::GreaterEqual,
                _ => return Comparison::Implicit,
            },
            _ => return Comparison::Implicit,
        };
        self.bump();
        comparison
    }

    /// `left set value`; `set` is the current word.
    fn assignment(&mut self, left: &Expr) -> Checked<StatementKind> {
        self.bump();
        let ExprKind::Selector(selector) = &left.kind else {
            return Err(problem(left.span, "nothing can be set here"));
        };
        let target = match selector.origin {
            Origin::Field(Field::CtMark) => AssignTarget::CtMark,
            Origin::Field(Field::Mark) => AssignTarget::PacketMark,
            Origin::Field(Field::CtZone) => AssignTarget::CtZone,
            Origin::Field(Field::CtLabel) => AssignTarget::CtLabel,
            Origin::Name(NameField::CtHelper) => return self.object_use(ObjectKind::Helper),
            _ => {
                return Err(unsupported(
                    left.span,
                    "changing this field",
                    "what can be set is ct mark, ct zone, ct label, ct helper, ct timeout, ct expectation and meta mark",
                ));
            }
        };
        let value = self.value()?;
        Ok(StatementKind::Assign { target, value })
    }

    /// `ct timeout set …` and `ct expectation set …`.
    fn ct_object(&mut self) -> Checked<StatementKind> {
        self.bump();
        let kind = if self.take_word("timeout") {
            ObjectKind::Timeout
        } else {
            self.bump();
            ObjectKind::Expectation
        };
        self.expect_word("set")?;
        self.object_use(kind)
    }

    /// The name of an object, or a map to such names.
    pub(super) fn object_use(&mut self, kind: ObjectKind) -> Checked<StatementKind> {
        Ok(StatementKind::UseObject { kind, object: self.value()? })
    }

    fn reject_statement(&mut self) -> Checked<StatementKind> {
        self.bump();
        if !self.take_word("with") {
            return Ok(StatementKind::Reject(None));
        }
        if self.take_word("tcp") {
            self.expect_word("reset")?;
            return Ok(StatementKind::Reject(Some(RejectWord::TcpReset)));
        }
        let protocol = self.name("tcp, icmp, icmpv6 or icmpx")?;
        let wrap = match protocol.text.as_str() {
            "icmp" => RejectWord::Icmp,
            "icmpv6" => RejectWord::Icmp6,
            "icmpx" => RejectWord::Icmpx,
            _ => {
                return Err(problem(protocol.span, format!("there is no `reject with {}`", protocol.text))
                    .hint("write `tcp reset`, or icmp, icmpv6 or icmpx with a code"));
            }
        };
        self.take_word("type");
        let code = self.constant_word("a code, such as port-unreachable")?;
        Ok(StatementKind::Reject(Some(wrap(code))))
    }

    /// A name, a number or a variable that stands for one.
    pub(super) fn constant_word(&mut self, what: &str) -> Checked<crate::ast::Name> {
        let value: Rc<Expr> = match self.kind() {
            Kind::Name | Kind::Number | Kind::Quoted | Kind::Dollar | Kind::Time => {
                self.concat(Mode::Right)?
            }
            _ => return Err(self.expected(what)),
        };
        match &value.kind {
            ExprKind::Word(text) => Ok(crate::ast::Name { text: text.clone(), span: value.span }),
            _ => Err(problem(value.span, format!("expected {what}"))),
        }
    }
}
