//! The small vocabulary that every crate shares.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since the Unix epoch, as told by the caller. The core has no clock of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Time(pub u64);

impl Time {
    /// Whole seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// A time from whole seconds since the epoch (saturating).
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// This time plus `nanos` (saturating).
    #[must_use]
    pub const fn plus_nanos(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This time plus whole `seconds` (saturating).
    #[must_use]
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        self.plus_nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds from `earlier` to here; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// IP version of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum IpVersion {
    /// RFC 791.
    V4 = 4,
    /// RFC 8200.
    V6 = 6,
}

/// An IP address in 16 bytes: IPv6 as it is, IPv4 as `::ffff:a.b.c.d`. Which of the two a datagram carried is said by
/// its [`IpVersion`], never guessed from the bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Address(pub [u8; 16]);

impl Address {
    /// From the four bytes of an IPv4 header field.
    #[inline]
    pub const fn v4(b: [u8; 4]) -> Self {
        Self::from_words([0, (u32::from_le_bytes(b) as u64) << 32 | 0xffff_0000])
    }

    /// From its first and its last eight bytes, each as a little-endian number: as two registers hold it.
    #[inline]
    pub const fn from_words([first, last]: [u64; 2]) -> Self {
        Self((first as u128 | (last as u128) << 64).to_le_bytes())
    }

    /// Its first and its last eight bytes, each as a little-endian number.
    #[inline]
    pub const fn words(self) -> [u64; 2] {
        let number = u128::from_le_bytes(self.0);
        [number as u64, (number >> 64) as u64]
    }

    /// From the sixteen bytes of an IPv6 header field.
    #[inline]
    pub const fn v6(b: [u8; 16]) -> Self {
        Self(b)
    }

    /// The last four bytes: the IPv4 address if the datagram was IPv4.
    pub const fn v4_octets(self) -> [u8; 4] {
        [self.0[12], self.0[13], self.0[14], self.0[15]]
    }

    /// As the standard library's address, for a datagram of this version.
    pub fn ip(self, version: IpVersion) -> IpAddr {
        match version {
            IpVersion::V4 => IpAddr::V4(Ipv4Addr::from(self.v4_octets())),
            IpVersion::V6 => IpAddr::V6(Ipv6Addr::from(self.0)),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(a) => Self::v4(a.octets()),
            IpAddr::V6(a) => Self::v6(a.octets()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Ipv6Addr::from(self.0).to_ipv4_mapped() {
            Some(a) => write!(f, "{a}"),
            None => write!(f, "{}", Ipv6Addr::from(self.0)),
        }
    }
}

/// Direction of a packet within its conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Direction {
    /// The way of the conn's first packet.
    Original = 0,
    /// The way of the answers.
    Reply = 1,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Original => Self::Reply,
            Self::Reply => Self::Original,
        }
    }

    /// 0 or 1, for per-direction arrays.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Original => "original",
            Self::Reply => "reply",
        })
    }
}

/// IP protocol number (IANA "Assigned Internet Protocol Numbers").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Protocol(pub u8);

impl Protocol {
    /// Internet Control Message Protocol.
    pub const ICMP: Self = Self(1);
    /// Internet Group Management Protocol.
    pub const IGMP: Self = Self(2);
    /// Transmission Control Protocol.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self(17);
    /// Datagram Congestion Control Protocol.
    pub const DCCP: Self = Self(33);
    /// Generic Routing Encapsulation.
    pub const GRE: Self = Self(47);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Stream Control Transmission Protocol.
    pub const SCTP: Self = Self(132);
    /// Lightweight UDP.
    pub const UDPLITE: Self = Self(136);

    /// The name that `conntrack` prints (`tcp`, `udp`, …), if there is one.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ICMP => "icmp",
            Self::IGMP => "igmp",
            Self::TCP => "tcp",
            Self::UDP => "udp",
            Self::DCCP => "dccp",
            Self::GRE => "gre",
            Self::ICMPV6 => "icmpv6",
            Self::SCTP => "sctp",
            Self::UDPLITE => "udplite",
            _ => return None,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
