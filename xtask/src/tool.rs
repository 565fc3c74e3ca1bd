//! Programs that the toolchain does not bring along: found, or installed where that is possible.

use crate::command::{capture, cargo, succeeds};
use crate::repository::Repository;
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Looks a program up in `PATH`.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Makes sure of a cargo subcommand, by `cargo install` where it is missing. `Err` says why it cannot be had.
///
/// Built without optimisation: that halves the wait, and none of these tools runs long.
pub(crate) fn cargo_subcommand(repository: &Repository, package: &str) -> Result<(), String> {
    if find(package).is_some()
        || succeeds(cargo(repository).args([package.trim_start_matches("cargo-"), "--version"]))
    {
        return Ok(());
    }
    let mut install = cargo(repository);
    install.args(["install", "--locked", "--debug", "--quiet", package]);
    let output = capture(&mut install).map_err(|failure| failure.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text.lines().find(|line| line.starts_with("error")).unwrap_or("no reason given");
    Err(format!("{package} is missing and cannot be installed ({reason})"))
}

/// Makes sure of a program that Debian packages, by `apt-get` where we are root. `Err` says why it cannot be had.
pub(crate) fn debian(program: &str, package: &str) -> Result<(), String> {
    if find(program).is_some() {
        return Ok(());
    }
    let missing = format!("{program} is missing (Debian package {package})");
    if !is_root() || find("apt-get").is_none() {
        return Err(missing);
    }
    // The list of packages is fetched only if the package is not known: a machine may be offline and have a cache.
    if !install(package) {
        let _ = capture(Command::new("apt-get").args(["update", "--quiet=2"]));
        install(package);
    }
    if find(program).is_some() { Ok(()) } else { Err(format!("{missing} and cannot be installed")) }
}

fn install(package: &str) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["install", "--yes", "--quiet=2", "--no-install-recommends", package]);
    capture(command.env("DEBIAN_FRONTEND", "noninteractive")).is_ok_and(|output| output.status.success())
}
