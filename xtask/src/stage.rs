//! A stage of `cargo xtask test`: one heading, one outcome, one line in the summary.

use crate::command::Failure;
use crate::repository::Repository;
use std::time::{Duration, Instant};

/// How a stage came out.
pub(crate) enum Outcome {
    /// It did its work. The text says how much (`213 tests`), and may be empty.
    Passed(String),
    /// Something is wrong.
    Failed(String),
    /// It could not do its work here: a program, a privilege or the network is missing.
    Skipped(String),
}

impl Outcome {
    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Passed(text) => ("ok", text),
            Self::Failed(text) => ("FAILED", text),
            Self::Skipped(text) => ("skipped", text),
        }
    }
}

impl From<Result<(), Failure>> for Outcome {
    fn from(result: Result<(), Failure>) -> Self {
        match result {
            Ok(()) => Self::Passed(String::new()),
            Err(failure) => Self::Failed(failure.to_string()),
        }
    }
}

/// What a stage says besides its outcome: parts of its work that were skipped.
#[derive(Default)]
pub(crate) struct Notes(Vec<String>);

impl Notes {
    /// Part of the stage's work was not done, and why.
    pub(crate) fn skipped(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.0.contains(&text) {
            self.0.push(text);
        }
    }
}

/// One stage.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    /// The name for `--only`.
    pub(crate) name: &'static str,
    /// One line for the heading.
    pub(crate) about: &'static str,
    /// Whether `--quick` includes it.
    pub(crate) quick: bool,
    /// Whether it runs beside the stage that mostly waits.
    pub(crate) beside: bool,
    /// The work.
    pub(crate) run: fn(&Repository, &mut Notes) -> Outcome,
}

/// A stage that has been run.
pub(crate) struct Report {
    name: &'static str,
    outcome: Outcome,
    notes: Notes,
    time: Duration,
}

impl Stage {
    /// Runs the stage under its heading.
    pub(crate) fn report(&self, repository: &Repository) -> Report {
        println!("\n==== {}: {}", self.name, self.about);
        let begin = Instant::now();
        let mut notes = Notes::default();
        let outcome = (self.run)(repository, &mut notes);
        let report = Report { name: self.name, outcome, notes, time: begin.elapsed() };
        println!("---- {}", report.line());
        report
    }
}

impl Report {
    pub(crate) fn failed(name: &'static str, why: String) -> Self {
        Self { name, outcome: Outcome::Failed(why), notes: Notes::default(), time: Duration::ZERO }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn add_note(&mut self, text: &str) {
        self.notes.skipped(text);
    }

    /// A line, and a line that begins with a tab for each note.
    pub(crate) fn to_text(&self) -> String {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let (word, text) = self.outcome.words();
        let mut all = format!("{}\t{word}\t{}\t{}\n", self.name, self.time.as_millis(), one_line(text));
        for note in &self.notes.0 {
            all.extend(["\t", &one_line(note), "\n"]);
        }
        all
    }

    /// Reads the line, without the notes, if it is about this stage.
    pub(crate) fn from_text(name: &'static str, line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix(name)?.strip_prefix('\t')?.splitn(3, '\t');
        let (word, millis, text) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
        let outcome = match word {
            "ok" => Outcome::Passed(text),
            "FAILED" => Outcome::Failed(text),
            "skipped" => Outcome::Skipped(text),
            _ => return None,
        };
        Some(Self { name, outcome, notes: Notes::default(), time: Duration::from_millis(millis) })
    }

    fn line(&self) -> String {
        let (word, text) = self.outcome.words();
        let colon = if text.is_empty() { "" } else { ": " };
        format!("{:<13} {word}{colon}{text} [{:.1} s]", self.name, self.time.as_secs_f64())
    }
}

/// Prints the summary, whose last line counts the stages, and tells whether none failed.
pub(crate) fn summarize(reports: &[Report]) -> bool {
    println!("\n==== summary");
    for report in reports {
        println!("{}", report.line());
        for note in &report.notes.0 {
            println!("{:<13} skipped: {note}", "");
        }
    }
    let count =
        |matches: fn(&Outcome) -> bool| reports.iter().filter(|report| matches(&report.outcome)).count();
    let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
    println!("\n{passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}
