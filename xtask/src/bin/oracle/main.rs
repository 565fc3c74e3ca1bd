//! Compares pinhole with the running kernel: the same packets, the same ruleset, frame by frame (`cargo xtask oracle`; Linux, root).
//!
//! Both are given the same repaired datagrams, pinhole under a clock that stands still. What is compared is each packet's state and
//! direction, and whether it passes. Differences that docs/divergences.md names are counted; any other makes the comparison fail.
#![forbid(unsafe_code)]

mod comparison;
mod divergences;
mod judges;

use clap::Parser;
use comparison::{Summary, compare};
use divergences::Divergences;
use judges::Conditions;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{fs, io, thread};

/// Whatever makes a comparison impossible.
type Fault = Box<dyn Error + Send + Sync>;

/// Exit code where the kernel cannot be asked: no root, no `nft`, no TUN devices.
const CANNOT_ASK: u8 = 77;

#[derive(Parser)]
#[command(
    name = "cargo xtask oracle",
    about = "Compare pinhole with the running kernel on captures (Linux, root)"
)]
struct Arguments {
    /// The captures; a directory stands for all captures below it. Each is compared with empty tables
    #[arg(required = true)]
    captures: Vec<PathBuf>,
    #[command(flatten)]
    conditions: Conditions,
    /// The document that names divergences
    #[arg(long, default_value = "docs/divergences.md", value_name = "FILE")]
    divergences: PathBuf,
    /// Show every frame, not only differences that have no name
    #[arg(long)]
    all: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if judges::cannot_ask(error.as_ref()) { CANNOT_ASK } else { 2 })
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, Fault> {
    let divergences = Divergences::read(&arguments.divergences)?;
    let mut captures = Vec::new();
    for path in &arguments.captures {
        collect(path.clone(), &mut captures)?;
    }
    let mut summary = Summary::default();
    for capture in &captures {
        // A thread each: the kernel's judge takes its thread into a network namespace of its own, for good.
        let one = || compare(capture, &arguments.conditions, &divergences, arguments.all);
        let compared = thread::scope(|scope| scope.spawn(one).join());
        summary.add(&compared.map_err(|_| "the comparison panicked")??);
    }
    println!("\n{} captures, {summary}", captures.len());
    Ok(if summary.unnamed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn collect(path: PathBuf, captures: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        captures.push(path);
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        let whole = if entry.extension().is_some_and(|e| e == "gz") {
            entry.with_extension("")
        } else {
            entry.clone()
        };
        let is_capture = whole.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap");
        if entry.is_dir() || is_capture {
            collect(entry, captures)?;
        }
    }
    Ok(())
}
