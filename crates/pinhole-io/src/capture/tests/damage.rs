//! What is wrong is told precisely, after everything good was delivered.

use super::build::*;
use super::{drain, message, reader};
use crate::capture::{CAPTURED_LIMIT, CaptureReader, Merge, Problem};

fn good(order: Order) -> Vec<u8> {
    let mut file = pcap(order, MICROS, (2, 4), 1);
    file.extend(record(order, 1, 0, b"abcd", 4));
    file
}

#[test]
fn not_captures() {
    assert_eq!(message([]), "test.pcap: the file is empty");
    assert_eq!(
        message(*b"\x7fELF\x02\x01"),
        "test.pcap: not a capture: expected a pcap, pcapng or snoop file (or one of them in gzip), \
         but it starts with 7f 45 4c 46"
    );
    assert!(message([0xd4, 0xc3]).ends_with("starts with d4 c3"));
    assert!(
        message([0x28, 0xb5, 0x2f, 0xfd, 0]).ends_with("starts with 28 b5 2f fd (zstd: decompress it first)")
    );
    assert!(message(*b"snoopy!!").ends_with("starts with 73 6e 6f 6f"));
    let error = CaptureReader::open("/nonexistent/capture.pcap").unwrap_err().to_string();
    assert!(error.starts_with("/nonexistent/capture.pcap: cannot open: No such file"), "{error}");
}

#[test]
fn headers() {
    assert_eq!(
        message(&good(Order::Little)[..23]),
        "test.pcap: offset 0x0: the file ends within the pcap file header: expected 24 bytes, found 23"
    );
    assert_eq!(
        message(pcap(Order::Big, NANOS, (3, 1), 1)),
        "test.pcap: offset 0x0: unsupported pcap version 3.1, expected 2.4"
    );
    assert_eq!(
        message(pcap(Order::Little, MICROS, (2, 4), 0x10_0001)),
        "test.pcap: offset 0x0: unsupported link type 1048577"
    );
    assert_eq!(message(snoop(3, 4)), "test.pcap: offset 0x0: unsupported snoop version 3.0, expected 2");
    assert_eq!(message(snoop(2, 99)), "test.pcap: offset 0x0: unsupported link type 99");
    let mut section = section(Order::Little);
    section[8] = 0;
    assert_eq!(
        message(section),
        "test.pcap: offset 0x0: section header has byte-order magic 0x1a2b3c00, expected 0x1a2b3c4d"
    );
}

#[test]
fn a_huge_captured_length() {
    for order in ORDERS {
        let mut file = good(order);
        file.extend(order.words(&[1, 0, u32::MAX, 4]));
        assert_eq!(
            message(file),
            "test.pcap: packet 2 at offset 0x2c: captured length 4294967295 exceeds the limit 262144"
        );
    }
    let mut file = [section(Order::Little), interface(Order::Little, 1, 0, b"")].concat();
    let offset = file.len();
    let mut packet = enhanced(Order::Little, 0, 1, b"abcd", b"");
    packet[20..24].copy_from_slice(&5u32.to_le_bytes());
    file.extend(packet);
    assert_eq!(
        message(file),
        format!(
            "test.pcap: packet 1 at offset {offset:#x}: captured length 5 does not fit into its record, which has room for 4"
        )
    );
}

#[test]
fn the_largest_packet_is_accepted() {
    let bytes = vec![1; CAPTURED_LIMIT as usize];
    let mut file = pcap(Order::Little, MICROS, (2, 4), 1);
    file.extend(record(Order::Little, 1, 0, &bytes, CAPTURED_LIMIT));
    assert_eq!(drain(reader(file).unwrap()).0[0].bytes, bytes);
}

#[test]
fn every_truncation_keeps_the_packets_before_it() {
    let order = Order::Little;
    let mut classic = pcap(order, MICROS, (2, 4), 1);
    let mut ng = [section(order), interface(order, 1, 0, b"")].concat();
    let mut solaris = snoop(2, 4);
    let mut ends = [vec![classic.len()], vec![28, ng.len()], vec![solaris.len()]];
    let header = [classic.len(), 28, solaris.len()];
    for length in [4, 9, 0] {
        let bytes = &b"abcdefghi"[..length];
        classic.extend(record(order, 1, 0, bytes, 9));
        ng.extend(enhanced(order, 0, 1, bytes, b""));
        solaris.extend(snoop_record(1, 0, bytes, 9));
        for (ends, file) in ends.iter_mut().zip([&classic, &ng, &solaris]) {
            ends.push(file.len());
        }
    }
    for (which, file) in [classic, ng, solaris].into_iter().enumerate() {
        for end in header[which]..=file.len() {
            let whole = ends[which].iter().filter(|limit| **limit <= end).count() - 1;
            let packets = if which == 1 { whole.saturating_sub(1) } else { whole };
            let (frames, error) = drain(reader(&file[..end]).unwrap());
            assert_eq!(frames.len(), packets, "file {which} cut at {end}");
            let at_boundary = ends[which].contains(&end);
            assert_eq!(error.is_none(), at_boundary, "file {which} cut at {end}: {error:?}");
            if let Some(error) = error {
                assert!(error.is_truncation());
                assert_eq!(error.offset, ends[which][whole] as u64, "{error}");
                assert_eq!(error.frame, Some(packets as u64 + 1));
            }
        }
    }
    let mut file = good(order);
    file.extend(&record(order, 1, 0, b"abcd", 4)[..18]);
    assert_eq!(
        message(file),
        "test.pcap: packet 2 at offset 0x2c: the file ends within a pcap record: expected 20 bytes, found 18"
    );
}

#[test]
fn pcapng_blocks() {
    let order = Order::Little;
    let start = [section(order), interface(order, 1, 0, b"")].concat();
    let offset = start.len();
    let with = |block: &[u8]| message([start.as_slice(), block].concat());

    let mut trailer = enhanced(order, 0, 1, b"abcd", b"");
    let last = trailer.len() - 4;
    trailer[last..].copy_from_slice(&99u32.to_le_bytes());
    assert_eq!(
        with(&trailer),
        format!(
            "test.pcap: packet 1 at offset {offset:#x}: block length is 36 at the block's start but 99 at its end"
        )
    );
    assert_eq!(
        with(&enhanced(order, 1, 1, b"abcd", b"")),
        format!(
            "test.pcap: packet 1 at offset {offset:#x}: interface 1 is not described; the section has 1 so far"
        )
    );
    assert!(
        with(&order.words(&[6, 20]))
            .contains("enhanced packet of 20 bytes: expected a multiple of 4 between 32 and")
    );
    assert!(
        with(&order.words(&[0x77, 8])).contains("block of 8 bytes: expected a multiple of 4 between 12 and")
    );
    assert!(with(&order.words(&[0x77, u32::MAX])).contains("block of 4294967295 bytes"));
    assert!(with(&order.words(&[0x77, 0xffff_fff0])).contains("the file ends within a block"));
    // A section without interfaces forgets those of the section before.
    assert!(
        with(&[section(order), enhanced(order, 0, 1, b"", b"")].concat())
            .contains("interface 0 is not described; the section has 0 so far")
    );
    let mut option = option(order, 2, b"eth0");
    option[2] = 200;
    assert!(
        with(&interface(order, 1, 0, &option))
            .contains("option 2 of 200 bytes runs past the end of its block")
    );
}

#[test]
fn interfaces_are_bounded() {
    let order = Order::Little;
    let mut file = section(order);
    for _ in 0..=crate::capture::INTERFACES {
        file.extend(interface(order, 1, 0, b""));
    }
    assert!(message(file).contains("more than 65536 interfaces"));
}

#[test]
fn damaged_gzip() {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(&good(Order::Little)).unwrap();
    let compressed = encoder.finish().unwrap();

    let (frames, error) = drain(reader(&compressed[..compressed.len() - 4]).unwrap());
    assert_eq!(frames.len(), 1);
    let error = error.unwrap();
    assert!(error.is_truncation() && matches!(error.problem, Problem::GzipTruncated), "{error}");

    let mut damaged = compressed.clone();
    let checksum = damaged.len() - 8;
    damaged[checksum] ^= 1;
    let (frames, error) = drain(reader(damaged).unwrap());
    assert_eq!(frames.len(), 1);
    assert!(matches!(error.unwrap().problem, Problem::Gzip(_)));
}

#[test]
fn a_damaged_capture_does_not_stop_the_others_of_a_merge() {
    let mut damaged = good(Order::Little);
    damaged.extend(b"rest");
    let mut second = good(Order::Big);
    second.extend(record(Order::Big, 9, 0, b"efgh", 4));
    let mut merge = Merge::new(vec![reader(damaged).unwrap(), reader(second).unwrap()]);
    let mut seen = Vec::new();
    loop {
        match merge.next() {
            Ok(Some(merged)) => seen.push((merged.capture, merged.frame.number)),
            Ok(None) => break,
            Err(error) => {
                assert!(error.is_truncation());
                seen.push((99, 0));
            }
        }
    }
    assert_eq!(seen, [(0, 1), (99, 0), (1, 1), (1, 2)]);
}
