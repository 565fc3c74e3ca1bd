use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Packet, Transport};

/// RFC 1071 §4.1, word by word.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from);
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    bytes.extend(body);
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn verdict(bytes: &[u8]) -> Checksum {
    verify_transport(&Packet::parse(bytes, 0).unwrap(), bytes)
}

/// The verdict on `bytes` with the 16-bit field at `at` set to `value`.
fn verdict_with(bytes: &[u8], at: usize, value: u16) -> Checksum {
    let mut bytes = bytes.to_vec();
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
    verdict(&bytes)
}

fn pseudo(bytes: &[u8], length: u32) -> Sum {
    let packet = Packet::parse(bytes, 0).unwrap();
    Sum::pseudo_header(packet.version, packet.source, packet.destination, packet.protocol, length)
}

#[test]
fn rfc_1071_example() {
    assert_eq!(Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
}

#[test]
fn rfc_1624_example() {
    // Section 4: with HC = 0xDD2F, m = 0x5555, m' = 0x3285, the new checksum is 0x0000.
    assert_eq!(Delta::NONE.replace_u16(0x5555, 0x3285).apply(0xdd2f), 0x0000);
}

#[test]
fn crc32c_known_answers() {
    // RFC 3720 appendix B.4.
    assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
    assert_eq!(crc32c(&[&[0xff; 32]]), 0x62a8_ab43);
    let ascending: Vec<u8> = (0..32).collect();
    assert_eq!(crc32c(&[&ascending]), 0x46dd_794e);
    assert_eq!(crc32c(&[b"123456789"]), 0xe306_9283);
    assert_eq!(crc32c(&[b"12", b"", b"3456789"]), 0xe306_9283);
}

#[test]
fn tcp_verdicts() {
    let mut segment = vec![0; 20];
    segment[12] = 0x50;
    segment.extend(b"hello");
    let bytes = ipv4(6, &segment);
    let sum = pseudo(&bytes, 25);
    let right = sum.add_bytes(&segment).checksum();
    assert_eq!(verdict_with(&bytes, 36, right), Checksum::Good);
    assert_eq!(verdict_with(&bytes, 36, right ^ 1), Checksum::Bad);
    assert_eq!(verdict_with(&bytes, 36, 0), Checksum::Zero);
    assert_eq!(verdict_with(&bytes, 36, sum.fold()), Checksum::Partial);
    assert_eq!(verdict_with(&bytes, 36, pseudo(&bytes, 0).fold()), Checksum::Partial);
}

#[test]
fn udp_verdicts() {
    let datagram = [0, 1, 0, 2, 0, 9, 0, 0, 0x77, 0xee, 0xee];
    let bytes = ipv4(17, &datagram);
    let right = pseudo(&bytes, 9).add_bytes(&datagram[..9]).udp_checksum();
    assert_eq!(verdict_with(&bytes, 26, right), Checksum::Good, "bytes beyond the UDP length do not count");
    assert_eq!(verdict_with(&bytes, 26, right ^ 1), Checksum::Bad);
    assert_eq!(verdict_with(&bytes, 26, 0), Checksum::Absent);
    assert_eq!(verdict_with(&bytes, 26, pseudo(&bytes, 9).fold()), Checksum::Partial);
}

#[test]
fn udplite_covers_what_it_says() {
    let datagram = [0, 1, 0, 2, 0, 10, 0, 0, 0x77, 0x88, 0x99, 0xaa];
    let mut bytes = ipv4(136, &datagram);
    let right = pseudo(&bytes, 12).add_bytes(&datagram[..10]).udp_checksum();
    bytes[26..28].copy_from_slice(&right.to_be_bytes());
    assert_eq!(verdict(&bytes), Checksum::Good);
    bytes[31] ^= 0xff;
    assert_eq!(verdict(&bytes), Checksum::Good, "not covered");
    bytes[29] ^= 0xff;
    assert_eq!(verdict(&bytes), Checksum::Bad, "covered");
    assert_eq!(verdict_with(&bytes, 26, 0), Checksum::Zero);
}

#[test]
fn icmp_has_no_pseudo_header() {
    let message = [8, 0, 0, 0, 0, 1, 0, 2, 3];
    let bytes = ipv4(1, &message);
    assert_eq!(verdict_with(&bytes, 22, Sum::of(&message).checksum()), Checksum::Good);
    assert_eq!(verdict_with(&bytes, 22, 5), Checksum::Bad);
    assert_eq!(verdict(&bytes), Checksum::Zero);
}

#[test]
fn sctp_verdicts() {
    let mut packet = [0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(verdict(&ipv4(132, &packet)), Checksum::Zero);
    let crc = crc32c(&[&packet]);
    packet[8..12].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(verdict(&ipv4(132, &packet)), Checksum::Good);
    packet[13] ^= 1;
    assert_eq!(verdict(&ipv4(132, &packet)), Checksum::Bad);
}

#[test]
fn dccp_coverage() {
    // Request with 20 bytes of header and 8 of data; CsCov = 2 covers one word of data.
    let mut packet = vec![0, 1, 0, 2, 5, 2, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let bytes = ipv4(33, &packet);
    let right = pseudo(&bytes, 28).add_bytes(&packet[..24]).checksum();
    packet[6..8].copy_from_slice(&right.to_be_bytes());
    assert_eq!(verdict(&ipv4(33, &packet)), Checksum::Good);
    packet[27] ^= 1;
    assert_eq!(verdict(&ipv4(33, &packet)), Checksum::Good);
    packet[23] ^= 1;
    assert_eq!(verdict(&ipv4(33, &packet)), Checksum::Bad);
    packet[5] = 15;
    assert_eq!(verdict(&ipv4(33, &packet)), Checksum::Bad, "coverage beyond the packet");
}

#[test]
fn gre_checksum_is_optional() {
    assert_eq!(verdict(&ipv4(47, &[0, 0, 8, 0, 1, 2])), Checksum::Absent);
    let packet = [0x80, 0, 8, 0, 0, 0, 0, 0, 1, 2, 3];
    let bytes = ipv4(47, &packet);
    assert_eq!(verdict_with(&bytes, 24, Sum::of(&packet).checksum()), Checksum::Good);
    assert_eq!(verdict_with(&bytes, 24, 77), Checksum::Bad);
}

#[test]
fn what_cannot_be_verified() {
    assert_eq!(verdict(&ipv4(50, &[1, 2, 3])), Checksum::Unverifiable, "ESP");
    let mut fragment = ipv4(17, &[0, 1, 0, 2, 0, 8, 1, 1]);
    fragment[6] = 0x20;
    assert_eq!(verdict(&fragment), Checksum::Unverifiable, "fragment");
}

#[test]
fn routing_header_hides_the_final_destination() {
    let packet = |segments_left: u8| {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 16, 43, 64];
        bytes.extend([1; 32]);
        bytes.extend([17, 0, 4, segments_left, 0, 0, 0, 0]);
        bytes.extend([0, 1, 0, 2, 0, 8, 0x12, 0x34]);
        bytes
    };
    assert_eq!(verdict(&packet(0)), Checksum::Bad);
    assert_eq!(verdict(&packet(1)), Checksum::Unverifiable);
}

#[test]
fn udp_zero_is_written_as_ones() {
    assert_eq!(Sum::of(&[0xff, 0xff]).udp_checksum(), 0xffff);
    assert_eq!(Sum::of(&[0xff, 0xff]).checksum(), 0);
    assert_eq!(Delta::NONE.replace_u16(1, 2).apply_udp(0), 0, "no checksum stays none");
    assert_eq!(Delta::NONE.replace_u16(0x5555, 0x3285).apply_udp(0xdd2f), 0xffff);
}

#[test]
fn delta_without_effect() {
    assert!(Delta::NONE.is_none());
    assert!(Delta::NONE.replace_u16(7, 7).is_none());
    assert!(!Delta::NONE.replace_u16(7, 8).is_none());
}

proptest! {
    #[test]
    fn sum_equals_the_naive_one(bytes in vec(any::<u8>(), 0..300), start in 0usize..8) {
        let bytes = bytes.get(start..).unwrap_or_default();
        assert_eq!(Sum::of(bytes).fold(), naive(bytes));
    }

    #[test]
    fn sum_does_not_depend_on_the_cuts(bytes in vec(any::<u8>(), 0..300), cuts in vec(any::<prop::sample::Index>(), 0..6)) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut sum = Sum::ZERO;
        let mut start = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            sum = sum.add_bytes(&bytes[start..cut]);
            start = cut;
        }
        assert_eq!(sum.fold(), naive(&bytes));
    }

    #[test]
    fn long_messages_do_not_overflow(byte in any::<u8>(), length in 60_000usize..70_000) {
        let bytes = vec![byte; length];
        assert_eq!(Sum::of(&bytes).fold(), naive(&bytes));
    }

    #[test]
    fn crc_equals_the_bitwise_one(bytes in vec(any::<u8>(), 0..100)) {
        let mut remainder = !0u32;
        for &byte in &bytes {
            remainder ^= u32::from(byte);
            for _ in 0..8 {
                remainder = if remainder & 1 != 0 { remainder >> 1 ^ 0x82f6_3b78 } else { remainder >> 1 };
            }
        }
        assert_eq!(crc32c(&[&bytes]), !remainder);
    }

    #[test]
    fn incremental_equals_recomputed(
        mut message in vec(any::<u8>(), 40..80),
        short in any::<u16>(),
        long in any::<u32>(),
        replacement in vec(any::<u8>(), 1..8).prop_map(|mut bytes| { bytes.truncate(bytes.len() & !1); bytes }),
        at in 0usize..20,
    ) {
        message[0] = 0x45; // real headers are never all zero
        let before = Sum::of(&message).checksum();
        let old_short = u16::from_be_bytes([message[2], message[3]]);
        let old_long = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
        let range = 10 + at..10 + at + replacement.len();
        let delta = Delta::NONE
            .replace_u16(old_short, short)
            .replace_u32(old_long, long)
            .replace_bytes(10 + at, &message[range.clone()], &replacement);
        message[2..4].copy_from_slice(&short.to_be_bytes());
        message[4..8].copy_from_slice(&long.to_be_bytes());
        message[range].copy_from_slice(&replacement);
        assert_eq!(delta.apply(before), Sum::of(&message).checksum());
    }

    #[test]
    fn address_changes(
        v6 in any::<bool>(),
        old in any::<[u8; 16]>(),
        new in any::<[u8; 16]>(),
        rest in vec(any::<u8>(), 0..50),
    ) {
        let (version, old, new) = if v6 {
            (IpVersion::V6, Address::v6(old), Address::v6(new))
        } else {
            (IpVersion::V4, Address::v4([old[0], old[1], old[2], old[3]]), Address::v4([new[0], new[1], new[2], new[3]]))
        };
        let sum = |address| Sum::ZERO.add_u16(17).add_address(version, address);
        let delta = Delta::NONE.replace_address(version, old, new);
        assert_eq!(delta.apply(sum(old).add_bytes(&rest).checksum()), sum(new).add_bytes(&rest).checksum());
        assert_eq!(delta.apply_partial(sum(old).fold()), sum(new).fold());
    }

    #[test]
    fn verdict_never_panics(body in vec(any::<u8>(), 0..60), protocol in prop::sample::select(vec![1u8, 6, 17, 33, 47, 58, 132, 136])) {
        let bytes = ipv4(protocol, &body);
        if let Ok(packet) = Packet::parse(&bytes, 0) {
            let verdict = verify_transport(&packet, &bytes);
            assert_eq!(verdict == Checksum::Unverifiable, matches!(packet.transport, Transport::Other));
        }
    }
}
