//! Frames in buffers that are made once and used again and again.

use super::Offload;

/// The longest frame that a port takes: a segmentation superframe of 64 KiB, with an Ethernet header and two VLAN tags.
pub const LONGEST: usize = 65_536 + 14 + 8;

/// Room in front of a received frame, for a VLAN tag that the kernel took out.
const HEADROOM: usize = 64;

/// Room behind the longest frame, into which a rewrite may make it grow.
const TAILROOM: usize = 4_096;

/// One frame and the room around it.
#[derive(Debug)]
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    /// What is left to hardware.
    pub offload: Offload,
}

impl Buffer {
    fn new() -> Self {
        let bytes = vec![0; HEADROOM + LONGEST + TAILROOM].into_boxed_slice();
        Self { bytes, start: HEADROOM, end: HEADROOM, offload: Offload::NONE }
    }

    /// The frame, from its link header on.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The frame, to be changed in place.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Cuts off what is behind so many bytes.
    pub fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }

    /// Makes the frame these bytes. `false`, and an empty frame: there is no room for them.
    pub fn set(&mut self, bytes: &[u8], offload: Offload) -> bool {
        self.offload = offload;
        let fits =
            self.bytes.get_mut(HEADROOM..HEADROOM + bytes.len()).map(|room| room.copy_from_slice(bytes));
        (self.start, self.end) = (HEADROOM, HEADROOM + fits.map_or(0, |()| bytes.len()));
        fits.is_some()
    }

    /// Room for a frame to be received into: [`LONGEST`] bytes.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.bytes.get_mut(HEADROOM..HEADROOM + LONGEST).unwrap_or_default()
    }

    /// `length` bytes of [`room`](Self::room) were received.
    pub(super) fn received(&mut self, length: usize, offload: Offload) {
        (self.start, self.end) = (HEADROOM, HEADROOM + length.min(LONGEST));
        self.offload = offload;
    }

    /// Puts back a VLAN tag that the kernel took out: after the two addresses (IEEE 802.1Q §9.3).
    pub(super) fn insert_tag(&mut self, protocol: u16, control: u16) {
        const ADDRESSES: usize = 12;
        const TAG: usize = 4;
        if self.end - self.start < ADDRESSES {
            return;
        }
        let start = self.start - TAG;
        self.bytes.copy_within(self.start..self.start + ADDRESSES, start);
        let [p0, p1] = protocol.to_be_bytes();
        let [c0, c1] = control.to_be_bytes();
        if let Some(tag) = self.bytes.get_mut(start + ADDRESSES..start + ADDRESSES + TAG) {
            tag.copy_from_slice(&[p0, p1, c0, c1]);
        }
        self.start = start;
        self.offload = self.offload.shifted(TAG as u16);
    }
}

/// Frames received together. The default has room for none.
#[derive(Debug, Default)]
pub struct Batch {
    buffers: Vec<Buffer>,
    used: usize,
}

impl Batch {
    /// An empty batch with room for `capacity` frames, about 70 kB each.
    pub fn new(capacity: usize) -> Self {
        Self { buffers: (0..capacity).map(|_| Buffer::new()).collect(), used: 0 }
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// Frames in it.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.used >= self.buffers.len()
    }

    /// The frames.
    pub fn frames(&self) -> &[Buffer] {
        self.buffers.get(..self.used).unwrap_or_default()
    }

    /// The frames, to be changed in place.
    pub fn frames_mut(&mut self) -> &mut [Buffer] {
        self.buffers.get_mut(..self.used).unwrap_or_default()
    }

    /// Adds a copy of a frame. `false`: the batch is full, or the frame is longer than a buffer.
    pub fn push(&mut self, bytes: &[u8], offload: Offload) -> bool {
        let Some(buffer) = self.buffers.get_mut(self.used) else { return false };
        let fits = buffer.set(bytes, offload);
        self.used += usize::from(fits);
        fits
    }

    /// Leaves the frames that are to be kept, in their order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Buffer) -> bool) {
        let mut kept = 0;
        for index in 0..self.used {
            if self.buffers.get(index).is_some_and(&mut keep) {
                self.buffers.swap(kept, index);
                kept += 1;
            }
        }
        self.used = kept;
    }

    /// Buffers for more frames.
    pub(super) fn spare(&mut self) -> &mut [Buffer] {
        self.buffers.get_mut(self.used..).unwrap_or_default()
    }

    /// So many of the [`spare`](Self::spare) buffers now hold frames.
    pub(super) fn filled(&mut self, count: usize) {
        self.used = (self.used + count).min(self.buffers.len());
    }
}
