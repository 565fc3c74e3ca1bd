//! Every fuzz target for a few seconds, from its seeds: enough to see that it builds and that nothing simple breaks.

use crate::fuzz;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

const SECONDS: u32 = 12;

pub(crate) fn run(repository: &Repository, _notes: &mut Notes) -> Outcome {
    if let Err(reason) = fuzz::prepare(repository) {
        return Outcome::Skipped(reason);
    }
    let targets = match fuzz::targets(repository) {
        Ok(targets) => targets,
        Err(failure) => return Outcome::Failed(failure.to_string()),
    };
    match targets.iter().try_for_each(|target| fuzz::fuzz(repository, target, SECONDS)) {
        Ok(()) => Outcome::Passed(format!("{} targets, {SECONDS} s each", targets.len())),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}
