//! The first pass over a batch: link layer, parse, hash.
//!
//! Of a plain packet only its ends are read, as its conn is likely to be known and to accept it; the rest is parsed if anybody asks for it.
//! Stages are made once and overwritten by batch after batch, each field in place.

use crate::Topology;
use crate::engine::Statistics;
use crate::event::{Outcome, Reason, Verdict};
use crate::frame::Frame;
use crate::rules::{Path, Way};
use pinhole_track::{Known, Prepared, Tracker};
use pinhole_wire::link::{self, LinkError, Network, NetworkKind};
use pinhole_wire::{Bounds, IpVersion, Packet, ParseError, Plain};

/// What the first passes made of a frame.
pub(crate) struct Stage {
    pub(crate) next: Next,
    /// Of plain packets.
    pub(crate) way: Way,
    /// Of plain packets.
    pub(crate) bounds: Bounds,
    /// Of plain packets and where `next` is [`Next::Track`].
    pub(crate) prepared: Prepared,
    /// Of others, unless `next` is [`Next::Done`].
    pub(crate) packet: Packet,
}

/// What comes next for a frame.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// It is a plain packet, of which no more has been read than its key needs.
    Plain,
    /// It is a plain packet whose checksum is right, or is not looked at.
    Sound,
    /// It is a plain packet whose checksum is wrong, read into `packet`.
    Corrupt,
    /// It is a plain packet that its conn has accepted.
    Known(Known),
    /// It is a plain packet that the tracker could not settle by its key.
    Unusual,
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
            way: Way::FIRST,
            bounds: Bounds::default(),
            prepared: Prepared::NOTHING,
            packet: Packet::default(),
        }
    }
}

impl Stage {
    #[inline(always)]
    pub(crate) fn prepare(
        &mut self,
        frame: &Frame<'_>,
        tracker: &Tracker,
        topology: &Topology,
        statistics: &mut Statistics,
    ) {
        if let Some(datagram) = link::ethernet_ipv4(frame.link, frame.bytes)
            && let Some(plain) = Plain::read(IpVersion::V4, datagram, link::ETHERNET_HEADER as u32)
        {
            return self.prepare_plain(&plain, tracker, topology);
        }
        self.prepare_other(frame, tracker, topology, statistics);
    }

    #[inline(always)]
    fn prepare_plain(&mut self, plain: &Plain, tracker: &Tracker, topology: &Topology) {
        let path = Path::of(topology, plain.version, plain.source, plain.destination);
        tracker.prepare_plain(plain, 0, &mut self.prepared);
        self.way = Way::new(path, plain.version);
        self.bounds = plain.bounds;
        self.next = Next::Plain;
    }

    /// Frames that are not Ethernet with a plain IPv4 packet.
    #[inline(never)]
    fn prepare_other(
        &mut self,
        frame: &Frame<'_>,
        tracker: &Tracker,
        topology: &Topology,
        statistics: &mut Statistics,
    ) {
        let network = link::strip(frame.link, frame.bytes);
        if let Ok(Network { offset, kind, .. }) = network {
            if let Some(version) = version(kind)
                && let Some(datagram) = frame.bytes.get(offset as usize..)
                && let Some(plain) = Plain::read(version, datagram, offset)
            {
                return self.prepare_plain(&plain, tracker, topology);
            }
            if self.packet.parse_into(frame.bytes, offset).is_ok()
                && version(kind) == Some(self.packet.version)
                && self.packet.fragment.is_none()
            {
                self.prepared = tracker.prepare(&self.packet, frame.bytes, 0);
                self.next = Next::Track;
                return;
            }
        }
        self.next = self.unusual(network, frame, statistics);
    }

    /// Frames that are not whole, well-formed datagrams.
    #[cold]
    #[inline(never)]
    fn unusual(
        &mut self,
        network: Result<Network, LinkError>,
        frame: &Frame<'_>,
        statistics: &mut Statistics,
    ) -> Next {
        self.prepared = Prepared::NOTHING;
        let network = match network {
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
            Ok(_) if version(network.kind) != Some(self.packet.version) => Err(ParseError::Version),
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

/// The IP version that the link layer announced.
#[inline]
const fn version(kind: NetworkKind) -> Option<IpVersion> {
    match kind {
        NetworkKind::Ipv4 => Some(IpVersion::V4),
        NetworkKind::Ipv6 => Some(IpVersion::V6),
        NetworkKind::Other(_) => None,
    }
}
