//! The engine's tests, once more, with FTP read by its modules: conformance, splitting, attacks, NAT. And the modules' own tests with the
//! other sandbox.

use super::tests;
use crate::command::cargo;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    let folder = repository.target("guests");
    if !folder.join("conntrack_ftp.wasm").is_file() {
        return Outcome::Skipped("the modules are not built (stage guests)".to_owned());
    }
    let mut command = cargo(repository);
    command.args(["test", "--package", "pinhole-engine", "--all-features", "--tests"]);
    command.env("PINHOLE_FTP_MODULE", folder);
    tests::outcome(tests::libtest(&mut command, &[], notes), "tests")
}

/// wasmtime is large: it is compiled without optimization, in a folder of its own.
pub(crate) fn wasmtime(repository: &Repository, notes: &mut Notes) -> Outcome {
    let mut command = cargo(repository);
    command.env("CARGO_TARGET_DIR", repository.target("wasmtime"));
    command.env("PINHOLE_GUESTS", repository.target("guests"));
    command.args(["test", "--config", "profile.dev.package.\"*\".opt-level=0"]);
    command.args(["--package", "pinhole-modules", "--features", "wasmtime", "--tests"]);
    tests::outcome(tests::libtest(&mut command, &[], notes), "tests")
}
