//! What can be asked over the control socket: one JSON object a line. Unknown fields are refused.
//!
//! The answer is lines of JSON too: any number of `{"line": …}`, then `{"done": true}` or `{"error": …}`.

use crate::load::Grant;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Longest request, in bytes.
pub const LONGEST: usize = 16 << 10;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What there is.
    List {
        /// Of what.
        what: Listed,
        /// How.
        format: ListFormat,
        /// Of this flow only.
        flow: Option<String>,
        /// With this helper only.
        #[serde(default)]
        helper: Option<String>,
        /// In this protocol state only.
        #[serde(default)]
        state: Option<String>,
    },
    /// Lets a helper read again, or no more.
    Switch {
        /// The helper.
        helper: String,
        /// Whether it reads.
        enabled: bool,
        /// Its NAT half alone.
        nat: bool,
    },
    /// What happens, until the client has enough.
    Monitor {},
    /// Why a flow fares as it does.
    Explain {
        /// The flow, as `replay --explain` takes it.
        flow: String,
    },
    /// End all conns.
    Flush {},
    /// End the conns of a flow.
    Delete {
        /// The flow, or `conn N`.
        flow: String,
    },
    /// Counters.
    Stats {
        /// As JSON.
        json: bool,
    },
    /// Read the ruleset again.
    Reload {},
    /// Load helpers.
    Load {
        /// Files, or names of modules: globs, and as they were called in the kernel.
        names: Vec<String>,
        /// What they may open beyond their own conns, besides what the configuration allows.
        allow: Vec<Grant>,
    },
    /// Unload helpers.
    Unload {
        /// Their names.
        names: Vec<String>,
        /// Also those in use.
        force: bool,
    },
    /// Read helpers again from their files.
    ReloadModule {
        /// Their names.
        names: Vec<String>,
    },
}

/// What can be listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Listed {
    /// Connections.
    #[default]
    Conns,
    /// Expectations that are waiting.
    Expectations,
    /// Connections that a helper reads.
    Helpers,
    /// Control connections and those that they announced.
    Control,
    /// Connections that are translated.
    Nat,
    /// The helpers themselves: where they come from, what they have used.
    Modules,
    /// Counters of the ruleset.
    Rules,
}

/// How something is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ListFormat {
    /// As `conntrack -L` lists it.
    #[default]
    Conntrack,
    /// In columns.
    Table,
    /// JSON, one object a line.
    Json,
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Answer {
    /// A line to be shown.
    Line(String),
    /// So many lines were left out because the client read too slowly.
    Lost(u64),
    /// The end.
    Done(bool),
    /// It could not be done, and nothing has changed.
    Error(String),
}
