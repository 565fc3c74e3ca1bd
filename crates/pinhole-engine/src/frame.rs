//! What a caller hands in: a frame, and what it knows of it.

use crate::InterfaceId;
use pinhole_wire::{LinkType, Time};

/// What is known of a frame's transport checksum before anybody reads its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameChecksum {
    /// Nothing.
    #[default]
    Unknown,
    /// It is right: a network card verified it, or the frame never was on a wire.
    Verified,
    /// The field holds the pseudo-header's sum, and is completed on the way out.
    Partial,
}

/// One frame, as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The caller's count of frames; comes back in events.
    pub number: u64,
    /// Arrival.
    pub time: Time,
    /// Link layer of the bytes.
    pub link: LinkType,
    /// The frame, from its link header on, as far as it was captured.
    pub bytes: &'a [u8],
    /// The interface it came in by, if known; else the topology tells by source address.
    pub ingress: Option<InterfaceId>,
    /// The interface it will leave by, if known; else the topology tells by destination address.
    pub egress: Option<InterfaceId>,
    /// What whoever received the frame knows of its transport checksum.
    pub checksum: FrameChecksum,
}
