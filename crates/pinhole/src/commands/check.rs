//! `pinhole check`: rulesets, configuration files and declared helpers.

use super::{Failure, Terminal};
use crate::arguments::{CheckArguments, Plainness};
#[cfg(target_os = "linux")]
use crate::gateway::config::Config;
use crate::load::{self, LoadError};
use crate::{exit, files};
use pinhole_declare::Need;
use pinhole_ruleset::Diagnostic;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Checks rulesets, configuration files and declared helpers: exit code 0 if all are right, 3 otherwise.
///
/// # Errors
/// Writing failed.
pub fn run(arguments: &CheckArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let loader = arguments.loading.loader().map_err(|error| Failure::Usage(error.to_string()))?;
    let mut code = exit::OK;
    for path in &arguments.files {
        let name = path.display().to_string();
        if path.extension().is_some_and(|extension| extension == "toml") && load::holds_declaration(path) {
            code = code.max(check_declaration(path, &name, arguments.format, terminal)?);
            continue;
        }
        #[cfg(target_os = "linux")]
        if path.extension().is_some_and(|extension| extension == "toml") {
            code = code.max(check_config(path, &name, arguments, terminal)?);
            continue;
        }
        let (valid, problems) = match files::load(path) {
            Ok(ruleset) => (true, files::setup_problems(ruleset, loader.load()?.registry)),
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

/// A declared helper, whatever it needs to be allowed.
fn check_declaration(
    path: &Path,
    name: &str,
    format: Plainness,
    terminal: &mut Terminal,
) -> Result<u8, Failure> {
    let declaration = match load::read_declaration(path) {
        Ok(declaration) => declaration,
        Err(LoadError::Declaration(diagnostics)) => {
            report(format, terminal, &diagnostics)?;
            return Ok(exit::RULESET);
        }
        Err(error) => return Err(Failure::Load(error)),
    };
    let needs: Vec<&str> = declaration.needs().map(Need::name).collect();
    match format {
        Plainness::Text => {
            let good = terminal.palette.good;
            write!(terminal.out, "{name}: {good}correct{}", good.end())?;
            for need in needs {
                write!(terminal.out, ", needs --allow {need}")?;
            }
            writeln!(terminal.out)?;
        }
        Plainness::Json => {
            let line = json!({"type": "file", "file": name, "correct": true, "needs": needs});
            writeln!(terminal.out, "{line}")?;
        }
    }
    Ok(exit::OK)
}

/// A configuration file, and the ruleset that it names.
#[cfg(target_os = "linux")]
fn check_config(
    path: &Path,
    name: &str,
    arguments: &CheckArguments,
    terminal: &mut Terminal,
) -> Result<u8, Failure> {
    let format = arguments.format;
    let config = Config::load(path).and_then(|config| config.check().map(|()| config));
    let (code, problem) = match config.and_then(|config| Ok((config.loading()?, config))) {
        Ok((loading, config)) => {
            let rules = config.rules.into_iter().collect();
            (run(&CheckArguments { files: rules, format, loading }, terminal)?, None)
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
