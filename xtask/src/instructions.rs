//! `cargo xtask instructions`: instructions per packet, counted by valgrind, against what they were.
//!
//! Time on a shared machine says little about a change of a few per cent; the number of instructions is the same on every run. Two runs of
//! different length are counted, so that the difference is that of the packets alone. The counts that were last accepted are in
//! [`RECORD`]; one that is larger by more than [`TOLERANCE_PERCENT`] fails.

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The accepted counts: a line each, `WORKLOAD INSTRUCTIONS`.
const RECORD: &str = "xtask/instructions.txt";

/// What may come with another compiler.
const TOLERANCE_PERCENT: u64 = 10;

/// Name, what one item is, and the two lengths that are counted.
const WORKLOADS: [(&str, &str, u64, u64); 6] = [
    ("udp", "packet of an established UDP conn", 32_000, 64_000),
    ("tcp", "packet of an established TCP conn", 32_000, 64_000),
    ("nat", "packet of an established, masqueraded UDP conn", 32_000, 64_000),
    ("new", "first packet of a UDP conn", 32_000, 64_000),
    ("nat-new", "first packet of a masqueraded UDP conn", 32_000, 64_000),
    ("life", "TCP conn of six packets", 3_200, 6_400),
];

/// Options of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Accept what is counted now
    #[arg(long)]
    accept: bool,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    tool::debian("valgrind", "valgrind").map_err(Failure)?;
    let counts = count_all(repository)?;
    if options.accept {
        return accept(repository, &counts);
    }
    compare(repository, &counts).map(|_| ())
}

/// The stage of `cargo xtask test`.
pub(crate) fn stage(repository: &Repository, _notes: &mut Notes) -> Outcome {
    if let Err(missing) = tool::debian("valgrind", "valgrind") {
        return Outcome::Skipped(missing);
    }
    match count_all(repository).and_then(|counts| compare(repository, &counts)) {
        Ok(summary) => Outcome::Passed(summary),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

/// Instructions per item of each workload.
fn count_all(repository: &Repository) -> Result<Vec<u64>, Failure> {
    let build = ["build", "--release", "--package", "pinhole-engine", "--example", "steady"];
    run_command(cargo(repository).args(build))?;
    let program = repository.target("release/examples/steady");
    let profile = repository.target("callgrind.out");
    WORKLOADS
        .iter()
        .map(|&(name, _, short, long)| {
            let difference = count(&program, &profile, name, long)? - count(&program, &profile, name, short)?;
            Ok(difference / (long - short))
        })
        .collect()
}

/// All instructions of one run.
fn count(program: &Path, profile: &Path, workload: &str, items: u64) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(program).args([workload, &items.to_string()]);
    let output = capture(&mut command)?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| Failure(format!("valgrind did not count: {}", text.trim())))
}

fn compare(repository: &Repository, counts: &[u64]) -> Result<String, Failure> {
    let record =
        fs::read_to_string(repository.path(RECORD)).map_err(|error| Failure(format!("{RECORD}: {error}")))?;
    let accepted = |name: &str| {
        record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok())
    };
    let mut worse = Vec::new();
    let mut summary = Vec::new();
    for ((name, about, ..), &count) in WORKLOADS.iter().zip(counts) {
        let before = accepted(name).ok_or_else(|| Failure(format!("{RECORD} has no line `{name} …`")))?;
        println!("{name:<7} {count:>6} instructions, accepted {before:>6}: {about}");
        summary.push(format!("{name} {count}"));
        if count > before + before * TOLERANCE_PERCENT / 100 {
            worse.push(format!("{name}: {count} instructions instead of {before}"));
        }
    }
    if worse.is_empty() { Ok(summary.join(", ")) } else { Err(Failure(worse.join("; "))) }
}

fn accept(repository: &Repository, counts: &[u64]) -> Result<(), Failure> {
    let mut text = String::new();
    for ((name, about, ..), count) in WORKLOADS.iter().zip(counts) {
        println!("{name:<7} {count:>6} instructions: {about}");
        let _ = writeln!(text, "{name} {count}");
    }
    Ok(fs::write(repository.path(RECORD), text)?)
}
