//! `cargo xtask soak`: transfers through a gateway whose wires lose, repeat, hold and change frames, for as long as one likes.
//!
//! The same test as in `cargo xtask test --only live`, which has a few seconds for it: files arrive as they were, and memory stays flat.

use crate::command::{Failure, cargo, run as run_command};
use crate::repository::Repository;
use crate::tool;

/// Options of `cargo xtask soak`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long
    #[arg(long, default_value_t = 3600)]
    seconds: u32,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    tool::namespaces().map_err(Failure)?;
    for (program, package) in [("vsftpd", "vsftpd"), ("curl", "curl")] {
        tool::debian(program, package).map_err(Failure)?;
    }
    let mut command = cargo(repository);
    command.env("PINHOLE_SOAK", options.seconds.to_string());
    command.args(["test", "--package", "pinhole", "--test", "live", "a_bad_wire_is_borne_for_long"]);
    run_command(command.args(["--", "--ignored", "--nocapture"]))
}
