//! `define`, `redefine`, `undefine`, `$name` and `include`.

use super::{MAX_BYTES, MAX_FILES, MAX_INCLUDE_DEPTH, Parser, Variable};
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::{Checked, problem};
use crate::lexer::Kind;
use crate::names::nearest;
use std::rc::Rc;

impl Parser<'_> {
    /// The statements that may stand in any block. `None` if this is not one of them.
    pub(super) fn shared_statement(&mut self) -> Option<Checked<()>> {
        let token = self.peek(0);
        if token.kind != Kind::Name {
            return None;
        }
        match self.text(token) {
            "include" => Some(self.include()),
            "define" => Some(self.define(false)),
            "redefine" => Some(self.define(true)),
            "undefine" => Some(self.undefine()),
            _ => None,
        }
    }

    fn define(&mut self, again: bool) -> Checked<()> {
        self.bump();
        let name = self.name("the name of a variable")?;
        self.expect(Kind::Assign, "`=`")?;
        if !again && self.scopes.last().is_some_and(|s| s.contains_key(&name.text)) {
            return Err(problem(name.span, format!("`{}` is already defined", name.text))
                .hint("use `redefine` to give it another value"));
        }
        if again && self.variable(&name.text).is_none() {
            return Err(
                problem(name.span, format!("`{}` is not defined yet", name.text)).hint("use `define`")
            );
        }
        self.deepest = 0;
        let value = self.initializer()?;
        let variable = Variable { value, nesting: self.deepest + 1 };
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.text, variable);
        }
        Ok(())
    }

    pub(super) fn initializer(&mut self) -> Checked<Rc<Expr>> {
        if self.kind() == Kind::LeftBrace && self.peek(1).kind == Kind::RightBrace {
            let span = self.bump().span.to(self.bump().span);
            return Ok(Rc::new(Expr { kind: ExprKind::Set(Vec::new()), span }));
        }
        self.list()
    }

    fn undefine(&mut self) -> Checked<()> {
        self.bump();
        let name = self.name("the name of a variable")?;
        match self.scopes.last_mut().and_then(|s| s.remove(&name.text)) {
            Some(_) => Ok(()),
            None => Err(problem(name.span, format!("`{}` is not defined here", name.text))),
        }
    }

    fn variable(&self, name: &str) -> Option<&Variable> {
        self.scopes.iter().rev().find_map(|s| s.get(name))
    }

    /// `$name`; the dollar sign is the current token.
    pub(super) fn use_variable(&mut self) -> Checked<Rc<Expr>> {
        let dollar = self.bump().span;
        let name = self.name("the name of a variable")?;
        let span = dollar.to(name.span);
        let Some((nesting, value)) = self.variable(&name.text).map(|v| (v.nesting, Rc::clone(&v.value)))
        else {
            let defined = self.scopes.iter().flat_map(|s| s.keys().map(String::as_str));
            let unknown = problem(span, format!("the variable `{}` is not defined", name.text));
            return Err(match nearest(&name.text, defined) {
                Some(near) => unknown.hint(format!("did you mean `${near}`?")),
                None => unknown.hint(format!("define it above: define {} = …", name.text)),
            });
        };
        self.check_nesting(nesting)?;
        Ok(value)
    }

    fn include(&mut self) -> Checked<()> {
        self.bump();
        let pattern = self.quoted("a quoted file name")?;
        // The rest of this line is read after the included text.
        self.end_of_statement()?;
        let depth = self.frames.last().map_or(0, |f| f.include_depth) + 1;
        if depth > MAX_INCLUDE_DEPTH {
            return Err(problem(
                pattern.span,
                format!("files include each other more than {MAX_INCLUDE_DEPTH} deep"),
            ));
        }
        let from = self.sources.name(pattern.span.file).to_owned();
        let names = self
            .loader
            .resolve(&from, &pattern.text)
            .map_err(|e| problem(pattern.span, format!("cannot include `{}`: {e}", pattern.text)))?;
        if self.files + names.len() > MAX_FILES {
            return Err(problem(pattern.span, format!("the ruleset is made of more than {MAX_FILES} files")));
        }
        // The first file is read first, so it goes on top.
        for name in names.iter().rev() {
            let left = MAX_BYTES.saturating_sub(self.bytes);
            let text = self
                .loader
                .read(name, left)
                .map_err(|e| problem(pattern.span, format!("cannot read `{name}`: {e}")))?;
            if text.len() > left {
                return Err(problem(pattern.span, "the ruleset is larger than 16 MiB"));
            }
            self.open(name, text, depth);
        }
        Ok(())
    }
}
