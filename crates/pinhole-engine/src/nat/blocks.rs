//! Blocks of outer ports, one for each inner host (RFC 6888 §2, RFC 7422).
//!
//! A range of ports is divided into blocks of one size, all protocols together. A host gets a block with its first port and keeps it as long as
//! it has one; the same host begins its search at the same block, so that it mostly has the same.

use super::pools::Keyed;
use pinhole_nat::ports::{Exhausted, Order, Parity, PortPool, PortRange, Request, block};
use pinhole_wire::{Address, IpVersion};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::num::NonZeroU16;

/// The ports of an outer address that are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Estate {
    pub(crate) outer: Address,
    pub(crate) version: IpVersion,
    pub(crate) zone: u16,
    pub(crate) ports: (u16, u16),
}

/// Names a host's block as long as it has a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockId(u32);

struct Block {
    host: Address,
    estate: Estate,
    index: u16,
    uses: u32,
}

pub(crate) struct Blocks {
    keyed: Keyed,
    slots: Vec<Option<Block>>,
    free: Vec<u32>,
    by_host: HashMap<(Address, Estate), u32, Keyed>,
    /// Numbers of the blocks in use; an estate stands here as long as it has one.
    taken: HashMap<Estate, PortPool, Keyed>,
}

impl Blocks {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self {
            keyed,
            slots: Vec::new(),
            free: Vec::new(),
            by_host: HashMap::with_hasher(keyed),
            taken: HashMap::with_hasher(keyed),
        }
    }

    /// A host takes a port of its block, which is made if it has none.
    pub(crate) fn enter(
        &mut self,
        host: Address,
        estate: Estate,
        size: NonZeroU16,
    ) -> Result<(BlockId, PortRange), Exhausted> {
        let (first, last) = estate.ports;
        let ports = PortRange { first, last };
        let all = u32::from(last.saturating_sub(first)) + 1;
        // A range that is no larger is one block.
        let size = u32::from(size.get()).min(all).min(u32::from(u16::MAX)) as u16;
        let slot = match self.by_host.get(&(host, estate)) {
            Some(&slot) => slot,
            None => self.add(host, estate, (all / u32::from(size)) as u16)?,
        };
        let block_of = self.slots.get_mut(slot as usize).and_then(Option::as_mut).ok_or(Exhausted)?;
        block_of.uses += 1;
        let range = block(ports, size, block_of.index).ok_or(Exhausted)?;
        Ok((BlockId(slot), range))
    }

    fn add(&mut self, host: Address, estate: Estate, count: u16) -> Result<u32, Exhausted> {
        let numbers = PortRange { first: 0, last: count.saturating_sub(1) };
        let start = self.keyed.hash_one(host) as u16;
        let request = Request { wish: 0, range: numbers, parity: Parity::Any, order: Order::Any, start };
        let index = self.taken.entry(estate).or_default().take(&request)?;
        Ok(self.keep(host, estate, index))
    }

    fn keep(&mut self, host: Address, estate: Estate, index: u16) -> u32 {
        let made = Some(Block { host, estate, index, uses: 0 });
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = made,
            None => self.slots.push(made),
        }
        self.by_host.insert((host, estate), slot);
        slot
    }

    /// Whose block it is, of what, and which.
    pub(crate) fn describe(&self, BlockId(slot): BlockId) -> Option<(Address, Estate, u16)> {
        let block = self.slots.get(slot as usize)?.as_ref()?;
        Some((block.host, block.estate, block.index))
    }

    /// A host takes a port of this very block. `None`: it has another, or another host has it.
    pub(crate) fn enter_again(&mut self, host: Address, estate: Estate, index: u16) -> Option<BlockId> {
        let slot = match self.by_host.get(&(host, estate)) {
            Some(&slot) => slot,
            None if self.taken.entry(estate).or_default().reserve(index) => self.keep(host, estate, index),
            None => return None,
        };
        let block = self.slots.get_mut(slot as usize).and_then(Option::as_mut)?;
        block.uses = block.uses.checked_add(1).filter(|_| block.index == index)?;
        Some(BlockId(slot))
    }

    /// A port of a block is free again; so is the block, if it was the last.
    pub(crate) fn leave(&mut self, BlockId(slot): BlockId) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let Some(block) = place.as_mut() else { return };
        block.uses = block.uses.saturating_sub(1);
        if block.uses > 0 {
            return;
        }
        let Some(Block { host, estate, index, .. }) = place.take() else { return };
        self.by_host.remove(&(host, estate));
        if let Some(taken) = self.taken.get_mut(&estate) {
            taken.release(index);
            if taken.is_empty() {
                self.taken.remove(&estate);
            }
        }
        self.free.push(slot);
    }
}
