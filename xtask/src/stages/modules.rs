//! The engine's tests, once more, with FTP read by its modules: conformance, splitting, attacks, NAT. And the modules' own tests with the
//! other sandbox.

use super::tests;
use crate::command::{Failure, WORKSPACE, cargo};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use std::fs;

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    let folder = repository.target("guests");
    if !folder.join("conntrack_ftp.wasm").is_file() {
        return Outcome::Skipped("the modules are not built (stage guests)".to_owned());
    }
    let mut command = cargo(repository);
    // As the stage of all tests built them; by itself the package would be built once more.
    command.arg("test").args(WORKSPACE);
    match engine_tests(repository) {
        Ok(tests) => command.args(tests.iter().flat_map(|test| ["--test", test])),
        Err(failure) => return Outcome::Failed(failure.to_string()),
    };
    command.env("PINHOLE_FTP_MODULE", folder);
    tests::outcome(tests::libtest(&mut command, &[], notes), "tests")
}

/// The names of the engine's integration tests: files, and folders with a `main.rs`.
fn engine_tests(repository: &Repository) -> Result<Vec<String>, Failure> {
    let mut tests = Vec::new();
    for entry in fs::read_dir(repository.path("crates/pinhole-engine/tests"))? {
        let path = entry?.path();
        if path.join("main.rs").is_file() || path.extension().is_some_and(|extension| extension == "rs") {
            tests.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    tests.sort();
    Ok(tests)
}

/// wasmtime is large: it is compiled without optimization and what debuggers read, in a folder of its own.
pub(crate) fn wasmtime(repository: &Repository, notes: &mut Notes) -> Outcome {
    let mut command = cargo(repository);
    command.env("CARGO_TARGET_DIR", repository.target("wasmtime"));
    command.env("PINHOLE_GUESTS", repository.target("guests"));
    command.args(["test", "--config", "profile.dev.package.\"*\".opt-level=0"]);
    command.args(["--config", "profile.test.debug=false"]);
    command.args(["--package", "pinhole-modules", "--features", "wasmtime", "--tests"]);
    tests::outcome(tests::libtest(&mut command, &[], notes), "tests")
}
