//! `cargo xtask test`: everything that must hold, in stages.
//!
//! The stages come in the order in which a mistake is found soonest. A stage that lacks a program installs it if it can, and is skipped,
//! with the reason in the summary, if it cannot; nothing passes by not running.

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
use crate::stage::{Stage, summarize};
use std::process::ExitCode;

const STAGES: &[Stage] = &[
    Stage { name: "format", about: "cargo fmt --check", quick: true, run: source::format },
    Stage { name: "lints", about: "clippy, warnings denied", quick: true, run: source::lints },
    Stage { name: "features", about: "each helper without the others", quick: false, run: source::features },
    Stage {
        name: "guests",
        about: "helper modules, compiled for WebAssembly",
        quick: false,
        run: guests::stage,
    },
    Stage { name: "tests", about: "unit, property and integration tests", quick: true, run: tests::run },
    Stage { name: "doc-tests", about: "examples in the documentation", quick: true, run: tests::examples },
    Stage {
        name: "modules",
        about: "the engine's tests, with FTP read by its modules",
        quick: false,
        run: modules::run,
    },
    Stage {
        name: "documentation",
        about: "cargo doc, warnings denied",
        quick: false,
        run: documentation::stage,
    },
    Stage { name: "demo", about: "cargo run --release -- demo", quick: false, run: demo::run },
    Stage {
        name: "dependencies",
        about: "licences, sources, layers, advisories",
        quick: false,
        run: dependencies::run,
    },
    Stage {
        name: "kernel",
        about: "states and verdicts of the running kernel",
        quick: false,
        run: kernel::run,
    },
    Stage {
        name: "live",
        about: "real clients and servers through the gateway",
        quick: false,
        run: live::run,
    },
    Stage {
        name: "package",
        about: "the Debian package, and what is in it",
        quick: false,
        run: package::stage,
    },
    Stage {
        name: "instructions",
        about: "instructions per packet, counted by valgrind",
        quick: false,
        run: instructions::stage,
    },
    Stage {
        name: "new-helper",
        about: "the skeleton of a helper, and docs/write-a-helper.md",
        quick: false,
        run: newcomer::run,
    },
    Stage {
        name: "languages",
        about: "helper modules in C and AssemblyScript",
        quick: false,
        run: languages::run,
    },
    Stage { name: "fuzz", about: "every fuzz target for a few seconds", quick: false, run: fuzzing::run },
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
}

pub(crate) fn run(repository: &Repository, options: &Options) -> ExitCode {
    let wanted = |stage: &&Stage| {
        (options.only.is_empty() || options.only.iter().any(|name| name == stage.name))
            && (stage.quick || !options.quick)
    };
    let reports: Vec<_> = STAGES.iter().filter(wanted).map(|stage| stage.report(repository)).collect();
    if summarize(&reports) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
