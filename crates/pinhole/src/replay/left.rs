//! What left in place of a packet: under NAT not the packet that came.

use super::{Headers, Seen};
use pinhole_wire::{LinkType, Packet, link};

/// What left in place of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Left<'a> {
    /// The packet itself, if it survives.
    AsItCame,
    /// These frames: none if it is held back, several if its payload grew or it let others go.
    Changed(&'a [LeftFrame]),
}

/// A frame that left.
#[derive(Clone, Debug)]
pub struct LeftFrame {
    /// What `bytes` start with: as the packet's, or raw IP for a datagram that came in fragments.
    pub link: LinkType,
    /// The frame.
    pub bytes: Vec<u8>,
}

/// One packet that left, as the formats show it.
#[derive(Clone, Debug)]
pub struct LeftPacket {
    /// Its headers.
    pub headers: Option<Headers>,
    /// Bytes of the frame.
    pub length: usize,
    /// Its payload, if that is not the one that came.
    pub rewritten: Option<Box<[u8]>>,
}

impl Seen<'_> {
    /// The packets that left; `None` if that is the packet that came, or nothing because it did not survive.
    pub fn left_packets(&self) -> Option<Vec<LeftPacket>> {
        let Left::Changed(frames) = self.left else { return None };
        let came = payload(self.link, self.bytes);
        let packet = |frame: &LeftFrame| {
            let left = payload(frame.link, &frame.bytes);
            LeftPacket {
                headers: Headers::read(frame.link, &frame.bytes),
                length: frame.bytes.len(),
                rewritten: left.filter(|_| left != came).map(Box::from),
            }
        };
        Some(frames.iter().map(packet).collect())
    }
}

/// The payload of a frame, if it is a whole packet of a transport protocol.
fn payload(link: LinkType, frame: &[u8]) -> Option<&[u8]> {
    let network = link::strip(link, frame).ok()?;
    let packet = Packet::parse(frame, network.offset).ok()?;
    Some(packet.payload_bytes(frame))
}
