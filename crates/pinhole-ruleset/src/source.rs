//! Source text: the files of a ruleset, and spans in them.
//!
//! The crate opens no files itself. A [`Loader`] is handed in, and everything read through it is kept in [`Sources`]
//! until the ruleset is dropped, because decisions quote the rule that made them.

use std::fmt;
use std::ops::Range;

/// Which file of a ruleset; an index into [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId(pub(crate) u32);

/// A stretch of one file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// Offset of the first byte.
    pub start: u32,
    /// Offset after the last byte.
    pub end: u32,
}

impl Span {
    /// The smallest span that covers both; `self` alone if they are in different files.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        if self.file != other.file {
            return self;
        }
        Self { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Why a file could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub String);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LoadError {}

/// Where the text of rulesets comes from: the file system, or a map in a test.
pub trait Loader {
    /// The names that an `include "pattern"` found in file `from` means, in the order in which they are to be read.
    ///
    /// A pattern without wildcards yields one name; a pattern with wildcards that matches nothing yields none.
    ///
    /// # Errors
    /// When the place cannot be looked at, or a plain name does not exist.
    fn resolve(&self, from: &str, pattern: &str) -> Result<Vec<String>, LoadError>;

    /// The text of one file. At most `limit` bytes are of use; a longer file is an error.
    ///
    /// # Errors
    /// When the file cannot be read, is longer than `limit` bytes, or is not UTF-8.
    fn read(&self, name: &str, limit: usize) -> Result<String, LoadError>;
}

/// A loader for text that includes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIncludes;

impl Loader for NoIncludes {
    fn resolve(&self, _from: &str, _pattern: &str) -> Result<Vec<String>, LoadError> {
        Err(LoadError("this ruleset was given as text, without files to include".into()))
    }

    fn read(&self, _name: &str, _limit: usize) -> Result<String, LoadError> {
        Err(LoadError("this ruleset was given as text, without files to include".into()))
    }
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
    /// Offset of the first byte of each line.
    lines: Vec<u32>,
}

/// Every file read so far.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    pub(crate) fn add(&mut self, name: &str, text: String) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        let mut lines = vec![0];
        lines.extend(text.bytes().zip(1u32..).filter(|(b, _)| *b == b'\n').map(|(_, next)| next));
        self.files.push(Source { name: name.into(), text, lines });
        id
    }

    fn file(&self, id: FileId) -> Option<&Source> {
        self.files.get(id.0 as usize)
    }

    /// Name of a file, as the loader spelled it.
    pub fn name(&self, file: FileId) -> &str {
        self.file(file).map_or("", |f| f.name.as_str())
    }

    /// Whole text of a file.
    pub fn text(&self, file: FileId) -> &str {
        self.file(file).map_or("", |f| f.text.as_str())
    }

    /// The text of a span.
    pub fn slice(&self, span: Span) -> &str {
        self.text(span.file).get(span.range()).unwrap_or("")
    }

    /// Line and column (both from 1, the column in characters) of a span's start.
    pub fn position(&self, span: Span) -> (u32, u32) {
        let Some(file) = self.file(span.file) else { return (0, 0) };
        let line = file.lines.partition_point(|start| *start <= span.start).max(1);
        let start = file.lines.get(line - 1).copied().unwrap_or(0) as usize;
        let before = file.text.get(start..span.start as usize).unwrap_or("");
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(before.chars().count()).unwrap_or(0) + 1)
    }

    /// The line in which a span starts, and the part of it (in bytes) that the span covers.
    pub(crate) fn line(&self, span: Span) -> (&str, Range<usize>) {
        let text = self.text(span.file);
        let at = (span.start as usize).min(text.len());
        let start = text.get(..at).and_then(|t| t.rfind('\n')).map_or(0, |n| n + 1);
        let end = text.get(at..).and_then(|t| t.find('\n')).map_or(text.len(), |n| at + n);
        let line = text.get(start..end).unwrap_or("").trim_end_matches('\r');
        let from = at.saturating_sub(start).min(line.len());
        let to = (span.end as usize).saturating_sub(start).clamp(from, line.len());
        (line, from..to)
    }
}
