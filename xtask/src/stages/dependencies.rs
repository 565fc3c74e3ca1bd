//! What the crates depend on: licences, sources, the layers of the design, and known vulnerabilities (`deny.toml`).

use crate::command::{capture, cargo, line, run as run_command};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    if let Err(reason) = tool::cargo_subcommand(repository, "cargo-deny") {
        return Outcome::Skipped(reason);
    }
    let policy = run_command(cargo(repository).args(["deny", "check", "bans", "licenses", "sources"]));
    if let Err(failure) = policy {
        return Outcome::Failed(failure.to_string());
    }
    advisories(repository, notes)
}

/// The advisories come from a database on the network, which may be out of reach.
fn advisories(repository: &Repository, notes: &mut Notes) -> Outcome {
    let mut command = cargo(repository);
    let output = match capture(command.args(["deny", "check", "advisories"])) {
        Ok(output) => output,
        Err(failure) => return Outcome::Failed(failure.to_string()),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Outcome::Passed("policy and advisories".to_owned());
    }
    if text.contains("failed to fetch advisory database") {
        notes.skipped("advisories: the database cannot be reached");
        return Outcome::Passed("policy".to_owned());
    }
    eprint!("{text}");
    Outcome::Failed(format!("`{}`: {}", line(&command), output.status))
}
