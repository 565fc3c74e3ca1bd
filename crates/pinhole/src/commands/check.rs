//! `pinhole check`.

use super::{Failure, Terminal};
use crate::arguments::{CheckArguments, Plainness};
use crate::{exit, files};
use pinhole_ruleset::Diagnostic;
use serde_json::json;
use std::io::Write;

/// Checks rulesets: exit code 0 if all are right, 3 otherwise.
///
/// # Errors
/// Writing failed.
pub fn run(arguments: &CheckArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let mut code = exit::OK;
    for path in &arguments.files {
        let name = path.display().to_string();
        let (valid, problems) = match files::load(path) {
            Ok(ruleset) => (true, files::setup_problems(ruleset)),
            Err(diagnostics) => {
                report(arguments.format, terminal, &diagnostics)?;
                (false, Vec::new())
            }
        };
        if !valid || !problems.is_empty() {
            code = exit::RULESET;
        }
        for problem in &problems {
            match arguments.format {
                Plainness::Text => terminal.complain(&Failure::Usage(problem.clone())),
                Plainness::Json => {
                    writeln!(terminal.out, "{}", json!({"type": "error", "file": name, "message": problem}))?;
                }
            }
        }
        match (arguments.format, valid && problems.is_empty()) {
            (Plainness::Text, true) => {
                let good = terminal.palette.good;
                writeln!(terminal.out, "{name}: {good}correct{}", good.end())?;
            }
            (Plainness::Json, correct) => {
                writeln!(terminal.out, "{}", json!({"type": "file", "file": name, "correct": correct}))?;
            }
            (Plainness::Text, false) => {}
        }
    }
    terminal.out.flush()?;
    Ok(code)
}

fn report(format: Plainness, terminal: &mut Terminal, diagnostics: &[Diagnostic]) -> Result<(), Failure> {
    match format {
        Plainness::Text => terminal.diagnose(diagnostics)?,
        Plainness::Json => {
            for d in diagnostics {
                let line = json!({
                    "type": "error", "file": d.file, "line": d.line, "column": d.column, "message": d.message,
                    "label": d.label, "hint": d.hint, "source": d.source_line,
                });
                writeln!(terminal.out, "{line}")?;
            }
        }
    }
    Ok(())
}
