//! What comes to a shard by its addresses and is another's: conns that an expectation of the other brought in, and packets that may fulfil one.
//!
//! Each shard has its own table, changed by the notices of others alone. A conn that the shard tracks itself is never led elsewhere.

use pinhole_helper::{AddressMatch, Expect, PortMatch};
use pinhole_track::{ExpectationId, Tracker, Tuple};
use pinhole_wire::{Address, IpVersion, LinkType, Packet, Protocol, link};
use std::collections::HashMap;
use std::net::IpAddr;

/// Most conns of others that are known; those beyond are answered as if nobody had them.
const MOST_CLAIMS: usize = 1 << 20;

/// A conn, whichever way its packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    protocol: Protocol,
    ends: [(Address, u16); 2],
}

impl Key {
    pub(super) fn of(tuple: &Tuple) -> Self {
        let (mut one, mut other) = (tuple.source_port, tuple.destination_port);
        match tuple.protocol {
            // An answer has another type, and the same identifier.
            Protocol::ICMP | Protocol::ICMPV6 => other = one,
            // A packet tells its receiver's key only.
            Protocol::GRE => (one, other) = (0, 0),
            _ => {}
        }
        let mut ends = [(tuple.source, one), (tuple.destination, other)];
        ends.sort_unstable();
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

/// The table.
#[derive(Debug, Default)]
pub(super) struct Detours {
    claims: HashMap<Key, usize>,
    /// By where they lead.
    expected: HashMap<(Protocol, IpAddr), Vec<Expected>>,
    destinations: HashMap<(usize, ExpectationId), (Protocol, IpAddr)>,
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

    fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.expected.is_empty()
    }

    /// The other shard that a frame belongs to. Fragments are not looked at: the rest of their datagram would not follow.
    pub(super) fn owner(&self, frame: &[u8], tracker: &Tracker) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let network = link::strip(LinkType::ETHERNET, frame).ok()?;
        let packet = Packet::parse(frame, network.offset).ok()?;
        if packet.fragment.is_some() {
            return None;
        }
        let quoted = packet.quoted(frame).transpose().ok()?;
        let tuple = Tuple::of(quoted.as_ref().unwrap_or(&packet));
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
                && admits_port(one.expect.source_port, tuple.source_port)
                && admits_port(one.expect.destination_port, tuple.destination_port)
        };
        expected.iter().find(fits).map(|one| one.shard)
    }
}

fn admits_address(admitted: &AddressMatch, source: IpAddr, version: IpVersion) -> bool {
    match admitted {
        AddressMatch::Exact(address) => *address == source,
        AddressMatch::Prefix(address, length) => {
            pinhole_engine::Cidr::new(*address, *length).contains(version, source.into())
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
