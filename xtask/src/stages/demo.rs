//! The first thing that a visitor runs must work.

use crate::command::{capture, cargo, line};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};

pub(crate) fn run(repository: &Repository, _notes: &mut Notes) -> Outcome {
    let mut command = cargo(repository);
    command.args(["run", "--release", "--quiet", "--", "demo"]);
    let output = match capture(&mut command) {
        Ok(output) => output,
        Err(failure) => return Outcome::Failed(failure.to_string()),
    };
    print!("{}", String::from_utf8_lossy(&output.stdout));
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Outcome::Failed(format!("`{}`: {}", line(&command), output.status));
    }
    if output.stdout.is_empty() {
        return Outcome::Failed("the demo printed nothing".to_owned());
    }
    Outcome::Passed(String::new())
}
