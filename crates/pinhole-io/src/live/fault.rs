//! A port whose incoming frames are lost, delayed, reordered, duplicated and corrupted, by a seed.
//!
//! For tests: the same seed and the same frames at the same times suffer the same faults.

use super::{Batch, Offload, Port};
use pinhole_wire::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::BorrowedFd;

/// Most frames that are held back at a time; beyond it they are lost.
const MOST_HELD: usize = 4_096;

/// How often what happens to an incoming frame, each in parts of a million, and for how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// It is lost.
    pub loss: u32,
    /// It comes twice.
    pub duplication: u32,
    /// One of its bits is wrong. A frame whose checksum is still to be computed is spared: nothing would ever notice.
    pub corruption: u32,
    /// It is overtaken: comes `hold` nanoseconds later than frames that are not.
    pub reordering: u32,
    /// How much later, in nanoseconds.
    pub hold: u64,
    /// Every frame comes this much later, in nanoseconds.
    pub delay: u64,
}

/// A port with faults.
#[derive(Debug)]
pub struct Faulty<P> {
    inner: P,
    faults: Faults,
    random: u64,
    scratch: Batch,
    held: BinaryHeap<Reverse<Held>>,
    sequence: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Time,
    sequence: u64,
    bytes: Vec<u8>,
    offload: [u8; super::offload::HEADER],
}

impl<P: Port> Faulty<P> {
    /// A port that suffers these faults.
    pub fn new(inner: P, faults: Faults, seed: u64) -> Self {
        Self { inner, faults, random: seed, scratch: Batch::new(64), held: BinaryHeap::new(), sequence: 0 }
    }

    /// SplitMix64: a counter, mixed.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn happens(&mut self, parts: u32) -> bool {
        self.next_random() % 1_000_000 < u64::from(parts)
    }

    fn suffer(&mut self, now: Time, bytes: &[u8], offload: Offload) {
        if self.happens(self.faults.loss) {
            return;
        }
        let copies = 1 + usize::from(self.happens(self.faults.duplication));
        for _ in 0..copies {
            let (mut bytes, mut offload) = (bytes.to_vec(), offload);
            if self.happens(self.faults.corruption) && !bytes.is_empty() && !offload.needs_checksum() {
                // Nor was it verified as it is now.
                offload = Offload::NONE;
                let bit = self.next_random() as usize % (bytes.len() * 8);
                if let Some(byte) = bytes.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            let overtaken = self.happens(self.faults.reordering);
            let later = self.faults.delay + if overtaken { self.faults.hold } else { 0 };
            if self.held.len() < MOST_HELD {
                self.sequence += 1;
                let (due, sequence) = (now.plus_nanos(later), self.sequence);
                self.held.push(Reverse(Held { due, sequence, bytes, offload: offload.encode() }));
            }
        }
    }
}

impl<P: Port> Port for Faulty<P> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn receive(&mut self, now: Time, batch: &mut Batch) -> io::Result<()> {
        let mut scratch = std::mem::replace(&mut self.scratch, Batch::new(0));
        scratch.clear();
        let result = self.inner.receive(now, &mut scratch);
        for frame in scratch.frames() {
            self.suffer(now, frame.bytes(), frame.offload);
        }
        self.scratch = scratch;
        while !batch.is_full() && self.held.peek().is_some_and(|held| held.0.due <= now) {
            if let Some(Reverse(held)) = self.held.pop() {
                batch.push(&held.bytes, Offload::decode(&held.offload));
            }
        }
        result
    }

    fn send(&mut self, now: Time, batch: &Batch, which: &[u16]) -> usize {
        self.inner.send(now, batch, which)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inner.descriptor()
    }

    fn next_deadline(&self) -> Option<Time> {
        let own = self.held.peek().map(|held| held.0.due);
        [own, self.inner.next_deadline()].into_iter().flatten().min()
    }

    fn overruns(&mut self) -> u64 {
        self.inner.overruns()
    }
}
