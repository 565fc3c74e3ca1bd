//! Moving through the tokens.

use super::{MAX_NESTING, Parser};
use crate::ast::Name;
use crate::diagnostic::{Checked, Problem, problem};
use crate::lexer::{Kind, Token};
use crate::source::{FileId, Span};

impl Parser<'_> {
    /// The token `ahead` of the current one.
    pub(super) fn peek(&self, ahead: usize) -> Token {
        let nowhere = Token { kind: Kind::End, span: Span { file: FileId(0), start: 0, end: 0 } };
        let Some(frame) = self.frames.last() else { return nowhere };
        let last = frame.tokens.last().copied().unwrap_or(nowhere);
        frame.tokens.get(frame.at + ahead).copied().unwrap_or(last)
    }

    pub(super) fn kind(&self) -> Kind {
        self.peek(0).kind
    }

    pub(super) fn span(&self) -> Span {
        self.peek(0).span
    }

    /// The span of the token before the current one, to end a span with.
    pub(super) fn previous(&self) -> Span {
        let Some(frame) = self.frames.last() else { return self.span() };
        frame.at.checked_sub(1).and_then(|i| frame.tokens.get(i)).map_or(self.span(), |t| t.span)
    }

    pub(super) fn text(&self, token: Token) -> &str {
        self.sources.slice(token.span)
    }

    /// Takes the current token. At the end of an included file, reading goes on in the file that includes it.
    pub(super) fn bump(&mut self) -> Token {
        let token = self.peek(0);
        match token.kind {
            Kind::LeftBrace => self.braces += 1,
            Kind::RightBrace => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        if let Some(frame) = self.frames.last_mut().filter(|_| token.kind != Kind::End) {
            frame.at += 1;
        }
        self.leave_finished_files();
        token
    }

    pub(super) fn leave_finished_files(&mut self) {
        while self.frames.len() > 1 && self.kind() == Kind::End {
            self.frames.pop();
        }
    }

    /// Takes the current token if it is of this kind.
    pub(super) fn take(&mut self, kind: Kind) -> bool {
        let found = self.kind() == kind;
        if found {
            self.bump();
        }
        found
    }

    /// Whether the token `ahead` is this very word.
    pub(super) fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek(ahead);
        token.kind == Kind::Name && self.text(token) == word
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    /// Takes the current token if it is this very word.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.bump();
        }
        found
    }

    pub(super) fn expect(&mut self, kind: Kind, what: &str) -> Checked<Token> {
        if self.kind() == kind { Ok(self.bump()) } else { Err(self.expected(what)) }
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Checked<()> {
        if self.take_word(word) { Ok(()) } else { Err(self.expected(&format!("`{word}`"))) }
    }

    /// "expected …, found …" at the current token.
    pub(super) fn expected(&self, what: &str) -> Box<Problem> {
        let token = self.peek(0);
        let found = match token.kind {
            Kind::Newline => "the end of the line".into(),
            Kind::End => "the end of the file".into(),
            Kind::Quoted => "a quoted string".into(),
            _ => format!("`{}`", self.text(token)),
        };
        problem(token.span, format!("expected {what}, found {found}"))
    }

    /// A bare word.
    pub(super) fn name(&mut self, what: &str) -> Checked<Name> {
        let token = self.expect(Kind::Name, what)?;
        Ok(Name { text: self.text(token).into(), span: token.span })
    }

    /// A bare word or a quoted string.
    pub(super) fn name_or_quoted(&mut self, what: &str) -> Checked<Name> {
        if self.kind() == Kind::Quoted { self.quoted(what) } else { self.name(what) }
    }

    pub(super) fn quoted(&mut self, what: &str) -> Checked<Name> {
        let token = self.expect(Kind::Quoted, what)?;
        Ok(Name { text: self.text(token).into(), span: token.span })
    }

    /// A number that fits.
    pub(super) fn number<T: TryFrom<u128>>(&mut self, what: &str) -> Checked<T> {
        let token = self.expect(Kind::Number, what)?;
        let too_large = || problem(token.span, format!("this number is too large for {what}"));
        let value = crate::datatype::number(self.text(token)).ok_or_else(too_large)?;
        T::try_from(value).map_err(|_| too_large())
    }

    pub(super) fn at_end_of_statement(&self) -> bool {
        matches!(self.kind(), Kind::Newline | Kind::Semicolon | Kind::RightBrace | Kind::End)
    }

    pub(super) fn end_of_statement(&self) -> Checked<()> {
        if self.at_end_of_statement() { Ok(()) } else { Err(self.expected("the end of the statement")) }
    }

    pub(super) fn skip_separators(&mut self) {
        while matches!(self.kind(), Kind::Newline | Kind::Semicolon) {
            self.bump();
        }
    }

    pub(super) fn skip_newlines(&mut self) {
        while self.kind() == Kind::Newline {
            self.bump();
        }
    }

    /// Notes an error and skips to the end of its statement, at `depth` open braces.
    pub(super) fn recover(&mut self, result: Checked<()>, depth: usize) {
        let Err(problem) = result else { return };
        self.problems.push(problem);
        loop {
            let separator = self.at_end_of_statement();
            match self.kind() {
                Kind::End => return,
                _ if self.braces < depth => return,
                _ if self.braces == depth && separator => return,
                _ => {
                    self.bump();
                }
            }
        }
    }

    /// Runs `parse` one level deeper.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        self.check_nesting(1)?;
        self.nesting += 1;
        let result = parse(self);
        self.nesting -= 1;
        result
    }

    /// Notes that the expression being read nests `more` levels deeper.
    pub(super) fn check_nesting(&mut self, more: usize) -> Checked<()> {
        let nesting = self.nesting + more;
        self.deepest = self.deepest.max(nesting);
        if nesting <= MAX_NESTING {
            return Ok(());
        }
        Err(problem(self.span(), format!("this is nested more than {MAX_NESTING} levels deep")))
    }

    /// Reads statements between braces, each with `statement`, until the closing brace.
    pub(super) fn block(&mut self, mut statement: impl FnMut(&mut Self) -> Checked<()>) -> Checked<()> {
        let open = self.expect(Kind::LeftBrace, "`{`")?.span;
        let depth = self.braces;
        loop {
            self.skip_separators();
            if self.problems.full() {
                return Ok(());
            }
            match self.kind() {
                Kind::RightBrace => {
                    self.bump();
                    return Ok(());
                }
                Kind::End => return Err(problem(open, "this brace is never closed")),
                _ => {
                    let result = statement(self).and_then(|()| self.end_of_statement());
                    self.recover(result, depth);
                    if self.braces < depth {
                        return Ok(());
                    }
                }
            }
        }
    }
}
