//! Conn ids and counters.

use serde::{Deserialize, Serialize};

/// Names one conn. Reuse of its slot gives another generation, so a stale id finds nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ConnId {
    /// Slot.
    pub index: u32,
    /// Generation of the slot.
    pub generation: u32,
}

/// Accounting of one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes of IP datagrams, headers included (as netfilter counts).
    pub bytes: u64,
}
