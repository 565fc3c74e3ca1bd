//! From an IP datagram to a [`Packet`]: one pass, every length checked, no allocation.

use crate::{Address, IpVersion, Protocol, Transport};

/// One IP datagram inside a frame: where its headers lie and what tracking needs of them.
///
/// All offsets count from the start of the `bytes` that were parsed (the whole captured frame, link header included), so that the
/// same bytes can be handed on. Invariant: `network <= transport_offset <= payload <= end <= bytes.len()`.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// IPv4 or IPv6.
    pub version: IpVersion,
    /// The upper-layer protocol (IPv6: after all extension headers).
    pub protocol: Protocol,
    /// Source address.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// Type of service or traffic class.
    pub traffic_class: u8,
    /// Offset of the IP header.
    pub network: u32,
    /// Offset of the upper-layer header.
    pub transport_offset: u32,
    /// Offset of the upper-layer payload (equals `transport_offset` for [`Transport::Other`]).
    pub payload: u32,
    /// End of the datagram's bytes that are present.
    pub end: u32,
    /// Bytes that the IP header claims but that the frame does not hold (snaplen). Zero when nothing is missing.
    pub missing: u32,
    /// Set when the datagram is a fragment of a larger one.
    pub fragment: Option<Fragment>,
    /// The upper-layer header.
    pub transport: Transport,
}

/// Fragmentation fields (RFC 791 §3.2; RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Offset of this fragment's data in the datagram, in bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Identification (IPv4: 16 bits).
    pub identification: u32,
    /// IPv6: offset in `bytes` of the fragment header; IPv4: zero.
    pub header: u32,
}

/// Why bytes are not a datagram that can be tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes than the fixed IP header.
    #[error("IP header is cut short")]
    HeaderCut,
    /// The version nibble is neither 4 nor 6.
    #[error("IP version is neither 4 nor 6")]
    Version,
    /// IPv4 header length below 20 bytes or beyond the datagram.
    #[error("bad IPv4 header length")]
    HeaderLength,
    /// IPv4 total length below the header length.
    #[error("bad IP total length")]
    TotalLength,
    /// IPv4 header checksum is wrong.
    #[error("bad IPv4 header checksum")]
    HeaderChecksum,
    /// An IPv6 extension header is cut short or malformed.
    #[error("bad IPv6 extension header")]
    ExtensionHeader,
    /// More IPv6 extension headers than the limit.
    #[error("too many IPv6 extension headers")]
    ExtensionLimit,
    /// The upper-layer header is cut short by the datagram's own length or the capture.
    #[error("transport header is cut short")]
    TransportCut,
    /// The upper-layer header contradicts itself (TCP data offset, UDP length, …).
    #[error("bad transport header")]
    Transport,
}
