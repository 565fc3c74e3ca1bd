//! `cargo xtask test`: everything that must hold, in stages.
//!
//! The stages come in the order in which a mistake is found soonest. A stage that lacks a program installs it if it can, and is skipped,
//! with the reason in the summary, if it cannot; nothing passes by not running.

mod beside;
pub(crate) mod demo;
pub(crate) mod dependencies;
pub(crate) mod documentation;
pub(crate) mod fuzzing;
pub(crate) mod kernel;
pub(crate) mod languages;
pub(crate) mod live;
pub(crate) mod modules;
pub(crate) mod newcomer;
pub(crate) mod source;
pub(crate) mod tests;

use crate::guests;
use crate::instructions;
use crate::package;
use crate::repository::Repository;
use crate::stage::{Report, Stage, summarize};
use beside::Beside;
use std::path::PathBuf;
use std::process::ExitCode;

/// The stage that mostly waits.
const WAITING: &str = "live";

const STAGES: &[Stage] = &[
    Stage { name: "format", about: "cargo fmt --check", quick: true, beside: false, run: source::format },
    Stage { name: "lints", about: "clippy, warnings denied", quick: true, beside: false, run: source::lints },
    Stage {
        name: "features",
        about: "each helper without the others",
        quick: false,
        beside: false,
        run: source::features,
    },
    Stage {
        name: "guests",
        about: "helper modules, compiled for WebAssembly",
        quick: false,
        beside: false,
        run: guests::stage,
    },
    Stage {
        name: "tests",
        about: "unit, property and integration tests",
        quick: true,
        beside: false,
        run: tests::run,
    },
    Stage {
        name: "doc-tests",
        about: "examples in the documentation",
        quick: true,
        beside: false,
        run: tests::examples,
    },
    Stage {
        name: "modules",
        about: "the engine's tests, with FTP read by its modules",
        quick: false,
        beside: false,
        run: modules::run,
    },
    Stage {
        name: "documentation",
        about: "cargo doc, warnings denied",
        quick: false,
        beside: false,
        run: documentation::stage,
    },
    Stage { name: "demo", about: "cargo run --release -- demo", quick: false, beside: false, run: demo::run },
    Stage {
        name: "dependencies",
        about: "licences, sources, layers, advisories",
        quick: false,
        beside: false,
        run: dependencies::run,
    },
    Stage {
        name: "kernel",
        about: "states and verdicts of the running kernel",
        quick: false,
        beside: false,
        run: kernel::run,
    },
    Stage {
        name: "live",
        about: "real clients and servers through the gateway",
        quick: false,
        beside: false,
        run: live::run,
    },
    Stage {
        name: "wasmtime",
        about: "modules as native code, with the same results",
        quick: false,
        beside: true,
        run: modules::wasmtime,
    },
    Stage {
        name: "package",
        about: "the Debian package, and what is in it",
        quick: false,
        beside: true,
        run: package::stage,
    },
    Stage {
        name: "instructions",
        about: "instructions per packet, counted by valgrind",
        quick: false,
        beside: true,
        run: instructions::stage,
    },
    Stage {
        name: "new-helper",
        about: "the skeleton of a helper, and docs/write-a-helper.md",
        quick: false,
        beside: true,
        run: newcomer::run,
    },
    Stage {
        name: "languages",
        about: "helper modules in C and AssemblyScript",
        quick: false,
        beside: true,
        run: languages::run,
    },
    Stage {
        name: "fuzz",
        about: "every fuzz target for a few seconds",
        quick: false,
        beside: true,
        run: fuzzing::run,
    },
];

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Run only these stages
    #[arg(long, value_name = "STAGE", num_args = 1.., value_parser = clap::builder::PossibleValuesParser::new(STAGES.iter().map(|stage| stage.name)))]
    only: Vec<String>,
    /// Run only what tells most in the least time
    #[arg(long, conflicts_with = "only")]
    quick: bool,
    /// Write to this file how the stages came out
    #[arg(long, hide = true)]
    reports: Option<PathBuf>,
}

pub(crate) fn run(repository: &Repository, options: &Options) -> ExitCode {
    let wanted = |stage: &&Stage| {
        (options.only.is_empty() || options.only.iter().any(|name| name == stage.name))
            && (stage.quick || !options.quick)
    };
    let chosen: Vec<&Stage> = STAGES.iter().filter(wanted).collect();
    let somebody_waits = chosen.iter().any(|stage| stage.name == WAITING);
    let (mut beside, own): (Vec<&Stage>, Vec<&Stage>) =
        chosen.into_iter().partition(|stage| somebody_waits && stage.beside);
    let mut reports = Vec::new();
    for stage in own {
        if stage.name == WAITING && !beside.is_empty() {
            reports.extend(report_beside(repository, stage, std::mem::take(&mut beside)));
        } else {
            reports.push(stage.report(repository));
        }
    }
    if let Some(path) = &options.reports
        && let Err(failure) = beside::write(path, &reports)
    {
        eprintln!("error: {}: {failure}", path.display());
        return ExitCode::FAILURE;
    }
    if summarize(&reports) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A stage, and others beside it.
fn report_beside(repository: &Repository, stage: &Stage, others: Vec<&Stage>) -> Vec<Report> {
    let names: Vec<_> = others.iter().map(|other| other.name).collect();
    match Beside::start(repository, others) {
        Ok(running) => {
            let mut reports = vec![stage.report(repository)];
            reports.extend(running.finish());
            reports
        }
        Err(failure) => {
            let failed = names.into_iter().map(|name| Report::failed(name, failure.to_string()));
            failed.chain([stage.report(repository)]).collect()
        }
    }
}
