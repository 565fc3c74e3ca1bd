//! How an engine is set up, and what can be wrong with that.

use crate::Topology;
use crate::defrag::DefragSettings;
use crate::nat::NatSettings;
use pinhole_helper::{Pickup, Policy};
use pinhole_wire::Protocol;

/// What a bad transport checksum means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumPolicy {
    /// The packet is `invalid`, as in netfilter. Checksums left to the network card (partial or zero) count as good.
    #[default]
    Verify,
    /// Checksums are not looked at (captures taken on a sending host, or made anonymous).
    Ignore,
}

/// What becomes of a conn whose helper, a module, did what it must not ([`Quarantined`](pinhole_helper::BlindReason::Quarantined)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// It goes on, unread.
    #[default]
    Pass,
    /// Its packets are dropped, beginning with the one at which it happened: nothing passes unread.
    Drop,
}

/// A helper attached by layer-4 protocol and destination port, without a rule. Always an explicit choice of the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Helper name or alias.
    pub helper: String,
    /// Destination ports of the conns it reads; empty means the helper's conventional ones.
    pub ports: Vec<u16>,
}

/// Everything an engine is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Conns, expectations, timeouts.
    pub track: pinhole_track::Settings,
    /// Fragments.
    pub defrag: DefragSettings,
    /// Bad checksums.
    pub checksums: ChecksumPolicy,
    /// Conns whose beginning was not seen.
    pub pickup: Pickup,
    /// What helpers may open.
    pub policy: Policy,
    /// Conns whose helper was quarantined.
    pub on_fault: OnFault,
    /// NAT, besides what the ruleset says.
    pub nat: NatSettings,
    /// Helpers attached without a rule.
    pub attachments: Vec<Attachment>,
    /// Own addresses and interfaces.
    pub topology: Topology,
    /// Most bytes that all helper sessions together may hold; beyond it the session that wants more goes blind.
    pub helper_memory: usize,
    /// Most events that wait to be taken; beyond it the oldest are dropped and counted.
    pub max_events: usize,
    /// Key of the conn table's hash. Random for live traffic, fixed for reproducible replays.
    pub secret: [u64; 2],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            track: pinhole_track::Settings::default(),
            defrag: DefragSettings::default(),
            checksums: ChecksumPolicy::default(),
            pickup: Pickup::default(),
            policy: Policy::default(),
            on_fault: OnFault::default(),
            nat: NatSettings::default(),
            attachments: Vec::new(),
            topology: Topology::default(),
            helper_memory: 64 << 20,
            max_events: 65_536,
            secret: [0x7069_6e68_6f6c_6500, 0x0063_6f6e_6e74_7261],
        }
    }
}

/// Why an engine cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// No helper of that name.
    #[error("no helper is called `{name}`{}", at(.location.as_ref()))]
    UnknownHelper {
        /// The name asked for.
        name: String,
        /// File and line of the rule object, if it came from a ruleset.
        location: Option<(String, u32)>,
    },
    /// The helper does not read this layer-4 protocol.
    #[error("helper `{name}` does not read {protocol} connections{}", at(.location.as_ref()))]
    HelperProtocol {
        /// The helper.
        name: String,
        /// The protocol asked for.
        protocol: Protocol,
        /// File and line of the rule object.
        location: Option<(String, u32)>,
    },
    /// A timeout policy names something that does not exist.
    #[error("{message}{}", at(.location.as_ref()))]
    Timeout {
        /// What is wrong.
        message: String,
        /// File and line of the rule object.
        location: Option<(String, u32)>,
    },
}

fn at(location: Option<&(String, u32)>) -> String {
    location.map_or_else(String::new, |(file, line)| format!(" ({file}:{line})"))
}
