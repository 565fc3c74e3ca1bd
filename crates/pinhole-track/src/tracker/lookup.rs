//! Packets of known conns: key, lookup, judgement.

use super::access::timeouts_of;
use super::{TableFull, Tracked, Tracker};
use crate::event::DestroyCause;
use crate::key::{Ends, Oriented};
use crate::l4::{self, Step, View};
use crate::table::entry::Entry;
use crate::{Invalid, State, Status};
use pinhole_wire::{Direction, Packet, Protocol, Time, Transport};
use std::hint::black_box;

/// A packet's key and hash, computed once.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {
    pub(super) oriented: Oriented,
    /// Upper half of the key's hash.
    pub(super) tag: u32,
    pub(super) kind: Kind,
}

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It has a key of its own.
    Packet,
    /// It is an ICMP error, and the key is that of the packet it quotes.
    IcmpError {
        /// It was sent to the source of that packet.
        to_source: bool,
    },
    Untracked,
    Invalid(Invalid),
}

impl Prepared {
    pub(super) const fn without_key(kind: Kind) -> Self {
        let oriented = Oriented { key: crate::key::Key([0; 5]), flipped: false };
        Self { oriented, tag: 0, kind }
    }
}

/// What a known conn makes of a packet.
enum Followed {
    Tracked(Tracked),
    /// The conn is over; the packet opens another.
    Reopen,
}

/// The key of a packet that is not ICMP.
pub(super) fn oriented(packet: &Packet, zone: u16) -> Result<Oriented, Invalid> {
    let (source_port, destination_port) = match &packet.transport {
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
    let ends = Ends {
        source: packet.source,
        destination: packet.destination,
        source_port,
        destination_port,
        protocol: packet.protocol,
        version: packet.version,
        zone,
    };
    Ok(ends.oriented())
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
    #[inline]
    pub fn prepare(&self, packet: &Packet, bytes: &[u8], zone: u16) -> Prepared {
        if packet.fragment.is_some_and(|fragment| !fragment.is_atomic()) {
            return Prepared::without_key(Kind::Invalid(Invalid::Fragment));
        }
        if let Transport::Icmp(icmp) = &packet.transport {
            return self.prepare_icmp(packet, icmp, bytes, zone);
        }
        match oriented(packet, zone) {
            Ok(oriented) => self.keyed(oriented, Kind::Packet),
            Err(why) => Prepared::without_key(Kind::Invalid(why)),
        }
    }

    pub(super) fn keyed(&self, oriented: Oriented, kind: Kind) -> Prepared {
        Prepared { oriented, tag: self.tag(&oriented), kind }
    }

    pub(super) fn tag(&self, oriented: &Oriented) -> u32 {
        (self.secret.hash(&oriented.key.0) >> 32) as u32
    }

    /// First step of loading early what [`Self::track`] will need: the slot of the index. Call it for a whole batch, then
    /// [`touch`](Self::touch) for the whole batch.
    ///
    /// One packet's loads do not depend on another's, so that the processor waits for many of them at a time.
    #[inline]
    pub fn touch_slot(&self, prepared: &Prepared) {
        black_box(self.index.home(prepared.tag));
    }

    /// Second step: the conn that the slot names, all of its cache lines.
    #[inline]
    pub fn touch(&self, prepared: &Prepared) {
        if let Some(index) = self.index.peek(prepared.tag) {
            black_box(self.conns[index].touch());
        }
    }

    /// Finds or creates the packet's conn and judges the packet.
    ///
    /// # Errors
    /// The table is full.
    #[inline]
    pub fn track(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
    ) -> Result<Tracked, TableFull> {
        let view = View { packet, bytes, now };
        let tracked = match prepared.kind {
            Kind::Packet => self.track_packet(view, prepared)?,
            Kind::IcmpError { to_source } => self.track_icmp_error(now, prepared, to_source),
            Kind::Untracked => Tracked::UNTRACKED,
            Kind::Invalid(why) => Tracked::invalid(why, None),
        };
        self.statistics.invalid += u64::from(tracked.invalid.is_some());
        Ok(tracked)
    }

    fn track_packet(&mut self, view: View<'_>, prepared: &Prepared) -> Result<Tracked, TableFull> {
        if let Some(index) = self.find(view.now, &prepared.oriented, prepared.tag) {
            match self.follow(index, view, prepared.oriented.flipped) {
                Followed::Tracked(tracked) => return Ok(tracked),
                Followed::Reopen => self.end(view.now, index, DestroyCause::Closed),
            }
        }
        self.create(view, prepared)
    }

    /// The confirmed conn with this key. One whose time is up ends here.
    pub(super) fn find(&mut self, now: Time, oriented: &Oriented, tag: u32) -> Option<u32> {
        let index = self.index.find(tag, |index| self.conns[index].key == oriented.key)?;
        if self.conns[index].has_expired(now) {
            self.end(now, index, DestroyCause::Timeout);
            return None;
        }
        Some(index)
    }

    fn follow(&mut self, index: u32, view: View<'_>, flipped: bool) -> Followed {
        let now = view.now;
        let entry = &mut self.conns[index];
        let timeouts = timeouts_of(entry, &self.cold, &self.policies);
        let direction = entry.direction(flipped);
        let status = entry.status();
        let step = l4::update(&mut entry.l4, view, direction, status, &self.settings.l4, timeouts);
        let tracked = Tracked {
            state: state_of(direction, status),
            conn: Some(crate::ConnId { index, generation: entry.generation }),
            direction,
            ..Tracked::UNTRACKED
        };
        let mut changed = false;
        match step {
            Step::Accept { timeout, assure, changed: new_state } => {
                count(entry, direction, view.packet);
                changed = new_state;
                if assure && !status.contains(Status::ASSURED) {
                    entry.insert_status(Status::ASSURED);
                    changed = true;
                }
                if !status.contains(Status::FIXED_TIMEOUT) {
                    let deadline = now.plus_seconds(u64::from(timeout));
                    let earlier = deadline < entry.deadline;
                    entry.deadline = deadline;
                    if earlier {
                        self.wheel.hasten(&mut self.conns, index, deadline);
                    }
                }
            }
            Step::Ignore => {}
            Step::Kill => {
                count(entry, direction, view.packet);
                self.end(now, index, DestroyCause::Closed);
                return Followed::Tracked(tracked);
            }
            Step::Reopen => return Followed::Reopen,
            Step::InvalidClose { reason, timeout } => {
                self.shorten(now, index, timeout);
                return Followed::Tracked(Tracked::invalid(reason, tracked.conn));
            }
            Step::Invalid(why) => return Followed::Tracked(Tracked::invalid(why, tracked.conn)),
        }
        if direction == Direction::Reply && !status.contains(Status::SEEN_REPLY) {
            self.conns[index].insert_status(Status::SEEN_REPLY);
            changed = true;
        }
        if changed {
            self.tell_update(now, index);
        }
        Followed::Tracked(tracked)
    }

    /// A conn that seems to be over at both ends need not keep its place for days.
    fn shorten(&mut self, now: Time, index: u32, seconds: u32) {
        const SOON: u64 = 120 * 1_000_000_000;
        let entry = &mut self.conns[index];
        if entry.deadline.since(now) < SOON || entry.status().contains(Status::FIXED_TIMEOUT) {
            return;
        }
        entry.deadline = entry.deadline.min(now.plus_seconds(u64::from(seconds)));
        let deadline = entry.deadline;
        self.wheel.hasten(&mut self.conns, index, deadline);
    }
}

/// The state of a packet of a known conn: netfilter's `resolve` step.
fn state_of(direction: Direction, status: Status) -> State {
    if direction == Direction::Reply || status.contains(Status::SEEN_REPLY) {
        State::Established
    } else if status.contains(Status::EXPECTED) {
        State::Related
    } else {
        State::New
    }
}

pub(super) fn count(entry: &mut Entry, direction: Direction, packet: &Packet) {
    let counters = &mut entry.counters[direction.index()];
    counters.packets += 1;
    counters.bytes += u64::from(packet.datagram_length());
}
