//! What comes to a shard by its ends and is another's: conns that the other tracks, packets that may fulfil what it expects, and the fragments of both.
//!
//! Each shard has its own table, changed by the notices of others alone. A conn that the shard tracks itself is never led elsewhere.

use pinhole_engine::{Cidr, Steering};
use pinhole_helper::{AddressMatch, Expect, PortMatch};
use pinhole_track::{ExpectationId, Tracker, Tuple};
use pinhole_wire::{Address, IpVersion, LinkType, Packet, Protocol, Transport, link};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Most conns of others that are known; those beyond are answered as if nobody had them.
const MOST_CLAIMS: usize = 1 << 20;

/// Most datagrams whose fragments are led elsewhere: the latest.
const MOST_TRAILS: usize = 1_024;

/// A conn, whichever way its packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    protocol: Protocol,
    ends: [(Address, u16); 2],
}

impl Key {
    pub(super) fn of(tuple: &Tuple) -> Self {
        let (one, other) = (tuple.source_port, tuple.destination_port);
        let mut ends = [(tuple.source, one), (tuple.destination, other)];
        match tuple.protocol {
            // A packet tells its receiver's key only, so each direction has a key of its own.
            Protocol::GRE => ends = [(tuple.source, 0), (tuple.destination, other)],
            // An answer has another type, and the same identifier.
            Protocol::ICMP | Protocol::ICMPV6 => {
                ends = [(tuple.source, one), (tuple.destination, one)];
                ends.sort_unstable();
            }
            _ => ends.sort_unstable(),
        }
        Self { protocol: tuple.protocol, ends }
    }
}

/// What one shard tells another.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// This conn is mine.
    Claim(Key),
    /// It has ended.
    Release(Key),
    /// I expect this.
    Expect(ExpectationId, Box<Expect>),
    /// No more.
    Forget(ExpectationId),
}

/// A datagram that comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Trail {
    source: Address,
    destination: Address,
    identification: u32,
    protocol: Protocol,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Detours {
    claims: HashMap<Key, usize>,
    /// By where they lead.
    expected: HashMap<(Protocol, IpAddr), Vec<Expected>>,
    destinations: HashMap<(usize, ExpectationId), (Protocol, IpAddr)>,
    /// Where the rest of a datagram goes whose first fragment went there.
    trails: HashMap<Trail, usize>,
    latest: VecDeque<Trail>,
    /// Conns that two shards had, or for which there was no room.
    pub(super) clashes: u64,
}

#[derive(Debug)]
struct Expected {
    shard: usize,
    id: ExpectationId,
    expect: Box<Expect>,
}

impl Detours {
    /// Takes a notice in.
    pub(super) fn note(&mut self, shard: usize, notice: Notice) {
        match notice {
            Notice::Claim(key) => {
                let full = self.claims.len() >= MOST_CLAIMS;
                match self.claims.get(&key) {
                    Some(owner) => self.clashes += u64::from(*owner != shard),
                    None if full => self.clashes += 1,
                    None => drop(self.claims.insert(key, shard)),
                }
            }
            Notice::Release(key) => {
                if self.claims.get(&key) == Some(&shard) {
                    self.claims.remove(&key);
                }
            }
            Notice::Expect(id, expect) => {
                self.forget(shard, id);
                let place = (expect.protocol, expect.destination);
                self.destinations.insert((shard, id), place);
                self.expected.entry(place).or_default().push(Expected { shard, id, expect });
            }
            Notice::Forget(id) => self.forget(shard, id),
        }
    }

    fn forget(&mut self, shard: usize, id: ExpectationId) {
        let Some(place) = self.destinations.remove(&(shard, id)) else { return };
        if let Some(expected) = self.expected.get_mut(&place) {
            expected.retain(|one| (one.shard, one.id) != (shard, id));
            if expected.is_empty() {
                self.expected.remove(&place);
            }
        }
    }

    /// The other shard that a frame belongs to, whose addresses lead to this one.
    pub(super) fn owner(
        &mut self,
        frame: &[u8],
        index: usize,
        steering: &Steering,
        tracker: &Tracker,
    ) -> Option<usize> {
        let network = link::strip(LinkType::ETHERNET, frame).ok()?;
        let may_be_fragment = looks_like_fragment(frame, network.offset);
        if self.claims.is_empty() && self.expected.is_empty() && !may_be_fragment {
            return None;
        }
        let packet = Packet::parse(frame, network.offset)
            .or_else(|_| Packet::parse_network(frame, network.offset))
            .ok()?;
        let Some(fragment) = packet.fragment.filter(|fragment| !fragment.is_atomic()) else {
            return self.owner_of(&packet, frame, tracker);
        };
        let trail = Trail {
            source: packet.source,
            destination: packet.destination,
            identification: fragment.identification,
            protocol: packet.protocol,
        };
        if fragment.offset != 0 {
            return self.trails.get(&trail).copied();
        }
        // Its ports stand in the first fragment alone. Those that overtake it are judged here.
        let home = steering.of_tuple(&tuple_of(&packet));
        let owner = if home == index { self.owner_of(&packet, frame, tracker) } else { Some(home) };
        if let Some(owner) = owner {
            self.follow(trail, owner);
        }
        owner
    }

    fn follow(&mut self, trail: Trail, owner: usize) {
        if self.trails.insert(trail, owner).is_none() {
            self.latest.push_back(trail);
        }
        if self.latest.len() > MOST_TRAILS
            && let Some(oldest) = self.latest.pop_front()
        {
            self.trails.remove(&oldest);
        }
    }

    fn owner_of(&self, packet: &Packet, frame: &[u8], tracker: &Tracker) -> Option<usize> {
        let quoted = packet.quoted(frame).transpose().ok()?;
        let tuple = tuple_of(quoted.as_ref().unwrap_or(packet));
        if tracker.conn_of(&tuple).is_some() {
            return None;
        }
        let claimed = self.claims.get(&Key::of(&tuple)).copied();
        if quoted.is_some() { claimed } else { claimed.or_else(|| self.expecting(&tuple)) }
    }

    /// Who expects a packet: whoever announced it first. Whether it is admitted is for that shard to say.
    fn expecting(&self, tuple: &Tuple) -> Option<usize> {
        let source = tuple.source.ip(tuple.version);
        let expected = self.expected.get(&(tuple.protocol, tuple.destination.ip(tuple.version)))?;
        let fits = |one: &&Expected| {
            admits_address(&one.expect.source, source, tuple.version)
                && (tuple.protocol == Protocol::GRE || admits_port(one.expect.source_port, tuple.source_port))
                && admits_port(one.expect.destination_port, tuple.destination_port)
        };
        expected.iter().find(fits).map(|one| one.shard)
    }
}

/// What a packet bears; of a call its receiver's key.
fn tuple_of(packet: &Packet) -> Tuple {
    let tuple = Tuple::of(packet);
    match &packet.transport {
        Transport::Gre(gre) if gre.version == 1 => Tuple { destination_port: gre.call_id, ..tuple },
        _ => tuple,
    }
}

/// Whether a datagram is worth reading for that (RFC 791 §3.1, RFC 8200 §4.5).
fn looks_like_fragment(frame: &[u8], offset: u32) -> bool {
    let datagram = frame.get(offset as usize..).unwrap_or_default();
    match datagram.first().map(|first| first >> 4) {
        Some(4) => datagram
            .get(6..)
            .and_then(|rest| rest.first_chunk())
            .is_some_and(|field| u16::from_be_bytes(*field) & 0x3fff != 0),
        // A fragment header stands behind the first, or behind options for each hop.
        _ => datagram.get(6).is_some_and(|&next| matches!(next, 0 | 43 | 44 | 60)),
    }
}

fn admits_address(admitted: &AddressMatch, source: IpAddr, version: IpVersion) -> bool {
    match admitted {
        AddressMatch::Exact(address) => *address == source,
        AddressMatch::Prefix(address, length) => {
            Cidr::new(*address, *length).contains(version, source.into())
        }
        AddressMatch::Any => true,
    }
}

const fn admits_port(admitted: PortMatch, port: u16) -> bool {
    match admitted {
        PortMatch::Exact(only) => only == port,
        PortMatch::Range(first, last) => first <= port && port <= last,
        PortMatch::Any => true,
    }
}
