//! The command line of pinhole.
//!
//! ```text
//! arguments ─► commands ─► replay: captures ─► engine ─► Report (what is kept) ─► render: tree, table, json, diagram, …
//! ```
//!
//! * [`arguments`]: what can be asked, with its help texts.
//! * [`commands`]: one module a subcommand.
//! * [`replay`]: drives captures through an engine and keeps what the formats need.
//! * [`render`]: one module a format.
//! * `gateway`: the firewall between two interfaces (Linux).
#![forbid(unsafe_code)]

pub mod arguments;
pub mod commands;
pub mod conformance;
pub mod exit;
pub mod files;
#[cfg(target_os = "linux")]
pub mod gateway;
pub mod load;
pub mod render;
pub mod replay;
pub mod signature;

use arguments::{Arguments, Command};
use clap::Parser;
use commands::{Failure, Terminal};
#[cfg(target_os = "linux")]
use gateway::request::Request;
use std::process::ExitCode;

/// Parses the process's arguments and runs what they ask for.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors for clap, but not for whoever asked for them.
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            return ExitCode::from(if error.print().is_err() { exit::OUTPUT } else { code });
        }
    };
    let mut terminal = Terminal::of_process(arguments.color);
    let result = run(arguments.command, &mut terminal);
    let code = match result {
        Ok(code) => code,
        Err(failure) if failure.is_broken_pipe() => exit::OK,
        Err(failure) => {
            terminal.complain(&failure);
            failure.code()
        }
    };
    ExitCode::from(code)
}

/// Runs one command; returns the exit code.
///
/// # Errors
/// When the command could not do what it was asked for.
pub fn run(command: Command, terminal: &mut Terminal) -> Result<u8, Failure> {
    match command {
        Command::Replay(arguments) => commands::replay::run(*arguments, terminal),
        Command::Check(arguments) => commands::check::run(&arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::Run(arguments) => commands::run::run(&arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::List(arguments) => commands::control::list(arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::Explain(arguments) => commands::control::explain(&arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::Delete(arguments) => commands::control::delete(&arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::Stats(arguments) => commands::control::stats(&arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::Monitor(socket) => commands::control::plain(&socket, &Request::Monitor {}, terminal),
        #[cfg(target_os = "linux")]
        Command::Flush(socket) => commands::control::plain(&socket, &Request::Flush {}, terminal),
        #[cfg(target_os = "linux")]
        Command::Reload(socket) => commands::control::plain(&socket, &Request::Reload {}, terminal),
        #[cfg(target_os = "linux")]
        Command::Top(socket) => commands::top::run(&socket, terminal),
        #[cfg(target_os = "linux")]
        Command::Enable(arguments) => commands::control::switch(arguments, true, terminal),
        #[cfg(target_os = "linux")]
        Command::Disable(arguments) => commands::control::switch(arguments, false, terminal),
        #[cfg(target_os = "linux")]
        Command::Load(arguments) => commands::control::load(arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::Unload(arguments) => commands::control::unload(arguments, terminal),
        #[cfg(target_os = "linux")]
        Command::ReloadModule(arguments) => commands::control::reload_module(arguments, terminal),
        Command::Helpers(arguments) => commands::helpers::run(&arguments, terminal),
        Command::Helper(command) => commands::helper::run(&command, terminal),
        Command::Demo => commands::demo::run(terminal),
        Command::Completions(arguments) => commands::completions::run(&arguments, terminal),
        Command::Man(arguments) => commands::man::run(&arguments, terminal),
    }
}
