//! Expressions: values, ranges, prefixes, concatenations, bit operations, sets and maps.

use super::Parser;
use crate::ast::{Element, Expr, ExprKind, MapValue, Operator, VerdictWord};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;
use crate::source::Span;
use std::rc::Rc;

/// What a bare word may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The left of a match: a selector.
    Left,
    /// The right of a match: a constant.
    Right,
    /// The source of an assignment: either.
    Value,
}

fn expr(kind: ExprKind, span: Span) -> Rc<Expr> {
    Rc::new(Expr { kind, span })
}

impl Parser<'_> {
    /// `a`, or `a,b,c`.
    pub(super) fn list(&mut self) -> Checked<Rc<Expr>> {
        let first = self.concat(Mode::Right)?;
        if self.kind() != Kind::Comma {
            return Ok(first);
        }
        let span = first.span;
        let mut items = vec![first];
        while self.take(Kind::Comma) {
            self.skip_newlines();
            items.push(self.concat(Mode::Right)?);
        }
        Ok(expr(ExprKind::List(items), span.to(self.previous())))
    }

    /// `a`, or `a . b . c`.
    pub(super) fn concat(&mut self, mode: Mode) -> Checked<Rc<Expr>> {
        self.nested(|p| {
            let first = p.range(mode)?;
            if p.kind() != Kind::Dot {
                return Ok(first);
            }
            let span = first.span;
            let mut parts = vec![first];
            while p.take(Kind::Dot) {
                parts.push(p.range(mode)?);
            }
            Ok(expr(ExprKind::Concat(parts), span.to(p.previous())))
        })
    }

    /// `concat`, then perhaps `map { … }`.
    pub(super) fn value(&mut self) -> Checked<Rc<Expr>> {
        let key = self.concat(Mode::Value)?;
        if !self.take_word("map") {
            return Ok(key);
        }
        let map = self.set_or_name()?;
        let span = key.span.to(map.span);
        Ok(expr(ExprKind::Map(key, map), span))
    }

    /// `{ … }`, `@name` or `$variable`.
    pub(super) fn set_or_name(&mut self) -> Checked<Rc<Expr>> {
        match self.kind() {
            Kind::LeftBrace | Kind::At | Kind::Dollar => self.primary(Mode::Right),
            _ => Err(self.expected("`{` or `@` and the name of a map")),
        }
    }

    fn range(&mut self, mode: Mode) -> Checked<Rc<Expr>> {
        let low = self.binary(mode, 0)?;
        if mode == Mode::Left {
            return Ok(low);
        }
        if self.take(Kind::Dash) {
            let high = self.binary(mode, 0)?;
            let span = low.span.to(high.span);
            return Ok(expr(ExprKind::Range(low, high), span));
        }
        if self.kind() == Kind::Slash && self.peek(1).kind == Kind::Number {
            self.bump();
            let length = self.number("a prefix length")?;
            let span = low.span.to(self.previous());
            return Ok(expr(ExprKind::Prefix(low, length), span));
        }
        Ok(low)
    }

    fn operator(&self) -> Option<(Operator, u8)> {
        let token = self.peek(0);
        Some(match token.kind {
            Kind::Or => (Operator::Or, 1),
            Kind::Xor => (Operator::Xor, 2),
            Kind::And => (Operator::And, 3),
            Kind::ShiftLeft => (Operator::ShiftLeft, 4),
            Kind::ShiftRight => (Operator::ShiftRight, 4),
            Kind::Name => match self.text(token) {
                "or" => (Operator::Or, 1),
                "xor" => (Operator::Xor, 2),
                "and" => (Operator::And, 3),
                "lshift" => (Operator::ShiftLeft, 4),
                "rshift" => (Operator::ShiftRight, 4),
                _ => return None,
            },
            _ => return None,
        })
    }

    fn binary(&mut self, mode: Mode, weakest: u8) -> Checked<Rc<Expr>> {
        let mut left = self.primary(mode)?;
        let mut links = 0;
        while let Some((operator, strength)) = self.operator().filter(|(_, strength)| *strength > weakest) {
            links += 1;
            self.check_nesting(links)?;
            self.bump();
            let operand = if mode == Mode::Left { Mode::Value } else { mode };
            let right = self.nested(|p| p.binary(operand, strength))?;
            let span = left.span.to(right.span);
            left = expr(ExprKind::Binary(operator, left, right), span);
        }
        Ok(left)
    }

    fn primary(&mut self, mode: Mode) -> Checked<Rc<Expr>> {
        let token = self.peek(0);
        match token.kind {
            Kind::LeftParen => {
                self.bump();
                let inner = self.nested(|p| p.binary(mode, 0))?;
                self.expect(Kind::RightParen, "`)`")?;
                Ok(inner)
            }
            Kind::LeftBrace => self.nested(Self::set),
            Kind::Dollar => self.use_variable(),
            Kind::At if mode == Mode::Right => {
                self.bump();
                let name = self.name("the name of a set")?;
                Ok(expr(ExprKind::SetName(name.text), token.span.to(name.span)))
            }
            Kind::Star if mode == Mode::Right => {
                self.bump();
                Ok(expr(ExprKind::Any, token.span))
            }
            Kind::Quoted | Kind::Number | Kind::Address | Kind::Time | Kind::Wildcard => Ok(self.word()),
            Kind::Name | Kind::At => {
                let selector = if mode == Mode::Right { None } else { self.selector()? };
                if let Some(selector) = selector {
                    return Ok(selector);
                }
                if mode == Mode::Left || token.kind == Kind::At {
                    return Err(self.expected("a match or a statement"));
                }
                Ok(self.word())
            }
            _ => Err(self.expected(if mode == Mode::Left { "a match or a statement" } else { "a value" })),
        }
    }

    fn word(&mut self) -> Rc<Expr> {
        let token = self.bump();
        expr(ExprKind::Word(self.text(token).into()), token.span)
    }

    fn set(&mut self) -> Checked<Rc<Expr>> {
        let open = self.bump().span;
        let mut elements = Vec::new();
        loop {
            self.skip_newlines();
            if self.kind() == Kind::RightBrace {
                break;
            }
            elements.push(self.element()?);
            self.skip_newlines();
            if !self.take(Kind::Comma) {
                break;
            }
        }
        let close = self.expect(Kind::RightBrace, "`,` or `}`")?.span;
        if elements.is_empty() {
            return Err(problem(open.to(close), "this set is empty"));
        }
        Ok(expr(ExprKind::Set(elements), open.to(close)))
    }

    fn element(&mut self) -> Checked<Element> {
        let key = self.concat(Mode::Right)?;
        self.element_options()?;
        self.skip_newlines();
        let value = if self.take(Kind::Colon) {
            self.skip_newlines();
            let value = self.map_value()?;
            self.element_options()?;
            Some(value)
        } else {
            None
        };
        Ok(Element { key, value })
    }

    fn element_options(&mut self) -> Checked<()> {
        loop {
            let token = self.peek(0);
            if token.kind != Kind::Name {
                return Ok(());
            }
            match self.text(token) {
                "comment" => {
                    self.bump();
                    self.quoted("a quoted comment")?;
                }
                "timeout" | "expires" => {
                    return Err(unsupported(
                        token.span,
                        "an element that expires",
                        "leave the time out to keep it for ever",
                    ));
                }
                "counter" | "limit" | "quota" | "last" => {
                    return Err(unsupported(
                        token.span,
                        "a statement on an element",
                        "write the statement in a rule of its own",
                    ));
                }
                _ => return Ok(()),
            }
        }
    }

    fn map_value(&mut self) -> Checked<MapValue> {
        let span = self.span();
        if let Some(verdict) = self.verdict()? {
            return Ok(MapValue::Verdict(verdict, span.to(self.previous())));
        }
        Ok(MapValue::Value(self.concat(Mode::Right)?))
    }

    /// A verdict, if the current word is one.
    pub(super) fn verdict(&mut self) -> Checked<Option<VerdictWord>> {
        let token = self.peek(0);
        if token.kind != Kind::Name {
            return Ok(None);
        }
        let verdict = match self.text(token) {
            "accept" => VerdictWord::Accept,
            "drop" => VerdictWord::Drop,
            "continue" => VerdictWord::Continue,
            "return" => VerdictWord::Return,
            jump @ ("jump" | "goto") => {
                let is_jump = jump == "jump";
                self.bump();
                if self.kind() == Kind::LeftBrace {
                    return Err(unsupported(
                        self.span(),
                        "a chain without a name",
                        "give the chain a name and jump to it",
                    ));
                }
                let chain = self.jump_target()?;
                return Ok(Some(if is_jump { VerdictWord::Jump(chain) } else { VerdictWord::Goto(chain) }));
            }
            _ => return Ok(None),
        };
        self.bump();
        Ok(Some(verdict))
    }

    /// A chain's name, perhaps from a variable.
    fn jump_target(&mut self) -> Checked<crate::ast::Name> {
        if self.kind() != Kind::Dollar {
            return self.name("the name of a chain");
        }
        let start = self.span();
        let value = self.use_variable()?;
        let span = start.to(self.previous());
        match &value.kind {
            ExprKind::Word(text) => Ok(crate::ast::Name { text: text.clone(), span }),
            _ => Err(problem(span, "this variable is not the name of a chain")),
        }
    }
}
