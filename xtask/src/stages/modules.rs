//! The engine's tests, once more, with FTP read by its modules: conformance, splitting, attacks, NAT.

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
