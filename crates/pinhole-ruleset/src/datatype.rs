//! Types of expressions: how wide, how written, what the symbols mean.

use crate::lexer;
use crate::names;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DataType {
    Ipv4,
    Ipv6,
    Ether,
    EtherType,
    Service,
    Protocol,
    NfProtocol,
    Mark,
    InterfaceName,
    InterfaceIndex,
    HelperName,
    CtState,
    CtStatus,
    CtDirection,
    CtLabel,
    TcpFlags,
    IcmpType,
    IcmpCode,
    Icmp6Type,
    Icmp6Code,
    IcmpxCode,
    Dscp,
    Ecn,
    PacketType,
    DccpType,
    /// Milliseconds.
    Time,
    Boolean,
    /// A plain number of so many bits.
    Integer(u8),
}

impl DataType {
    /// Width in bits.
    pub(crate) const fn bits(self) -> u8 {
        match self {
            Self::Ipv4 | Self::Mark | Self::InterfaceIndex | Self::CtState | Self::CtStatus | Self::Time => {
                32
            }
            Self::Ipv6 | Self::InterfaceName | Self::HelperName | Self::CtLabel => 128,
            Self::Ether => 48,
            Self::EtherType | Self::Service => 16,
            Self::Dscp => 6,
            Self::Ecn => 2,
            Self::DccpType => 4,
            Self::Boolean => 1,
            Self::Integer(bits) => bits,
            _ => 8,
        }
    }

    /// Largest value.
    pub(crate) const fn max(self) -> u128 {
        u128::MAX >> (128 - self.bits() as u32)
    }

    /// A set of flags: `a,b` means any of them.
    pub(crate) const fn is_bitmask(self) -> bool {
        matches!(self, Self::CtState | Self::CtStatus | Self::CtLabel | Self::TcpFlags)
    }

    /// Written as text, compared as a name.
    pub(crate) const fn is_name(self) -> bool {
        matches!(self, Self::InterfaceName | Self::HelperName)
    }

    /// May stand before `/length`.
    pub(crate) const fn has_prefixes(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6 | Self::Ether | Self::Mark | Self::Integer(_))
    }

    /// As nft's `type` keyword spells it, or a description.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Ether => "ether_addr",
            Self::EtherType => "ether_type",
            Self::Service => "inet_service",
            Self::Protocol => "inet_proto",
            Self::NfProtocol => "nf_proto",
            Self::Mark => "mark",
            Self::InterfaceName => "ifname",
            Self::InterfaceIndex => "iface_index",
            Self::HelperName => "helper name",
            Self::CtState => "ct_state",
            Self::CtStatus => "ct_status",
            Self::CtDirection => "ct_dir",
            Self::CtLabel => "ct_label",
            Self::TcpFlags => "tcp_flag",
            Self::IcmpType => "icmp_type",
            Self::IcmpCode => "icmp_code",
            Self::Icmp6Type => "icmpv6_type",
            Self::Icmp6Code => "icmpv6_code",
            Self::IcmpxCode => "icmpx_code",
            Self::Dscp => "dscp",
            Self::Ecn => "ecn",
            Self::PacketType => "pkt_type",
            Self::DccpType => "dccp_pkttype",
            Self::Time => "time",
            Self::Boolean => "boolean",
            Self::Integer(_) => "integer",
        }
    }

    /// The type that `type` in a set declaration names.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        const NAMED: &[DataType] = &[
            DataType::Ipv4,
            DataType::Ipv6,
            DataType::Ether,
            DataType::EtherType,
            DataType::Service,
            DataType::Protocol,
            DataType::NfProtocol,
            DataType::Mark,
            DataType::InterfaceName,
            DataType::InterfaceIndex,
            DataType::CtState,
            DataType::CtStatus,
            DataType::CtDirection,
            DataType::CtLabel,
            DataType::TcpFlags,
            DataType::IcmpType,
            DataType::IcmpCode,
            DataType::Icmp6Type,
            DataType::Icmp6Code,
            DataType::IcmpxCode,
            DataType::Dscp,
            DataType::Ecn,
            DataType::PacketType,
            DataType::DccpType,
            DataType::Time,
            DataType::Boolean,
        ];
        NAMED.iter().copied().find(|t| t.text() == name)
    }

    /// Whether values of `other` may stand where this type is wanted.
    pub(crate) fn accepts(self, other: Self) -> bool {
        self == other
            || matches!((self, other), (Self::Integer(a), b) | (b, Self::Integer(a)) if a == b.bits())
    }

    fn symbols(self) -> &'static [(&'static str, u32)] {
        match self {
            Self::Service => names::SERVICES,
            Self::Protocol => names::PROTOCOLS,
            Self::NfProtocol => names::NF_PROTOCOLS,
            Self::EtherType => names::ETHER_TYPES,
            Self::CtState => names::CT_STATES,
            Self::CtStatus => names::CT_STATUS,
            Self::CtDirection => names::CT_DIRECTIONS,
            Self::TcpFlags => names::TCP_FLAGS,
            Self::IcmpType => names::ICMP_TYPES,
            Self::IcmpCode => names::ICMP_CODES,
            Self::Icmp6Type => names::ICMP6_TYPES,
            Self::Icmp6Code => names::ICMP6_CODES,
            Self::IcmpxCode => names::ICMPX_CODES,
            Self::Dscp => names::DSCP,
            Self::Ecn => names::ECN,
            Self::PacketType => names::PACKET_TYPES,
            Self::DccpType => names::DCCP_TYPES,
            Self::Boolean => names::BOOLEANS,
            _ => &[],
        }
    }

    /// The value that `text` names in this type, or what is wrong with it.
    pub(crate) fn value(self, text: &str) -> Result<u128, ValueError> {
        let parsed = match self {
            Self::Ipv4 => text.parse::<Ipv4Addr>().ok().map(|a| u128::from(u32::from(a))),
            Self::Ipv6 => text.parse::<Ipv6Addr>().ok().map(u128::from),
            Self::Ether => lexer::mac(text),
            Self::InterfaceName | Self::HelperName => return name(text),
            Self::Time => return time(text),
            Self::CtLabel => return label(text),
            _ => self.symbol(text).or_else(|| number(text)),
        };
        match parsed {
            Some(value) if value <= self.max() => Ok(value),
            Some(_) => Err(ValueError::TooLarge { max: self.max() }),
            None if text.starts_with(|c: char| c.is_ascii_digit()) && text.len() > 38 => {
                Err(ValueError::TooLarge { max: self.max() })
            }
            None => Err(ValueError::Unknown { suggestion: self.suggestion(text) }),
        }
    }

    fn symbol(self, text: &str) -> Option<u128> {
        self.symbols().iter().find(|(name, _)| *name == text).map(|(_, value)| u128::from(*value))
    }

    /// A symbol that the writer may have meant.
    fn suggestion(self, text: &str) -> Option<&'static str> {
        names::nearest(text, self.symbols().iter().map(|(name, _)| *name))
    }

    /// What a value of this type looks like, for hints.
    pub(crate) const fn example(self) -> &'static str {
        match self {
            Self::Ipv4 => "an IPv4 address such as 192.0.2.1 (host names are not looked up)",
            Self::Ipv6 => "an IPv6 address such as 2001:db8::1 (host names are not looked up)",
            Self::Ether => "a MAC address such as 00:16:3e:12:34:56",
            Self::Service => "a port number or a well-known service name such as ssh",
            Self::Protocol => "a protocol number or name such as tcp",
            Self::InterfaceName => "an interface name of at most 15 bytes",
            Self::InterfaceIndex => "an interface index; to match by name use iifname or oifname",
            Self::HelperName => "the name of a helper such as \"ftp\"",
            Self::CtState => "invalid, new, established, related or untracked",
            Self::CtStatus => "expected, seen-reply, assured, confirmed, snat, dnat or dying",
            Self::CtDirection => "original or reply",
            Self::CtLabel => "a label number from 0 to 127",
            Self::TcpFlags => "fin, syn, rst, psh, ack, urg, ecn or cwr",
            Self::NfProtocol => "ipv4 or ipv6",
            Self::PacketType => "host, unicast, broadcast, multicast or other",
            Self::Time => "a duration such as 30s or 1h30m",
            Self::Boolean => "exists or missing",
            Self::Mark | Self::Integer(_) => "a number, decimal or hexadecimal (0x…)",
            _ => "a number or one of the names that nft describes for this type",
        }
    }
}

/// Why a text is no value of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueError {
    Unknown { suggestion: Option<&'static str> },
    TooLarge { max: u128 },
    TooLong,
}

/// A decimal or hexadecimal number.
pub(crate) fn number(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn name(text: &str) -> Result<u128, ValueError> {
    crate::field::name_value(text).ok_or(ValueError::TooLong)
}

fn label(text: &str) -> Result<u128, ValueError> {
    match number(text) {
        Some(bit) if bit < 128 => Ok(1 << bit),
        Some(_) => Err(ValueError::TooLarge { max: 127 }),
        None => Err(ValueError::Unknown { suggestion: None }),
    }
}

fn time(text: &str) -> Result<u128, ValueError> {
    let milliseconds = duration(text).ok_or(ValueError::Unknown { suggestion: None })?;
    let max = DataType::Time.max();
    if u128::from(milliseconds) > max { Err(ValueError::TooLarge { max }) } else { Ok(milliseconds.into()) }
}

/// Milliseconds of `1d2h3m4s5ms`; a number without units is seconds.
pub(crate) fn duration(text: &str) -> Option<u64> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<u64>().ok()?.checked_mul(1000);
    }
    let mut total: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, tail) = rest.split_at_checked(digits)?;
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = tail.split_at_checked(letters)?;
        let scale = match unit {
            "d" => 86_400_000,
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        total = total.checked_add(count.parse::<u64>().ok()?.checked_mul(scale)?)?;
        rest = next;
    }
    Some(total)
}
