//! The first passes over a batch: link layer, parse, hash.
//!
//! Stages are made once and overwritten by batch after batch, each field in place.

use crate::engine::{Frame, Statistics};
use crate::event::{Outcome, Reason, Verdict};
use pinhole_track::{Prepared, Tracker};
use pinhole_wire::link::{self, Network, NetworkKind};
use pinhole_wire::{IpVersion, Packet, ParseError};

/// What the first passes made of a frame.
pub(crate) struct Stage {
    pub(crate) next: Next,
    /// Of no meaning when `next` is [`Next::Done`].
    pub(crate) packet: Packet,
    /// Of no meaning unless `next` is [`Next::Track`].
    pub(crate) prepared: Prepared,
}

/// What comes next for a frame.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    Track,
    /// It is a fragment.
    Reassemble,
    /// The transport header is bad: there is nothing to track, but rules see the packet as `invalid`.
    Invalid(ParseError),
    Done(Outcome),
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            next: Next::Done(Outcome::early(Verdict::NotIp, None)),
            packet: Packet::default(),
            prepared: Prepared::NOTHING,
        }
    }
}

impl Stage {
    #[inline]
    pub(crate) fn prepare(&mut self, frame: &Frame<'_>, tracker: &Tracker, statistics: &mut Statistics) {
        statistics.frames += 1;
        if let Ok(Network { offset, kind, .. }) = link::strip(frame.link, frame.bytes)
            && self.packet.parse_into(frame.bytes, offset).is_ok()
            && agrees(kind, self.packet.version)
            && self.packet.fragment.is_none()
        {
            tracker.prepare_into(&self.packet, frame.bytes, 0, &mut self.prepared);
            self.next = Next::Track;
            return;
        }
        self.next = self.unusual(frame, statistics);
    }

    /// Frames that are not whole, well-formed datagrams.
    #[cold]
    #[inline(never)]
    fn unusual(&mut self, frame: &Frame<'_>, statistics: &mut Statistics) -> Next {
        self.prepared = Prepared::NOTHING;
        let network = match link::strip(frame.link, frame.bytes) {
            Ok(Network { kind: NetworkKind::Other(_), .. }) => {
                statistics.not_ip += 1;
                return Next::Done(Outcome::early(Verdict::NotIp, None));
            }
            Ok(network) => network,
            Err(why) => {
                statistics.malformed += 1;
                return Next::Done(Outcome::early(Verdict::Drop, Some(Reason::Link(why))));
            }
        };
        let parsed = match parse(&mut self.packet, frame.bytes, network.offset) {
            Ok(_) if !agrees(network.kind, self.packet.version) => Err(ParseError::Version),
            other => other,
        };
        match parsed {
            Ok(_) if self.packet.fragment.is_some() => Next::Reassemble,
            // It was parsed already, and is whole and well-formed only now: that cannot be.
            Ok(None) => Next::Invalid(ParseError::Transport),
            Ok(Some(why)) => {
                statistics.malformed += 1;
                Next::Invalid(why)
            }
            Err(why) => {
                statistics.malformed += 1;
                Next::Done(Outcome::early(Verdict::Drop, Some(Reason::Parse(why))))
            }
        }
    }
}

/// Parses a datagram. A bad IP header is an error, as hosts drop such datagrams before anything looks at them; a bad transport header, which
/// comes out as `Some`, leaves a packet that rules can still see.
pub(crate) fn parse(
    packet: &mut Packet,
    bytes: &[u8],
    network: u32,
) -> Result<Option<ParseError>, ParseError> {
    match packet.parse_into(bytes, network) {
        Ok(()) => Ok(None),
        Err(why @ (ParseError::TransportCut | ParseError::Transport)) => {
            *packet = Packet::parse_network(bytes, network)?;
            Ok(Some(why))
        }
        Err(why) => Err(why),
    }
}

/// Whether the IP version is the one that the link layer announced.
#[inline]
const fn agrees(kind: NetworkKind, version: IpVersion) -> bool {
    matches!((kind, version), (NetworkKind::Ipv4, IpVersion::V4) | (NetworkKind::Ipv6, IpVersion::V6))
}
