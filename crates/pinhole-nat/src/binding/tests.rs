//! Invertibility and checksums, on generated packets of every protocol.

use super::*;
use pinhole_wire::checksum::{Sum, verify_transport};
use pinhole_wire::{Checksum, ipv4_header_checksum_ok};
use proptest::prelude::*;

/// Offsets of a datagram's parts, for building one.
fn datagram(version: IpVersion, protocol: Protocol, ends: &Ends, payload: &[u8]) -> Vec<u8> {
    let mut upper = upper(protocol, ends, payload);
    let pseudo = Sum::pseudo_header(version, ends.source, ends.destination, protocol, upper.len() as u32);
    let (at, sum) = match protocol {
        Protocol::TCP => (16, pseudo),
        Protocol::UDP | Protocol::UDPLITE | Protocol::DCCP => (6, pseudo),
        Protocol::ICMPV6 => (2, pseudo),
        Protocol::ICMP => (2, Sum::ZERO),
        _ => (usize::MAX, Sum::ZERO),
    };
    if at != usize::MAX {
        let field = sum.add_bytes(&upper).udp_checksum();
        upper[at..at + 2].copy_from_slice(&field.to_be_bytes());
    }
    if protocol == Protocol::SCTP {
        let crc = crc32c(&[&upper]).to_le_bytes();
        upper[8..12].copy_from_slice(&crc);
    }
    let mut bytes = Vec::new();
    match version {
        IpVersion::V4 => {
            bytes.extend([0x45, 0]);
            bytes.extend((20 + upper.len() as u16).to_be_bytes());
            bytes.extend([7, 7, 0, 0, 64, protocol.0, 0, 0]);
            bytes.extend(ends.source.v4_octets());
            bytes.extend(ends.destination.v4_octets());
            let checksum = Sum::of(&bytes).checksum().to_be_bytes();
            bytes[10..12].copy_from_slice(&checksum);
        }
        IpVersion::V6 => {
            bytes.extend([0x60, 0, 0, 0]);
            bytes.extend((upper.len() as u16).to_be_bytes());
            bytes.extend([protocol.0, 64]);
            bytes.extend(ends.source.0);
            bytes.extend(ends.destination.0);
        }
    }
    bytes.extend(upper);
    bytes
}

fn upper(protocol: Protocol, ends: &Ends, payload: &[u8]) -> Vec<u8> {
    let mut upper = Vec::new();
    match protocol {
        Protocol::ICMP => upper.extend([8, 0, 0, 0]),
        Protocol::ICMPV6 => upper.extend([128, 0, 0, 0]),
        Protocol::GRE => upper.extend([0x20, 0x01, 0x88, 0x0b, 0, 0]),
        _ => {
            upper.extend(ends.source_port.to_be_bytes());
            upper.extend(ends.destination_port.to_be_bytes());
        }
    }
    match protocol {
        Protocol::TCP => upper.extend([0, 0, 0, 9, 0, 0, 0, 8, 0x50, 0x10, 0x20, 0, 0, 0, 0, 0]),
        Protocol::UDP | Protocol::UDPLITE => {
            upper.extend((8 + payload.len() as u16).to_be_bytes());
            upper.extend([0, 0]);
        }
        Protocol::DCCP => upper.extend([4, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 1]),
        Protocol::SCTP => upper.extend([1, 2, 3, 4, 0, 0, 0, 0]),
        Protocol::GRE => upper.extend(ends.destination_port.to_be_bytes()),
        _ => {
            upper.extend(ends.source_port.to_be_bytes());
            upper.extend([0, 1]);
        }
    }
    upper.extend(payload);
    upper
}

/// An ICMP error from `router` to `to` that quotes `quoted`.
fn error(version: IpVersion, router: Address, to: Address, quoted: &[u8]) -> Vec<u8> {
    let (protocol, kind) = match version {
        IpVersion::V4 => (Protocol::ICMP, 3),
        IpVersion::V6 => (Protocol::ICMPV6, 1),
    };
    let ends = Ends { source: router, destination: to, source_port: 0, destination_port: 0 };
    let mut bytes = datagram(version, protocol, &ends, quoted);
    let at = if version == IpVersion::V4 { 20 } else { 40 };
    bytes[at..at + 8].copy_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
    let length = (bytes.len() - at) as u32;
    let pseudo = match version {
        IpVersion::V4 => Sum::ZERO,
        IpVersion::V6 => Sum::pseudo_header(version, router, to, protocol, length),
    };
    let field = pseudo.add_bytes(&bytes[at..]).checksum();
    bytes[at + 2..at + 4].copy_from_slice(&field.to_be_bytes());
    bytes
}

fn tuple(version: IpVersion, protocol: Protocol, ends: &Ends) -> Tuple {
    Tuple {
        source: ends.source,
        destination: ends.destination,
        source_port: ends.source_port,
        destination_port: ends.destination_port,
        protocol,
        version,
        zone: 0,
    }
}

fn is_query(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::ICMP | Protocol::ICMPV6)
}

#[derive(Clone, Debug)]
struct Case {
    version: IpVersion,
    protocol: Protocol,
    original: Ends,
    reply: Ends,
    payload: Vec<u8>,
}

fn case() -> impl Strategy<Value = Case> {
    let protocols = prop::sample::select(vec![
        Protocol::TCP,
        Protocol::UDP,
        Protocol::UDPLITE,
        Protocol::SCTP,
        Protocol::DCCP,
        Protocol::ICMP,
        Protocol::GRE,
        Protocol(99),
    ]);
    let addresses = any::<[[u8; 16]; 4]>();
    let ports = any::<[u16; 4]>();
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    (protocols, any::<bool>(), addresses, ports, payload).prop_map(
        |(protocol, v4, addresses, ports, payload)| {
            let (version, address): (_, fn([u8; 16]) -> Address) = if v4 {
                (IpVersion::V4, |bytes| Address::v4([bytes[0], bytes[1], bytes[2], bytes[3]]))
            } else {
                (IpVersion::V6, Address)
            };
            let protocol = if protocol == Protocol::ICMP && !v4 { Protocol::ICMPV6 } else { protocol };
            let [a, b, c, d] = addresses.map(address);
            let ports = if protocol == Protocol(99) { [0; 4] } else { ports };
            // A GRE packet shows the receiver's call id only.
            let sender = |port: u16| if matches!(protocol, Protocol::GRE) { 0 } else { port };
            let original =
                Ends { source: a, destination: b, source_port: sender(ports[0]), destination_port: ports[1] };
            let reply =
                Ends { source: c, destination: d, source_port: ports[2], destination_port: sender(ports[3]) };
            Case { version, protocol, original, reply, payload }
        },
    )
}

impl Case {
    fn binding(&self) -> Binding {
        let tuple = |ends| tuple(self.version, self.protocol, ends);
        Binding::new(&tuple(&self.original), &tuple(&self.reply)).unwrap()
    }

    fn datagram(&self, ends: &Ends) -> Vec<u8> {
        datagram(self.version, self.protocol, ends, &self.payload)
    }

    fn inverse(&self, ends: &Ends) -> Ends {
        ends.inverse(is_query(self.protocol))
    }
}

fn translate(binding: &Binding, direction: Direction, bytes: &mut [u8]) {
    let packet = Packet::parse(bytes, 0).unwrap();
    binding.translate(direction, bytes, &packet, ChecksumField::Full).unwrap();
    let packet = Packet::parse(bytes, 0).unwrap();
    assert!(packet.version == IpVersion::V6 || ipv4_header_checksum_ok(bytes));
    let checksum = verify_transport(&packet, bytes);
    let without = matches!(packet.protocol, Protocol::GRE | Protocol(99));
    assert!(checksum == Checksum::Good || without, "{checksum:?} {packet:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn both_directions_and_checksums(case in case()) {
        let binding = case.binding();
        let mut bytes = case.datagram(&case.original);
        translate(&binding, Direction::Original, &mut bytes);
        prop_assert_eq!(&bytes, &case.datagram(&case.inverse(&case.reply)));

        let mut bytes = case.datagram(&case.reply);
        if case.protocol != Protocol::GRE {
            translate(&binding, Direction::Reply, &mut bytes);
            prop_assert_eq!(&bytes, &case.datagram(&case.inverse(&case.original)));
        }

        // The binding with its tuples seen from the other side undoes it.
        let tuple = |ends| tuple(case.version, case.protocol, &ends);
        let undo = Binding::new(&tuple(case.inverse(&case.reply)), &tuple(case.inverse(&case.original))).unwrap();
        let original = case.datagram(&case.original);
        let mut bytes = original.clone();
        translate(&binding, Direction::Original, &mut bytes);
        translate(&undo, Direction::Original, &mut bytes);
        prop_assert_eq!(bytes, original);
    }

    #[test]
    fn wrong_checksums_stay_wrong(case in case(), error in 1u16..0xffff) {
        let at = match case.protocol {
            Protocol::TCP => 16,
            Protocol::UDP | Protocol::DCCP => 6,
            _ => return Ok(()),
        } + if case.version == IpVersion::V4 { 20 } else { 40 };
        let mut bytes = case.datagram(&case.original);
        let field = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        bytes[at..at + 2].copy_from_slice(&Sum::ZERO.add_u16(field).add_u16(error).fold().to_be_bytes());
        let packet = Packet::parse(&bytes, 0).unwrap();
        case.binding().translate(Direction::Original, &mut bytes, &packet, ChecksumField::Full).unwrap();
        let packet = Packet::parse(&bytes, 0).unwrap();
        prop_assert_ne!(verify_transport(&packet, &bytes), Checksum::Good);
    }

    #[test]
    fn partial_checksums_keep_the_pseudo_header_s_sum(case in case()) {
        let at = match case.protocol {
            Protocol::TCP => 16,
            Protocol::UDP => 6,
            _ => return Ok(()),
        } + if case.version == IpVersion::V4 { 20 } else { 40 };
        let mut bytes = case.datagram(&case.original);
        let network = if case.version == IpVersion::V4 { 20 } else { 40 };
        let sum = |ends: &Ends| {
            let length = (bytes.len() - network) as u32;
            Sum::pseudo_header(case.version, ends.source, ends.destination, case.protocol, length).fold()
        };
        let (old, new) = (sum(&case.original), sum(&case.inverse(&case.reply)));
        bytes[at..at + 2].copy_from_slice(&old.to_be_bytes());
        let packet = Packet::parse(&bytes, 0).unwrap();
        case.binding().translate(Direction::Original, &mut bytes, &packet, ChecksumField::Partial).unwrap();
        prop_assert_eq!(u16::from_be_bytes([bytes[at], bytes[at + 1]]) % 0xffff, new % 0xffff);
    }

    #[test]
    fn plain_packets_are_translated_alike(
        case in case(),
        checksum in any::<Option<u16>>(),
        partial in any::<bool>(),
        link in 0..20usize,
    ) {
        let mut bytes = vec![0xee; link];
        bytes.extend(case.datagram(&case.original));
        let Some(bounds) = pinhole_wire::Plain::read(case.version, &bytes[link..], link as u32).map(|it| it.bounds)
        else {
            return Ok(());
        };
        if let Some(checksum) = checksum {
            let at = bounds.transport as usize + if case.protocol == Protocol::UDP { 6 } else { 16 };
            bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        }
        let field = if partial { ChecksumField::Partial } else { ChecksumField::Full };
        let mut plain = bytes.clone();
        let packet = Packet::parse(&bytes, link as u32).unwrap();
        case.binding().translate(Direction::Original, &mut bytes, &packet, field).unwrap();
        let leaves = tuple(case.version, case.protocol, &case.inverse(&case.reply));
        let made = Patch::new(&plain, &bounds, &leaves, field).unwrap();
        let mut written = Vec::new();
        made.write(&plain, &mut written);
        prop_assert_eq!(&written, &bytes);
        // Done twice, it has changed nothing; of a frame that is cut it changes nothing.
        let (came, mut patch) = (plain.clone(), made);
        prop_assert!(patch.exchange(&mut plain));
        prop_assert_eq!(&plain, &bytes);
        prop_assert!(patch.exchange(&mut plain));
        prop_assert_eq!((&plain, patch), (&came, made));
        let cut = bounds.transport as usize + 5;
        plain.truncate(cut);
        prop_assert!(!patch.exchange(&mut plain));
        prop_assert_eq!((&plain[..], patch), (&came[..cut], made));
        prop_assert_eq!(Patch::new(&plain, &bounds, &leaves, field), None);
    }

    #[test]
    fn errors_tell_of_the_packet_as_it_came(case in case(), cut in any::<bool>(), router in any::<[u8; 16]>()) {
        let router = match case.version {
            IpVersion::V4 => Address::v4([router[0], router[1], router[2], router[3]]),
            IpVersion::V6 => Address(router),
        };
        let binding = case.binding();
        let left = case.inverse(&case.reply);
        let quote = |ends: &Ends| {
            let mut quoted = case.datagram(ends);
            if cut {
                quoted.truncate(if case.version == IpVersion::V4 { 28 } else { 48 });
            }
            quoted
        };
        let mut bytes = error(case.version, router, left.source, &quote(&left));
        translate(&binding, Direction::Reply, &mut bytes);
        let hidden = case.reply.source != case.original.destination;
        let source = if hidden { case.original.destination } else { router };
        let expected = error(case.version, source, case.original.source, &quote(&case.original));
        if case.protocol == Protocol::SCTP && cut {
            return Ok(());
        }
        prop_assert_eq!(bytes, expected);
    }
}

#[test]
fn udp_without_checksum_keeps_none() {
    let ends = |source: [u8; 4], source_port, destination: [u8; 4], destination_port| Ends {
        source: Address::v4(source),
        destination: Address::v4(destination),
        source_port,
        destination_port,
    };
    let original = ends([10, 0, 0, 5], 1000, [198, 51, 100, 9], 53);
    let reply = ends([198, 51, 100, 9], 53, [203, 0, 113, 7], 1000);
    let tuple = |ends| tuple(IpVersion::V4, Protocol::UDP, ends);
    let binding = Binding::new(&tuple(&original), &tuple(&reply)).unwrap();
    let mut bytes = datagram(IpVersion::V4, Protocol::UDP, &original, b"x");
    bytes[26..28].fill(0);
    let packet = Packet::parse(&bytes, 0).unwrap();
    binding.translate(Direction::Original, &mut bytes, &packet, ChecksumField::Full).unwrap();
    assert_eq!(bytes[12..16], [203, 0, 113, 7]);
    assert_eq!(bytes[26..28], [0, 0]);
    let foreign = binding.translate(Direction::Original, &mut bytes, &packet, ChecksumField::Full);
    assert_eq!(foreign, Ok(()), "the parsed packet is judged, not the bytes");
    let translated = Packet::parse(&bytes, 0).unwrap();
    let again = binding.translate(Direction::Original, &mut bytes, &translated, ChecksumField::Full);
    assert_eq!(again, Err(BindingError::Foreign));
}
