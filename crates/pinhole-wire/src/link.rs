//! Link layers: from a captured frame to the start of its IP datagram.

/// Link type of a capture interface, by its number in the pcap registry (draft-ietf-opsawg-pcaplinktype).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);
