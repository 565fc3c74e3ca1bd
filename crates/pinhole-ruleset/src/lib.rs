//! The nftables language, read from text: rulesets that people already have, compiled to a program that decides about
//! packets without allocating.
//!
//! Life cycle: [`load`] (or [`compile_text`]) reads the text through a [`Loader`], parses it to commands, applies the
//! commands in order, checks types, names, families, hooks and jumps, and compiles what is left. The result is either
//! an immutable [`Ruleset`] or every error found, each with its place, a caret and a hint. What of nft's language is
//! not supported is such an error: nothing is ever ignored.
//!
//! At run time the caller asks for the [`base_chains`](Ruleset::base_chains) of a hook and runs each with
//! [`Ruleset::evaluate`] over a [`Subject`] (what rules look at) and [`Effects`] (what rules do). Accept ends one base
//! chain only; drop and reject are final. Counters and limits live in a [`RulesetState`], one per engine.
#![forbid(unsafe_code)]

mod ast;
mod compile;
mod datatype;
mod diagnostic;
mod division;
mod eval;
mod field;
mod lexer;
mod lookup;
mod model;
mod names;
mod object;
mod parser;
mod program;
mod ruleset;
mod selector;
mod source;
mod state;

pub use diagnostic::Diagnostic;
pub use division::SourceRange;
pub use eval::{Decision, Effects, NatAction, NoEffects, Subject, Verdict};
pub use field::{Field, NameField};
pub use object::{ExpectationObject, HelperObject, ObjectId, TimeoutObject};
pub use program::{IcmpxCode, LogStatement, NatKind, NatStatement, RejectWith};
pub use ruleset::{
    BaseChain, BaseChainId, ChainId, ChainKind, ChainPolicy, CounterReading, Family, Hook, Location, RuleId,
    Ruleset,
};
pub use source::{FileId, LoadError, Loader, NoIncludes, Sources, Span};
pub use state::{Count, RulesetState};

use diagnostic::Problems;

/// Reads, checks and compiles the ruleset in the file `root`.
///
/// # Errors
/// At most 20 errors, in the order of the text for each stage. Later stages run only if the earlier found nothing.
pub fn load(root: &str, loader: &dyn Loader) -> Result<Ruleset, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    match parser::parse(root, loader, &mut sources, &mut problems) {
        Ok(commands) => compile::compile(commands, sources, problems),
        Err(message) => Err(vec![unreadable(root, &message)]),
    }
}

/// Checks and compiles `text` as the file `name`. An `include` in it is an error.
///
/// # Errors
/// As [`load`].
pub fn compile_text(name: &str, text: &str) -> Result<Ruleset, Vec<Diagnostic>> {
    compile_text_with(name, text, &NoIncludes)
}

/// Checks and compiles `text` as the file `name`, which may include files of `loader`.
///
/// # Errors
/// As [`load`].
pub fn compile_text_with(name: &str, text: &str, loader: &dyn Loader) -> Result<Ruleset, Vec<Diagnostic>> {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let commands = parser::parse_text(name, text.into(), loader, &mut sources, &mut problems);
    compile::compile(commands, sources, problems)
}

fn unreadable(file: &str, message: &str) -> Diagnostic {
    Diagnostic {
        file: file.into(),
        line: 1,
        column: 1,
        span: 0..0,
        source_line: String::new(),
        message: format!("cannot read `{file}`: {message}"),
        label: String::new(),
        hint: None,
    }
}
