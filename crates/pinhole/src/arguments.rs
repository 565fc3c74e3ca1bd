//! What can be asked on the command line.

#[cfg(target_os = "linux")]
mod gateway;
mod helper;
mod load;
mod nat;
mod nat_options;
mod replay;
mod target;

#[cfg(target_os = "linux")]
pub use gateway::{
    FlowArguments, ListArguments, LoadCommandArguments, ReloadModuleArguments, RunArguments, SocketArgument,
    StatsArguments, SwitchArguments, UnloadArguments,
};
pub use helper::{HelperCommand, HelperNewArguments, HelperSealArguments, HelperTestArguments, Language};
pub use load::LoadArguments;
pub use nat::{NatEnd, NatHalves, NatMapping, rules as nat_rules};
pub use nat_options::{FilteringChoice, MappingChoice, NatOptions};
pub use replay::{
    Checksums, Clock, FailOn, Format, HelperPorts, Interface, MediaSourceChoice, OnFaultChoice, PickupChoice,
    ReplayArguments,
};
pub use target::{Endpoint, Flow, Target, TargetError};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "pinhole",
    version,
    about = "A stateful firewall engine with protocol helpers: replay captures, see every decision and why",
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Start with `pinhole demo`: no root, no network, no files."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN", hide_possible_values = true)]
    pub color: Color,
}

/// When to colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On terminals, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send captures through a firewall, and show what it decides and why
    Replay(Box<ReplayArguments>),
    /// Check rulesets, configuration files of `run` and declared helpers (`.toml`)
    Check(CheckArguments),
    /// Put the firewall between two interfaces
    #[cfg(target_os = "linux")]
    Run(RunArguments),
    /// List what a running gateway knows
    #[cfg(target_os = "linux")]
    List(ListArguments),
    /// Watch what happens in a running gateway
    #[cfg(target_os = "linux")]
    Monitor(SocketArgument),
    /// Ask a running gateway why a flow fares as it does
    #[cfg(target_os = "linux")]
    Explain(FlowArguments),
    /// End all connections of a running gateway
    #[cfg(target_os = "linux")]
    Flush(SocketArgument),
    /// End connections of a running gateway
    #[cfg(target_os = "linux")]
    Delete(FlowArguments),
    /// Show the counters of a running gateway
    #[cfg(target_os = "linux")]
    Stats(StatsArguments),
    /// Let a running gateway read its ruleset again
    #[cfg(target_os = "linux")]
    Reload(SocketArgument),
    /// Watch a running gateway on the terminal: control connections, rates, drops
    #[cfg(target_os = "linux")]
    Top(SocketArgument),
    /// Let a helper of a running gateway read again
    #[cfg(target_os = "linux")]
    Enable(SwitchArguments),
    /// Let a helper of a running gateway read no more
    #[cfg(target_os = "linux")]
    Disable(SwitchArguments),
    /// Load helper modules into a running gateway
    #[cfg(target_os = "linux")]
    Load(LoadCommandArguments),
    /// Unload helper modules from a running gateway
    #[cfg(target_os = "linux")]
    Unload(UnloadArguments),
    /// Let a running gateway read helper modules again from their files; sessions go on with what they began with
    #[cfg(target_os = "linux")]
    ReloadModule(ReloadModuleArguments),
    /// List what each protocol helper reads, opens, limits and refuses
    Helpers(HelpersArguments),
    /// Test a helper, or begin a new one
    #[command(subcommand)]
    Helper(HelperCommand),
    /// Show an active and a passive FTP transfer and an IRC DCC transfer, without and with their helper
    Demo,
    /// Print shell completions
    Completions(CompletionsArguments),
    /// Print the manual page, or write all manual pages to a folder
    Man(ManArguments),
}

/// A format for people, or one for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Plainness {
    /// For reading.
    #[default]
    Text,
    /// JSON, one object a line.
    Json,
}

/// `pinhole check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Rulesets in the nftables language (`-` is standard input); configuration files of `run` and declared helpers, whose names end in `.toml`
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How diagnostics are written
    #[arg(long, value_enum, default_value_t)]
    pub format: Plainness,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub loading: LoadArguments,
}

/// `pinhole helpers`.
#[derive(Debug, Args)]
pub struct HelpersArguments {
    /// Show this helper only
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How helpers are described
    #[arg(long, value_enum, default_value_t)]
    pub format: Plainness,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub loading: LoadArguments,
    /// Ask a running gateway, at this control socket, where its helpers come from, which are enabled, and what they have used
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "SOCKET", num_args = 0..=1, default_missing_value = crate::gateway::config::SOCKET, conflicts_with = "name")]
    pub live: Option<PathBuf>,
}

/// `pinhole completions`.
#[derive(Debug, Args)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `pinhole man`.
#[derive(Debug, Args)]
pub struct ManArguments {
    /// Folder for one page a command; without it the main page goes to standard output
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
}
