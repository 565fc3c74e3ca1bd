//! Packets that leave otherwise than they came.
//!
//! A frame that NAT leaves alone is sent on by the caller as it is. What NAT changes or makes is put here. Of a plain packet that is
//! translated only what changes is: its caller has the rest, and whoever may write to the frame needs no copy of it. All other packets lie
//! in one buffer. Both are used again by the next call, so that nothing is allocated for a packet once they have grown.

use pinhole_nat::Patch;
use pinhole_wire::LinkType;
use std::ops::Range;

/// What a packet that the engine gives out is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmissionKind {
    /// The frame itself, translated: it is sent in the frame's stead.
    Translated,
    /// What a rewritten segment holds beyond the longest one; sent right behind it.
    Continued,
    /// A frame that was [held](crate::Verdict::Held), translated.
    Released,
    /// An acknowledgement of held bytes, made in the receiver's name: it goes back where those came from, and bears addresses as
    /// they are known there.
    Acknowledgement,
}

/// A packet to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Emission<'a> {
    /// The caller's count of the frame that it is made of.
    pub frame: u64,
    /// What it is.
    pub kind: EmissionKind,
    /// Link layer of the bytes: the frame's. [`LinkType::RAW`] for a datagram that was put together from fragments, which is to be
    /// fragmented again where it does not fit.
    pub link: LinkType,
    /// The packet. Its link header, if there is one, is the frame's: hardware addresses are the sender's affair.
    pub content: Content<'a>,
}

/// The bytes of a packet that the engine gives out.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// All of them.
    Whole(&'a [u8]),
    /// Those of the frame, which is of this call, with these in its headers. The packet is [`EmissionKind::Translated`].
    Patched(&'a Patch),
}

impl Emission<'_> {
    /// The whole packet. `frame`: the bytes of the frame that it is made of, as they were handed in; nobody looks at them if the content is
    /// [whole](Content::Whole).
    pub fn packet(&self, frame: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        self.write(frame, &mut packet);
        packet
    }

    /// As [`packet`](Self::packet), at the end of `out`.
    pub fn write(&self, frame: &[u8], out: &mut Vec<u8>) {
        match self.content {
            Content::Whole(bytes) => out.extend_from_slice(bytes),
            Content::Patched(patch) => patch.write(frame, out),
        }
    }
}

/// The packets that a call gave out.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    packets: Vec<Made>,
}

#[derive(Debug)]
struct Made {
    frame: u64,
    kind: EmissionKind,
    link: LinkType,
    content: Kept,
}

#[derive(Debug)]
enum Kept {
    /// In the buffer.
    Whole(Range<usize>),
    Patched(Patch),
}

impl Output {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.bytes.clear();
    }

    /// Adds a packet and returns its bytes, to be changed in place.
    pub(crate) fn add(&mut self, frame: u64, kind: EmissionKind, link: LinkType, bytes: &[u8]) -> &mut [u8] {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        let content = Kept::Whole(start..self.bytes.len());
        self.packets.push(Made { frame, kind, link, content });
        self.bytes.get_mut(start..).unwrap_or_default()
    }

    /// Adds a frame that is translated by no more than this.
    #[inline(always)]
    pub(crate) fn add_patched(&mut self, frame: u64, link: LinkType, patch: Patch) {
        let (kind, content) = (EmissionKind::Translated, Kept::Patched(patch));
        self.packets.push(Made { frame, kind, link, content });
    }

    /// Packets so far.
    pub(crate) const fn len(&self) -> usize {
        self.packets.len()
    }

    /// Takes all packets but so many out again.
    pub(crate) fn cut_to(&mut self, count: usize) {
        while self.packets.len() > count {
            self.withdraw();
        }
    }

    /// Takes the packet added last out again.
    pub(crate) fn withdraw(&mut self) {
        if let Some(Made { content: Kept::Whole(place), .. }) = self.packets.pop() {
            self.bytes.truncate(place.start);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Emission<'_>> {
        self.packets.iter().map(|made| self.emission(made))
    }

    pub(crate) fn get(&self, index: usize) -> Option<Emission<'_>> {
        self.packets.get(index).map(|made| self.emission(made))
    }

    fn emission<'a>(&'a self, made: &'a Made) -> Emission<'a> {
        Emission {
            frame: made.frame,
            kind: made.kind,
            link: made.link,
            content: match &made.content {
                Kept::Whole(place) => Content::Whole(self.bytes.get(place.clone()).unwrap_or_default()),
                Kept::Patched(patch) => Content::Patched(patch),
            },
        }
    }
}
