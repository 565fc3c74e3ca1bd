//! From an IP datagram to a [`Packet`]: one pass, every length checked, no allocation.
//!
//! [`Packet::parse`] is for packets on the wire and refuses what contradicts itself; [`Packet::parse_quoted`] is for the
//! packet inside an ICMP error, of which only the first bytes need be there. A third entry, [`Packet::parse_network`], reads
//! the IP layer alone, for rules that must still see a packet whose transport header is bad.

mod ipv4;
mod ipv6;
mod plain;
#[cfg(test)]
mod tests;

use crate::transport::{Scope, decode};
use crate::{Address, IpVersion, Protocol, Transport};

pub use ipv4::ipv4_header_checksum_ok;
pub(crate) use ipv6::has_segments_left;
pub use ipv6::{EXTENSION_LIMIT, is_extension_header};
pub use plain::{Bounds, Plain};

/// One IP datagram inside a frame: where its headers lie and what tracking needs of them.
///
/// All offsets count from the start of the `bytes` that were parsed (the whole captured frame, link header included), so that the
/// same bytes can be handed on. Invariant: `network <= transport_offset <= payload <= end <= bytes.len()`.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// IPv4 or IPv6.
    pub version: IpVersion,
    /// The upper-layer protocol (IPv6: after all extension headers). In a fragment whose header chain ends beyond it, the
    /// protocol or extension header that would come next.
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

impl Fragment {
    /// An IPv6 datagram with a fragment header that is nevertheless whole (RFC 6946).
    pub const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }
}

/// Why bytes are not a datagram that can be tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes than the IP header.
    #[error("IP header is cut short")]
    HeaderCut,
    /// The version nibble is neither 4 nor 6.
    #[error("IP version is neither 4 nor 6")]
    Version,
    /// IPv4 header length below 20 bytes.
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

/// What the IP header says. A [`Packet`] is made of it at once, when its transport is known: moving half-made packets around would
/// cost more than reading them.
struct Layer {
    version: IpVersion,
    protocol: Protocol,
    source: Address,
    destination: Address,
    hop_limit: u8,
    traffic_class: u8,
    network: u32,
    upper: u32,
    end: u32,
    missing: u32,
    fragment: Option<Fragment>,
}

/// What of `bytes` can be the datagram: offsets have 32 bits.
#[inline(always)]
fn datagram_at(bytes: &[u8], network: u32) -> Result<&[u8], ParseError> {
    let frame = bytes.get(..u32::MAX as usize).unwrap_or(bytes);
    frame.get(network as usize..).ok_or(ParseError::HeaderCut)
}

impl Layer {
    #[inline(never)]
    fn read(bytes: &[u8], network: u32) -> Result<Self, ParseError> {
        let datagram = datagram_at(bytes, network)?;
        match datagram.first().map(|first| first >> 4) {
            Some(4) => ipv4::read(datagram, network),
            Some(6) => ipv6::read(datagram, network),
            Some(_) => Err(ParseError::Version),
            None => Err(ParseError::HeaderCut),
        }
    }

    #[inline(always)]
    fn complete(self, bytes: &[u8]) -> Result<Packet, ParseError> {
        if self.fragment.is_some() {
            return self.complete_fragment(bytes);
        }
        let (transport, header) = decode(self.protocol, self.data(bytes), self.missing, Scope::Whole)?;
        Ok(self.with(transport, header))
    }

    #[cold]
    #[inline(never)]
    fn complete_fragment(self, bytes: &[u8]) -> Result<Packet, ParseError> {
        let decode = |scope| decode(self.protocol, self.data(bytes), self.missing, scope);
        let (transport, header) = match self.fragment {
            Some(fragment) if fragment.offset != 0 => (Transport::Other, 0),
            Some(fragment) if fragment.more => decode(Scope::FirstFragment).unwrap_or((Transport::Other, 0)),
            _ => decode(Scope::Whole)?,
        };
        Ok(self.with(transport, header))
    }

    #[inline(always)]
    fn data<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.upper as usize..self.end as usize).unwrap_or_default()
    }

    #[inline(always)]
    fn with(self, transport: Transport, header: u32) -> Packet {
        Packet {
            version: self.version,
            protocol: self.protocol,
            source: self.source,
            destination: self.destination,
            hop_limit: self.hop_limit,
            traffic_class: self.traffic_class,
            network: self.network,
            transport_offset: self.upper,
            payload: self.upper + header,
            end: self.end,
            missing: self.missing,
            fragment: self.fragment,
            transport,
        }
    }
}

/// A packet without bytes, to be overwritten by [`Packet::parse_into`].
impl Default for Packet {
    fn default() -> Self {
        Self {
            version: IpVersion::V4,
            protocol: Protocol(0),
            source: Address::default(),
            destination: Address::default(),
            hop_limit: 0,
            traffic_class: 0,
            network: 0,
            transport_offset: 0,
            payload: 0,
            end: 0,
            missing: 0,
            fragment: None,
            transport: Transport::Other,
        }
    }
}

impl Packet {
    /// Reads the datagram that starts at offset `network` of `bytes`.
    ///
    /// Bytes after the datagram's own length (Ethernet padding) are ignored; bytes that its length claims and `bytes` lacks are
    /// counted in [`missing`](Self::missing). An IPv4 total length of zero, as captures of segmentation offload show it, stands
    /// for all bytes that are present. Neither the IPv4 header checksum ([`ipv4_header_checksum_ok`]) nor that of the transport
    /// ([`crate::checksum::verify_transport`]) is looked at.
    ///
    /// # Errors
    /// When a header is cut or contradicts itself. The first fragment of a datagram is not held to its transport header, which
    /// is checked after reassembly.
    #[inline]
    pub fn parse(bytes: &[u8], network: u32) -> Result<Self, ParseError> {
        let datagram = datagram_at(bytes, network)?;
        match datagram.first().map(|first| first >> 4) {
            // One instance for each version: neither pays for what the other keeps in registers.
            Some(4) => ipv4::read(datagram, network)?.complete(bytes),
            _ => Layer::read(bytes, network)?.complete(bytes),
        }
    }

    /// As [`parse`](Self::parse), in place of what this packet was; after an error it means nothing.
    ///
    /// For the packets of a batch, which are made once and overwritten again and again: nothing is moved.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    #[inline]
    pub fn parse_into(&mut self, bytes: &[u8], network: u32) -> Result<(), ParseError> {
        if self.read_plain(bytes, network).is_some() {
            return Ok(());
        }
        self.parse_any(bytes, network)
    }

    #[inline(never)]
    fn parse_any(&mut self, bytes: &[u8], network: u32) -> Result<(), ParseError> {
        *self = Self::parse(bytes, network)?;
        Ok(())
    }

    /// Reads the packet that an ICMP error quotes, which starts at offset `network` of `bytes` and may be cut to the first eight
    /// bytes of its transport header (RFC 792; RFC 1812 §4.3.2.3).
    ///
    /// `bytes` must end where the ICMP message does; [`quoted`](Self::quoted) sees to that. Ports, identifiers and, for TCP, the
    /// sequence number are right; fields beyond the quotation are zero. Lengths are not held against the bytes.
    ///
    /// # Errors
    /// When the IP header is bad or cut, or less than the ports or identifiers follows it.
    pub fn parse_quoted(bytes: &[u8], network: u32) -> Result<Self, ParseError> {
        let layer = Layer::read(bytes, network)?;
        if layer.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return Ok(layer.with(Transport::Other, 0));
        }
        let (transport, header) = decode(layer.protocol, layer.data(bytes), layer.missing, Scope::Quoted)?;
        Ok(layer.with(transport, header))
    }

    /// Reads the IP layer only: [`transport`](Self::transport) is [`Transport::Other`] whatever the protocol.
    ///
    /// # Errors
    /// When the IP header or an extension header is bad.
    pub fn parse_network(bytes: &[u8], network: u32) -> Result<Self, ParseError> {
        Ok(Layer::read(bytes, network)?.with(Transport::Other, 0))
    }

    /// The upper-layer header and what follows it, as far as present. `bytes` is what was parsed; other bytes give an empty or
    /// meaningless slice.
    #[inline]
    pub fn transport_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.transport_offset as usize..self.end as usize).unwrap_or_default()
    }

    /// The upper-layer payload, as far as present; for UDP no further than the UDP length says.
    #[inline]
    pub fn payload_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut end = self.end;
        if let Transport::Udp(udp) = &self.transport
            && self.protocol == Protocol::UDP
        {
            end = end.min(self.transport_offset.saturating_add(u32::from(udp.length)));
        }
        bytes.get(self.payload as usize..end as usize).unwrap_or_default()
    }

    /// The IP datagram from its first header byte to its last byte present: link header and padding left off.
    #[inline]
    pub fn datagram_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(self.network as usize..self.end as usize).unwrap_or_default()
    }

    /// Length of the IP datagram in bytes as it claims it, headers and bytes missing from the capture included. What accounting
    /// counts.
    #[inline]
    pub const fn datagram_length(&self) -> u32 {
        (self.end - self.network).saturating_add(self.missing)
    }

    /// Length of the upper-layer header and payload in bytes as the datagram claims it.
    #[inline]
    pub const fn transport_length(&self) -> u32 {
        (self.end - self.transport_offset).saturating_add(self.missing)
    }

    /// Whether a first fragment holds every header of its datagram, the transport header included (RFC 7112).
    pub fn has_all_headers(&self, bytes: &[u8]) -> bool {
        let data = self.transport_bytes(bytes);
        if self.version == IpVersion::V6 && is_extension_header(self.protocol) {
            return ipv6::is_whole_extension(self.protocol, data);
        }
        decode(self.protocol, data, self.missing, Scope::FirstFragment).is_ok()
    }

    /// IPv6: offset in `bytes` of the next-header field that announces the fragment header, which must change when that header is
    /// taken out.
    pub fn fragment_announcement(&self, bytes: &[u8]) -> Option<u32> {
        match self.version {
            IpVersion::V4 => None,
            IpVersion::V6 => ipv6::announcement_of_fragment(self, bytes),
        }
    }

    /// Source port, for protocols that have ports.
    #[inline]
    pub const fn source_port(&self) -> Option<u16> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp.source_port),
            Transport::Udp(udp) => Some(udp.source_port),
            Transport::Sctp(sctp) => Some(sctp.source_port),
            Transport::Dccp(dccp) => Some(dccp.source_port),
            Transport::Icmp(_) | Transport::Gre(_) | Transport::Other => None,
        }
    }

    /// Destination port, for protocols that have ports.
    #[inline]
    pub const fn destination_port(&self) -> Option<u16> {
        match &self.transport {
            Transport::Tcp(tcp) => Some(tcp.destination_port),
            Transport::Udp(udp) => Some(udp.destination_port),
            Transport::Sctp(sctp) => Some(sctp.destination_port),
            Transport::Dccp(dccp) => Some(dccp.destination_port),
            Transport::Icmp(_) | Transport::Gre(_) | Transport::Other => None,
        }
    }

    /// If this is an ICMP(v6) error, the packet that it quotes, with offsets in the same `bytes`.
    ///
    /// # Errors
    /// As [`parse_quoted`](Self::parse_quoted), when what is quoted cannot be read.
    pub fn quoted(&self, bytes: &[u8]) -> Option<Result<Self, ParseError>> {
        match &self.transport {
            Transport::Icmp(icmp) if icmp.is_error(self.version) => {
                let message = bytes.get(..self.end as usize).unwrap_or(bytes);
                Some(Self::parse_quoted(message, self.payload))
            }
            _ => None,
        }
    }
}
