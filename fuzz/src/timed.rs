//! Frames with times.
//!
//! An input is a sequence of records: a byte for the pause before the frame, a byte for its link type, two bytes for its length, the frame.

use crate::reader::Fields;
use pinhole_wire::{LinkType, Time};

/// The link types that the first values of the byte stand for.
const LINKS: [LinkType; 12] = [
    LinkType::RAW,
    LinkType::ETHERNET,
    LinkType::LINUX_SLL,
    LinkType::LINUX_SLL2,
    LinkType::NULL,
    LinkType::LOOP,
    LinkType::PPP,
    LinkType::PPP_HDLC,
    LinkType::IPV4,
    LinkType::IPV6,
    LinkType::RAW_12,
    LinkType::RAW_14,
];

/// A frame and its time.
#[derive(Clone, Copy, Debug)]
pub struct TimedFrame<'a> {
    /// When it came.
    pub time: Time,
    /// What it starts with.
    pub link: LinkType,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The frames of an input.
pub fn frames(input: &[u8]) -> impl Iterator<Item = TimedFrame<'_>> {
    let mut fields = Fields(input);
    let mut time = Time::from_seconds(1_000_000);
    std::iter::from_fn(move || {
        time = time.plus_nanos(pause(fields.byte()?));
        let link = link(fields.byte()?);
        let length = fields.word()?;
        Some(TimedFrame { time, link, bytes: fields.bytes(usize::from(length)) })
    })
}

/// Appends a frame as [`frames`] reads it. Frames that are too long for it are left out.
pub fn append(input: &mut Vec<u8>, link: LinkType, bytes: &[u8]) {
    let index = LINKS.iter().position(|&known| known == link);
    if let (Some(index), Ok(length)) = (index, u16::try_from(bytes.len())) {
        input.extend([1, index as u8]);
        input.extend(length.to_be_bytes());
        input.extend(bytes);
    }
}

/// Which link type a byte stands for.
pub fn link(byte: u8) -> LinkType {
    LINKS.get(usize::from(byte)).copied().unwrap_or(LinkType(u16::from(byte)))
}

/// From milliseconds to hours: timeouts must come within reach.
fn pause(byte: u8) -> u64 {
    const MILLISECOND: u64 = 1_000_000;
    match byte {
        0..64 => u64::from(byte) * MILLISECOND,
        64..192 => u64::from(byte - 63) * 1_000 * MILLISECOND,
        192.. => u64::from(byte - 191) * 7_200_000 * MILLISECOND,
    }
}
