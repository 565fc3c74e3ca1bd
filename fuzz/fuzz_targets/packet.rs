//! Any bytes as a frame of any link type: every header, option, quotation and checksum is read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_fuzz::timed::link;
use pinhole_wire::checksum::{Sum, verify_transport};
use pinhole_wire::{Packet, Transport, link::strip};
use std::hint::black_box;

fuzz_target!(|input: &[u8]| {
    let Some((&first, frame)) = input.split_first() else { return };
    let Ok(network) = strip(link(first), frame) else { return };
    assert!(network.offset as usize <= frame.len());
    if let Ok(packet) = Packet::parse(frame, network.offset) {
        read(&packet, frame);
        if let Some(Ok(quoted)) = packet.quoted(frame) {
            read(&quoted, frame);
        }
    }
    // Offsets that no link layer would give.
    let _ = black_box(Packet::parse(frame, u32::from(first)));
    let _ = black_box(Packet::parse_quoted(frame, network.offset));
});

fn read(packet: &Packet, frame: &[u8]) {
    assert!(packet.network <= packet.transport_offset);
    assert!(packet.transport_offset <= packet.payload);
    assert!(packet.transport_offset <= packet.end && packet.end as usize <= frame.len());
    assert!(packet.datagram_bytes(frame).len() <= packet.datagram_length() as usize);
    assert!(packet.transport_bytes(frame).len() <= packet.transport_length() as usize);
    assert!(packet.payload_bytes(frame).len() <= packet.transport_bytes(frame).len());
    black_box((packet.source_port(), packet.destination_port(), packet.has_all_headers(frame)));
    black_box((packet.fragment_announcement(frame), verify_transport(packet, frame)));
    black_box(Sum::of(packet.datagram_bytes(frame)).checksum());
    if let Transport::Tcp(tcp) = &packet.transport {
        let options = tcp.options(frame, packet);
        black_box(options.only_timestamps());
        for option in options {
            black_box((option.maximum_segment_size(), option.window_scale(), option.timestamps()));
            assert!(option.sack_blocks().count() <= 4);
        }
    }
}
