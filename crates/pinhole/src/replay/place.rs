//! Where in the captures something happened.

/// A capture and a frame of it, in one number: what the engine is given as the frame's count, so that its events tell both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(u64);

const FRAME_BITS: u32 = 48;

impl Place {
    /// The frame with this number (from 1) in the capture with this index. Frames beyond 2^48 share one place.
    pub const fn new(capture: usize, frame: u64) -> Self {
        let most = (1 << FRAME_BITS) - 1;
        Self((capture as u64) << FRAME_BITS | if frame > most { most } else { frame })
    }

    /// From the engine's count of a frame.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// As the engine's count of a frame.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Index of the capture.
    pub const fn capture(self) -> usize {
        (self.0 >> FRAME_BITS) as usize
    }

    /// Number of the frame in it, from 1, as Wireshark counts; zero for what no frame caused.
    pub const fn frame(self) -> u64 {
        self.0 & ((1 << FRAME_BITS) - 1)
    }
}
