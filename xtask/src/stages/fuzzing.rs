//! Every fuzz target for a few seconds, from its seeds: enough to see that it builds and that nothing simple breaks.

use crate::command::Failure;
use crate::fuzz;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use std::sync::Mutex;
use std::thread;

const SECONDS: u32 = 6;

pub(crate) fn run(repository: &Repository, _notes: &mut Notes) -> Outcome {
    if let Err(reason) = fuzz::prepare(repository) {
        return Outcome::Skipped(reason);
    }
    let targets = match fuzz::targets(repository) {
        Ok(targets) => targets,
        Err(failure) => return Outcome::Failed(failure.to_string()),
    };
    // They share no files, and each uses one processor.
    let queue = Mutex::new(targets.iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    let one_after_another = || -> Result<u64, Failure> {
        std::iter::from_fn(next).map(|target| fuzz::smoke(repository, target, SECONDS)).sum()
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let counted: Result<u64, Failure> = thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(one_after_another)).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended
            .map(|count| count.unwrap_or_else(|_| Err(Failure("a fuzz target's thread panicked".to_owned()))))
            .sum()
    });
    match counted {
        Ok(inputs) => {
            Outcome::Passed(format!("{} targets, {SECONDS} s each, {inputs} inputs", targets.len()))
        }
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}
