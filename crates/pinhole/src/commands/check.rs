//! `pinhole check`.

use super::{Failure, Terminal};
use crate::arguments::{CheckArguments, Plainness};
#[cfg(target_os = "linux")]
use crate::gateway::config::Config;
use crate::{exit, files};
use pinhole_ruleset::Diagnostic;
use serde_json::json;
use std::io::Write;
#[cfg(target_os = "linux")]
use std::path::Path;

/// Checks rulesets and configuration files: exit code 0 if all are right, 3 otherwise.
///
/// # Errors
/// Writing failed.
pub fn run(arguments: &CheckArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let mut code = exit::OK;
    for path in &arguments.files {
        let name = path.display().to_string();
        #[cfg(target_os = "linux")]
        if path.extension().is_some_and(|extension| extension == "toml") {
            code = code.max(check_config(path, &name, arguments.format, terminal)?);
            continue;
        }
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

/// A configuration file, and the ruleset that it names.
#[cfg(target_os = "linux")]
fn check_config(path: &Path, name: &str, format: Plainness, terminal: &mut Terminal) -> Result<u8, Failure> {
    let config = Config::load(path).and_then(|config| config.check().map(|()| config));
    let (code, problem) = match config {
        Ok(config) => {
            let rules = config.rules.into_iter().collect();
            (run(&CheckArguments { files: rules, format }, terminal)?, None)
        }
        Err(error) => (exit::USAGE, Some(error.to_string())),
    };
    match (format, problem) {
        (Plainness::Text, Some(problem)) => terminal.complain(&Failure::Usage(problem)),
        (Plainness::Json, Some(problem)) => {
            writeln!(terminal.out, "{}", json!({"type": "error", "file": name, "message": problem}))?;
        }
        (Plainness::Text, None) => {
            let good = terminal.palette.good;
            writeln!(terminal.out, "{name}: {good}correct{}", good.end())?;
        }
        (Plainness::Json, None) => {
            writeln!(terminal.out, "{}", json!({"type": "file", "file": name, "correct": true}))?;
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
