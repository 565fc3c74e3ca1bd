//! Letter boxes: what shards hand to each other. The only thing that they share.
//!
//! A box is locked for as long as it takes to append to it or to empty it, once for a batch of frames. Both of its lanes are bounded; who
//! finds one full is told what was left out, and counts it.

use super::detours::Notice;
use pinhole_io::live::Offload;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Frames that wait for one shard.
const MOST_FRAMES: usize = 4_096;

/// Notices that wait for one shard.
const MOST_NOTICES: usize = 65_536;

/// A frame that came in by a port in one shard and is another's.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) side: usize,
    /// Its home has looked at it already: it goes no further.
    pub(super) settled: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) offload: Offload,
}

/// The boxes of all shards.
#[derive(Debug)]
pub struct Exchange {
    boxes: Vec<LetterBox>,
}

#[derive(Debug, Default)]
struct LetterBox {
    frames: Lane<VecDeque<Handed>>,
    notices: Lane<Vec<(usize, Notice)>>,
}

#[derive(Debug, Default)]
struct Lane<T> {
    filled: AtomicBool,
    contents: Mutex<T>,
}

impl<T: Default> Lane<T> {
    fn put<R>(&self, put: impl FnOnce(&mut T) -> R) -> R {
        let result = put(&mut self.contents.lock().unwrap_or_else(PoisonError::into_inner));
        self.filled.store(true, Ordering::Release);
        result
    }

    /// All that is in it; without a lock if there is nothing.
    fn take(&self) -> Option<T> {
        if !self.filled.load(Ordering::Acquire) {
            return None;
        }
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        self.filled.store(false, Ordering::Release);
        Some(std::mem::take(&mut *contents))
    }
}

impl Exchange {
    /// Boxes for so many shards.
    pub fn new(count: usize) -> Self {
        Self { boxes: (0..count).map(|_| LetterBox::default()).collect() }
    }

    /// Empties `frames` into a shard's box; returns how many there was no room for.
    pub(super) fn hand_over(&self, to: usize, frames: &mut Vec<Handed>) -> usize {
        let Some(letters) = self.boxes.get(to).filter(|_| !frames.is_empty()) else { return 0 };
        letters.frames.put(|waiting| {
            let taken = frames.len().min(MOST_FRAMES.saturating_sub(waiting.len()));
            waiting.extend(frames.drain(..taken));
            let lost = frames.len();
            frames.clear();
            lost
        })
    }

    pub(super) fn tell(&self, to: usize, from: usize, notices: &mut Vec<Notice>) -> usize {
        let Some(letters) = self.boxes.get(to).filter(|_| !notices.is_empty()) else { return 0 };
        letters.notices.put(|waiting| {
            let taken = notices.len().min(MOST_NOTICES.saturating_sub(waiting.len()));
            waiting.extend(notices.drain(..taken).map(|notice| (from, notice)));
            let lost = notices.len();
            notices.clear();
            lost
        })
    }

    pub(super) fn frames(&self, of: usize) -> Option<VecDeque<Handed>> {
        self.boxes.get(of)?.frames.take()
    }

    pub(super) fn notices(&self, of: usize) -> Option<Vec<(usize, Notice)>> {
        self.boxes.get(of)?.notices.take()
    }
}
