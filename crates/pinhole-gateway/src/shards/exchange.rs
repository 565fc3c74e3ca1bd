//! Letter boxes: what shards hand to each other. The only thing that they share.
//!
//! A box is locked for as long as it takes to append to it or to empty it, once for a batch of frames. Both of its lanes are bounded; who
//! finds one full is told what was left out, and counts it.

use super::bell::Bell;
use super::detours::Notice;
use pinhole_io::live::Offload;
use std::collections::VecDeque;
use std::io;
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

#[derive(Debug)]
struct LetterBox {
    frames: Lane<VecDeque<Handed>>,
    notices: Lane<Vec<(usize, Notice)>>,
    bell: Bell,
}

#[derive(Debug, Default)]
struct Lane<T> {
    filled: AtomicBool,
    contents: Mutex<T>,
}

impl<T: Default> Lane<T> {
    fn put<R>(&self, put: impl FnOnce(&mut T) -> R) -> R {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        let result = put(&mut contents);
        self.filled.store(true, Ordering::SeqCst);
        result
    }

    fn is_filled(&self) -> bool {
        self.filled.load(Ordering::SeqCst)
    }

    /// All that is in it; without a lock if there is nothing.
    fn take(&self) -> Option<T> {
        if !self.is_filled() {
            return None;
        }
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        self.filled.store(false, Ordering::SeqCst);
        Some(std::mem::take(&mut *contents))
    }
}

impl Exchange {
    /// Boxes for so many shards.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub fn new(count: usize) -> io::Result<Self> {
        let letter_box =
            |_| Ok(LetterBox { frames: Lane::default(), notices: Lane::default(), bell: Bell::new()? });
        Ok(Self { boxes: (0..count).map(letter_box).collect::<io::Result<_>>()? })
    }

    /// A shard's bell.
    pub fn bell(&self, of: usize) -> Option<&Bell> {
        self.boxes.get(of).map(|letters| &letters.bell)
    }

    /// Whether anything waits for a shard.
    pub fn has_letters(&self, of: usize) -> bool {
        self.boxes.get(of).is_some_and(|letters| letters.frames.is_filled() || letters.notices.is_filled())
    }

    /// Empties `frames` into a shard's box; returns how many there was no room for.
    pub(super) fn hand_over(&self, to: usize, frames: &mut Vec<Handed>) -> usize {
        let Some(letters) = self.boxes.get(to).filter(|_| !frames.is_empty()) else { return 0 };
        let lost = letters.frames.put(|waiting| {
            let taken = frames.len().min(MOST_FRAMES.saturating_sub(waiting.len()));
            waiting.extend(frames.drain(..taken));
            let lost = frames.len();
            frames.clear();
            lost
        });
        letters.bell.ring();
        lost
    }

    /// Empties `notices` into a shard's box; returns how many there was no room for. Nobody is woken for them: they concern frames that come later.
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
