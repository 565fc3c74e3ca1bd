//! Every fuzz target for a few seconds, from its seeds: enough to see that it builds and that nothing simple breaks.

use crate::fuzz;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

const SECONDS: u32 = 6;

pub(crate) fn run(repository: &Repository, _notes: &mut Notes) -> Outcome {
    if let Err(reason) = fuzz::prepare(repository) {
        return Outcome::Skipped(reason);
    }
    let targets = match fuzz::targets(repository) {
        Ok(targets) => targets,
        Err(failure) => return Outcome::Failed(failure.to_string()),
    };
    let mut inputs = 0;
    for target in &targets {
        match fuzz::smoke(repository, target, SECONDS) {
            Ok(count) => inputs += count,
            Err(failure) => return Outcome::Failed(failure.to_string()),
        }
    }
    Outcome::Passed(format!("{} targets, {SECONDS} s each, {inputs} inputs", targets.len()))
}
