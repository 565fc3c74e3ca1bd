//! Tuples: what identifies one direction of a conn.

use crate::key::Oriented;
use pinhole_wire::{Address, IpVersion, Protocol};
use std::fmt;

/// One direction of a conn: addresses, and what stands in for ports.
///
/// ICMP queries: `source_port` holds the identifier, `destination_port` `type << 8 | code`. GRE: the ports hold the keys of PPTP
/// (call ids), zero otherwise. Protocols without ports: zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Layer-4 protocol.
    pub protocol: Protocol,
    /// IP version.
    pub version: IpVersion,
    /// Zone: the same tuple in two zones is two conns.
    pub zone: u16,
}

impl Tuple {
    /// The tuple of the answer, if nothing is translated; `None` if no packet of its protocol can have this one.
    pub fn inverse(&self) -> Option<Self> {
        Some(Oriented::of(self)?.inverse().tuple())
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (s, d) = (self.source.ip(self.version), self.destination.ip(self.version));
        write!(f, "{} {s}:{} > {d}:{}", self.protocol, self.source_port, self.destination_port)
    }
}
