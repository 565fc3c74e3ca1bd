//! Batches, offloads, and the decorators over ports in memory. (Packet sockets are tested with the gateway, where there is root.)

use super::fault::{Faults, Faulty};
use super::memory::{self, Wire};
use super::record::{Recorded, Recording};
use super::{Batch, LONGEST, Offload, Port};
use crate::capture::CaptureReader;
use pinhole_wire::Time;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn arrivals(port: &mut dyn Port, now: Time) -> Vec<Vec<u8>> {
    let mut batch = Batch::new(256);
    port.receive(now, &mut batch).unwrap();
    batch.frames().iter().map(|frame| frame.bytes().to_vec()).collect()
}

fn send_numbered(wire: &Wire, count: u8) {
    (0..count).for_each(|number| wire.send(&[number; 60]));
}

proptest! {
    #[test]
    fn an_offload_is_what_its_header_says(header in any::<[u8; 10]>()) {
        prop_assert_eq!(Offload::decode(&header).encode(), header);
    }

    #[test]
    fn a_frame_comes_back_as_it_was_put(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let mut batch = Batch::new(1);
        prop_assert!(batch.push(&bytes, Offload::NONE));
        prop_assert_eq!(batch.frames()[0].bytes(), &bytes[..]);
        prop_assert!(!batch.push(&bytes, Offload::NONE));
    }
}

#[test]
fn a_frame_that_is_too_long_is_refused() {
    let mut batch = Batch::new(1);
    assert!(batch.push(&vec![1; LONGEST], Offload::NONE));
    batch.clear();
    assert!(!batch.push(&vec![1; 2 * LONGEST], Offload::NONE));
    assert!(batch.is_empty());
}

#[test]
fn a_tag_is_put_back_between_addresses_and_type() {
    let mut batch = Batch::new(1);
    let frame: Vec<u8> = (0..20).collect();
    batch.push(&frame, Offload::partial_checksum(34, 16));
    let buffer = &mut batch.frames_mut()[0];
    buffer.insert_tag(0x8100, 0x2007);
    let tagged = [&frame[..12], &[0x81, 0, 0x20, 7], &frame[12..]].concat();
    assert_eq!(buffer.bytes(), tagged);
    assert_eq!(buffer.offload, Offload::partial_checksum(38, 16));
}

#[test]
fn segments_are_told_only_of_superframes() {
    assert_eq!(Offload::NONE.segment_size(), None);
    let tcp_v4 = Offload::decode(&[1, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0]);
    assert_eq!(tcp_v4.segment_size(), Some(u16::from_ne_bytes([0xa8, 5])));
    assert!(tcp_v4.needs_checksum() && tcp_v4.vouches_for_checksum());
}

#[test]
fn without_faults_nothing_happens() {
    let (port, wire) = memory::port("a");
    let mut port = Faulty::new(port, Faults::default(), 1);
    send_numbered(&wire, 50);
    let came = arrivals(&mut port, Time(0));
    assert_eq!(came, (0..50).map(|n| vec![n; 60]).collect::<Vec<_>>());
}

#[test]
fn the_same_seed_has_the_same_faults() {
    let faults = Faults {
        loss: 200_000,
        duplication: 200_000,
        corruption: 200_000,
        reordering: 300_000,
        hold: 10,
        delay: 0,
    };
    let run = |seed| {
        let (port, wire) = memory::port("a");
        let mut port = Faulty::new(port, faults, seed);
        send_numbered(&wire, 60);
        let mut came = arrivals(&mut port, Time(0));
        came.extend(arrivals(&mut port, Time(10)));
        came
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
    let came = run(7);
    let whole = |number: u8| came.iter().filter(|frame| **frame == vec![number; 60]).count();
    assert!((0..60).any(|number| whole(number) == 0), "some are lost or corrupted");
    assert!((0..60).any(|number| whole(number) == 2), "some come twice");
    assert!(came.windows(2).any(|pair| pair[0][0] > pair[1][0]), "some are overtaken");
}

#[test]
fn a_delayed_frame_comes_when_it_is_due() {
    let (port, wire) = memory::port("a");
    let mut port = Faulty::new(port, Faults { delay: SECOND, ..Faults::default() }, 1);
    send_numbered(&wire, 3);
    assert!(arrivals(&mut port, Time(5)).is_empty());
    assert_eq!(port.next_deadline(), Some(Time(5 + SECOND)));
    assert!(arrivals(&mut port, Time(4 + SECOND)).is_empty());
    assert_eq!(arrivals(&mut port, Time(5 + SECOND)).len(), 3);
    assert_eq!(port.next_deadline(), None);
}

#[test]
fn what_came_and_went_is_recorded() {
    let (port, wire) = memory::port("wan");
    let path = std::env::temp_dir().join(format!("pinhole-record-{}.pcapng", std::process::id()));
    let recording = Recording::new(std::fs::File::create(&path).unwrap(), "test").unwrap();
    let mut port = Recorded::new(port, &recording);
    wire.send(&[1; 60]);
    let mut batch = Batch::new(4);
    port.receive(Time(SECOND), &mut batch).unwrap();
    assert_eq!(port.send(Time(2 * SECOND), &batch, &[0]), 0);
    recording.finish().unwrap();

    let mut reader = CaptureReader::open(&path).unwrap();
    let mut seen = Vec::new();
    while let Some(frame) = reader.next().unwrap() {
        seen.push((frame.time, frame.bytes.to_vec()));
    }
    std::fs::remove_file(&path).unwrap();
    assert_eq!(seen, [(Time(SECOND), vec![1; 60]), (Time(2 * SECOND), vec![1; 60])]);
    assert_eq!(wire.receive().unwrap().0, [1; 60]);
}
