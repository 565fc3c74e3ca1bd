//! Whatever the bytes are.

use std::io::Cursor;

use pinhole_wire::{LinkType, Time};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::build::*;
use super::{Trickle, drain, frames, reader};
use crate::capture::{CaptureReader, PacketDirection, PcapngWriter, Record};

/// Small files of every format, so that mutations reach beyond the header.
fn samples() -> Vec<Vec<u8>> {
    let mut samples = Vec::new();
    for order in ORDERS {
        for magic in [MICROS, NANOS, MODIFIED] {
            let mut file = pcap(order, magic, (2, 4), 1);
            for bytes in [b"abcd".as_slice(), b"", b"efghijklm"] {
                file.extend(record(order, 1, 2, bytes, 60));
                if magic == MODIFIED {
                    file.extend([0; 8]);
                }
            }
            samples.push(file);
        }
        let mut file = [section(order), interface(order, 1, 96, &option(order, 9, &[9]))].concat();
        file.extend(enhanced(order, 0, 77, b"abcde", &option(order, 1, b"comment")));
        file.extend(block(order, 3, &order.words(&[4, 4])));
        file.extend(block(order, 5, b"statistics"));
        file.extend(block(order, 2, &order.words(&[0, 0, 1, 4, 4, 0])));
        file.extend(section(order));
        samples.push(file);
    }
    samples.push([snoop(2, 4), snoop_record(1, 2, b"abcde", 5), snoop_record(1, 2, b"", 5)].concat());
    samples
}

fn direction() -> impl Strategy<Value = Option<PacketDirection>> {
    select(vec![None, Some(PacketDirection::Inbound), Some(PacketDirection::Outbound)])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_end(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(reader) = reader(bytes) {
            drain(reader);
        }
    }

    #[test]
    fn mutated_captures_end(
        sample in select(samples()),
        changes in vec((any::<Index>(), any::<u8>()), 0..8),
        cut in any::<Index>(),
        tail in vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = sample;
        bytes.truncate(cut.index(bytes.len()) + 1);
        bytes.extend(tail);
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let length = bytes.len();
        let trickled = CaptureReader::new("test.pcap", Trickle(Cursor::new(bytes.clone()), 3));
        match (reader(bytes), trickled) {
            (Ok(whole), Ok(trickled)) => {
                let (frames, error) = drain(whole);
                let (other_frames, other_error) = drain(trickled);
                prop_assert!(frames.len() * 16 <= length, "a frame takes at least its header");
                prop_assert!(frames.iter().map(|frame| frame.bytes.len()).sum::<usize>() <= length);
                prop_assert_eq!(frames, other_frames);
                prop_assert_eq!(error.map(|e| e.to_string()), other_error.map(|e| e.to_string()));
            }
            (Err(whole), Err(trickled)) => prop_assert_eq!(whole.to_string(), trickled.to_string()),
            (whole, trickled) => prop_assert!(false, "{whole:?} {trickled:?}"),
        }
    }

    #[test]
    fn what_is_written_is_read(
        links in vec(any::<u16>(), 1..4),
        packets in vec(
            (any::<Index>(), any::<u64>(), vec(any::<u8>(), 0..70), any::<u16>(), direction(), proptest::option::of(".{0,20}")),
            0..20,
        ),
    ) {
        let mut writer = PcapngWriter::new(Vec::new(), "test").unwrap();
        for (index, link) in links.iter().enumerate() {
            writer.add_interface(LinkType(*link), &format!("interface {index}")).unwrap();
        }
        for (interface, nanos, bytes, missing, direction, comment) in &packets {
            let interface = interface.index(links.len()) as u32;
            let mut record = Record::new(interface, Time(*nanos), bytes);
            record.original_length += u32::from(*missing);
            record.direction = *direction;
            record.comment = comment.as_deref();
            writer.write(&record).unwrap();
        }
        let read = frames(writer.finish().unwrap());
        prop_assert_eq!(read.len(), packets.len());
        for (number, (frame, (interface, nanos, bytes, missing, _, _))) in (1..).zip(read.iter().zip(&packets)) {
            let interface = interface.index(links.len());
            prop_assert_eq!(frame.number, number);
            prop_assert_eq!(frame.nanos, *nanos);
            prop_assert_eq!(&frame.bytes, bytes);
            prop_assert_eq!(frame.link, links[interface]);
            prop_assert_eq!(frame.interface, interface as u32);
            prop_assert_eq!(frame.original_length, bytes.len() as u32 + u32::from(*missing));
        }
    }
}
