//! Link layers: from a captured frame to the start of its IP datagram.

#[cfg(test)]
mod tests;

use core::fmt;
use serde::{Deserialize, Serialize};

/// Link type of a capture interface, by its number in the pcap registry (draft-ietf-opsawg-pcaplinktype).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: a 4-byte address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without the address and control bytes of HDLC-like framing.
    pub const PPP: Self = Self(9);
    /// Raw IP, as some systems number it in files.
    pub const RAW_12: Self = Self(12);
    /// Raw IP, as OpenBSD numbers it in files.
    pub const RAW_14: Self = Self(14);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// Raw IPv4 or IPv6, told apart by the version nibble.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: a 4-byte address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Raw IPv4.
    pub const IPV4: Self = Self(228);
    /// Raw IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);

    /// The registry's name, for the link types that [`strip`] reads.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NULL => "NULL",
            Self::ETHERNET => "ETHERNET",
            Self::PPP => "PPP",
            Self::RAW_12 | Self::RAW_14 | Self::RAW => "RAW",
            Self::PPP_HDLC => "PPP_HDLC",
            Self::LOOP => "LOOP",
            Self::LINUX_SLL => "LINUX_SLL",
            Self::IPV4 => "IPV4",
            Self::IPV6 => "IPV6",
            Self::LINUX_SLL2 => "LINUX_SLL2",
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "link type {}", self.0),
        }
    }
}

/// Where the network layer of a frame starts, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Offset of the network header in the frame, in bytes; at most the frame's length.
    pub offset: u32,
    /// What the link layer says is there. It is not compared with the version nibble.
    pub kind: NetworkKind,
    /// Outermost VLAN id (12 bits), if the frame is tagged.
    pub vlan: Option<u16>,
}

/// A network-layer protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NetworkKind {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
    /// Another protocol, by its EtherType; zero if it has none.
    Other(u16),
}

/// Why a frame has no network layer that could be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The frame ends within its link-layer header.
    #[error("link-layer header is cut short")]
    Cut,
    /// More VLAN tags, or more MPLS labels, than the limit of eight.
    #[error("too many VLAN tags or MPLS labels")]
    TooDeep,
    /// A link layer that is not read.
    #[error("{0} is not supported")]
    Unsupported(LinkType),
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const VLAN_SERVICE: u16 = 0x88a8;
const VLAN_QINQ: u16 = 0x9100;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
/// EtherType values below are an 802.3 length (RFC 7042 §2.3).
const LOWEST_ETHERTYPE: u16 = 0x0600;
const STACK_LIMIT: usize = 8;
/// Length in bytes of an Ethernet header: two addresses and the EtherType (IEEE 802.3 §3.1.1).
pub const ETHERNET_HEADER: usize = 14;

/// The datagram in `frame`, if that is an untagged Ethernet frame with IPv4: what most frames are, told apart as quickly as can be. It starts
/// at [`ETHERNET_HEADER`].
#[inline(always)]
pub fn ethernet_ipv4(link: LinkType, frame: &[u8]) -> Option<&[u8]> {
    const PLAIN: [u8; 2] = IPV4.to_be_bytes();
    match frame.split_first_chunk::<ETHERNET_HEADER>() {
        Some((&[.., high, low], datagram)) if link == LinkType::ETHERNET && [high, low] == PLAIN => {
            Some(datagram)
        }
        _ => None,
    }
}

/// Finds the network layer of `frame`, captured from a link of type `link`: through VLAN tags, PPPoE and MPLS.
///
/// # Errors
/// When the frame is cut short within its link layer, stacks too many tags, or is of a link type that is not known.
pub fn strip(link: LinkType, frame: &[u8]) -> Result<Network, LinkError> {
    let mut cursor = Cursor { frame, offset: 0 };
    match link {
        LinkType::ETHERNET => {
            let header = cursor.take::<ETHERNET_HEADER>()?;
            cursor.ethertype(u16::from_be_bytes([header[12], header[13]]))
        }
        LinkType::LINUX_SLL => {
            let header = cursor.take::<16>()?;
            cursor.ethertype(u16::from_be_bytes([header[14], header[15]]))
        }
        LinkType::LINUX_SLL2 => {
            let header = cursor.take::<20>()?;
            cursor.ethertype(u16::from_be_bytes([header[0], header[1]]))
        }
        LinkType::RAW | LinkType::RAW_12 | LinkType::RAW_14 => cursor.version_nibble(0),
        LinkType::IPV4 => Ok(cursor.found(NetworkKind::Ipv4)),
        LinkType::IPV6 => Ok(cursor.found(NetworkKind::Ipv6)),
        LinkType::NULL | LinkType::LOOP => cursor.loopback(),
        LinkType::PPP | LinkType::PPP_HDLC => cursor.ppp(),
        _ => Err(LinkError::Unsupported(link)),
    }
}

/// A position in a frame. Invariant: `offset <= frame.len()`.
struct Cursor<'a> {
    frame: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn rest(&self) -> &'a [u8] {
        self.frame.get(self.offset..).unwrap_or_default()
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], LinkError> {
        let header = self.rest().first_chunk::<N>().ok_or(LinkError::Cut)?;
        self.offset += N;
        Ok(header)
    }

    #[inline]
    fn found(&self, kind: NetworkKind) -> Network {
        Network { offset: self.offset as u32, kind, vlan: None }
    }

    /// The cursor is behind an EtherType field.
    #[inline]
    fn ethertype(&mut self, ethertype: u16) -> Result<Network, LinkError> {
        match ethertype {
            IPV4 => Ok(self.found(NetworkKind::Ipv4)),
            IPV6 => Ok(self.found(NetworkKind::Ipv6)),
            VLAN | VLAN_SERVICE | VLAN_QINQ => self.tagged(),
            other => self.encapsulated(other),
        }
    }

    /// IEEE 802.1Q: tag control information, then the next EtherType.
    fn tagged(&mut self) -> Result<Network, LinkError> {
        let mut outermost = None;
        for _ in 0..STACK_LIMIT {
            let tag = self.take::<4>()?;
            outermost = outermost.or(Some(u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff));
            match u16::from_be_bytes([tag[2], tag[3]]) {
                VLAN | VLAN_SERVICE | VLAN_QINQ => {}
                IPV4 => return Ok(Network { vlan: outermost, ..self.found(NetworkKind::Ipv4) }),
                IPV6 => return Ok(Network { vlan: outermost, ..self.found(NetworkKind::Ipv6) }),
                other => return Ok(Network { vlan: outermost, ..self.encapsulated(other)? }),
            }
        }
        Err(LinkError::TooDeep)
    }

    /// EtherTypes other than IP and VLAN.
    fn encapsulated(&mut self, ethertype: u16) -> Result<Network, LinkError> {
        match ethertype {
            MPLS | MPLS_MULTICAST => self.mpls(ethertype),
            PPPOE_SESSION => {
                // RFC 2516 §4: version and type, code, session id, length.
                self.take::<6>()?;
                self.ppp()
            }
            length if length < LOWEST_ETHERTYPE => Ok(self.llc()),
            other => Ok(self.found(NetworkKind::Other(other))),
        }
    }

    /// RFC 3032 §2.1. Nothing says what is below the bottom of the stack; IP is known by its version nibble.
    fn mpls(&mut self, ethertype: u16) -> Result<Network, LinkError> {
        for _ in 0..STACK_LIMIT {
            let [_, _, label_and_bottom, _] = self.take::<4>()?;
            if label_and_bottom & 1 != 0 {
                return self.version_nibble(ethertype);
            }
        }
        Err(LinkError::TooDeep)
    }

    /// RFC 1042: IP in 802.3 frames is behind an LLC header and a SNAP header with the EtherType.
    fn llc(&mut self) -> Network {
        let &[0xaa, 0xaa, 0x03, 0, 0, 0, high, low, ..] = self.rest() else {
            return self.found(NetworkKind::Other(0));
        };
        self.offset += 8;
        self.found(match u16::from_be_bytes([high, low]) {
            IPV4 => NetworkKind::Ipv4,
            IPV6 => NetworkKind::Ipv6,
            other => NetworkKind::Other(other),
        })
    }

    /// RFC 1661 §2: a protocol number of two bytes, or one if compressed; RFC 1662 §3.1: address and control bytes before it.
    fn ppp(&mut self) -> Result<Network, LinkError> {
        if let [0xff, 0x03, ..] = self.rest() {
            self.offset += 2;
        }
        let first = self.take::<1>()?[0];
        // The last byte of a protocol number is odd, those before it are even.
        let protocol =
            if first & 1 != 0 { u16::from(first) } else { u16::from_be_bytes([first, self.take::<1>()?[0]]) };
        Ok(self.found(match protocol {
            0x0021 => NetworkKind::Ipv4,
            0x0057 => NetworkKind::Ipv6,
            _ => NetworkKind::Other(0),
        }))
    }

    /// An address family in either byte order. The family of IPv6 differs between systems.
    fn loopback(&mut self) -> Result<Network, LinkError> {
        let family = *self.take::<4>()?;
        Ok(self.found(match u32::from_le_bytes(family).min(u32::from_be_bytes(family)) {
            2 => NetworkKind::Ipv4,
            10 | 24 | 28 | 30 => NetworkKind::Ipv6,
            _ => NetworkKind::Other(0),
        }))
    }

    fn version_nibble(&self, otherwise: u16) -> Result<Network, LinkError> {
        let first = self.rest().first().ok_or(LinkError::Cut)?;
        Ok(self.found(match first >> 4 {
            4 => NetworkKind::Ipv4,
            6 => NetworkKind::Ipv6,
            _ => NetworkKind::Other(otherwise),
        }))
    }
}
