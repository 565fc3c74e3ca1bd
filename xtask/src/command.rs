//! Other programs: started, shown, and their failure told in one line.

use crate::repository::Repository;
use std::fmt;
use std::io;
use std::process::{Command, Output, Stdio};

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// What cargo is told to work on: the workspace with all its features but `wasmtime`, which takes minutes to build and has a stage of its own.
pub(crate) const WORKSPACE: [&str; 3] = ["--workspace", "--features", "pinhole-io/kernel,pinhole-io/live"];

/// The cargo that runs this xtask, at the top of the checkout.
pub(crate) fn cargo(repository: &Repository) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Copies of a checkout must not share a target directory: cargo takes their crates for the same.
    command.current_dir(repository.root()).env("CARGO_TARGET_DIR", repository.target(""));
    // Set by the `cargo run` around this process; they would only confuse the cargo inside.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Shows the command line, runs it with our terminal but without input, and requires success.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    println!("$ {}", line(command));
    let status = command.stdin(Stdio::null()).status().map_err(|error| not_started(command, &error))?;
    if status.success() { Ok(()) } else { Err(Failure(format!("`{}`: {status}", line(command)))) }
}

/// Runs a command and keeps what it prints, whatever its exit code.
pub(crate) fn capture(command: &mut Command) -> Result<Output, Failure> {
    println!("$ {}", line(command));
    command.stdin(Stdio::null()).output().map_err(|error| not_started(command, &error))
}

/// Whether a command can be started and succeeds; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command line, as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn not_started(command: &Command, error: &io::Error) -> Failure {
    Failure(format!("`{}` cannot be started: {error}", command.get_program().to_string_lossy()))
}
