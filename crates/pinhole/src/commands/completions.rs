//! `pinhole completions`: for the shells that clap knows.

use super::{Failure, Terminal};
use crate::arguments::{Arguments, CompletionsArguments};
use crate::exit;
use clap::CommandFactory;
use std::io::Write;

/// Prints the completion script of a shell.
///
/// # Errors
/// Writing failed.
pub fn run(arguments: &CompletionsArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "pinhole", &mut script);
    terminal.out.write_all(&script)?;
    terminal.out.flush()?;
    Ok(exit::OK)
}
