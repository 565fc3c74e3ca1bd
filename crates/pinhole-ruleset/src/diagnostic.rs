//! What is wrong with a ruleset, where, and what to do about it.

use crate::source::{Sources, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use std::ops::Range;

/// One error. Self-contained: it holds the line it talks about, so it outlives the sources and serialises plainly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// File name, as the loader spelled it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The bytes of [`source_line`](Self::source_line) that are meant.
    pub span: Range<usize>,
    /// The line, without its end.
    pub source_line: String,
    /// What is wrong.
    pub message: String,
    /// Said at the caret; may be empty.
    pub label: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// The error with its line and a caret, as a terminal shows it; `color` adds ANSI colours.
    pub fn render(&self, color: bool) -> String {
        let mut annotation = AnnotationKind::Primary.span(self.span.clone());
        if !self.label.is_empty() {
            annotation = annotation.label(self.label.as_str());
        }
        let snippet = Snippet::source(self.source_line.as_str())
            .line_start(self.line as usize)
            .path(self.file.as_str())
            .annotation(annotation);
        let mut group = Group::with_title(Level::ERROR.primary_title(self.message.as_str())).element(snippet);
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// One line, as compilers write for other programs: `file:line:column: error: message`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: error: {}", self.file, self.line, self.column, self.message)?;
        if !self.label.is_empty() {
            write!(f, " ({})", self.label)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// An error on its way to becoming a [`Diagnostic`].
#[derive(Debug)]
pub(crate) struct Problem {
    span: Span,
    message: String,
    label: String,
    hint: Option<String>,
}

/// The result of every stage that can find fault with the text.
pub(crate) type Checked<T> = Result<T, Box<Problem>>;

pub(crate) fn problem(span: Span, message: impl Into<String>) -> Box<Problem> {
    Box::new(Problem { span, message: message.into(), label: String::new(), hint: None })
}

impl Problem {
    pub(crate) fn label(mut self: Box<Self>, label: impl Into<String>) -> Box<Self> {
        self.label = label.into();
        self
    }

    pub(crate) fn hint(mut self: Box<Self>, hint: impl Into<String>) -> Box<Self> {
        self.hint = Some(hint.into());
        self
    }

    fn diagnose(self, sources: &Sources) -> Diagnostic {
        let (line, column) = sources.position(self.span);
        let (text, span) = sources.line(self.span);
        Diagnostic {
            file: sources.name(self.span.file).into(),
            line,
            column,
            span,
            source_line: text.into(),
            message: self.message,
            label: self.label,
            hint: self.hint,
        }
    }
}

/// The problems of one run. After [`Problems::CAP`] of them the rest is only noise.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Most problems reported in one run.
    pub(crate) const CAP: usize = 20;

    #[allow(clippy::boxed_local)]
    pub(crate) fn push(&mut self, problem: Box<Problem>) {
        if !self.full() {
            self.0.push(*problem);
        }
    }

    pub(crate) fn full(&self) -> bool {
        self.0.len() >= Self::CAP
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn diagnose(self, sources: &Sources) -> Vec<Diagnostic> {
        self.0.into_iter().map(|p| p.diagnose(sources)).collect()
    }
}

/// A problem with something that nft has and this crate has not.
pub(crate) fn unsupported(span: Span, what: impl fmt::Display, hint: impl Into<String>) -> Box<Problem> {
    problem(span, format!("{what} is not supported")).hint(hint)
}
