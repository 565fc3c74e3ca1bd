//! `pinhole run` and the commands that talk to what it runs.

use crate::gateway::request::{ListFormat, Listed};
use crate::load::Grant;
use clap::Args;
use std::num::NonZeroU8;
use std::path::PathBuf;

/// `pinhole run`.
#[derive(Args, Debug, Default)]
#[command(
    after_long_help = "It takes root, or CAP_NET_RAW and CAP_NET_ADMIN. SIGTERM and SIGINT stop it, SIGHUP reads the ruleset again.\n\
Exit codes: 0 stopped as asked; 2 wrong usage or configuration; 3 wrong ruleset; 5 the recording could not be written; 6 it could not start or go on."
)]
pub struct RunArguments {
    /// Configuration file (docs/gateway.md); the options below override it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An interface: two to bridge, two or more to route between (`mode = "router"`)
    #[arg(long = "port", value_name = "INTERFACE")]
    pub ports: Vec<String>,
    /// Ruleset in the nftables language
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Threads among which the traffic is spread, each with an engine of its own
    #[arg(long, value_name = "N")]
    pub shards: Option<NonZeroU8>,
    /// Control socket
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// Folder in which modules are looked for by name (repeatable; without it `/usr/lib/pinhole/helpers`)
    #[arg(long, value_name = "DIR")]
    pub helper_path: Vec<PathBuf>,
    /// File in which connections outlive a restart
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Write all frames that come and go to a pcapng file
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Where the gateway is.
#[derive(Args, Clone, Debug)]
pub struct SocketArgument {
    /// Control socket of the gateway
    #[arg(long, value_name = "SOCKET", default_value = crate::gateway::config::SOCKET)]
    pub socket: PathBuf,
}

/// `pinhole list`.
#[derive(Args, Debug)]
pub struct ListArguments {
    /// Of what
    #[arg(value_enum, default_value_t)]
    pub what: Listed,
    /// Connections and expectations of this flow only: `tcp 10.0.0.1:1234 > 10.0.0.2:21`, or a part of one
    #[arg(long, value_name = "FLOW")]
    pub flow: Option<String>,
    /// Connections and expectations of this helper only
    #[arg(long, value_name = "NAME")]
    pub helper: Option<String>,
    /// Connections in this state of their protocol only (`ESTABLISHED`)
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// How
    #[arg(long, value_enum, default_value_t)]
    pub format: ListFormat,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}

/// `pinhole explain` and `pinhole delete`.
#[derive(Args, Debug)]
pub struct FlowArguments {
    /// The flow (`tcp 10.0.0.1:1234 > 10.0.0.2:21`, or a part of one), or a connection (`conn 5`)
    #[arg(required = true, value_name = "FLOW")]
    pub flow: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}

/// `pinhole load`.
#[derive(Args, Debug)]
pub struct LoadCommandArguments {
    /// Modules: files, or names (`conntrack_ftp`, `nat_ftp`, `'conntrack_*'`; `ip_conntrack_ftp` and `nf_nat_ftp` are understood)
    #[arg(required = true, value_name = "MODULE")]
    pub modules: Vec<String>,
    /// What they may open beyond their own connections, besides what the configuration allows (repeatable)
    #[arg(long, value_enum, value_name = "WHAT")]
    pub allow: Vec<Grant>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}

/// `pinhole unload`.
#[derive(Args, Debug)]
pub struct UnloadArguments {
    /// Names of modules
    #[arg(required = true, value_name = "MODULE")]
    pub modules: Vec<String>,
    /// Also if connections use them: those stay tracked, and are not read any more
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}

/// `pinhole reload-module`.
#[derive(Args, Debug)]
pub struct ReloadModuleArguments {
    /// Names of modules
    #[arg(required = true, value_name = "MODULE")]
    pub modules: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}

/// `pinhole stats`.
#[derive(Args, Debug)]
pub struct StatsArguments {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}

/// `pinhole enable` and `pinhole disable`.
#[derive(Args, Debug)]
pub struct SwitchArguments {
    /// The helper, by any of its names
    #[arg(value_name = "HELPER")]
    pub helper: String,
    /// Its NAT half alone: what it reads is not rewritten
    #[arg(long)]
    pub nat: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub socket: SocketArgument,
}
