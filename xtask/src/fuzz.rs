//! `cargo xtask fuzz`: the targets of `fuzz/`, by cargo-fuzz.
//!
//! The core is safe Rust, so a target looks for panics, hangs, broken limits and failed assertions, not for memory errors: it is built
//! without a sanitizer, with debug assertions and overflow checks. That needs no nightly toolchain, and is several times faster.
//!
//! `fuzz/corpus/TARGET/` holds the seeds, `fuzz/dictionaries/TARGET.dict` words of the language that the target reads; both are part of
//! the repository. What a run finds goes to the target directory; a crash goes to `fuzz/artifacts/TARGET/`.

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::repository::Repository;
use crate::tool;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A single input that takes longer than this many seconds is a hang.
const HANG: u32 = 10;
/// Megabytes of memory that a target may use.
const MEMORY: u32 = 1024;
/// Longest input in bytes: long enough for the limits on messages, short enough to be quick.
const LENGTH: u32 = 12 * 1024;

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The targets to run; all of them if none is named
    targets: Vec<String>,
    /// How long to run each
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Write the committed seeds anew instead, from the demo's captures
    #[arg(long, conflicts_with_all = ["targets", "seconds"])]
    seed: bool,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    if options.seed {
        return write_seeds(
            repository,
            &repository.path("fuzz/corpus"),
            &repository.path("crates/pinhole/demo"),
        );
    }
    prepare(repository).map_err(Failure)?;
    let all = targets(repository)?;
    if let Some(unknown) = options.targets.iter().find(|target| !all.contains(target)) {
        return Err(Failure(format!("no fuzz target is called `{unknown}`; there are: {}", all.join(", "))));
    }
    // The captures beside the checkout are good seeds, but not ours to keep.
    if let Some(shared) = repository.shared() {
        write_seeds(repository, &repository.target("fuzz/corpus"), &shared.join("captures"))?;
    }
    let chosen = if options.targets.is_empty() { &all } else { &options.targets };
    chosen.iter().try_for_each(|target| run_command(&mut command(repository, target, options.seconds)?))
}

/// Makes inputs for every target from the captures below a directory.
fn write_seeds(repository: &Repository, corpus: &Path, captures: &Path) -> Result<(), Failure> {
    let mut command = cargo(repository);
    command.args(["run", "--quiet", "--manifest-path", "fuzz/Cargo.toml", "--example", "seed", "--"]);
    command.args([corpus, captures]).env("CARGO_TARGET_DIR", repository.target("fuzz"));
    run_command(&mut command)
}

/// Makes sure that the targets can be built. `Err` says what is missing.
pub(crate) fn prepare(repository: &Repository) -> Result<(), String> {
    tool::debian("c++", "g++")?;
    tool::cargo_subcommand(repository, "cargo-fuzz")
}

/// The names of all targets, sorted.
pub(crate) fn targets(repository: &Repository) -> Result<Vec<String>, Failure> {
    let files = fs::read_dir(repository.path("fuzz/fuzz_targets"))?;
    let stem = |path: PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut names: Vec<String> = files.filter_map(|file| stem(file.ok()?.path())).collect();
    names.sort();
    Ok(names)
}

/// Builds and runs one target for so many seconds, and shows what it prints only if it fails. Tells how many inputs were tried.
pub(crate) fn smoke(repository: &Repository, target: &str, seconds: u32) -> Result<u64, Failure> {
    let mut command = command(repository, target, seconds)?;
    let output = capture(&mut command)?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        print!("{text}");
        return Err(Failure(format!("fuzz target {target}: {}", output.status)));
    }
    let executed = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    Ok(executed.and_then(|number| number.trim().parse().ok()).unwrap_or(0))
}

fn command(repository: &Repository, target: &str, seconds: u32) -> Result<Command, Failure> {
    let found = repository.target("fuzz/corpus").join(target);
    fs::create_dir_all(&found)?;
    let seeds = repository.path("fuzz/corpus").join(target);
    let dictionary = repository.path("fuzz/dictionaries").join(target).with_extension("dict");
    let mut command = cargo(repository);
    command.args(["fuzz", "run", "--sanitizer", "none", "--target-dir"]).arg(repository.target("fuzz"));
    command.arg(target).arg(found).args(seeds.is_dir().then_some(seeds));
    command.args(["--", "-verbosity=0", "-print_final_stats=1"]);
    command.args(dictionary.is_file().then(|| format!("-dict={}", dictionary.display())));
    command.arg(format!("-max_total_time={seconds}"));
    command
        .arg(format!("-timeout={HANG}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-max_len={LENGTH}"));
    Ok(command)
}
