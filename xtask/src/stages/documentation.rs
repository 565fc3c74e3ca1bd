//! The documentation of all crates, private links included, without a warning.

use crate::command::{Failure, cargo, run};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

pub(crate) fn stage(repository: &Repository, _notes: &mut Notes) -> Outcome {
    build(repository).into()
}

pub(crate) fn build(repository: &Repository) -> Result<(), Failure> {
    let mut command = cargo(repository);
    command.args(["doc", "--workspace", "--no-deps", "--all-features", "--exclude", "xtask"]);
    run(command.env("RUSTDOCFLAGS", "-D warnings"))
}
