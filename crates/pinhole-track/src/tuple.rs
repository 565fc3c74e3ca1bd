//! Tuples: what identifies one direction of a conn.

use crate::key::Oriented;
use pinhole_wire::{Address, IpVersion, Packet, Protocol, Transport};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One direction of a conn: addresses, and what stands in for ports.
///
/// ICMP queries: `source_port` holds the identifier, `destination_port` `type << 8 | code`. GRE: the ports hold the keys of PPTP
/// (call ids), zero otherwise. Protocols without ports: zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// The tuple that a packet bears, outside all zones. A GRE packet bears its receiver's key only, which is not taken.
    pub fn of(packet: &Packet) -> Self {
        let (source_port, destination_port) = match &packet.transport {
            Transport::Icmp(icmp) => (icmp.identifier, u16::from_be_bytes([icmp.kind, icmp.code])),
            _ => (packet.source_port().unwrap_or(0), packet.destination_port().unwrap_or(0)),
        };
        Self {
            source: packet.source,
            destination: packet.destination,
            source_port,
            destination_port,
            protocol: packet.protocol,
            version: packet.version,
            zone: 0,
        }
    }

    /// Whether answers to packets that bear the other tuple, which are not translated, bear this one; of protocols with ports.
    pub fn is_answer_to(&self, other: &Self) -> bool {
        (self.source, self.source_port) == (other.destination, other.destination_port)
            && (self.destination, self.destination_port) == (other.source, other.source_port)
    }

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
