//! Endpoint-independent mappings: the one outer end of an inner end, and the way back.
//!
//! A mapping is made with the first conn of an inner end that is hidden behind an outer address, and goes with the last conn that uses it,
//! those that it let in included. Invariants: no two mappings have one outer end; the outer port is held by the mapping, not by its conns.

use super::blocks::BlockId;
use super::pools::{Keyed, Port, hash_words, packed};
use pinhole_track::Tuple;
use pinhole_wire::{Address, IpVersion, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};

/// One end of conns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) address: Address,
    pub(crate) port: u16,
    protocol: Protocol,
    version: IpVersion,
    zone: u16,
}

/// By words, as [`PoolKey`](super::pools::PoolKey) is hashed.
impl Hash for End {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b] = self.address.words();
        hash_words([a, b, packed(self.port, self.protocol, self.version, self.zone)], state);
    }
}

impl End {
    /// Where packets with this tuple come from.
    pub(crate) const fn source(tuple: &Tuple) -> Self {
        let Tuple { source: address, source_port: port, protocol, version, zone, .. } = *tuple;
        Self { address, port, protocol, version, zone }
    }

    /// Where they go.
    pub(crate) const fn destination(tuple: &Tuple) -> Self {
        let Tuple { destination: address, destination_port: port, protocol, version, zone, .. } = *tuple;
        Self { address, port, protocol, version, zone }
    }
}

impl End {
    /// Another port of the same host.
    pub(crate) const fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }
}

/// What there is one mapping for: an inner end behind two outer addresses has one at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) inner: End,
    pub(crate) outer: Address,
}

/// Names a mapping as long as it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MappingId(u32);

struct Mapping {
    subject: Subject,
    port: Port,
    block: Option<BlockId>,
    uses: u32,
}

pub(crate) struct Mappings {
    slots: Vec<Option<Mapping>>,
    free: Vec<u32>,
    by_subject: HashMap<Subject, u32, Keyed>,
    by_outer_end: HashMap<End, u32, Keyed>,
    /// Conns of an inner end to an address, as it calls it.
    sent_to: HashMap<(u32, Address), u32, Keyed>,
}

/// What a mapping held, to be given back with it.
pub(crate) type Held = (Port, Option<BlockId>);

impl Mappings {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_subject: HashMap::with_hasher(keyed),
            by_outer_end: HashMap::with_hasher(keyed),
            sent_to: HashMap::with_hasher(keyed),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_subject.len()
    }

    /// The mapping of an inner end, and its port.
    pub(crate) fn of(&self, subject: &Subject) -> Option<(MappingId, u16)> {
        let slot = *self.by_subject.get(subject)?;
        Some((MappingId(slot), self.at(slot)?.port.port))
    }

    /// The mapping with this outer end, and its inner one.
    pub(crate) fn behind(&self, outer: &End) -> Option<(MappingId, End)> {
        let slot = *self.by_outer_end.get(outer)?;
        Some((MappingId(slot), self.at(slot)?.subject.inner))
    }

    /// Whether the inner end has a conn to this address.
    pub(crate) fn has_sent_to(&self, MappingId(slot): MappingId, remote: Address) -> bool {
        self.sent_to.contains_key(&(slot, remote))
    }

    /// Whether an end is hidden behind this address.
    pub(crate) fn hides(&self, inner: &End, outer: Address) -> bool {
        self.by_subject.contains_key(&Subject { inner: *inner, outer })
    }

    /// A mapping of an inner end that has none. It is not used yet.
    pub(crate) fn add(&mut self, subject: Subject, port: Port, block: Option<BlockId>) -> MappingId {
        let outer = End { address: subject.outer, port: port.port, ..subject.inner };
        let mapping = Some(Mapping { subject, port, block, uses: 0 });
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = mapping,
            None => self.slots.push(mapping),
        }
        self.by_subject.insert(subject, slot);
        self.by_outer_end.insert(outer, slot);
        MappingId(slot)
    }

    /// A conn uses it, with which the inner end sends to this address.
    pub(crate) fn enter(&mut self, MappingId(slot): MappingId, remote: Option<Address>) {
        if let Some(mapping) = self.slots.get_mut(slot as usize).and_then(Option::as_mut) {
            mapping.uses += 1;
        }
        if let Some(remote) = remote {
            *self.sent_to.entry((slot, remote)).or_default() += 1;
        }
    }

    /// Such a conn is over. What the mapping held is returned if that was its last.
    pub(crate) fn leave(&mut self, MappingId(slot): MappingId, remote: Option<Address>) -> Option<Held> {
        if let Some(remote) = remote
            && let Some(count) = self.sent_to.get_mut(&(slot, remote))
        {
            *count -= 1;
            if *count == 0 {
                self.sent_to.remove(&(slot, remote));
            }
        }
        let place = self.slots.get_mut(slot as usize)?;
        let mapping = place.as_mut()?;
        mapping.uses = mapping.uses.saturating_sub(1);
        if mapping.uses > 0 {
            return None;
        }
        let Mapping { subject, port, block, .. } = place.take()?;
        self.by_subject.remove(&subject);
        self.by_outer_end.remove(&End { address: subject.outer, port: port.port, ..subject.inner });
        self.free.push(slot);
        Some((port, block))
    }

    /// What a mapping is for, and what it holds.
    pub(crate) fn describe(&self, MappingId(slot): MappingId) -> Option<(Subject, Port, Option<BlockId>)> {
        self.at(slot).map(|mapping| (mapping.subject, mapping.port, mapping.block))
    }

    fn at(&self, slot: u32) -> Option<&Mapping> {
        self.slots.get(slot as usize)?.as_ref()
    }
}
