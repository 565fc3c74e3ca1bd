//! A packet's key and hash, and the early loads of what will be needed of its conn.

use super::Tracker;
use super::lookup::Unusual;
use crate::key::{Ends, Oriented};
use crate::table::wheel::NONE;
use crate::{EndsV4, Invalid, Tuple};
use pinhole_wire::{Address, Packet, Plain, Protocol, Transport};
use std::hint::black_box;

/// A packet's key and hash, computed once.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    pub(super) oriented: Oriented,
    /// Upper half of the key's hash.
    pub(super) tag: u32,
    /// Slab index of the conn that [`Tracker::touch`] found likely to be the packet's, or [`NONE`].
    pub(super) likely: u32,
    pub(super) kind: Kind,
    /// What [`Tracker::follow_plain`] found out, if it could not settle the packet.
    pub unusual: Unusual,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It has a key of its own.
    Packet,
    /// It is GRE of version 1: its key is known only when the packets before it have been dealt with, for one may announce its call.
    Call,
    /// It is an ICMP error, and the key is that of the packet it quotes.
    IcmpError {
        /// It was sent to the source of that packet.
        to_source: bool,
        /// That packet is of a PPTP call.
        of_call: bool,
    },
    Untracked,
    Invalid(Invalid),
}

impl Prepared {
    /// What prepares no packet: it is untracked.
    pub const NOTHING: Self = Self::without_key(Kind::Untracked);

    /// Whether [`Tracker::touch`] has found no conn that may be the packet's.
    #[inline]
    pub const fn is_unknown(&self) -> bool {
        self.likely == NONE
    }

    /// The ends of an IPv4 packet with ports.
    #[inline(always)]
    pub const fn ends_v4(&self) -> EndsV4 {
        self.oriented.ends_v4()
    }

    /// The packet's protocol.
    #[inline(always)]
    pub const fn protocol(&self) -> Protocol {
        self.oriented.key.protocol()
    }

    /// Where the packet comes from.
    #[inline(always)]
    pub fn source(&self) -> Address {
        self.tuple().source
    }

    /// The tuple of a packet with ports.
    #[inline(always)]
    pub fn tuple(&self) -> Tuple {
        self.oriented.tuple_with_ports()
    }

    pub(super) const fn without_key(kind: Kind) -> Self {
        let oriented = Oriented { key: crate::key::Key([0; 5]), flipped: false };
        Self { oriented, tag: 0, likely: NONE, kind, unusual: Unusual::APART }
    }
}

/// The key of a packet that is not ICMP.
pub(super) fn oriented(packet: &Packet, zone: u16) -> Result<Oriented, Invalid> {
    let ports = match &packet.transport {
        Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
        Transport::Udp(udp) => (udp.source_port, udp.destination_port),
        Transport::Sctp(sctp) => (sctp.source_port, sctp.destination_port),
        Transport::Dccp(dccp) => (dccp.source_port, dccp.destination_port),
        // Version 1 is PPTP's: the call id is the receiver's, the sender's is known to the helper only (RFC 2637 §4.1).
        Transport::Gre(gre) if gre.version == 1 => (0, gre.call_id),
        Transport::Gre(_) => (0, 0),
        _ if has_header(packet.protocol) => return Err(Invalid::Truncated),
        _ => (0, 0),
    };
    Ok(ends(packet, ports, zone).oriented())
}

/// Whether it is of a PPTP call: its key tells one end only.
pub(super) fn is_call(packet: &Packet) -> bool {
    matches!(&packet.transport, Transport::Gre(gre) if gre.version == 1)
}

#[inline(always)]
fn ends(packet: &Packet, (source_port, destination_port): (u16, u16), zone: u16) -> Ends {
    Ends {
        source: packet.source,
        destination: packet.destination,
        source_port,
        destination_port,
        protocol: packet.protocol,
        version: packet.version,
        zone,
    }
}

/// Protocols that cannot be keyed without their header.
const fn has_header(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::TCP
            | Protocol::UDP
            | Protocol::UDPLITE
            | Protocol::SCTP
            | Protocol::DCCP
            | Protocol::GRE
            | Protocol::ICMP
            | Protocol::ICMPV6
    )
}

impl Tracker {
    /// Computes key and hash of a packet (for ICMP errors: of the quoted packet).
    ///
    /// `packet` must be a whole datagram: a fragment is invalid.
    #[inline(never)]
    pub fn prepare(&self, packet: &Packet, bytes: &[u8], zone: u16) -> Prepared {
        if packet.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
            return Prepared::without_key(Kind::Invalid(Invalid::Fragment));
        }
        if let Transport::Icmp(icmp) = &packet.transport {
            return self.prepare_icmp(packet, icmp, bytes, zone);
        }
        match oriented(packet, zone) {
            Ok(oriented) if is_call(packet) => self.keyed(oriented, Kind::Call),
            Ok(oriented) => self.keyed(oriented, Kind::Packet),
            Err(why) => Prepared::without_key(Kind::Invalid(why)),
        }
    }

    /// As [`prepare`](Self::prepare), for a plain packet, in place of what was prepared before: nothing is moved.
    #[inline(always)]
    pub fn prepare_plain(&self, plain: &Plain, zone: u16, prepared: &mut Prepared) {
        let Plain { version, protocol, source, destination, source_port, destination_port, .. } = *plain;
        let ends = Ends { source, destination, source_port, destination_port, protocol, version, zone };
        prepared.oriented = ends.oriented();
        prepared.tag = self.tag(&prepared.oriented);
        prepared.likely = NONE;
        prepared.kind = Kind::Packet;
    }

    pub(super) fn keyed(&self, oriented: Oriented, kind: Kind) -> Prepared {
        Prepared { oriented, tag: self.tag(&oriented), likely: NONE, kind, unusual: Unusual::APART }
    }

    #[inline(always)]
    pub(super) fn tag(&self, oriented: &Oriented) -> u32 {
        (oriented.key.hash(self.secret) >> 32) as u32
    }

    /// First step of loading early what [`Self::track`] will need: the slot of the index. Call it for a whole batch, then
    /// [`touch`](Self::touch) for the whole batch.
    ///
    /// One packet's loads do not depend on another's, so that the processor waits for many of them at a time.
    #[inline]
    pub fn touch_slot(&self, prepared: &Prepared) {
        black_box(self.index.home(prepared.tag));
    }

    /// Second step: the conn that the slot names, the cache lines that nearly every packet needs.
    #[inline]
    pub fn touch(&self, prepared: &mut Prepared) {
        if let Some(index) = self.index.peek(prepared.tag) {
            prepared.likely = index;
            let is_udp = prepared.oriented.key.protocol() == Protocol::UDP;
            black_box(self.conns[index].touch(is_udp));
        }
    }

    /// Third step, if there are conns that are [translated](Self::translates), and of which something [is kept beside them](Self::keeps_apart).
    #[inline]
    pub fn touch_cold(&self, prepared: &Prepared) {
        if let Some(number) = self.conns.peek(prepared.likely).and_then(|entry| entry.cold) {
            black_box(self.cold.at(number).translation.is_some());
        }
    }
}
