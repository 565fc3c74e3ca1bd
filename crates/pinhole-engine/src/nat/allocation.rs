//! Everything that stands for inner ends outside, and what of it each conn holds.

use super::behaviour::NatBehaviour;
use super::blocks::{BlockId, Blocks};
use super::mappings::{End, MappingId, Mappings};
use super::pools::{Keyed, Pools, Port};
use super::reuse::Reuse;
use super::{Filtering, PortMapping};
use pinhole_track::Tuple;
use pinhole_track::hash::Secret;
use pinhole_wire::{Address, Protocol};

pub(crate) struct Allocation {
    pub(super) pools: Pools,
    pub(super) blocks: Blocks,
    pub(super) mappings: Mappings,
    pub(super) reuse: Reuse,
    /// Ports that were tried so far, whether or not they were free.
    pub(super) tried: u64,
}

/// What a translated source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lease {
    /// A port of its own, perhaps one of its host's block.
    Port { port: Port, block: Option<BlockId> },
    /// A share in the mapping of its inner end, which sends to this address with it.
    Mapping { mapping: MappingId, sent_to: Address },
}

/// What a conn holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) lease: Option<Lease>,
    /// The mapping that led it in.
    pub(crate) through: Option<MappingId>,
    /// Its ends, if other conns of the inner one may be given the outer one.
    pub(crate) reuse: Option<Known>,
}

/// A source, and what it is known as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(super) source: End,
    pub(super) address: Address,
    pub(super) port: u16,
}

impl Known {
    /// The source of a conn that came and leaves so.
    pub(crate) const fn of(original: &Tuple, leaving: &Tuple) -> Self {
        Self { source: End::source(original), address: leaving.source, port: leaving.source_port }
    }
}

impl Allocation {
    pub(crate) fn new(secret: [u64; 2]) -> Self {
        let keyed = Keyed(Secret::new(secret));
        Self {
            pools: Pools::new(keyed),
            blocks: Blocks::new(keyed),
            mappings: Mappings::new(keyed),
            reuse: Reuse::new(keyed),
            tried: 0,
        }
    }

    /// The mapping that lets a conn with this tuple in, and the inner end that it leads to.
    pub(crate) fn admits(&self, tuple: &Tuple, behaviour: &NatBehaviour) -> Option<(MappingId, End)> {
        let PortMapping::EndpointIndependent(filtering) = behaviour.mapping else { return None };
        // The identifier of a query is its sender's.
        if matches!(tuple.protocol, Protocol::ICMP | Protocol::ICMPV6) {
            return None;
        }
        let (mapping, inner) = self.mappings.behind(&End::destination(tuple))?;
        let is_admitted = match filtering {
            Filtering::AddressAndPortDependent => false,
            Filtering::AddressDependent => self.mappings.has_sent_to(mapping, self.known_as(tuple)),
            Filtering::EndpointIndependent => true,
        };
        is_admitted.then_some((mapping, inner))
    }

    /// The address under which the source of a conn is known to a host behind the outer address that it asks for: that one, if it is hidden
    /// behind it as well.
    fn known_as(&self, tuple: &Tuple) -> Address {
        let is_hidden = self.mappings.hides(&End::source(tuple), tuple.destination);
        if is_hidden { tuple.destination } else { tuple.source }
    }

    /// A conn goes in through a mapping.
    pub(crate) fn go_through(&mut self, mapping: MappingId) {
        self.mappings.enter(mapping, None);
    }

    /// What a conn held is free again.
    pub(crate) fn give_back(&mut self, holding: &Holding) {
        match holding.lease {
            Some(Lease::Port { port, block }) => self.free(port, block),
            Some(Lease::Mapping { mapping, sent_to }) => self.leave(mapping, Some(sent_to)),
            None => {}
        }
        if let Some(mapping) = holding.through {
            self.leave(mapping, None);
        }
    }

    fn leave(&mut self, mapping: MappingId, sent_to: Option<Address>) {
        if let Some((port, block)) = self.mappings.leave(mapping, sent_to) {
            self.free(port, block);
        }
    }

    fn free(&mut self, port: Port, block: Option<BlockId>) {
        self.pools.release(port);
        if let Some(block) = block {
            self.blocks.leave(block);
        }
    }
}
