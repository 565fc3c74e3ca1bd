//! Frames of a batch: how they are numbered, what the engine is told of them, what is read of them again for an answer.

use pinhole_engine::{Frame, FrameChecksum, InterfaceId};
use pinhole_io::live::{Buffer, Offload};
use pinhole_wire::{LinkType, Packet, Time, link};

/// Frames taken from a port at a time.
pub(crate) const BATCH: usize = 64;

/// Frames are numbered from 1 for each port; the port's own number stands above this bit of theirs.
pub const SIDE_SHIFT: u32 = 48;

/// The number of a port's frame.
const fn number(side: usize, count: u64) -> u64 {
    (side as u64) << SIDE_SHIFT | count
}

/// How frames are counted: by one shard of several so that no two have one number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting {
    index: u64,
    count: u64,
}

impl Counting {
    pub(crate) const ALONE: Self = Self { index: 0, count: 1 };

    pub(crate) fn of((index, count): (usize, usize)) -> Self {
        Self { index: index as u64, count: count.max(1) as u64 }
    }

    /// The number of this shard's frame that was the so manieth, from 1, to come in by a side.
    #[inline]
    pub(crate) const fn number(self, side: usize, nth: u64) -> u64 {
        number(side, (nth - 1) * self.count + self.index + 1)
    }
}

/// The port that a frame came in by.
pub(crate) const fn side_of(number: u64) -> usize {
    (number >> SIDE_SHIFT) as usize
}

/// No frame, to be overwritten.
pub(crate) const NO_FRAME: Frame<'static> = Frame {
    number: 0,
    time: Time(0),
    link: LinkType::ETHERNET,
    bytes: &[],
    ingress: None,
    egress: None,
    checksum: FrameChecksum::Unknown,
};

/// A frame of a batch, as the engine takes it.
pub(crate) fn frame(
    number: u64,
    time: Time,
    buffer: &Buffer,
    ingress: Option<InterfaceId>,
    egress: Option<InterfaceId>,
) -> Frame<'_> {
    Frame {
        number,
        time,
        link: LinkType::ETHERNET,
        bytes: buffer.bytes(),
        ingress,
        egress,
        checksum: checksum(buffer.offload),
    }
}

fn checksum(offload: Offload) -> FrameChecksum {
    if offload.needs_checksum() {
        FrameChecksum::Partial
    } else if offload.vouches_for_checksum() {
        FrameChecksum::Verified
    } else {
        FrameChecksum::Unknown
    }
}

/// The IP header of a frame.
pub(crate) fn network_layer(frame: &[u8]) -> Option<Packet> {
    let network = link::strip(LinkType::ETHERNET, frame).ok()?;
    Packet::parse_network(frame, network.offset).ok()
}

/// What stands in front of the datagram.
pub(crate) fn link_header(frame: &[u8]) -> &[u8] {
    let length = link::strip(LinkType::ETHERNET, frame).map_or(0, |network| network.offset as usize);
    frame.get(..length).unwrap_or_default()
}

/// All headers of a frame, or the IP header alone if the others are bad or not there.
pub(crate) fn whole_packet(frame: &[u8]) -> Option<Packet> {
    let network = link::strip(LinkType::ETHERNET, frame).ok()?;
    Packet::parse(frame, network.offset).or_else(|_| Packet::parse_network(frame, network.offset)).ok()
}
