//! `cargo xtask COMMAND`: what a developer, and CI, does with this repository.
//!
//! * `test` checks everything, in stages; see [`stages`].
//! * `fuzz`, `bench` and `doc` run one tool each, with the options that this repository wants.
//! * `bench-gateway` measures the gateway beside the kernel.
//! * `soak` wears it down over bad wires.
//! * `instructions` counts what a packet costs.
//! * `package` builds the Debian package.
//! * `new-helper` makes the skeleton of a helper.
//! * `oracle` compares pinhole with the running kernel.
//!
//! Nothing here is part of pinhole itself. The commands only start other programs: the toolchain's and a few from Debian.
#![forbid(unsafe_code)]

mod bench;
mod bench_gateway;
mod command;
mod fuzz;
mod guests;
mod instructions;
mod junit;
mod new_helper;
mod oracle;
mod package;
mod repository;
mod soak;
mod stage;
mod stages;
mod tool;
mod worst;

use clap::{Parser, Subcommand};
use repository::Repository;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Developer commands of the pinhole repository",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check everything: format, lints, tests, documentation, dependencies, demo, fuzz targets, kernel
    Test(stages::Options),
    /// Run fuzz targets, or write their seeds
    Fuzz(fuzz::Options),
    /// Run the benchmarks (criterion)
    Bench(bench::Options),
    /// Measure the gateway beside the kernel, in network namespaces (Linux, root)
    BenchGateway(bench_gateway::Options),
    /// Transfers over bad wires through the gateway, for an hour (Linux, root)
    Soak(soak::Options),
    /// Count instructions per packet (valgrind), and compare with the accepted counts
    Instructions(instructions::Options),
    /// Build the Debian package
    Package,
    /// Build the documentation of all crates
    Doc,
    /// Compile the helper modules that are built from Rust
    Guests,
    /// Make the skeleton of a helper, and enter it wherever helpers are listed
    NewHelper(new_helper::Options),
    /// Compare with the running kernel, on captures (Linux, root)
    #[command(disable_help_flag = true)]
    Oracle(oracle::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let repository = Repository::locate();
    let result = match arguments.command {
        Command::Test(options) => return stages::run(&repository, &options),
        Command::Fuzz(options) => fuzz::run(&repository, &options),
        Command::Bench(options) => bench::run(&repository, &options),
        Command::BenchGateway(options) => bench_gateway::run(&repository, &options),
        Command::Instructions(options) => instructions::run(&repository, &options),
        Command::Soak(options) => soak::run(&repository, &options),
        Command::Guests => guests::run(&repository),
        Command::NewHelper(options) => new_helper::run(&repository, &options),
        Command::Oracle(options) => oracle::run(&repository, &options),
        Command::Package => package::build(&repository).map(|path| println!("{}", path.display())),
        Command::Doc => stages::documentation::build(&repository),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
