//! Whatever the bytes, nothing panics, and what is refused is unchanged.

#![allow(clippy::unwrap_used)]

use pinhole_helper::Span;
use pinhole_nat::rewrite::{Conversation, Edit, edit_datagram};
use pinhole_nat::{Binding, ChecksumField};
use pinhole_track::Tuple;
use pinhole_wire::{Address, Direction, IpVersion, Packet, Protocol};
use proptest::prelude::*;

/// Beginnings of headers, of every protocol and both IP versions, so that random bytes reach deep.
fn datagram() -> impl Strategy<Value = Vec<u8>> {
    let protocol = prop::sample::select(vec![6u8, 17, 136, 132, 33, 1, 58, 47, 99, 44, 0]);
    let kind = prop::sample::select(vec![0x45u8, 0x46, 0x60]);
    let bytes = prop::collection::vec(any::<u8>(), 20..160);
    (kind, protocol, any::<u8>(), prop::sample::select(vec![3u8, 1, 8, 0x50, 0x80]), bytes).prop_map(
        |(kind, protocol, length, upper, mut bytes)| {
            bytes[0] = kind;
            let header = match kind {
                0x60 => {
                    bytes.resize(bytes.len().max(60), 0);
                    bytes[4..6].copy_from_slice(&[0, length % 64]);
                    bytes[6] = protocol;
                    40
                }
                _ => {
                    bytes[2..4].copy_from_slice(&[0, length]);
                    bytes[6..8].fill(0);
                    bytes[9] = protocol;
                    20
                }
            };
            let at = if protocol == 6 { header + 12 } else { header };
            if let Some(byte) = bytes.get_mut(at) {
                *byte = upper;
            }
            // What an ICMP error may quote.
            if let Some(byte) = bytes.get_mut(header + 8) {
                *byte = kind;
            }
            bytes
        },
    )
}

fn tuple_of(packet: &Packet) -> Tuple {
    Tuple {
        source: packet.source,
        destination: packet.destination,
        source_port: 1,
        destination_port: 2,
        protocol: packet.protocol,
        version: packet.version,
        zone: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn segments(
        frames in prop::collection::vec((any::<bool>(), datagram(), any::<bool>()), 1..8),
        edits in prop::collection::vec((0u64..100, 0u64..40, 0usize..40, any::<bool>()), 0..8),
        longest in 0usize..200,
        cut in 0usize..4,
    ) {
        let mut conversation = Conversation::default();
        let mut further = Vec::new();
        let mut edits = edits.into_iter();
        for (reply, mut frame, partial) in frames {
            let Ok(packet) = Packet::parse(&frame, 0) else { continue };
            let from = if reply { Direction::Reply } else { Direction::Original };
            if let pinhole_wire::Transport::Tcp(tcp) = &packet.transport {
                conversation.open(from, tcp.sequence.wrapping_sub(3));
            }
            for (start, length, inserted, owed) in edits.by_ref().take(2) {
                let replacement = vec![b'x'; inserted];
                let span = Span { start, end: start + length };
                let _ = conversation.edit(from, &Edit { span, replacement: &replacement, owed });
            }
            // Less of the frame than was parsed is the caller's fault, and still no panic.
            frame.truncate(frame.len().saturating_sub(cut));
            let checksum = if partial { ChecksumField::Partial } else { ChecksumField::Full };
            let before = frame.clone();
            let result = conversation.translate(from, &mut frame, &packet, checksum, longest, &mut further);
            prop_assert!(result.is_ok() || frame == before);
        }
    }

    #[test]
    fn datagrams(mut frame in datagram(), start in 0u64..60, length in 0u64..60, inserted in 0usize..80) {
        let Ok(packet) = Packet::parse(&frame, 0) else { return Ok(()) };
        let replacement = vec![b'x'; inserted];
        let edit = Edit { span: Span { start, end: start + length }, replacement: &replacement, owed: false };
        let before = frame.clone();
        let result = edit_datagram(&mut frame, &packet, &[edit], ChecksumField::Full);
        prop_assert!(result.is_ok() || frame == before);
        if result.is_ok() {
            Packet::parse(&frame, 0).unwrap();
        }
    }

    #[test]
    fn bindings(mut frame in datagram(), reply: bool, partial: bool, cut in 0usize..30) {
        let Ok(packet) = Packet::parse(&frame, 0) else { return Ok(()) };
        let original = match packet.quoted(&frame) {
            Some(Ok(quoted)) => tuple_of(&quoted),
            _ => tuple_of(&packet),
        };
        let mut other = original;
        other.source = match original.version {
            IpVersion::V4 => Address::v4([192, 0, 2, 1]),
            IpVersion::V6 => Address([9; 16]),
        };
        let (first, second) = if reply { (original, other) } else { (other, original) };
        let binding = Binding::new(&first, &second).unwrap();
        let direction = if reply { Direction::Original } else { Direction::Reply };
        let checksum = if partial { ChecksumField::Partial } else { ChecksumField::Full };
        frame.truncate(frame.len().saturating_sub(cut));
        let before = frame.clone();
        for direction in [direction, direction.opposite()] {
            let mut frame = frame.clone();
            let result = binding.translate(direction, &mut frame, &packet, checksum);
            prop_assert!(result.is_ok() || frame == before);
        }
    }
}

#[test]
fn tuples_of_two_kinds_make_no_binding() {
    let tuple = |protocol| Tuple {
        source: Address::default(),
        destination: Address::default(),
        source_port: 0,
        destination_port: 0,
        protocol,
        version: IpVersion::V4,
        zone: 0,
    };
    assert!(Binding::new(&tuple(Protocol::TCP), &tuple(Protocol::UDP)).is_err());
}
