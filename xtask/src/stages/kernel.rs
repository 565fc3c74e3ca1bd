//! The running kernel must make of the demo's captures, and of the shared ones if they are there, what pinhole makes of them.

use crate::command::{Failure, capture};
use crate::oracle;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;

/// The oracle's exit code for "there is no kernel to ask here".
const CANNOT_ASK: i32 = 77;

/// The rules of each comparison.
const CONDITIONS: [&[&str]; 3] =
    [&["--helpers"], &["--rules", "examples/ftp-server.nft"], &["--rules", "examples/restrictive-lan.nft"]];

pub(crate) fn run(repository: &Repository, notes: &mut Notes) -> Outcome {
    if !tool::is_root() {
        return Outcome::Skipped("it takes root to set up a network namespace".to_owned());
    }
    for (program, package) in [("nft", "nftables"), ("ip", "iproute2")] {
        if let Err(reason) = tool::debian(program, package) {
            return Outcome::Skipped(reason);
        }
    }
    let mut captures = vec![repository.path("crates/pinhole/demo")];
    match repository.shared() {
        Some(shared) => {
            captures.extend(["captures", "captures-live"].map(|directory| shared.join(directory)));
        }
        None => {
            notes.skipped("comparison on the shared captures: there are none beside the checkout");
        }
    }
    let mut results = Vec::new();
    for conditions in CONDITIONS {
        match compare(oracle::command(repository).args(conditions).args(&captures)) {
            Ok(Some(result)) => results.push(result),
            Ok(None) => return Outcome::Skipped("this machine lets nobody ask its kernel".to_owned()),
            Err(failure) => return Outcome::Failed(failure.to_string()),
        }
    }
    Outcome::Passed(results.join("; "))
}

/// The summary of a comparison, or `None` if the kernel cannot be asked.
fn compare(command: &mut std::process::Command) -> Result<Option<String>, Failure> {
    let output = capture(command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().last().unwrap_or_default();
    match output.status.code() {
        Some(0) => Ok(Some(summary.split(", 0 differ").next().unwrap_or(summary).to_owned())),
        Some(CANNOT_ASK) => Ok(None),
        _ => {
            let shown = |line: &&str| line.contains("DIFFERS") || !line.starts_with(' ');
            text.lines().filter(shown).for_each(|line| println!("{line}"));
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            Err(Failure(format!("{}: {summary}", output.status)))
        }
    }
}
