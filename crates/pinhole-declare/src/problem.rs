//! What is wrong with a file, where, and what to do about it.

use std::ops::Range;

/// Most problems that are told of one file; what follows is only noise.
pub(crate) const MOST_PROBLEMS: usize = 20;

/// One mistake. Whoever has the text can show its line and a caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The bytes of the file that are meant.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The mistakes of one file.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Notes a mistake.
    pub(crate) fn add(&mut self, span: Range<usize>, message: impl Into<String>) -> &mut Problem {
        self.0.push(Problem { span, message: message.into(), hint: None });
        // The element was pushed just now.
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by their place.
    pub(crate) fn into_vec(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| problem.span.start);
        self.0.truncate(MOST_PROBLEMS);
        self.0
    }
}

impl Problem {
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}
