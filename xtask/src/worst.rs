//! The parsers' worst inputs, counted: twice the bytes may take twice the instructions, not four times as many.
//!
//! The tests of these inputs time them, which on a busy machine notices what is grossly wrong only. Instructions are the same on every
//! run. An input is read in three lengths, each twice the one before; of work in proportion to the bytes the second difference is twice the
//! first, of quadratic work four times.

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::instructions::counted;
use crate::repository::Repository;
use std::process::Command;

/// Bytes of the three lengths.
const LENGTHS: [u64; 3] = [8 * 1024, 16 * 1024, 32 * 1024];

/// Instructions that a difference may be off for what happens once (a list that grows).
const SLACK: u64 = 60_000;

/// Counts all inputs, and says what grew too fast.
pub(crate) fn compare(repository: &Repository) -> Result<String, Failure> {
    run_command(cargo(repository).args([
        "build",
        "--release",
        "--package",
        "pinhole-helpers",
        "--example",
        "worst",
    ]))?;
    let worst = repository.target("release/examples/worst");
    let names = capture(&mut Command::new(&worst))?;
    let names = String::from_utf8_lossy(&names.stdout).into_owned();
    let (mut inputs, mut most, mut bad) = (0, 0, Vec::new());
    for (number, name) in names.lines().enumerate() {
        let number = number.to_string();
        let count =
            |length: u64| counted(repository, Command::new(&worst).args([&number, &length.to_string()]));
        let [short, middle, long] = LENGTHS;
        let [short, middle, long] = [count(short)?, count(middle)?, count(long)?];
        let (first, second) = (middle.saturating_sub(short), long.saturating_sub(middle));
        println!("{name}: {first}, then {second} instructions for twice the bytes");
        if second > first * 3 + SLACK {
            bad.push(format!("{name}: {second} instructions after {first}"));
        }
        (inputs, most) = (inputs + 1, most.max(second / LENGTHS[1]));
    }
    match (&bad[..], inputs) {
        (_, 0) => Err(Failure("there are no worst inputs".to_owned())),
        ([], _) => Ok(format!("{inputs} worst inputs, at most {most} instructions a byte")),
        _ => Err(Failure(bad.join("; "))),
    }
}
