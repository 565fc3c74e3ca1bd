//! Limits and switches of a tracker.

use crate::Timeouts;
use crate::l4::L4Settings;

/// Limits and switches of a tracker.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Most conns (`nf_conntrack_max`), unconfirmed ones included.
    pub max_conns: u32,
    /// Most expectations (`nf_conntrack_expect_max`).
    pub max_expectations: u32,
    /// Most expectations whose announcer is one host, over all its masters.
    pub max_expectations_per_source: u32,
    /// State-machine switches.
    pub l4: L4Settings,
    /// Default timeouts.
    pub timeouts: Timeouts,
    /// Whether NEW/UPDATE/DESTROY events are queued. Expectation events always are.
    pub events: bool,
    /// Most NEW/UPDATE/DESTROY events that wait to be taken; further ones are counted and lost.
    pub max_events: u32,
    /// Allocate the table for `max_conns` at once, so that it never has to grow.
    pub preallocate: bool,
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
            max_events: 65_536,
            preallocate: false,
        }
    }
}
