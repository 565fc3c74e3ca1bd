//! Fragments of a few datagrams in any order, overlapping, repeated, with any pauses: memory stays bounded, and what is put together
//! has every byte in its place.
//!
//! A record is four bytes: pause; which datagram, which copy of its bytes, whether more follow; offset; length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_engine::defrag::{DefragSettings, Defragmenter, Outcome};
use pinhole_fuzz::conversation::host;
use pinhole_fuzz::datagrams::{Part, fragment};
use pinhole_wire::{Packet, Protocol, Time};

/// Small, so that evictions happen.
const LIMITS: DefragSettings = DefragSettings {
    memory: 32 << 10,
    max_fragments: 12,
    smallest_fragment: 8,
    timeout_v4: 30,
    timeout_v6: 60,
};
/// A protocol without a header that would have to be right.
const PROTOCOL: Protocol = Protocol(253);

fuzz_target!(|input: &[u8]| {
    let mut defragmenter = Defragmenter::new(LIMITS);
    let mut now = Time::from_seconds(1_000);
    for record in input.as_chunks::<4>().0 {
        now = now.plus_nanos(u64::from(record[0]) * 100_000_000);
        if record[0] == 255 {
            defragmenter.advance(now);
        }
        push(&mut defragmenter, now, record);
        assert!(defragmenter.memory() <= LIMITS.memory, "{} bytes", defragmenter.memory());
        assert!(defragmenter.is_empty() || defragmenter.next_deadline().is_some());
    }
    defragmenter.advance(now.plus_seconds(1_000));
    assert!(defragmenter.is_empty() && defragmenter.next_deadline().is_none());
});

fn push(defragmenter: &mut Defragmenter, now: Time, &[_, select, offset, length]: &[u8; 4]) {
    let identification = u16::from(select & 7);
    let six = identification & 1 != 0;
    let copy = select >> 3 & 1;
    let more = select & 0x80 != 0;
    // Long jumps and lengths are rare but possible.
    let offset = if offset >= 0xf0 { u16::from(offset & 15) * 512 } else { u16::from(offset) };
    let length = usize::from(length) * if select & 0x40 != 0 { 64 } else { 4 };
    let start = usize::from(offset) * 8;
    let data: Vec<u8> = (start..start + length).map(|at| byte(identification, at, copy)).collect();
    let part = Part { identification, offset, more };
    let bytes = fragment(host(six, 1), host(six, 2), PROTOCOL, part, &data);
    let Ok(packet) = Packet::parse(&bytes, 0) else { return };
    if packet.fragment.is_none() {
        return;
    }
    if let Outcome::Complete(whole) = defragmenter.push(now, &packet, &bytes, 0) {
        let packet = Packet::parse(whole, 0).expect("a whole datagram is well-formed");
        assert!(packet.fragment.is_none() && packet.missing == 0 && packet.protocol == PROTOCOL);
        for (at, &found) in packet.transport_bytes(whole).iter().enumerate() {
            let known = [byte(identification, at, 0), byte(identification, at, 1)];
            assert!(known.contains(&found), "byte {at} is not in its place");
        }
    }
}

/// The byte of a datagram at an offset; there are two copies that differ.
fn byte(identification: u16, at: usize, copy: u8) -> u8 {
    let mixed = (at as u32 + 1).wrapping_mul(2_654_435_761).wrapping_add(u32::from(identification) * 77);
    (mixed >> 16) as u8 & 0xfe | copy
}
