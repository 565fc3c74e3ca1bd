//! TOML, a table at a time: every key is asked for by name, and what is left over is a mistake.

use crate::declaration::LONGEST_FILE;
use crate::problem::{Problem, Problems};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Longest text that is shown to people, in characters.
const LONGEST_LINE: usize = 240;

/// Parses a file.
pub(crate) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<Problem>> {
    let mut problems = Problems::default();
    if text.len() > LONGEST_FILE {
        problems.add(0..0, format!("the file is longer than {LONGEST_FILE} bytes"));
        return Err(problems.into_vec());
    }
    DeTable::parse(text).map_err(|error| {
        problems.add(error.span().unwrap_or(0..0), format!("not TOML: {}", error.message()));
        problems.into_vec()
    })
}

/// A table from which keys are taken.
pub(crate) struct Table<'d> {
    /// The whole file.
    source: &'d str,
    /// What it is called, in messages.
    name: String,
    /// Its header, or itself.
    pub(crate) span: Range<usize>,
    entries: BTreeMap<&'d str, (Range<usize>, &'d Spanned<DeValue<'d>>)>,
    /// Keys that were asked for.
    known: Vec<&'static str>,
}

/// A string, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Text<'d> {
    pub(crate) value: &'d str,
    pub(crate) span: Range<usize>,
    /// It stands there as it is, so that parts of it can be pointed to.
    is_plain: bool,
}

impl Text<'_> {
    /// Where a part of it stands.
    pub(crate) fn part(&self, range: &Range<usize>) -> Range<usize> {
        if self.is_plain {
            let start = self.span.start + 1;
            start + range.start..start + range.end
        } else {
            self.span.clone()
        }
    }
}

impl<'d> Table<'d> {
    pub(crate) fn new(
        source: &'d str,
        name: impl Into<String>,
        span: Range<usize>,
        table: &'d DeTable<'d>,
    ) -> Self {
        let entries =
            table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { source, name: name.into(), span, entries, known: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(key);
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// Complains of keys that nobody asked for.
    pub(crate) fn finish(mut self, problems: &mut Problems) {
        self.known.sort_unstable();
        for (key, (span, _)) in self.entries {
            problems
                .add(span, format!("{} has no key `{key}`", self.name))
                .hint(format!("there are: {}", self.known.join(", ")));
        }
    }

    /// Complains that a key is not there.
    pub(crate) fn missing(&self, key: &str, hint: &str, problems: &mut Problems) {
        problems.add(self.span.clone(), format!("{} lacks `{key}`", self.name)).hint(hint);
    }

    pub(crate) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<Text<'d>> {
        let value = self.take(key)?;
        text_of(self.source, value, key, problems)
    }

    /// A line to be shown to people.
    pub(crate) fn line(&mut self, key: &'static str, problems: &mut Problems) -> Option<String> {
        self.text(key, problems).and_then(|text| shown(&text, key, problems))
    }

    /// Several, or one.
    pub(crate) fn texts(&mut self, key: &'static str, problems: &mut Problems) -> Vec<Text<'d>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(array) => {
                array.iter().filter_map(|value| text_of(self.source, value, key, problems)).collect()
            }
            _ => text_of(self.source, value, key, problems).into_iter().collect(),
        }
    }

    /// Several lines to be shown to people, or one.
    pub(crate) fn lines(&mut self, key: &'static str, problems: &mut Problems) -> Vec<String> {
        let texts = self.texts(key, problems);
        texts.iter().filter_map(|text| shown(text, key, problems)).collect()
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        all: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.text(key, problems)?;
        choice(&text, key, all, problems)
    }

    pub(crate) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let value = self.take(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        problems.add(value.span(), format!("`{key}` is true or false"));
        None
    }

    /// A number in a range.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        range: std::ops::RangeInclusive<u32>,
        problems: &mut Problems,
    ) -> Option<u32> {
        let value = self.take(key)?;
        number_of(value, key, &range, problems)
    }

    /// Several numbers in a range, or one.
    pub(crate) fn numbers(
        &mut self,
        key: &'static str,
        range: &std::ops::RangeInclusive<u32>,
        problems: &mut Problems,
    ) -> Vec<u32> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(array) => {
                array.iter().filter_map(|value| number_of(value, key, range, problems)).collect()
            }
            _ => number_of(value, key, range, problems).into_iter().collect(),
        }
    }

    /// A number or a text.
    pub(crate) fn number_or_text(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Result<u32, Text<'d>>> {
        let value = self.take(key)?;
        if let DeValue::Integer(_) = value.get_ref() {
            return number_of(value, key, &(0..=u32::MAX), problems).map(Ok);
        }
        text_of(self.source, value, key, problems).map(Err)
    }

    /// A table in it.
    pub(crate) fn table(
        &mut self,
        key: &'static str,
        name: impl Into<String>,
        problems: &mut Problems,
    ) -> Option<Table<'d>> {
        let value = self.take(key)?;
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Table::new(self.source, name, value.span(), table));
        }
        problems.add(value.span(), format!("`{key}` is a table"));
        None
    }

    /// The tables in a table, by their names, in the order of the file.
    pub(crate) fn named_tables(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Vec<(Text<'d>, Table<'d>)> {
        let source = self.source;
        let Some(outer) = self.table(key, key, problems) else { return Vec::new() };
        let mut tables = Vec::new();
        for (name, (span, value)) in outer.entries {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let text = Text { value: name, span: span.clone(), is_plain: false };
                    tables.push((text, Table::new(source, format!("[{key}.{name}]"), span, table)));
                }
                _ => {
                    problems.add(span, format!("`{key}.{name}` is a table"));
                }
            }
        }
        tables.sort_by_key(|(text, _)| text.span.start);
        tables
    }

    /// The tables of an array.
    pub(crate) fn tables(&mut self, key: &'static str, problems: &mut Problems) -> Vec<Table<'d>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let mut tables = Vec::new();
        let DeValue::Array(array) = value.get_ref() else {
            problems.add(value.span(), format!("`{key}` is an array of tables: `[[{key}]]`"));
            return tables;
        };
        for value in array {
            match value.get_ref() {
                DeValue::Table(table) => {
                    tables.push(Table::new(self.source, format!("[[{key}]]"), value.span(), table));
                }
                _ => {
                    problems.add(value.span(), format!("`{key}` is an array of tables: `[[{key}]]`"));
                }
            }
        }
        tables
    }
}

/// One of some words.
pub(crate) fn choice<T: Copy>(
    text: &Text<'_>,
    key: &str,
    all: &[(&str, T)],
    problems: &mut Problems,
) -> Option<T> {
    let found = all.iter().find(|(name, _)| *name == text.value);
    if found.is_none() {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        problems
            .add(text.span.clone(), format!("`{key}` cannot be {:?}", text.value))
            .hint(format!("there are: {}", names.join(", ")));
    }
    found.map(|(_, value)| *value)
}

fn text_of<'d>(
    source: &'d str,
    value: &'d Spanned<DeValue<'d>>,
    key: &str,
    problems: &mut Problems,
) -> Option<Text<'d>> {
    let DeValue::String(text) = value.get_ref() else {
        problems.add(value.span(), format!("`{key}` is a text in quotes"));
        return None;
    };
    let span = value.span();
    let inner = source.get(span.start + 1..span.end.saturating_sub(1));
    Some(Text { value: text, is_plain: inner == Some(text), span })
}

fn number_of(
    value: &Spanned<DeValue<'_>>,
    key: &str,
    range: &std::ops::RangeInclusive<u32>,
    problems: &mut Problems,
) -> Option<u32> {
    if let DeValue::Integer(number) = value.get_ref()
        && let Ok(number) = u32::from_str_radix(number.as_str(), number.radix())
        && range.contains(&number)
    {
        return Some(number);
    }
    problems.add(value.span(), format!("`{key}` is a number from {} to {}", range.start(), range.end()));
    None
}

/// A text that may be shown to people: nothing in it speaks to their terminals.
fn shown(text: &Text<'_>, key: &str, problems: &mut Problems) -> Option<String> {
    let is_odd = |character: char| {
        // The others change the direction of writing, and with it what a line seems to say.
        character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some((at, odd)) = text.value.char_indices().find(|(_, character)| is_odd(*character)) {
        problems.add(
            text.part(&(at..at + odd.len_utf8())),
            format!("`{key}` is shown to people: no control characters"),
        );
        return None;
    }
    if text.value.chars().count() > LONGEST_LINE {
        problems.add(text.span.clone(), format!("`{key}` is longer than {LONGEST_LINE} characters"));
        return None;
    }
    Some(text.value.to_owned())
}
