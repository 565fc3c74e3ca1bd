//! Upper-layer headers: the decoded fixed part; options and chunks are read on demand from the frame's bytes.

mod decode;
mod options;
#[cfg(test)]
mod tests;

use bitflags::bitflags;

use crate::{IpVersion, Packet};

pub(crate) use decode::{Scope, decode, gre_has_checksum};
pub use options::{TcpOption, TcpOptions};

/// The upper-layer header of a packet.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// UDP, and UDP-Lite (told apart by the packet's protocol).
    Udp(Udp),
    /// ICMP or ICMPv6 (told apart by the packet's protocol).
    Icmp(Icmp),
    /// SCTP.
    Sctp(Sctp),
    /// DCCP.
    Dccp(Dccp),
    /// GRE.
    Gre(Gre),
    /// A protocol without a tracker of its own, or a fragment that does not start the datagram.
    Other,
}

bitflags! {
    /// TCP control bits (RFC 9293 §3.1), byte 13 of the header.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct TcpFlags: u8 {
        /// No more data from sender.
        const FIN = 0x01;
        /// Synchronise sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Push function.
        const PSH = 0x08;
        /// Acknowledgement field is significant.
        const ACK = 0x10;
        /// Urgent pointer is significant.
        const URG = 0x20;
        /// ECN echo (RFC 3168).
        const ECE = 0x40;
        /// Congestion window reduced (RFC 3168).
        const CWR = 0x80;
    }
}

/// TCP header (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number of the first byte (or of the SYN).
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Window as it stands in the header, unscaled.
    pub window: u16,
    /// Control bits.
    pub flags: TcpFlags,
    /// Header length in bytes, 20 to 60; options are the bytes after the first 20.
    pub header_length: u8,
    /// Checksum field as it stands in the header.
    pub checksum: u16,
    /// Urgent pointer.
    pub urgent: u16,
    /// Payload bytes that the datagram claims (those missing from the capture included).
    pub payload_length: u32,
}

impl Tcp {
    /// The options of this header, as far as present, in the `bytes` that `packet` was parsed from.
    #[inline]
    pub fn options<'a>(&self, bytes: &'a [u8], packet: &Packet) -> TcpOptions<'a> {
        const FIXED_HEADER: usize = 20;
        let header = packet.transport_bytes(bytes);
        let end = usize::from(self.header_length).min(header.len());
        TcpOptions::new(header.get(FIXED_HEADER..end).unwrap_or_default())
    }
}

/// UDP (RFC 768) or UDP-Lite (RFC 3828) header.
#[derive(Clone, Copy, Debug)]
pub struct Udp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// UDP: length of header and data. UDP-Lite: checksum coverage.
    pub length: u16,
    /// Checksum field as it stands in the header; zero means none (UDP over IPv4).
    pub checksum: u16,
}

/// ICMP (RFC 792) or ICMPv6 (RFC 4443) header.
#[derive(Clone, Copy, Debug)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Checksum field as it stands in the header.
    pub checksum: u16,
    /// Identifier of queries (bytes 4 and 5 of the header).
    pub identifier: u16,
}

impl Icmp {
    /// Whether the message is an error, or an IPv4 redirect or source quench, and so quotes the packet it is about.
    #[inline]
    pub const fn is_error(&self, version: IpVersion) -> bool {
        match version {
            // Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792).
            IpVersion::V4 => matches!(self.kind, 3 | 4 | 5 | 11 | 12),
            // RFC 4443 §2.1: error messages have a zero in the high-order bit of their type.
            IpVersion::V6 => self.kind < 128,
        }
    }
}

/// SCTP common header (RFC 9260 §3.1).
#[derive(Clone, Copy, Debug)]
pub struct Sctp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Verification tag.
    pub verification_tag: u32,
}

/// DCCP generic header (RFC 4340 §5.1).
#[derive(Clone, Copy, Debug)]
pub struct Dccp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Packet type, 0 (Request) to 9 (SyncAck).
    pub kind: u8,
    /// Sequence number (48 bits, or 24 with short numbers).
    pub sequence: u64,
    /// Acknowledgement number where the type carries one.
    pub acknowledgement: Option<u64>,
}

/// GRE header (RFC 2784, 2890; version 1: RFC 2637 §4.1).
#[derive(Clone, Copy, Debug)]
pub struct Gre {
    /// 0, or 1 for PPTP's enhanced GRE.
    pub version: u8,
    /// Version 0: the key, if present.
    pub key: Option<u32>,
    /// Version 1: the call id of the receiver.
    pub call_id: u16,
    /// EtherType of what is carried; 0x880b for version 1.
    pub protocol_type: u16,
}
