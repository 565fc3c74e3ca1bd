//! Every format, resolution and byte order that is read.

use std::io::Write;

use super::build::*;
use super::{Owned, Trickle, drain, frames, reader};
use crate::capture::{CaptureReader, Format, Interface};
use pinhole_wire::LinkType;

fn owned(number: u64, nanos: u64, link: u16, bytes: &[u8]) -> Owned {
    let original_length = bytes.len() as u32;
    Owned { number, nanos, link, bytes: bytes.to_vec(), original_length, interface: 0 }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn classic_pcap_in_both_orders_and_resolutions() {
    for order in ORDERS {
        for (magic, nanos) in [(MICROS, 7_000), (NANOS, 7)] {
            let mut file = pcap(order, magic, (2, 4), 113);
            file.extend(record(order, 1, 7, b"abc", 3));
            file.extend(record(order, 2, 0, b"", 0));
            let expected = [owned(1, 1_000_000_000 + nanos, 113, b"abc"), owned(2, 2_000_000_000, 113, b"")];
            assert_eq!(frames(file), expected, "{order:?} {magic:#x}");
        }
    }
}

#[test]
fn modified_pcap_has_longer_record_headers() {
    for order in ORDERS {
        let mut file = pcap(order, MODIFIED, (2, 4), 1);
        for bytes in [b"abcd".as_slice(), b"efg"] {
            file.extend(order.words(&[
                1,
                7,
                bytes.len() as u32,
                bytes.len() as u32,
                0xdead_beef,
                0xdead_beef,
            ]));
            file.extend(bytes);
        }
        let expected = [owned(1, 1_000_007_000, 1, b"abcd"), owned(2, 1_000_007_000, 1, b"efg")];
        assert_eq!(frames(file), expected);
    }
}

#[test]
fn old_versions_swap_the_lengths() {
    for (minor, lengths) in [(2, [9, 3]), (3, [9, 3]), (3, [3, 9]), (4, [3, 9])] {
        let mut file = pcap(Order::Little, MICROS, (2, minor), 1);
        file.extend(Order::Little.words(&[1, 0, lengths[0], lengths[1]]));
        file.extend(b"abc");
        let frames = frames(file);
        assert_eq!(
            (frames[0].bytes.as_slice(), frames[0].original_length),
            (b"abc".as_slice(), 9),
            "2.{minor}"
        );
    }
}

#[test]
fn a_frame_check_sequence_in_the_link_field_is_no_link_type() {
    let mut file = pcap(Order::Little, MICROS, (2, 4), 0x2400_0001);
    file.extend(record(Order::Little, 1, 0, b"abc", 3));
    assert_eq!(frames(file)[0].link, 1);
}

#[test]
fn snaplen_leaves_the_original_length() {
    let mut file = pcap(Order::Big, MICROS, (2, 4), 1);
    file.extend(record(Order::Big, 1, 0, b"abc", 1500));
    assert_eq!(frames(file)[0].original_length, 1500);
}

#[test]
fn snoop() {
    let mut file = super::build::snoop(2, 4);
    file.extend(snoop_record(1, 7, b"abcde", 5));
    file.extend(snoop_record(2, 0, b"fghi", 4));
    let expected = [owned(1, 1_000_007_000, 1, b"abcde"), owned(2, 2_000_000_000, 1, b"fghi")];
    assert_eq!(frames(file.clone()), expected);
    assert_eq!(reader(file).unwrap().format(), Format::Snoop);
}

#[test]
fn pcapng_packets_of_all_three_kinds() {
    for order in ORDERS {
        let mut file = section(order);
        // Unknown to this reader, and larger than its window.
        file.extend(block(order, 0x1234, &vec![7; 3 << 20]));
        file.extend(interface(order, 101, 4, &option(order, 2, b"eth0")));
        file.extend(enhanced(order, 0, 5, b"abcde", &option(order, 1, b"a comment")));
        // Simple: original length 9, cut by the interface's snap length.
        file.extend(block(order, 3, &[order.u32(9).as_slice(), b"fghi"].concat()));
        let obsolete = [&order.u16(0)[..], &order.u16(3), &order.words(&[0, 6, 2, 2]), b"kl"].concat();
        file.extend(block(order, 2, &obsolete));

        let mut reader = reader(file).unwrap();
        assert!(reader.interfaces().is_empty());
        assert!(reader.next().unwrap().is_some());
        assert_eq!(reader.interfaces(), [Interface { link: LinkType(101), name: Some("eth0".into()) }]);
        let (rest, error) = drain(reader);
        assert!(error.is_none(), "{error:?}");
        let mut simple = owned(2, 5_000, 101, b"fghi");
        simple.original_length = 9;
        assert_eq!(rest, [simple, owned(3, 6_000, 101, b"kl")]);
    }
}

#[test]
fn pcapng_time_resolutions_and_offset() {
    let order = Order::Little;
    let cases = [
        (option(order, 9, &[6]), 1_500_000, 1_500_000_000),
        (option(order, 9, &[9]), 1_500_000_000, 1_500_000_000),
        (option(order, 9, &[3]), 1_500, 1_500_000_000),
        (option(order, 9, &[0]), 2, 2_000_000_000),
        (option(order, 9, &[12]), 1_500_000_000_999, 1_500_000_000),
        (option(order, 9, &[0x80 | 10]), 1536, 1_500_000_000),
        (option(order, 9, &[0x80 | 127]), u64::MAX, 0),
        (option(order, 9, &[127]), u64::MAX, 0),
        (option(order, 9, &[0]), u64::MAX, u64::MAX),
        (option(order, 14, &(-1i64).to_le_bytes()), 1_500_000, 500_000_000),
        (option(order, 14, &7i64.to_le_bytes()), 1_500_000, 8_500_000_000),
        (option(order, 14, &(-9i64).to_le_bytes()), 1_500_000, 0),
        (option(order, 14, &i64::MIN.to_le_bytes()), u64::MAX, 0),
        (option(order, 14, &i64::MAX.to_le_bytes()), u64::MAX, u64::MAX),
    ];
    for (options, ticks, nanos) in cases {
        let mut file = section(order);
        file.extend(interface(order, 1, 0, &options));
        file.extend(enhanced(order, 0, ticks, b"a", b""));
        assert_eq!(frames(file)[0].nanos, nanos, "{options:?} {ticks}");
    }
}

#[test]
fn pcapng_sections_have_their_own_order_and_interfaces() {
    let mut file = Vec::new();
    for (index, order) in [Order::Little, Order::Big, Order::Little].into_iter().enumerate() {
        file.extend(section(order));
        file.extend(interface(order, 100 + index as u16, 0, b""));
        file.extend(enhanced(order, 0, 1, b"a", b""));
    }
    let links: Vec<_> =
        frames(file).iter().map(|frame| (frame.number, frame.link, frame.interface)).collect();
    assert_eq!(links, [(1, 100, 0), (2, 101, 1), (3, 102, 2)]);
}

#[test]
fn frame_numbers_count_the_records_that_wireshark_shows() {
    let order = Order::Little;
    let mut file = [section(order), interface(order, 1, 0, b"")].concat();
    file.extend(block(order, 9, b"__REALTIME_TIMESTAMP=1\n"));
    file.extend(block(order, 5, b"interface statistics"));
    file.extend(enhanced(order, 0, 1, b"a", b""));
    file.extend(block(order, 0xbad, b"12345678"));
    file.extend(enhanced(order, 0, 1, b"a", b""));
    let numbers: Vec<_> = frames(file).iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, [2, 4]);
}

#[test]
fn block_lengths_without_padding_are_rounded_up() {
    let order = Order::Little;
    let mut file = [section(order), interface(order, 1, 0, b"")].concat();
    let mut odd = enhanced(order, 0, 1, b"abcde", b"");
    let length = odd.len();
    odd[4..8].copy_from_slice(&(length as u32 - 3).to_le_bytes());
    odd[length - 4..].copy_from_slice(&(length as u32 - 3).to_le_bytes());
    file.extend(odd);
    file.extend(enhanced(order, 0, 1, b"f", b""));
    assert_eq!(frames(file).iter().map(|frame| frame.bytes.len()).collect::<Vec<_>>(), [5, 1]);
}

#[test]
fn gzip_is_recognised_by_its_magic() {
    let mut file = pcap(Order::Little, MICROS, (2, 4), 1);
    for second in 0..1000 {
        file.extend(record(Order::Little, second, 0, &[second as u8; 1400], 1400));
    }
    let plain = frames(file.clone());
    assert_eq!(frames(gzip(&file)), plain);
    // Members one after the other are one stream (RFC 1952 §2.2).
    let (front, back) = file.split_at(file.len() / 3);
    assert_eq!(frames([gzip(front), gzip(back)].concat()), plain);
}

#[test]
fn a_trickling_source_makes_no_difference() {
    let mut file = pcap(Order::Little, MICROS, (2, 4), 1);
    for second in 0..30 {
        file.extend(record(Order::Little, second, 0, &vec![second as u8; 1 << (second / 2)], 1 << 15));
    }
    let whole = frames(file.clone());
    for step in [1, 7, 4096] {
        let source = Trickle(std::io::Cursor::new(file.clone()), step);
        let (trickled, error) = drain(CaptureReader::new("trickle", source).unwrap());
        assert!(error.is_none());
        assert_eq!(trickled, whole);
    }
}
