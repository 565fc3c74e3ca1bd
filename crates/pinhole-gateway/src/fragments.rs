//! Frames that wait for the rest of their datagram.
//!
//! The engine judges a datagram when its last fragment is there. A bridge passes frames on as they came, so the earlier ones are kept
//! here until then. The engine drops what overlaps or is too late, and tells by the outcome; what it silently gives up is
//! given up here by age. Everything is bounded: when a limit is reached the oldest datagram goes.

use pinhole_wire::{Address, IpVersion, Packet, Protocol, Time};
use std::collections::VecDeque;

/// As long as the engine waits for the rest of a datagram, and longer than IPv4 needs (RFC 1122 §3.3.2: at most 120 s; Linux: 30 s).
const PATIENCE_NANOS: u64 = 60_000_000_000;

/// Most datagrams, and most bytes, that wait.
const MOST_DATAGRAMS: usize = 256;
const MOST_BYTES: usize = 8 << 20;

/// What the fragments of a datagram have in common (RFC 791 §3.2; RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    version: IpVersion,
    source: Address,
    destination: Address,
    identification: u32,
    /// IPv4 only.
    protocol: Option<Protocol>,
}

#[derive(Debug)]
struct Waiting {
    key: Key,
    port: usize,
    since: Time,
    frames: Vec<Vec<u8>>,
}

/// All frames that wait.
#[derive(Debug, Default)]
pub(crate) struct Fragments {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Fragments {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Keeps a frame that came in by a port. Returns how many others had to go for it.
    pub(crate) fn hold(&mut self, now: Time, port: usize, frame: &[u8], packet: &Packet) -> u64 {
        let Some(key) = key(packet) else { return 0 };
        match self.waiting.iter_mut().find(|waiting| waiting.key == key && waiting.port == port) {
            Some(waiting) => waiting.frames.push(frame.to_vec()),
            None => {
                self.waiting.push_back(Waiting { key, port, since: now, frames: vec![frame.to_vec()] });
            }
        }
        self.bytes += frame.len();
        let mut lost = 0;
        while self.bytes > MOST_BYTES || self.waiting.len() > MOST_DATAGRAMS {
            lost += self.forget_oldest();
        }
        lost
    }

    /// The frames that waited for this one, in their order.
    pub(crate) fn take(&mut self, port: usize, packet: &Packet) -> Vec<Vec<u8>> {
        let found = key(packet).and_then(|key| {
            self.waiting.iter().position(|waiting| waiting.key == key && waiting.port == port)
        });
        let frames = found.and_then(|index| self.waiting.remove(index)).map_or_else(Vec::new, |w| w.frames);
        self.bytes -= frames.iter().map(Vec::len).sum::<usize>();
        frames
    }

    /// Gives up what waited too long. Returns how many frames.
    pub(crate) fn expire(&mut self, now: Time) -> u64 {
        let mut lost = 0;
        while self.waiting.front().is_some_and(|oldest| now.since(oldest.since) > PATIENCE_NANOS) {
            lost += self.forget_oldest();
        }
        lost
    }

    fn forget_oldest(&mut self) -> u64 {
        let frames = self.waiting.pop_front().map_or_else(Vec::new, |waiting| waiting.frames);
        self.bytes -= frames.iter().map(Vec::len).sum::<usize>();
        frames.len() as u64
    }
}

fn key(packet: &Packet) -> Option<Key> {
    Some(Key {
        version: packet.version,
        source: packet.source,
        destination: packet.destination,
        identification: packet.fragment?.identification,
        protocol: (packet.version == IpVersion::V4).then_some(packet.protocol),
    })
}
