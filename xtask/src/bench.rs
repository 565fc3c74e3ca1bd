//! `cargo xtask bench`: the criterion benchmarks of the workspace.

use crate::command::{Failure, cargo, run as run_command};
use crate::repository::Repository;

/// Options of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only benchmarks whose name contains this
    filter: Option<String>,
    /// Keep the results under this name, to compare with later
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
    /// Compare with results that were kept under this name
    #[arg(long, value_name = "NAME", conflicts_with = "save")]
    compare: Option<String>,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    let mut command = cargo(repository);
    command.args(["bench", "--workspace", "--bench", "*", "--"]);
    if let Some(name) = &options.save {
        command.args(["--save-baseline", name]);
    }
    if let Some(name) = &options.compare {
        command.args(["--baseline", name]);
    }
    command.args(&options.filter);
    run_command(&mut command)
}
