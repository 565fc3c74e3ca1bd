//! Packets of established conns allocate nothing.

#![allow(clippy::expect_used)] // a failed expectation is the test's message

use pinhole_track::{Settings, State, Tracker};
use pinhole_wire::{Packet, Time};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    /// Of this thread: those of the test's harness are none of its business.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Fails only while the thread ends, when nothing is counted any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

fn tcp(port: u16, reply: bool, flags: u8, sequence: u32, acknowledgement: u32) -> Vec<u8> {
    let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
    let (client, server) = (([10, 0, 0, 1], port), ([10, 0, 0, 2], 80));
    let (source, destination) = if reply { (server, client) } else { (client, server) };
    bytes.extend(source.0);
    bytes.extend(destination.0);
    bytes.extend(source.1.to_be_bytes());
    bytes.extend(destination.1.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    bytes
}

fn send(tracker: &mut Tracker, now: Time, bytes: &[u8]) -> State {
    let packet = Packet::parse(bytes, 0).expect("well-formed");
    let mut prepared = tracker.prepare(&packet, bytes, 0);
    tracker.touch(&mut prepared);
    let tracked = tracker.track(now, &packet, bytes, &prepared).expect("not full");
    if let (true, Some(conn)) = (tracked.created, tracked.conn) {
        assert!(tracker.confirm(now, conn));
    }
    tracked.state
}

#[test]
fn established_packets_allocate_nothing() {
    const CONNS: u16 = 1000;
    let mut tracker = Tracker::new(Settings::default(), [1, 2]);
    let mut now = Time::from_seconds(1_700_000_000);
    let mut packets = Vec::new();
    for port in 1..=CONNS {
        send(&mut tracker, now, &tcp(port, false, SYN, 100, 0));
        send(&mut tracker, now, &tcp(port, true, SYN | ACK, 500, 101));
        send(&mut tracker, now, &tcp(port, false, ACK, 101, 501));
        packets.push(tcp(port, false, ACK, 101, 501));
        packets.push(tcp(port, true, ACK, 501, 101));
    }
    while tracker.next_event().is_some() {}
    let before = ALLOCATIONS.get();
    for _ in 0..20 {
        for bytes in &packets {
            assert_eq!(send(&mut tracker, now, bytes), State::Established);
        }
        // Long enough that the wheel re-parks conns.
        now = now.plus_seconds(100_000);
        tracker.advance(now, 10_000);
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(tracker.len(), usize::from(CONNS));
}
