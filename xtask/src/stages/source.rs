//! Stages about the source text itself.

use crate::command::{cargo, run};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

pub(crate) fn format(repository: &Repository, _notes: &mut Notes) -> Outcome {
    let workspace = run(cargo(repository).args(["fmt", "--all", "--check"]));
    let fuzz = run(cargo(repository).args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]));
    workspace.and(fuzz).into()
}

pub(crate) fn lints(repository: &Repository, _notes: &mut Notes) -> Outcome {
    run(cargo(repository).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
    .into()
}

/// Every helper is a cargo feature: the crate must build with none of them, and with each alone.
pub(crate) fn features(repository: &Repository, _notes: &mut Notes) -> Outcome {
    const CRATE: [&str; 4] = ["check", "--package", "pinhole-helpers", "--no-default-features"];
    let helpers = ["", "ftp", "irc", "rtsp", "sip", "talk", "icq", "oscar"];
    let result = helpers.iter().try_for_each(|helper| {
        run(cargo(repository).args(CRATE).args(["--features", helper]).env("RUSTFLAGS", "-D warnings"))
    });
    match result {
        Ok(()) => Outcome::Passed(format!("{} combinations", helpers.len())),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}
