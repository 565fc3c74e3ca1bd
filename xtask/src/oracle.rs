//! `cargo xtask oracle`: pinhole against the running kernel.
//!
//! The work is done by a program of its own, which links pinhole; see `bin/oracle`.

use crate::command::{Failure, cargo, run as run_command};
use crate::repository::Repository;
use std::ffi::OsString;
use std::process::Command;

/// Options of `cargo xtask oracle`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Captures and options; `--help` tells which
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    run_command(command(repository).args(&options.arguments))
}

/// Its command line, without arguments.
pub(crate) fn command(repository: &Repository) -> Command {
    let mut command = cargo(repository);
    command.args(["run", "--quiet", "--package", "xtask", "--features", "oracle", "--bin", "oracle", "--"]);
    command
}
