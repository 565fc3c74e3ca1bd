//! Limits and switches of a tracker.

use crate::Timeouts;
use crate::l4::L4Settings;

/// Limits and switches of a tracker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most conns (`nf_conntrack_max`).
    pub max_conns: u32,
    /// Most expectations (`nf_conntrack_expect_max`).
    pub max_expectations: u32,
    /// Most expectations whose announcer is one address, over all its masters.
    pub max_expectations_per_source: u32,
    /// State-machine switches.
    pub l4: L4Settings,
    /// Default timeouts.
    pub timeouts: Timeouts,
    /// Whether NEW/UPDATE/DESTROY events are queued.
    pub events: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_conns: 262_144,
            max_expectations: 4_096,
            max_expectations_per_source: 256,
            l4: L4Settings::default(),
            timeouts: Timeouts::default(),
            events: true,
        }
    }
}
