//! `cargo xtask instructions`: instructions per packet, counted by valgrind, against what they were.
//!
//! Time on a shared machine says little about a change of a few per cent; the number of instructions is the same on every run. Two runs of
//! different length are counted, so that the difference is that of the packets alone. The counts that were last accepted are in
//! [`RECORD`]; one that is larger by more than [`TOLERANCE_PERCENT`] fails. The parsers' worst inputs are counted, too ([`worst`]).

use crate::command::{Failure, capture, cargo, run as run_command};
use crate::guests;
use crate::repository::Repository;
use crate::stage::{Notes, Outcome};
use crate::tool;
use crate::worst;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// The accepted counts: a line each, `WORKLOAD INSTRUCTIONS`.
const RECORD: &str = "xtask/instructions.txt";

/// What may come with another compiler.
const TOLERANCE_PERCENT: u64 = 10;

/// Name, what one item is, and the two lengths that are counted.
const WORKLOADS: [(&str, &str, u64, u64); 7] = [
    ("udp", "packet of an established UDP conn", 32_000, 64_000),
    (WITH_MODULE, "the same, with FTP read by a module", 32_000, 64_000),
    ("tcp", "packet of an established TCP conn", 32_000, 64_000),
    ("nat", "packet of an established, masqueraded UDP conn", 32_000, 64_000),
    ("new", "first packet of a UDP conn", 32_000, 64_000),
    ("nat-new", "first packet of a masqueraded UDP conn", 32_000, 64_000),
    ("life", "TCP conn of six packets", 3_200, 6_400),
];

/// The workload that takes the module that `cargo xtask guests` makes.
const WITH_MODULE: &str = "udp-module";

/// A workload: its name, what one item is, and what it was counted as.
type Count = (&'static str, &'static str, u64);

/// Options of `cargo xtask instructions`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Accept what is counted now
    #[arg(long)]
    accept: bool,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> Result<(), Failure> {
    tool::debian("valgrind", "valgrind").map_err(Failure)?;
    guests::run(repository)?;
    let counts = count_all(repository, true)?;
    if options.accept {
        return accept(repository, &counts);
    }
    compare(repository, &counts)?;
    worst::compare(repository).map(|_| ())
}

/// The stage of `cargo xtask test`.
pub(crate) fn stage(repository: &Repository, notes: &mut Notes) -> Outcome {
    if let Err(missing) = tool::debian("valgrind", "valgrind") {
        return Outcome::Skipped(missing);
    }
    let has_module = repository.target("guests").join("conntrack_ftp.wasm").is_file();
    if !has_module {
        notes.skipped(format!("{WITH_MODULE}: the modules are not built (stage guests)"));
    }
    let counts = count_all(repository, has_module).and_then(|counts| compare(repository, &counts));
    match counts.and_then(|summary| Ok(format!("{summary}; {}", worst::compare(repository)?))) {
        Ok(summary) => Outcome::Passed(summary),
        Err(failure) => Outcome::Failed(failure.to_string()),
    }
}

/// Instructions per item of each workload.
fn count_all(repository: &Repository, has_module: bool) -> Result<Vec<Count>, Failure> {
    let build = ["build", "--release", "--package", "pinhole-engine", "--example", "steady"];
    run_command(cargo(repository).args(build))?;
    let workloads = WORKLOADS.iter().filter(|workload| has_module || workload.0 != WITH_MODULE);
    workloads
        .map(|&(name, about, short, long)| {
            let difference = count(repository, name, long)? - count(repository, name, short)?;
            Ok((name, about, difference / (long - short)))
        })
        .collect()
}

/// All instructions of one run.
fn count(repository: &Repository, workload: &str, items: u64) -> Result<u64, Failure> {
    let mut steady = Command::new(repository.target("release/examples/steady"));
    steady.args([workload, &items.to_string()]).env("PINHOLE_FTP_MODULE", repository.target("guests"));
    counted(repository, &steady)
}

/// All instructions of a command.
pub(crate) fn counted(repository: &Repository, counted: &Command) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    let profile = repository.target("callgrind.out");
    command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", profile.display()));
    command.arg(counted.get_program()).args(counted.get_args());
    command.envs(counted.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = capture(&mut command)?;
    let text = String::from_utf8_lossy(&output.stderr);
    text.lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok())
        .ok_or_else(|| Failure(format!("valgrind did not count: {}", text.trim())))
}

fn compare(repository: &Repository, counts: &[Count]) -> Result<String, Failure> {
    let record =
        fs::read_to_string(repository.path(RECORD)).map_err(|error| Failure(format!("{RECORD}: {error}")))?;
    let accepted = |name: &str| {
        record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok())
    };
    let mut worse = Vec::new();
    let mut summary = Vec::new();
    for &(name, about, count) in counts {
        let before = accepted(name).ok_or_else(|| Failure(format!("{RECORD} has no line `{name} …`")))?;
        println!("{name:<10} {count:>6} instructions, accepted {before:>6}: {about}");
        summary.push(format!("{name} {count}"));
        if count > before + before * TOLERANCE_PERCENT / 100 {
            worse.push(format!("{name}: {count} instructions instead of {before}"));
        }
    }
    if worse.is_empty() { Ok(summary.join(", ")) } else { Err(Failure(worse.join("; "))) }
}

fn accept(repository: &Repository, counts: &[Count]) -> Result<(), Failure> {
    let mut text = String::new();
    for (name, about, count) in counts {
        println!("{name:<10} {count:>6} instructions: {about}");
        let _ = writeln!(text, "{name} {count}");
    }
    Ok(fs::write(repository.path(RECORD), text)?)
}
