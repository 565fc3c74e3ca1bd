//! The tests of the workspace: by cargo-nextest if it is there, otherwise by cargo alone.

use crate::command::{Failure, WORKSPACE, cargo, line, run as run_command};
use crate::junit;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    let result = match tool::find("cargo-nextest") {
        Some(_) => nextest(repository, notes),
        None => libtest(
            cargo(repository).arg("test").args(WORKSPACE).args(["--lib", "--bins", "--tests"]),
            &[],
            notes,
        ),
    };
    outcome(result, "tests")
}

pub(crate) fn examples(repository: &Repository, notes: &mut Notes) -> Outcome {
    outcome(libtest(cargo(repository).arg("test").args(WORKSPACE).arg("--doc"), &[], notes), "examples")
}

pub(super) fn outcome(result: Result<usize, Failure>, what: &str) -> Outcome {
    match result {
        Ok(0) => Outcome::Failed("no test was run".to_owned()),
        Ok(count) => Outcome::Passed(format!("{count} {what}")),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

fn nextest(repository: &Repository, notes: &mut Notes) -> Result<usize, Failure> {
    // nextest has its store beside the workspace, whatever the target directory is.
    let report = repository.path("target/nextest/xtask/junit.xml");
    let _ = fs::remove_file(&report);
    let mut command = cargo(repository);
    command.args(["nextest", "run", "--config-file", "xtask/nextest.toml", "--profile", "xtask"]);
    let result = run_command(command.args(WORKSPACE));
    let report = fs::read_to_string(report).unwrap_or_default();
    for reason in junit::skips(&report) {
        notes.skipped(reason);
    }
    result.map(|()| junit::count(&report))
}

/// Runs tests by cargo alone. What passing tests print is read for what they skipped, and not shown.
pub(super) fn libtest(command: &mut Command, options: &[&str], notes: &mut Notes) -> Result<usize, Failure> {
    command.args(["--no-fail-fast", "--", "--show-output"]).args(options);
    println!("$ {}", line(command));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut count = 0;
    if let Some(output) = child.stdout.take() {
        let mut hidden = false;
        for text in BufReader::new(output).lines() {
            let text = text?;
            hidden =
                (hidden || text == "successes:") && text != "failures:" && !text.starts_with("test result:");
            for reason in junit::skips(&text) {
                notes.skipped(reason);
            }
            count += passed(&text);
            if !hidden && !text.ends_with("... ok") {
                println!("{text}");
            }
        }
    }
    let status = child.wait()?;
    if status.success() { Ok(count) } else { Err(Failure(format!("`{}`: {status}", line(command)))) }
}

/// The tests that a line like `test result: ok. 12 passed; 0 failed; …` counts.
fn passed(line: &str) -> usize {
    let number = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(" passed"));
    number.and_then(|(number, _)| number.parse().ok()).unwrap_or(0)
}
