//! `cargo xtask package`: the Debian package, by cargo-deb, and the look into it that `cargo xtask test` takes.

use crate::command::{Failure, capture, cargo, run};
use crate::guests;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What must be in the package.
const CONTENTS: [&str; 13] = [
    "./usr/bin/pinhole",
    "./usr/lib/pinhole/helpers/conntrack_ftp.wasm",
    "./usr/lib/pinhole/helpers/nat_ftp.wasm",
    "./usr/lib/systemd/system/pinhole.service",
    "./etc/pinhole/pinhole.toml",
    "./etc/pinhole/fw.nft",
    "./usr/share/man/man1/pinhole.1.gz",
    "./usr/share/man/man1/pinhole-run.1.gz",
    "./usr/share/bash-completion/completions/pinhole",
    "./usr/share/zsh/vendor-completions/_pinhole",
    "./usr/share/fish/vendor_completions.d/pinhole.fish",
    "./usr/share/doc/pinhole/operate.md",
    "./usr/share/doc/pinhole/examples/ftp-server.nft",
];

/// The modules that are shipped.
const MODULES: [&str; 2] = ["conntrack_ftp.wasm", "nat_ftp.wasm"];

/// Builds it; where it is.
pub(crate) fn build(repository: &Repository) -> Result<PathBuf, Failure> {
    guests::build(repository)?.map_err(Failure)?;
    tool::cargo_subcommand(repository, "cargo-deb").map_err(Failure)?;
    run(cargo(repository).args(["build", "--release", "--package", "pinhole"]))?;
    let binary = repository.target("release/pinhole");
    // Where the metadata says that they are.
    let folder = repository.path("target/package");
    fs::create_dir_all(folder.join("man"))?;
    run(Command::new(&binary).arg("man").arg(folder.join("man")))?;
    fs::create_dir_all(folder.join("helpers"))?;
    for module in MODULES {
        fs::copy(repository.target("guests").join(module), folder.join("helpers").join(module))?;
    }
    for (shell, name) in [("bash", "pinhole.bash"), ("zsh", "_pinhole"), ("fish", "pinhole.fish")] {
        let output = capture(Command::new(&binary).args(["completions", shell]))?;
        fs::write(folder.join(name), output.stdout)?;
    }
    let package = folder.join("pinhole.deb");
    run(cargo(repository).args(["deb", "--no-build", "--package", "pinhole", "--output"]).arg(&package))?;
    Ok(package)
}

pub(crate) fn stage(repository: &Repository, _notes: &mut Notes) -> Outcome {
    if let Err(reason) = tool::cargo_subcommand(repository, "cargo-deb") {
        return Outcome::Skipped(reason);
    }
    if let Err(reason) = tool::debian("dpkg-deb", "dpkg") {
        return Outcome::Skipped(reason);
    }
    match guests::build(repository) {
        Ok(Ok(_)) => {}
        Ok(Err(reason)) => return Outcome::Skipped(reason),
        Err(failure) => return Outcome::Failed(failure.to_string()),
    }
    match build(repository).and_then(|package| check(&package)) {
        Ok(count) => Outcome::Passed(format!("{count} files")),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

/// Looks into it; how many files there are.
fn check(package: &Path) -> Result<usize, Failure> {
    let output = capture(Command::new("dpkg-deb").arg("--contents").arg(package))?;
    let listing = String::from_utf8_lossy(&output.stdout);
    let files: Vec<&str> = listing.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    let missing: Vec<&str> = CONTENTS.into_iter().filter(|wanted| !files.contains(wanted)).collect();
    if !output.status.success() || !missing.is_empty() {
        return Err(Failure(format!("not in the package: {}", missing.join(", "))));
    }
    let output = capture(Command::new("dpkg-deb").args(["--ctrl-tarfile"]).arg(package))?;
    let control = String::from_utf8_lossy(&output.stdout);
    if control.contains("/etc/pinhole/pinhole.toml") && control.contains("nftables") {
        Ok(files.len())
    } else {
        Err(Failure("its configuration files or its dependencies are not named".to_owned()))
    }
}
