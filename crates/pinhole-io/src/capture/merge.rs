//! Several captures as one, in the order of their time stamps.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pinhole_wire::Time;

use super::error::CaptureError;
use super::{CaptureReader, Frame};

/// Yields the frames of several captures, always the earliest of their next ones; at equal times that of the capture
/// given first. Frames that are out of order within a capture stay in the order of their file.
#[derive(Debug)]
pub struct Merge {
    readers: Vec<CaptureReader>,
    /// Time and reader of every frame that is ready.
    ready: BinaryHeap<Reverse<(Time, usize)>>,
    /// Readers that have to move on before the next frame can be chosen.
    spent: Vec<usize>,
}

/// A frame and the capture it is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MergedFrame<'a> {
    /// Index of the capture, in the order they were given to [`Merge::new`].
    pub capture: usize,
    /// The frame; its number counts within its capture.
    pub frame: Frame<'a>,
}

impl Merge {
    /// Merges these captures.
    pub fn new(readers: Vec<CaptureReader>) -> Self {
        let spent = (0..readers.len()).rev().collect();
        let ready = BinaryHeap::with_capacity(readers.len());
        Self { readers, ready, spent }
    }

    /// The next frame; none when all captures are at their end.
    ///
    /// # Errors
    /// One capture is damaged. Its good frames were delivered; the caller may go on, and gets the frames of the others.
    #[expect(
        clippy::should_implement_trait,
        reason = "a frame borrows the reader, which Iterator cannot say"
    )]
    #[inline]
    pub fn next(&mut self) -> Result<Option<MergedFrame<'_>>, CaptureError> {
        while let Some(index) = self.spent.pop() {
            let Some(reader) = self.readers.get_mut(index) else { continue };
            reader.advance()?;
            if let Some(frame) = reader.current() {
                self.ready.push(Reverse((frame.time, index)));
            }
        }
        let Some(Reverse((_, capture))) = self.ready.pop() else { return Ok(None) };
        self.spent.push(capture);
        let frame = self.readers.get(capture).and_then(CaptureReader::current);
        Ok(frame.map(|frame| MergedFrame { capture, frame }))
    }

    /// The captures, in the order they were given.
    pub fn readers(&self) -> &[CaptureReader] {
        &self.readers
    }
}
