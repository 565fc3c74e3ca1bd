//! The left-hand sides of matches: which words name which field, what type it has, and what it implies of the packet.

use crate::datatype::DataType;
use crate::field::{Field, NameField, Origin};
use crate::ruleset::Family;

const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const SCTP: u8 = 132;
const UDPLITE: u8 = 136;
const ICMP: u8 = 1;
const ICMP6: u8 = 58;

/// Something that can be loaded from a packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Selector {
    pub(crate) origin: Origin,
    pub(crate) datatype: DataType,
    /// Family the packet must have.
    pub(crate) family: Option<Family>,
    /// Layer 4 protocol the packet must have.
    pub(crate) l4: Option<u8>,
}

/// What a protocol's or meta keyword leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found {
    Selector(Selector),
    /// nft has it, this crate does not; why.
    Unsupported(&'static str),
    Unknown,
}

const fn plain(field: Field, datatype: DataType) -> Found {
    Found::Selector(Selector { origin: Origin::Field(field), datatype, family: None, l4: None })
}

const fn name(field: NameField, datatype: DataType) -> Found {
    Found::Selector(Selector { origin: Origin::Name(field), datatype, family: None, l4: None })
}

const fn of(family: Option<Family>, l4: Option<u8>, field: Field, datatype: DataType) -> Found {
    Found::Selector(Selector { origin: Origin::Field(field), datatype, family, l4 })
}

const NO_SOCKETS: &str =
    "packets from a capture or a wire have no local socket; match addresses and ports instead";
const NO_CLOCK: &str = "decisions must not depend on the clock's time zone; remove the condition";

/// Keys of `meta`; `qualified` tells whether the word `meta` was written.
pub(crate) fn meta(key: &str, qualified: bool) -> Found {
    match key {
        "iifname" => name(NameField::InterfaceIn, DataType::InterfaceName),
        "oifname" => name(NameField::InterfaceOut, DataType::InterfaceName),
        "iif" => plain(Field::InterfaceIn, DataType::InterfaceIndex),
        "oif" => plain(Field::InterfaceOut, DataType::InterfaceIndex),
        "mark" => plain(Field::Mark, DataType::Mark),
        "pkttype" => plain(Field::PacketType, DataType::PacketType),
        "iiftype" | "oiftype" | "iifgroup" | "oifgroup" | "iifkind" | "oifkind" => {
            Found::Unsupported("interfaces are known by name only; use iifname or oifname")
        }
        "skuid" | "skgid" | "cgroup" => Found::Unsupported(NO_SOCKETS),
        "nftrace" => Found::Unsupported("every decision is explained anyway; remove it"),
        "rtclassid" | "cpu" | "ipsec" | "ibrname" | "obrname" | "ibriport" | "obriport" | "ibrpvid"
        | "ibrvproto" | "sdif" | "sdifname" => {
            Found::Unsupported("the engine has no such thing; remove the condition")
        }
        _ if !qualified => Found::Unknown,
        "l4proto" => plain(Field::L4Protocol, DataType::Protocol),
        "nfproto" => plain(Field::NfProtocol, DataType::NfProtocol),
        "protocol" => plain(Field::EtherProtocol, DataType::EtherType),
        "length" => plain(Field::Length, DataType::Integer(32)),
        "time" | "day" | "hour" => Found::Unsupported(NO_CLOCK),
        "priority" | "random" | "secmark" | "secpath" | "broute" => {
            Found::Unsupported("the engine has no such thing; remove the condition")
        }
        _ => Found::Unknown,
    }
}

/// Which tuple or counter of a conn is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CtDirection {
    Both,
    Original,
    Reply,
}

/// Keys of `ct`. `family` is the one written (`ct original ip saddr`) or the table's.
pub(crate) fn ct(key: &str, direction: CtDirection, family: Option<Family>) -> Found {
    use CtDirection::{Both, Original, Reply};
    let counter = |both, original, reply| {
        let field = match direction {
            Both => both,
            Original => original,
            Reply => reply,
        };
        plain(field, DataType::Integer(64))
    };
    match (key, direction) {
        ("packets", _) => counter(Field::CtPackets, Field::CtOriginalPackets, Field::CtReplyPackets),
        ("bytes", _) => counter(Field::CtBytes, Field::CtOriginalBytes, Field::CtReplyBytes),
        ("avgpkt", _) => {
            counter(Field::CtAveragePacket, Field::CtOriginalAveragePacket, Field::CtReplyAveragePacket)
        }
        ("zone", _) => plain(Field::CtZone, DataType::Integer(16)),
        ("l3proto", _) => plain(Field::CtL3Protocol, DataType::NfProtocol),
        ("protocol", _) => plain(Field::CtProtocol, DataType::Protocol),
        ("proto-src", Original) => plain(Field::CtOriginalSourcePort, DataType::Service),
        ("proto-dst", Original) => plain(Field::CtOriginalDestinationPort, DataType::Service),
        ("proto-src", Reply) => plain(Field::CtReplySourcePort, DataType::Service),
        ("proto-dst", Reply) => plain(Field::CtReplyDestinationPort, DataType::Service),
        ("saddr" | "daddr", Original | Reply) => ct_address(key == "saddr", direction == Original, family),
        ("state", Both) => plain(Field::CtState, DataType::CtState),
        ("status", Both) => plain(Field::CtStatus, DataType::CtStatus),
        ("direction", Both) => plain(Field::CtDirection, DataType::CtDirection),
        ("mark", Both) => plain(Field::CtMark, DataType::Mark),
        ("expiration", Both) => plain(Field::CtExpiration, DataType::Time),
        ("id", Both) => plain(Field::CtId, DataType::Integer(32)),
        ("label", Both) => plain(Field::CtLabel, DataType::CtLabel),
        ("helper", Both) => name(NameField::CtHelper, DataType::HelperName),
        ("count", Both) => {
            Found::Unsupported("conns are not counted by rules; use `limit rate` to bound new ones")
        }
        ("secmark" | "event", Both) => Found::Unsupported("the engine has no such thing; remove it"),
        _ => Found::Unknown,
    }
}

fn ct_address(source: bool, original: bool, family: Option<Family>) -> Found {
    let Some(family) = family else { return Found::Unknown };
    let (field, datatype) = match (family, original, source) {
        (Family::Ip, true, true) => (Field::CtOriginalIp4Source, DataType::Ipv4),
        (Family::Ip, true, false) => (Field::CtOriginalIp4Destination, DataType::Ipv4),
        (Family::Ip, false, true) => (Field::CtReplyIp4Source, DataType::Ipv4),
        (Family::Ip, false, false) => (Field::CtReplyIp4Destination, DataType::Ipv4),
        (Family::Ip6, true, true) => (Field::CtOriginalIp6Source, DataType::Ipv6),
        (Family::Ip6, true, false) => (Field::CtOriginalIp6Destination, DataType::Ipv6),
        (Family::Ip6, false, true) => (Field::CtReplyIp6Source, DataType::Ipv6),
        (Family::Ip6, false, false) => (Field::CtReplyIp6Destination, DataType::Ipv6),
    };
    plain(field, datatype)
}

/// Words that begin a match on a header.
pub(crate) const HEADERS: &[&str] = &[
    "ip", "ip6", "tcp", "udp", "udplite", "sctp", "dccp", "th", "icmp", "icmpv6", "ether", "vlan", "arp",
    "ah", "esp", "comp", "igmp", "exthdr", "rt", "frag", "hbh", "dst", "mh", "srh", "rt0", "rt2", "rt4",
    "gre", "vxlan", "geneve", "gretap",
];

/// Fields of a header.
pub(crate) fn header(header: &str, key: &str) -> Found {
    match header {
        "ip" => ip(key),
        "ip6" => ip6(key),
        "tcp" => tcp(key),
        "udp" => udp(UDP, key),
        "udplite" => udp(UDPLITE, key),
        "sctp" => sctp(key),
        "dccp" => dccp(key),
        "th" => ports(None, key),
        "icmp" => icmp(key),
        "icmpv6" => icmp6(key),
        "ether" => ether(key),
        "vlan" => {
            Found::Unsupported("rules see the datagram inside the tag; match addresses or interface names")
        }
        "arp" => Found::Unsupported("only IPv4 and IPv6 datagrams reach the rules"),
        "rt" => Found::Unsupported("the rules know no routes; match addresses or oifname"),
        _ => {
            Found::Unsupported("match the protocol with `meta l4proto` or the header with `exthdr … exists`")
        }
    }
}

fn ip(key: &str) -> Found {
    let (field, datatype) = match key {
        "version" => (Field::Ip4Version, DataType::Integer(4)),
        "hdrlength" => (Field::Ip4HeaderLength, DataType::Integer(4)),
        "dscp" => (Field::Ip4Dscp, DataType::Dscp),
        "ecn" => (Field::Ip4Ecn, DataType::Ecn),
        "length" => (Field::Ip4Length, DataType::Integer(16)),
        "id" => (Field::Ip4Id, DataType::Integer(16)),
        "frag-off" => (Field::Ip4FragmentOffset, DataType::Integer(16)),
        "ttl" => (Field::Ip4Ttl, DataType::Integer(8)),
        "protocol" => (Field::Ip4Protocol, DataType::Protocol),
        "checksum" => (Field::Ip4Checksum, DataType::Integer(16)),
        "saddr" => (Field::Ip4Source, DataType::Ipv4),
        "daddr" => (Field::Ip4Destination, DataType::Ipv4),
        "option" => return Found::Unsupported("IPv4 options are not visible to rules"),
        _ => return Found::Unknown,
    };
    of(Some(Family::Ip), None, field, datatype)
}

fn ip6(key: &str) -> Found {
    let (field, datatype) = match key {
        "version" => (Field::Ip6Version, DataType::Integer(4)),
        "dscp" => (Field::Ip6Dscp, DataType::Dscp),
        "ecn" => (Field::Ip6Ecn, DataType::Ecn),
        "flowlabel" => (Field::Ip6FlowLabel, DataType::Integer(20)),
        "length" => (Field::Ip6Length, DataType::Integer(16)),
        "nexthdr" => (Field::Ip6NextHeader, DataType::Protocol),
        "hoplimit" => (Field::Ip6HopLimit, DataType::Integer(8)),
        "saddr" => (Field::Ip6Source, DataType::Ipv6),
        "daddr" => (Field::Ip6Destination, DataType::Ipv6),
        _ => return Found::Unknown,
    };
    of(Some(Family::Ip6), None, field, datatype)
}

fn ports(l4: Option<u8>, key: &str) -> Found {
    match key {
        "sport" => of(None, l4, Field::SourcePort, DataType::Service),
        "dport" => of(None, l4, Field::DestinationPort, DataType::Service),
        _ => Found::Unknown,
    }
}

fn tcp(key: &str) -> Found {
    let (field, datatype) = match key {
        "sequence" => (Field::TcpSequence, DataType::Integer(32)),
        "ackseq" => (Field::TcpAcknowledgement, DataType::Integer(32)),
        "doff" => (Field::TcpDataOffset, DataType::Integer(4)),
        "flags" => (Field::TcpFlags, DataType::TcpFlags),
        "window" => (Field::TcpWindow, DataType::Integer(16)),
        "checksum" => (Field::TcpChecksum, DataType::Integer(16)),
        "urgptr" => (Field::TcpUrgentPointer, DataType::Integer(16)),
        "reserved" => return Found::Unsupported("match the flags instead"),
        _ => return ports(Some(TCP), key),
    };
    of(None, Some(TCP), field, datatype)
}

/// Options of TCP.
pub(crate) fn tcp_option(option: &str, field: &str) -> Found {
    match (option, field) {
        ("maxseg" | "mss", "size") => of(None, Some(TCP), Field::TcpMaximumSegment, DataType::Integer(16)),
        _ => Found::Unsupported("of the TCP options only `maxseg size` is visible to rules"),
    }
}

fn udp(l4: u8, key: &str) -> Found {
    match key {
        "length" if l4 == UDP => of(None, Some(l4), Field::UdpLength, DataType::Integer(16)),
        "checksum" => of(None, Some(l4), Field::UdpChecksum, DataType::Integer(16)),
        "csumcov" if l4 == UDPLITE => of(None, Some(l4), Field::UdpLength, DataType::Integer(16)),
        _ => ports(Some(l4), key),
    }
}

fn sctp(key: &str) -> Found {
    match key {
        "vtag" => of(None, Some(SCTP), Field::SctpVerificationTag, DataType::Integer(32)),
        "checksum" | "chunk" => Found::Unsupported("of SCTP only sport, dport and vtag are visible to rules"),
        _ => ports(Some(SCTP), key),
    }
}

fn dccp(key: &str) -> Found {
    match key {
        "type" => of(None, Some(DCCP), Field::DccpType, DataType::DccpType),
        "option" => Found::Unsupported("DCCP options are not visible to rules"),
        _ => ports(Some(DCCP), key),
    }
}

fn icmp(key: &str) -> Found {
    let (field, datatype) = match key {
        "type" => (Field::IcmpType, DataType::IcmpType),
        "code" => (Field::IcmpCode, DataType::IcmpCode),
        "checksum" => (Field::IcmpChecksum, DataType::Integer(16)),
        "id" => (Field::IcmpId, DataType::Integer(16)),
        "sequence" => (Field::IcmpSequence, DataType::Integer(16)),
        "mtu" => (Field::IcmpMtu, DataType::Integer(16)),
        "gateway" => (Field::IcmpGateway, DataType::Integer(32)),
        _ => return Found::Unknown,
    };
    of(Some(Family::Ip), Some(ICMP), field, datatype)
}

fn icmp6(key: &str) -> Found {
    let (field, datatype) = match key {
        "type" => (Field::Icmp6Type, DataType::Icmp6Type),
        "code" => (Field::Icmp6Code, DataType::Icmp6Code),
        "checksum" => (Field::Icmp6Checksum, DataType::Integer(16)),
        "id" => (Field::Icmp6Id, DataType::Integer(16)),
        "sequence" => (Field::Icmp6Sequence, DataType::Integer(16)),
        "mtu" => (Field::Icmp6Mtu, DataType::Integer(32)),
        "parameter-problem" => (Field::Icmp6ParameterProblem, DataType::Integer(32)),
        "max-delay" => (Field::Icmp6MaximumDelay, DataType::Integer(16)),
        _ => return Found::Unknown,
    };
    of(Some(Family::Ip6), Some(ICMP6), field, datatype)
}

fn ether(key: &str) -> Found {
    match key {
        "saddr" => plain(Field::EtherSource, DataType::Ether),
        "daddr" => plain(Field::EtherDestination, DataType::Ether),
        "type" => plain(Field::EtherType, DataType::EtherType),
        _ => Found::Unknown,
    }
}

/// Headers that `exthdr … exists` can ask for.
pub(crate) fn extension(header: &str) -> Found {
    let field = match header {
        "hbh" => Field::HasHopByHop,
        "dst" => Field::HasDestinationOptions,
        "rt" => Field::HasRouting,
        "frag" => Field::HasFragment,
        "mh" => Field::HasMobility,
        _ => return Found::Unknown,
    };
    of(Some(Family::Ip6), None, field, DataType::Boolean)
}
