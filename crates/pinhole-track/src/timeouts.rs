//! Timeouts in seconds; the defaults are netfilter's.

/// Timeouts of every protocol and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Protocols without a state machine.
    pub generic: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { generic: 600 }
    }
}
