//! What a rule can ask about a packet: the numbers ([`Field`]) and the names ([`NameField`]).

use std::fmt;

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A number that a rule may load from a packet, its conn or its way through the host.
        ///
        /// Values are plain integers: addresses are the big-endian integer of their bytes (an IPv4 address is its
        /// `u32`), header fields are in host order. A packet that has no such field yields `None`, and the rule does
        /// not match.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Field { $($(#[$doc])* $name,)* }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The field as nft spells it.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

fields! {
    /// Conntrack state as nft's bit mask: invalid 1, established 2, related 4, new 8, untracked 64. Always present.
    CtState = "ct state",
    /// Status bits (`IPS_*`): expected 1, seen-reply 2, assured 4, confirmed 8, snat 16, dnat 32, dying 512.
    CtStatus = "ct status",
    /// 0 original, 1 reply.
    CtDirection = "ct direction",
    /// Mark of the conn.
    CtMark = "ct mark",
    /// Milliseconds until the conn expires.
    CtExpiration = "ct expiration",
    /// Zone of the conn.
    CtZone = "ct zone",
    /// Identity of the conn.
    CtId = "ct id",
    /// Labels of the conn, bit n for label n.
    CtLabel = "ct label",
    /// Layer 3 protocol of the conn: 2 IPv4, 10 IPv6.
    CtL3Protocol = "ct l3proto",
    /// Layer 4 protocol of the conn.
    CtProtocol = "ct protocol",
    /// IPv4 source of the original tuple.
    CtOriginalIp4Source = "ct original ip saddr",
    /// IPv4 destination of the original tuple.
    CtOriginalIp4Destination = "ct original ip daddr",
    /// IPv6 source of the original tuple.
    CtOriginalIp6Source = "ct original ip6 saddr",
    /// IPv6 destination of the original tuple.
    CtOriginalIp6Destination = "ct original ip6 daddr",
    /// Source port (or id) of the original tuple.
    CtOriginalSourcePort = "ct original proto-src",
    /// Destination port of the original tuple.
    CtOriginalDestinationPort = "ct original proto-dst",
    /// IPv4 source of the reply tuple.
    CtReplyIp4Source = "ct reply ip saddr",
    /// IPv4 destination of the reply tuple.
    CtReplyIp4Destination = "ct reply ip daddr",
    /// IPv6 source of the reply tuple.
    CtReplyIp6Source = "ct reply ip6 saddr",
    /// IPv6 destination of the reply tuple.
    CtReplyIp6Destination = "ct reply ip6 daddr",
    /// Source port of the reply tuple.
    CtReplySourcePort = "ct reply proto-src",
    /// Destination port (or id) of the reply tuple.
    CtReplyDestinationPort = "ct reply proto-dst",
    /// Packets of the conn, both directions.
    CtPackets = "ct packets",
    /// Packets in the original direction.
    CtOriginalPackets = "ct original packets",
    /// Packets in the reply direction.
    CtReplyPackets = "ct reply packets",
    /// Bytes of the conn, both directions.
    CtBytes = "ct bytes",
    /// Bytes in the original direction.
    CtOriginalBytes = "ct original bytes",
    /// Bytes in the reply direction.
    CtReplyBytes = "ct reply bytes",
    /// Bytes per packet, both directions.
    CtAveragePacket = "ct avgpkt",
    /// Bytes per packet in the original direction.
    CtOriginalAveragePacket = "ct original avgpkt",
    /// Bytes per packet in the reply direction.
    CtReplyAveragePacket = "ct reply avgpkt",
    /// Layer 4 protocol, after the extension headers.
    L4Protocol = "meta l4proto",
    /// Family of the packet: 2 IPv4, 10 IPv6. Always present.
    NfProtocol = "meta nfproto",
    /// EtherType of the network layer: 0x0800 or 0x86dd.
    EtherProtocol = "meta protocol",
    /// Length of the datagram in bytes, IP header included. Always present.
    Length = "meta length",
    /// Mark of the packet.
    Mark = "meta mark",
    /// Index of the interface it came in by.
    InterfaceIn = "meta iif",
    /// Index of the interface it goes out by.
    InterfaceOut = "meta oif",
    /// 0 host, 1 broadcast, 2 multicast, 3 other.
    PacketType = "meta pkttype",
    /// Source MAC address.
    EtherSource = "ether saddr",
    /// Destination MAC address.
    EtherDestination = "ether daddr",
    /// EtherType of the frame.
    EtherType = "ether type",
    /// IPv4 version (4).
    Ip4Version = "ip version",
    /// IPv4 header length in 32-bit words.
    Ip4HeaderLength = "ip hdrlength",
    /// IPv4 differentiated services code point.
    Ip4Dscp = "ip dscp",
    /// IPv4 explicit congestion notification.
    Ip4Ecn = "ip ecn",
    /// IPv4 total length.
    Ip4Length = "ip length",
    /// IPv4 identification.
    Ip4Id = "ip id",
    /// IPv4 flags and fragment offset, all 16 bits.
    Ip4FragmentOffset = "ip frag-off",
    /// IPv4 time to live.
    Ip4Ttl = "ip ttl",
    /// IPv4 protocol.
    Ip4Protocol = "ip protocol",
    /// IPv4 header checksum.
    Ip4Checksum = "ip checksum",
    /// IPv4 source.
    Ip4Source = "ip saddr",
    /// IPv4 destination.
    Ip4Destination = "ip daddr",
    /// IPv6 version (6).
    Ip6Version = "ip6 version",
    /// IPv6 differentiated services code point.
    Ip6Dscp = "ip6 dscp",
    /// IPv6 explicit congestion notification.
    Ip6Ecn = "ip6 ecn",
    /// IPv6 flow label.
    Ip6FlowLabel = "ip6 flowlabel",
    /// IPv6 payload length.
    Ip6Length = "ip6 length",
    /// IPv6 next header of the fixed header.
    Ip6NextHeader = "ip6 nexthdr",
    /// IPv6 hop limit.
    Ip6HopLimit = "ip6 hoplimit",
    /// IPv6 source.
    Ip6Source = "ip6 saddr",
    /// IPv6 destination.
    Ip6Destination = "ip6 daddr",
    /// 1 if the packet has a hop-by-hop options header, else 0; `None` unless IPv6.
    HasHopByHop = "exthdr hbh",
    /// 1 if the packet has a destination options header, else 0; `None` unless IPv6.
    HasDestinationOptions = "exthdr dst",
    /// 1 if the packet has a routing header, else 0; `None` unless IPv6.
    HasRouting = "exthdr rt",
    /// 1 if the packet has a fragment header, else 0; `None` unless IPv6.
    HasFragment = "exthdr frag",
    /// 1 if the packet has a mobility header, else 0; `None` unless IPv6.
    HasMobility = "exthdr mh",
    /// Source port of whatever transport has ports there (TCP, UDP, UDP-Lite, SCTP, DCCP).
    SourcePort = "th sport",
    /// Destination port of whatever transport has ports there.
    DestinationPort = "th dport",
    /// TCP sequence number.
    TcpSequence = "tcp sequence",
    /// TCP acknowledgement number.
    TcpAcknowledgement = "tcp ackseq",
    /// TCP data offset in 32-bit words.
    TcpDataOffset = "tcp doff",
    /// TCP flags: fin 1, syn 2, rst 4, psh 8, ack 16, urg 32, ecn 64, cwr 128.
    TcpFlags = "tcp flags",
    /// TCP window, unscaled.
    TcpWindow = "tcp window",
    /// TCP checksum.
    TcpChecksum = "tcp checksum",
    /// TCP urgent pointer.
    TcpUrgentPointer = "tcp urgptr",
    /// Value of the TCP maximum segment size option.
    TcpMaximumSegment = "tcp option maxseg size",
    /// UDP or UDP-Lite length field.
    UdpLength = "udp length",
    /// UDP or UDP-Lite checksum.
    UdpChecksum = "udp checksum",
    /// SCTP verification tag.
    SctpVerificationTag = "sctp vtag",
    /// DCCP packet type.
    DccpType = "dccp type",
    /// ICMP type.
    IcmpType = "icmp type",
    /// ICMP code.
    IcmpCode = "icmp code",
    /// ICMP checksum.
    IcmpChecksum = "icmp checksum",
    /// ICMP echo identifier; `None` unless echo request or reply.
    IcmpId = "icmp id",
    /// ICMP echo sequence number; `None` unless echo request or reply.
    IcmpSequence = "icmp sequence",
    /// ICMP next-hop MTU; `None` unless destination unreachable.
    IcmpMtu = "icmp mtu",
    /// ICMP redirect gateway; `None` unless redirect.
    IcmpGateway = "icmp gateway",
    /// ICMPv6 type.
    Icmp6Type = "icmpv6 type",
    /// ICMPv6 code.
    Icmp6Code = "icmpv6 code",
    /// ICMPv6 checksum.
    Icmp6Checksum = "icmpv6 checksum",
    /// ICMPv6 echo identifier; `None` unless echo request or reply.
    Icmp6Id = "icmpv6 id",
    /// ICMPv6 echo sequence number; `None` unless echo request or reply.
    Icmp6Sequence = "icmpv6 sequence",
    /// ICMPv6 MTU; `None` unless packet too big.
    Icmp6Mtu = "icmpv6 mtu",
    /// ICMPv6 pointer; `None` unless parameter problem.
    Icmp6ParameterProblem = "icmpv6 parameter-problem",
    /// ICMPv6 maximum response delay; `None` unless a listener query or report.
    Icmp6MaximumDelay = "icmpv6 max-delay",
}

impl Field {
    /// Whether all packets of a conn that go in the same direction, in the same state, have the same value.
    pub const fn is_of_flow(self) -> bool {
        matches!(
            self,
            Self::CtState
                | Self::CtDirection
                | Self::CtZone
                | Self::CtL3Protocol
                | Self::CtProtocol
                | Self::CtOriginalIp4Source
                | Self::CtOriginalIp4Destination
                | Self::CtOriginalIp6Source
                | Self::CtOriginalIp6Destination
                | Self::CtOriginalSourcePort
                | Self::CtOriginalDestinationPort
                | Self::CtReplyIp4Source
                | Self::CtReplyIp4Destination
                | Self::CtReplyIp6Source
                | Self::CtReplyIp6Destination
                | Self::CtReplySourcePort
                | Self::CtReplyDestinationPort
                | Self::L4Protocol
                | Self::NfProtocol
                | Self::EtherProtocol
                | Self::InterfaceIn
                | Self::InterfaceOut
                | Self::Ip4Version
                | Self::Ip4Protocol
                | Self::Ip4Source
                | Self::Ip4Destination
                | Self::Ip6Version
                | Self::Ip6NextHeader
                | Self::Ip6Source
                | Self::Ip6Destination
                | Self::SourcePort
                | Self::DestinationPort
        )
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// A name that a rule may load: at most 15 bytes, as the kernel has it. Longer names never match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameField {
    /// Name of the interface it came in by.
    InterfaceIn,
    /// Name of the interface it goes out by.
    InterfaceOut,
    /// Name of the helper of the conn's *master*; `None` if the conn was not expected. A control conn does not match
    /// its own helper, as in the kernel.
    CtHelper,
}

/// Longest name, in bytes (`IFNAMSIZ` and `NF_CT_HELPER_NAME_LEN` are 16 with the final zero).
pub(crate) const LONGEST_NAME: usize = 15;

/// A name as a number, padded with zeros on the right, so that names and `eth*` prefixes compare as intervals.
pub(crate) fn name_value(name: &str) -> Option<u128> {
    let mut bytes = [0; 16];
    let name = name.as_bytes();
    if name.len() > LONGEST_NAME {
        return None;
    }
    bytes.get_mut(..name.len())?.copy_from_slice(name);
    Some(u128::from_be_bytes(bytes))
}

/// Where a loaded number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Field(Field),
    Name(NameField),
}
