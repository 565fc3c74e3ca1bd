//! `cargo xtask bench`: the criterion benchmarks of the workspace, or the goals of the packet path.

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
    /// Measure the goals of the packet path only, and say which are met: so many rounds
    #[arg(long, value_name = "ROUNDS", num_args = 0..=1, default_missing_value = "5", conflicts_with_all = ["filter", "save", "compare"])]
    goals: Option<u32>,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    let mut command = cargo(repository);
    if let Some(rounds) = options.goals {
        command.args(["run", "--release", "--package", "pinhole-engine", "--example", "goals", "--"]);
        return run_command(command.arg(rounds.to_string()));
    }
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
