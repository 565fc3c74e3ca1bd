//! The documentation of all crates, private links included, without a warning.

use crate::command::{Failure, WORKSPACE, cargo, run};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

pub(crate) fn stage(repository: &Repository, _notes: &mut Notes) -> Outcome {
    build(repository).into()
}

pub(crate) fn build(repository: &Repository) -> Result<(), Failure> {
    let mut command = cargo(repository);
    command.arg("doc").args(WORKSPACE).args(["--no-deps", "--exclude", "xtask"]);
    run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
