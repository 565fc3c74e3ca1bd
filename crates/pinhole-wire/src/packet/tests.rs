use etherparse::{
    IpHeaders, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Extensions, Ipv6Header, Ipv6RawExtHeader,
    PacketBuilder, TcpOptionElement, ip_number,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::TcpFlags;
use crate::checksum::{Checksum, verify_transport};

/// IPv4, DF, TTL 64, TCP 10.0.0.1:4000 → 10.0.0.2:21, SYN, no options.
fn syn() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(4000, 21, 7, 1024)
        .syn()
        .write(&mut bytes, &[])
        .unwrap();
    bytes
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend([0x20; 16]);
    bytes.extend([0x21; 16]);
    bytes.extend(body);
    bytes
}

const UDP_BODY: [u8; 12] = [0x10, 0, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];

fn assert_invariant(packet: &Packet, bytes: &[u8]) {
    assert!(packet.network <= packet.transport_offset, "{packet:?}");
    assert!(packet.transport_offset <= packet.payload, "{packet:?}");
    assert!(packet.payload <= packet.end, "{packet:?}");
    assert!(packet.end as usize <= bytes.len(), "{packet:?}");
    if let Some(fragment) = packet.fragment
        && packet.version == IpVersion::V6
    {
        assert!(fragment.header + 8 <= packet.transport_offset);
        let field = packet.fragment_announcement(bytes).unwrap() as usize;
        assert_eq!(bytes[field], 44);
    }
}

#[test]
fn packet_is_small() {
    assert!(size_of::<Packet>() <= 128, "{}", size_of::<Packet>());
}

#[test]
fn padding_is_ignored() {
    let mut bytes = syn();
    bytes.extend([0xee; 6]);
    let packet = Packet::parse(&bytes, 0).unwrap();
    assert_eq!((packet.end, packet.missing, packet.datagram_length()), (40, 0, 40));
}

#[test]
fn missing_bytes_are_counted() {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([1; 4], [2; 4], 64).tcp(1, 2, 3, 4).write(&mut bytes, &[9; 100]).unwrap();
    let packet = Packet::parse(&bytes[..70], 0).unwrap();
    assert_eq!((packet.end, packet.missing, packet.datagram_length()), (70, 70, 140));
    assert!(matches!(packet.transport, Transport::Tcp(tcp) if tcp.payload_length == 100));
    assert_eq!(packet.payload_bytes(&bytes).len(), 30);
    assert_eq!(verify_transport(&packet, &bytes[..70]), Checksum::Unverifiable);
    assert_eq!(Packet::parse(&bytes[..39], 0).unwrap_err(), ParseError::TransportCut);
    assert_eq!(Packet::parse(&bytes[..19], 0).unwrap_err(), ParseError::HeaderCut);
}

#[test]
fn options_of_tcp_may_be_missing() {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([1; 4], [2; 4], 64)
        .tcp(1, 2, 3, 4)
        .options(&[TcpOptionElement::MaximumSegmentSize(1460), TcpOptionElement::Timestamp(1, 2)])
        .unwrap()
        .write(&mut bytes, &[9; 10])
        .unwrap();
    let cut = &bytes[..46];
    let packet = Packet::parse(cut, 0).unwrap();
    let Transport::Tcp(tcp) = packet.transport else { panic!() };
    assert_eq!(packet.payload, 46);
    assert_eq!(tcp.payload_length, 10);
    let options: Vec<_> = tcp.options(cut, &packet).collect();
    assert_eq!(options.len(), 1);
    assert_eq!(options[0].maximum_segment_size(), Some(1460));
}

#[test]
fn total_length_zero_is_a_superframe() {
    let mut bytes = syn();
    bytes.extend([1; 3000]);
    (bytes[2], bytes[3]) = (0, 0);
    let packet = Packet::parse(&bytes, 0).unwrap();
    assert_eq!((packet.datagram_length(), packet.missing), (3040, 0));
}

#[test]
fn bad_ipv4_headers() {
    let with = |at: usize, value: u8| {
        let mut bytes = syn();
        bytes[at] = value;
        Packet::parse(&bytes, 0).unwrap_err()
    };
    assert_eq!(with(0, 0x44), ParseError::HeaderLength);
    assert_eq!(with(0, 0x55), ParseError::Version);
    assert_eq!(with(3, 19), ParseError::TotalLength);
    assert_eq!(with(3, 30), ParseError::TransportCut);
    assert_eq!(with(32, 0x40), ParseError::Transport);
    assert_eq!(with(32, 0xf0), ParseError::Transport);
    assert_eq!(Packet::parse(&syn(), 1000).unwrap_err(), ParseError::HeaderCut);
    assert_eq!(Packet::parse(&syn(), u32::MAX).unwrap_err(), ParseError::HeaderCut);
    assert_eq!(Packet::parse(&[], 0).unwrap_err(), ParseError::HeaderCut);
}

#[test]
fn header_checksum() {
    let mut bytes = syn();
    assert!(ipv4_header_checksum_ok(&bytes));
    bytes[8] ^= 1;
    assert!(!ipv4_header_checksum_ok(&bytes));
    assert!(!ipv4_header_checksum_ok(&bytes[..19]));
    assert!(!ipv4_header_checksum_ok(&[]));
    assert!(!ipv4_header_checksum_ok(&[0x40; 40]));
}

#[test]
fn udp_length_is_checked() {
    let parse = |length: u16| {
        let mut body = UDP_BODY;
        body[4..6].copy_from_slice(&length.to_be_bytes());
        let bytes = ipv6(17, &body);
        Packet::parse(&bytes, 0).map(|packet| packet.payload_bytes(&bytes).len())
    };
    assert_eq!(parse(12), Ok(4));
    assert_eq!(parse(10), Ok(2), "bytes beyond the UDP length are no payload");
    assert_eq!(parse(8), Ok(0));
    for length in [0, 7, 13, 0xffff] {
        assert_eq!(parse(length), Err(ParseError::Transport), "length {length}");
    }
}

#[test]
fn udplite_coverage_is_checked() {
    let parse = |coverage: u16| {
        let mut body = UDP_BODY;
        body[4..6].copy_from_slice(&coverage.to_be_bytes());
        let bytes = ipv6(136, &body);
        Packet::parse(&bytes, 0).map(|packet| packet.payload_bytes(&bytes).len())
    };
    for coverage in [0, 8, 11, 12] {
        assert_eq!(parse(coverage), Ok(4), "coverage {coverage}");
    }
    for coverage in [1, 7, 13] {
        assert_eq!(parse(coverage), Err(ParseError::Transport), "coverage {coverage}");
    }
}

#[test]
fn every_extension_header_is_walked() {
    let mut body = Vec::new();
    body.extend([43, 0, 1, 4, 0, 0, 0, 0]); // hop-by-hop
    body.extend([60, 0, 4, 0, 0, 0, 0, 0]); // routing, no segments left
    body.extend([51, 1, 1, 4, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0]); // destination options, 16 bytes
    body.extend([135, 4, 0, 0]); // AH, (4 + 2) * 4 bytes
    body.extend([0; 20]);
    body.extend([139, 0, 0, 0, 0, 0, 0, 0]); // mobility
    body.extend([140, 0, 0, 0, 0, 0, 0, 0]); // HIP
    body.extend([17, 0, 0, 0, 0, 0, 0, 0]); // shim6
    body.extend(UDP_BODY);
    let bytes = ipv6(0, &body);
    let packet = Packet::parse(&bytes, 0).unwrap();
    assert_eq!(packet.protocol, Protocol::UDP);
    assert_eq!(packet.transport_offset as usize, bytes.len() - UDP_BODY.len());
    assert_eq!(packet.destination_port(), Some(53));
}

#[test]
fn extension_headers_are_limited() {
    let chain = |count: usize| {
        let mut body: Vec<u8> = (1..count).flat_map(|_| [60, 0, 1, 4, 0, 0, 0, 0]).collect();
        body.extend([17, 0, 1, 4, 0, 0, 0, 0]);
        body.extend(UDP_BODY);
        Packet::parse(&ipv6(60, &body), 0).map(|packet| packet.protocol)
    };
    assert_eq!(chain(EXTENSION_LIMIT), Ok(Protocol::UDP));
    assert_eq!(chain(EXTENSION_LIMIT + 1), Err(ParseError::ExtensionLimit));
}

#[test]
fn cut_and_endless_extension_headers() {
    let parse = |next, body: &[u8]| Packet::parse(&ipv6(next, body), 0).map(|packet| packet.protocol.0);
    assert_eq!(parse(0, &[]), Err(ParseError::ExtensionHeader), "jumbogram");
    assert_eq!(parse(60, &[17, 1, 0, 0, 0, 0, 0, 0]), Err(ParseError::ExtensionHeader));
    assert_eq!(parse(44, &[17, 0, 0, 0]), Err(ParseError::ExtensionHeader));
    assert_eq!(parse(60, &[59, 0, 1, 4, 0, 0, 0, 0]), Ok(59));
    assert_eq!(parse(59, &[1, 2, 3]), Ok(59));
    assert_eq!(parse(135, &[59, 0, 0, 0, 0, 0, 0, 0]), Ok(135), "mobility without anything after it");
    assert_eq!(parse(50, &[1, 2, 3]), Ok(50), "ESP");
    let twice = [44, 0, 0, 0, 0, 0, 0, 1, 17, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(parse(44, &twice), Err(ParseError::ExtensionHeader), "two fragment headers");
}

#[test]
fn ipv6_fragments() {
    let fragment = |offset: u16, more: bool, rest: &[u8]| {
        let mut body = vec![17, 0];
        body.extend((offset | u16::from(more)).to_be_bytes());
        body.extend(77u32.to_be_bytes());
        body.extend(rest);
        ipv6(44, &body)
    };
    let first = fragment(0, true, &[0x10, 0, 0, 53, 0xff, 0, 0, 0]);
    let packet = Packet::parse(&first, 0).unwrap();
    let expected = Fragment { offset: 0, more: true, identification: 77, header: 40 };
    assert_eq!(packet.fragment, Some(expected));
    assert_eq!(packet.source_port(), Some(0x1000), "UDP length beyond a first fragment is fine");
    assert!(packet.has_all_headers(&first));
    assert_eq!(packet.fragment_announcement(&first), Some(6));

    let tiny = fragment(0, true, &[0x10, 0, 0, 53]);
    let packet = Packet::parse(&tiny, 0).unwrap();
    assert!(matches!(packet.transport, Transport::Other));
    assert!(!packet.has_all_headers(&tiny));

    let later = fragment(8, false, &UDP_BODY);
    let packet = Packet::parse(&later, 0).unwrap();
    assert!(matches!(packet.transport, Transport::Other));
    assert_eq!((packet.protocol, packet.transport_offset), (Protocol::UDP, 48));

    let atomic = fragment(0, false, &UDP_BODY);
    let packet = Packet::parse(&atomic, 0).unwrap();
    assert!(packet.fragment.unwrap().is_atomic());
    assert_eq!(packet.payload_bytes(&atomic), [1, 2, 3, 4]);
}

#[test]
fn header_chain_may_end_beyond_a_first_fragment() {
    let bytes = ipv6(44, &[60, 0, 0, 1, 0, 0, 0, 9, 17, 9, 0, 0, 0, 0, 0, 0]);
    let packet = Packet::parse(&bytes, 0).unwrap();
    assert_eq!((packet.protocol.0, packet.transport_offset), (60, 48));
    assert!(!packet.has_all_headers(&bytes));
}

#[test]
fn ipv4_fragments() {
    let mut bytes = syn();
    (bytes[6], bytes[7]) = (0x20, 0x02);
    let packet = Packet::parse(&bytes, 0).unwrap();
    assert_eq!(packet.fragment.map(|f| (f.offset, f.more)), Some((16, true)));
    assert!(matches!(packet.transport, Transport::Other));
    (bytes[6], bytes[7]) = (0x20, 0);
    assert_eq!(Packet::parse(&bytes, 0).unwrap().destination_port(), Some(21));
    bytes[6] = 0x40;
    assert_eq!(Packet::parse(&bytes, 0).unwrap().fragment, None);
}

#[test]
fn quoted_packets_need_eight_bytes_of_transport() {
    let original = syn();
    let error = |quotation: &[u8]| {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
        bytes.extend([3, 3, 0, 0, 0, 0, 0, 0]);
        bytes.extend(quotation);
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes.extend([0xee; 10]); // Ethernet padding is no part of the quotation
        bytes
    };
    for length in 28..=40 {
        let bytes = error(&original[..length]);
        let packet = Packet::parse(&bytes, 0).unwrap();
        let quoted = packet.quoted(&bytes).unwrap().unwrap();
        assert_invariant(&quoted, &bytes);
        assert_eq!(quoted.end, packet.end);
        let Transport::Tcp(tcp) = quoted.transport else { panic!() };
        assert_eq!((tcp.source_port, tcp.destination_port, tcp.sequence), (4000, 21, 7));
        assert_eq!(tcp.flags, if length == 40 { TcpFlags::SYN } else { TcpFlags::empty() });
    }
    let bytes = error(&original[..27]);
    let quoted = Packet::parse(&bytes, 0).unwrap().quoted(&bytes).unwrap();
    assert_eq!(quoted.unwrap_err(), ParseError::TransportCut);
    assert!(Packet::parse(&original, 0).unwrap().quoted(&original).is_none());
}

#[derive(Clone, Debug)]
enum Upper {
    Tcp {
        sequence: u32,
        acknowledgement: Option<u32>,
        window: u16,
        flags: u8,
        options: Vec<TcpOptionElement>,
    },
    Udp,
    Echo {
        identifier: u16,
        sequence: u16,
    },
}

fn tcp_option() -> impl Strategy<Value = TcpOptionElement> {
    prop_oneof![
        any::<u16>().prop_map(TcpOptionElement::MaximumSegmentSize),
        any::<u8>().prop_map(TcpOptionElement::WindowScale),
        Just(TcpOptionElement::SelectiveAcknowledgementPermitted),
        Just(TcpOptionElement::Noop),
        any::<[u32; 4]>().prop_map(|[a, b, c, d]| {
            TcpOptionElement::SelectiveAcknowledgement((a, b), [Some((c, d)), None, None])
        }),
        any::<(u32, u32)>().prop_map(|(value, echo)| TcpOptionElement::Timestamp(value, echo)),
    ]
}

fn upper() -> impl Strategy<Value = Upper> {
    prop_oneof![
        (any::<u32>(), any::<Option<u32>>(), any::<u16>(), any::<u8>(), vec(tcp_option(), 0..3)).prop_map(
            |(sequence, acknowledgement, window, flags, options)| Upper::Tcp {
                sequence,
                acknowledgement,
                window,
                flags,
                options
            }
        ),
        Just(Upper::Udp),
        any::<(u16, u16)>().prop_map(|(identifier, sequence)| Upper::Echo { identifier, sequence }),
    ]
}

fn ipv4_headers() -> impl Strategy<Value = IpHeaders> {
    (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<u8>(), 0u8..64, 0usize..=10).prop_map(
        |(source, destination, ttl, dscp, option_words)| {
            let mut header = Ipv4Header::new(0, ttl, ip_number::TCP, source, destination).unwrap();
            header.dscp = dscp.try_into().unwrap();
            header.options = Ipv4Options::try_from([1u8; 40].get(..option_words * 4).unwrap()).unwrap();
            IpHeaders::Ipv4(header, Ipv4Extensions::default())
        },
    )
}

fn extension() -> impl Strategy<Value = Option<Ipv6RawExtHeader>> {
    proptest::option::of(
        (0usize..6)
            .prop_map(|units| Ipv6RawExtHeader::new_raw(ip_number::TCP, &vec![0; 6 + 8 * units]).unwrap()),
    )
}

fn ipv6_headers() -> impl Strategy<Value = IpHeaders> {
    (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u8>(), any::<u8>(), extension(), extension()).prop_map(
        |(source, destination, hop_limit, traffic_class, hop_by_hop, destination_options)| {
            let header =
                Ipv6Header { source, destination, hop_limit, traffic_class, ..Ipv6Header::default() };
            let extensions = Ipv6Extensions {
                hop_by_hop_options: hop_by_hop,
                destination_options,
                ..Ipv6Extensions::default()
            };
            IpHeaders::Ipv6(header, extensions)
        },
    )
}

fn build(headers: &IpHeaders, upper: &Upper, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xaa; 14];
    let ip = PacketBuilder::ip(headers.clone());
    match upper {
        Upper::Tcp { sequence, acknowledgement, window, flags, options } => {
            let mut tcp = ip.tcp(ports.0, ports.1, *sequence, *window).options(options).unwrap();
            if let Some(number) = acknowledgement {
                tcp = tcp.ack(*number);
            }
            if flags & 1 != 0 {
                tcp = tcp.fin();
            }
            if flags & 2 != 0 {
                tcp = tcp.syn();
            }
            if flags & 4 != 0 {
                tcp = tcp.rst();
            }
            if flags & 8 != 0 {
                tcp = tcp.psh();
            }
            if flags & 0x20 != 0 {
                tcp = tcp.urg(3);
            }
            if flags & 0x40 != 0 {
                tcp = tcp.ece();
            }
            if flags & 0x80 != 0 {
                tcp = tcp.cwr();
            }
            tcp.write(&mut bytes, payload).unwrap();
        }
        Upper::Udp => ip.udp(ports.0, ports.1).write(&mut bytes, payload).unwrap(),
        Upper::Echo { identifier, sequence } => match headers {
            IpHeaders::Ipv4(..) => {
                ip.icmpv4_echo_request(*identifier, *sequence).write(&mut bytes, payload).unwrap();
            }
            IpHeaders::Ipv6(..) => {
                ip.icmpv6_echo_request(*identifier, *sequence).write(&mut bytes, payload).unwrap();
            }
        },
    }
    bytes
}

fn check_options(tcp: &crate::Tcp, bytes: &[u8], packet: &Packet, expected: &[TcpOptionElement]) {
    let expected: Vec<_> = expected.iter().filter(|option| **option != TcpOptionElement::Noop).collect();
    let options: Vec<_> = tcp.options(bytes, packet).collect();
    assert_eq!(options.len(), expected.len());
    for (option, expected) in options.iter().zip(expected) {
        match expected {
            TcpOptionElement::MaximumSegmentSize(size) => {
                assert_eq!(option.maximum_segment_size(), Some(*size));
            }
            TcpOptionElement::WindowScale(shift) => assert_eq!(option.window_scale(), Some(*shift)),
            TcpOptionElement::SelectiveAcknowledgementPermitted => assert!(option.is_sack_permitted()),
            TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                let blocks: Vec<_> = option.sack_blocks().collect();
                assert_eq!(blocks, [Some(*first), rest[0]].into_iter().flatten().collect::<Vec<_>>());
            }
            TcpOptionElement::Timestamp(value, echo) => {
                assert_eq!(option.timestamps(), Some((*value, *echo)));
            }
            TcpOptionElement::Noop => unreachable!(),
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_etherparse(
        headers in prop_oneof![ipv4_headers(), ipv6_headers()],
        upper in upper(),
        ports in any::<(u16, u16)>(),
        payload in vec(any::<u8>(), 0..200),
        padding in 0usize..20,
    ) {
        let mut bytes = build(&headers, &upper, ports, &payload);
        let end = bytes.len();
        bytes.resize(end + padding, 0);
        let packet = Packet::parse(&bytes, 14).unwrap();
        assert_invariant(&packet, &bytes);
        assert_eq!((packet.network, packet.end as usize, packet.missing), (14, end, 0));
        assert!(packet.fragment.is_none());
        match &headers {
            IpHeaders::Ipv4(header, _) => {
                assert_eq!(packet.version, IpVersion::V4);
                assert_eq!(packet.source, Address::v4(header.source));
                assert_eq!(packet.destination, Address::v4(header.destination));
                assert_eq!(packet.hop_limit, header.time_to_live);
                assert_eq!(packet.traffic_class, header.dscp.value() << 2);
                assert!(ipv4_header_checksum_ok(&bytes[14..]));
            }
            IpHeaders::Ipv6(header, _) => {
                assert_eq!(packet.version, IpVersion::V6);
                assert_eq!(packet.source, Address::v6(header.source));
                assert_eq!(packet.destination, Address::v6(header.destination));
                assert_eq!(packet.hop_limit, header.hop_limit);
                assert_eq!(packet.traffic_class, header.traffic_class);
            }
        }
        assert_eq!(packet.payload_bytes(&bytes), &payload[..]);
        match (&upper, &packet.transport) {
            (Upper::Tcp { sequence, acknowledgement, window, flags, options }, Transport::Tcp(tcp)) => {
                assert_eq!((tcp.source_port, tcp.destination_port), ports);
                assert_eq!((tcp.sequence, tcp.window), (*sequence, *window));
                assert_eq!(tcp.acknowledgement, acknowledgement.unwrap_or(0));
                let ack = if acknowledgement.is_some() { 0x10 } else { 0 };
                assert_eq!(tcp.flags.bits(), flags & !0x10 | ack);
                assert_eq!(tcp.urgent, if flags & 0x20 != 0 { 3 } else { 0 });
                assert_eq!(tcp.payload_length as usize, payload.len());
                check_options(tcp, &bytes, &packet, options);
            }
            (Upper::Udp, Transport::Udp(udp)) => {
                assert_eq!((udp.source_port, udp.destination_port), ports);
                assert_eq!(usize::from(udp.length), 8 + payload.len());
            }
            (Upper::Echo { identifier, .. }, Transport::Icmp(icmp)) => {
                assert_eq!(icmp.identifier, *identifier);
                let v4 = packet.version == IpVersion::V4;
                assert_eq!((icmp.kind, icmp.code), (if v4 { 8 } else { 128 }, 0));
                assert!(!icmp.is_error(packet.version));
            }
            (upper, transport) => panic!("{upper:?} became {transport:?}"),
        }
        assert_eq!(verify_transport(&packet, &bytes), Checksum::Good);
        // One flipped bit of the payload is noticed.
        if !payload.is_empty() {
            bytes[end - 1] ^= 0x10;
            assert_ne!(verify_transport(&packet, &bytes), Checksum::Good);
        }
    }

    #[test]
    fn truncated_packets_keep_the_invariant(
        headers in prop_oneof![ipv4_headers(), ipv6_headers()],
        upper in upper(),
        payload in vec(any::<u8>(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = build(&headers, &upper, (1, 2), &payload);
        let whole = Packet::parse(&bytes, 14).unwrap();
        let cut = &bytes[..cut.index(bytes.len() + 1)];
        if let Ok(packet) = Packet::parse(cut, 14) {
            assert_invariant(&packet, cut);
            assert_eq!(packet.datagram_length(), whole.datagram_length());
            assert_eq!(packet.source_port(), whole.source_port());
        }
    }

    #[test]
    fn random_bytes_keep_the_invariant(
        mut bytes in vec(any::<u8>(), 0..160),
        network in 0u32..170,
        version in prop::sample::select(vec![0x45u8, 0x46, 0x4f, 0x60, 0x6f]),
        protocol in prop::sample::select(vec![0u8, 1, 6, 17, 33, 43, 44, 47, 51, 58, 60, 132, 135, 136, 139]),
        short in any::<bool>(),
    ) {
        // Random headers are nearly always refused at once: make some plausible.
        if let Some(datagram) = bytes.get_mut(network as usize..) {
            let length = datagram.len() as u8;
            if let [first, _, length_high, length_low, v6_high, v6_low, next, _, _, proto, ..] = datagram {
                *first = version;
                (*length_high, *length_low) = (0, length);
                if short {
                    (*v6_high, *v6_low) = (0, length.saturating_sub(40));
                }
                (*next, *proto) = (if version >> 4 == 6 { protocol } else { *next }, protocol);
            }
        }
        for result in [
            Packet::parse(&bytes, network),
            Packet::parse_quoted(&bytes, network),
            Packet::parse_network(&bytes, network),
        ] {
            let Ok(packet) = result else { continue };
            assert_invariant(&packet, &bytes);
            verify_transport(&packet, &bytes);
            packet.payload_bytes(&bytes);
            packet.has_all_headers(&bytes);
            if let Some(Ok(quoted)) = packet.quoted(&bytes) {
                assert_invariant(&quoted, &bytes);
                assert!(quoted.end <= packet.end);
            }
            if let Transport::Tcp(tcp) = &packet.transport {
                let blocks = tcp.options(&bytes, &packet).map(|option| option.sack_blocks().count()).sum::<usize>();
                assert!(blocks <= 4);
            }
        }
    }
}
