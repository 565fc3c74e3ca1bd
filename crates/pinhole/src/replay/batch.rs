//! Frames on their way from a capture to the engine: copied once, handled many at a time.

use super::Place;
use pinhole_engine::Frame;
use pinhole_io::capture::MergedFrame;
use pinhole_wire::{LinkType, Time};
use std::ops::Range;

/// Frames handled together.
pub(super) const BATCH: usize = 128;

/// A batch of frames, their bytes in one buffer that is reused.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// One frame of a batch.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// As captured.
    pub(super) time: Time,
    /// As the engine is told.
    pub(super) clock: Time,
    pub(super) link: LinkType,
    pub(super) interface: u32,
    pub(super) original_length: u32,
    range: Range<usize>,
}

impl Entry {
    /// As the engine takes it, with these bytes.
    #[inline]
    pub(super) fn frame<'a>(&self, bytes: &'a [u8]) -> Frame<'a> {
        Frame {
            number: self.place.number(),
            time: self.clock,
            link: self.link,
            bytes,
            ingress: None,
            egress: None,
            checksum: pinhole_engine::FrameChecksum::Unknown,
        }
    }
}

impl Batch {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= BATCH
    }

    /// Adds a frame; `clock` is the time that the engine is told.
    #[inline]
    pub(super) fn push(&mut self, merged: &MergedFrame<'_>, clock: Time) {
        let frame = &merged.frame;
        let start = self.bytes.len();
        self.bytes.extend_from_slice(frame.bytes);
        self.entries.push(Entry {
            place: Place::new(merged.capture, frame.number),
            time: frame.time,
            clock,
            link: frame.link,
            interface: frame.interface,
            original_length: frame.original_length,
            range: start..self.bytes.len(),
        });
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn bytes(&self, entry: &Entry) -> &[u8] {
        self.bytes.get(entry.range.clone()).unwrap_or_default()
    }

    /// The frames as the engine takes them, in `room`; returns those that are filled in.
    pub(super) fn frames<'a, 'b>(&'a self, room: &'b mut [Frame<'a>; BATCH]) -> &'b [Frame<'a>] {
        for (place, entry) in room.iter_mut().zip(&self.entries) {
            *place = entry.frame(self.bytes(entry));
        }
        room.get(..self.entries.len().min(BATCH)).unwrap_or_default()
    }
}

/// A frame of no bytes, to fill arrays with.
pub(super) const NO_FRAME: Frame<'static> = Frame {
    number: 0,
    time: Time(0),
    link: LinkType(0),
    bytes: &[],
    ingress: None,
    egress: None,
    checksum: pinhole_engine::FrameChecksum::Unknown,
};
