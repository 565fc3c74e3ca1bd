//! Which tuple a translated conn gets: netfilter's choice.
//!
//! One end of a conn is decided at a time, the destination before routing, the source after. A tuple that no other conn's replies bear
//! is kept as it is; else a source gets the port that others of its conns have, or another one, from the range that was asked for or from the
//! class of its own ([`default_range`]). A destination's port is changed only into a range that was asked for. A conn that no rule translates is
//! decided likewise, with its own address as the only one: so its source port is changed if its replies could be taken for another's.
//!
//! `allot` chooses where the settings ask for more than netfilter does.

use super::allocation::{Allocation, Lease};
use super::behaviour::NatBehaviour;
use super::mappings::End;
use super::pools::{Draws, PoolKey, Port};
use crate::shard::Shard;
use pinhole_nat::ports::{Order, Parity, PortRange, Request, default_range};
use pinhole_track::{Tracker, Tuple};
use pinhole_wire::{Address, Protocol, Time};

/// The two ends that can be translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Destination,
    Source,
}

/// What an end may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// First and last address.
    pub(crate) addresses: (Address, Address),
    /// Keep the bits in which the two addresses differ.
    pub(crate) prefix: bool,
    /// First and last port.
    pub(crate) ports: Option<(u16, u16)>,
    /// The port is not kept.
    pub(crate) random: bool,
    /// The address depends on the client alone.
    pub(crate) persistent: bool,
}

impl Want {
    /// This address only, and the port that is there if it is free.
    pub(crate) const fn only(address: Address) -> Self {
        Self { addresses: (address, address), prefix: false, ports: None, random: false, persistent: false }
    }

    /// This address only, which is one host's alone.
    pub(crate) const fn whole(address: Address) -> Self {
        Self { prefix: true, ..Self::only(address) }
    }

    /// This endpoint only.
    pub(crate) const fn endpoint(address: Address, port: u16) -> Self {
        Self { ports: Some((port, port)), ..Self::only(address) }
    }
}

/// No port of all that would do is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoPort;

/// Tuples tried after the pool gave a port that is in use by a conn that stands in no pool; and ports of a destination's range.
const ATTEMPTS: usize = 128;

/// What a choice needs to know.
pub(crate) struct Chooser<'a> {
    pub(crate) tracker: &'a mut Tracker,
    pub(crate) allocation: &'a mut Allocation,
    pub(crate) draws: &'a mut Draws,
    pub(crate) behaviour: NatBehaviour,
    pub(crate) now: Time,
    /// The address that the conn asked for, and the one that it comes from.
    pub(crate) asked: Address,
    pub(crate) inner: Address,
    /// If this engine is one of several.
    pub(crate) shard: Option<&'a Shard>,
}

impl Chooser<'_> {
    /// Decides one end of a conn whose packets would leave bearing `leaving`. The lease is of the port that was taken for it.
    pub(crate) fn choose(
        &mut self,
        leaving: &mut Tuple,
        side: Side,
        want: &Want,
    ) -> Result<Option<Lease>, NoPort> {
        if side == Side::Source && self.behaviour.allots() && want.hides(leaving) {
            return self.allot(leaving, want).map(Some);
        }
        if side == Side::Source && !want.random {
            let known =
                if want.admits(leaving, side) { Some(*leaving) } else { self.as_before(leaving, want) };
            if let Some(known) = known.filter(|known| self.may_give(known, want) && self.is_free(known)) {
                *leaving = known;
                return Ok(None);
            }
        }
        self.place(leaving, side, want);
        if !want.random {
            // Its port stays as it is, free or not.
            if want.ports.is_none() && side == Side::Destination {
                return Ok(None);
            }
            let fixed = want.ports.is_some_and(|(first, last)| first == last);
            let may_be = side == Side::Destination || self.may_give(leaving, want);
            if may_be && want.admits_port(leaving, side) && (fixed || self.is_free(leaving)) {
                return Ok(None);
            }
        }
        match (side, want.ports) {
            // The keys of a call are agreed on, never chosen.
            (Side::Source, Some((key, _))) if leaving.protocol == Protocol::GRE => {
                leaving.source_port = key;
                Ok(None)
            }
            (Side::Destination, Some((key, _))) if leaving.protocol == Protocol::GRE => {
                leaving.destination_port = key;
                Ok(None)
            }
            _ if !has_ports(leaving.protocol) => Ok(None),
            (Side::Source, _) => self.another_source(leaving, want).map(Some),
            (Side::Destination, _) => self.another_destination(leaving, want).map(|()| None),
        }
    }

    /// The port that a translated source has becomes its own, if it has none yet.
    pub(crate) fn lease(&mut self, leaving: &Tuple) -> Option<Lease> {
        if !has_ports(leaving.protocol) {
            return None;
        }
        let port = self.allocation.pools.reserve(PoolKey::of(leaving), leaving.source_port)?;
        Some(Lease::Port { port, block: None })
    }

    /// As other conns of the same source leave.
    fn as_before(&self, leaving: &Tuple, want: &Want) -> Option<Tuple> {
        let (source, source_port) = self.allocation.reuse.of(&End::source(leaving))?;
        let before = Tuple { source, source_port, ..*leaving };
        want.admits(&before, Side::Source).then_some(before)
    }

    pub(super) fn is_free(&mut self, leaving: &Tuple) -> bool {
        !self.tracker.is_answer_taken(self.now, leaving)
    }

    /// Whether no other shard can give the same. An address that is one host's alone is nobody else's.
    pub(super) fn may_give(&self, leaving: &Tuple, want: &Want) -> bool {
        self.shard.is_none_or(|shard| want.prefix || shard.may_give(self.inner, leaving))
    }

    /// Puts one of the wanted addresses in place.
    pub(super) fn place(&mut self, leaving: &mut Tuple, side: Side, want: &Want) {
        let (first, last) =
            (u128::from_be_bytes(want.addresses.0.0), u128::from_be_bytes(want.addresses.1.0));
        let own = match side {
            Side::Source => leaving.source,
            Side::Destination => leaving.destination,
        };
        let address = if first == last {
            first
        } else if want.prefix {
            let host = first ^ last;
            first & !host | u128::from_be_bytes(own.0) & host
        } else {
            let peer = if want.persistent { Address::default() } else { leaving.destination };
            let number = u128::from(self.draws.fixed((leaving.source.0, peer.0)));
            let size = last.saturating_sub(first).saturating_add(1);
            first + number % size
        };
        let address = Address(address.to_be_bytes());
        match side {
            Side::Source => leaving.source = address,
            Side::Destination => leaving.destination = address,
        }
    }

    fn another_source(&mut self, leaving: &mut Tuple, want: &Want) -> Result<Lease, NoPort> {
        let range = want.range(leaving);
        let start = self.draws.draw() as u16;
        let request =
            Request { wish: leaving.source_port, range, parity: Parity::Any, order: Order::Any, start };
        let port = self.take(leaving, PoolKey::of(leaving), &request)?;
        Ok(Lease::Port { port, block: None })
    }

    /// Takes a port with which nobody else bears the tuple: nearly always the first that the pool gives.
    pub(super) fn take(
        &mut self,
        leaving: &mut Tuple,
        key: PoolKey,
        request: &Request,
    ) -> Result<Port, NoPort> {
        let mut refused = Vec::new();
        let found = match self.shard {
            None => self.take_of_range(leaving, key, request, &mut refused),
            Some(shard) => {
                let wish = (request.order == Order::Preserve).then_some(request.wish);
                let mut parts = shard.parts(leaving, request.range, wish, request.start);
                let found = parts.find_map(|range| {
                    self.take_of_range(leaving, key, &Request { range, ..*request }, &mut refused).ok()
                });
                found.ok_or(NoPort)
            }
        };
        for port in refused {
            self.allocation.pools.release(port);
        }
        found
    }

    fn take_of_range(
        &mut self,
        leaving: &mut Tuple,
        key: PoolKey,
        request: &Request,
        refused: &mut Vec<Port>,
    ) -> Result<Port, NoPort> {
        while refused.len() < ATTEMPTS {
            self.allocation.tried += 1;
            let Ok(port) = self.allocation.pools.take(key, request) else { break };
            leaving.source_port = port.port;
            if self.is_free(leaving) {
                return Ok(port);
            }
            refused.push(port);
        }
        Err(NoPort)
    }

    fn another_destination(&mut self, leaving: &mut Tuple, want: &Want) -> Result<(), NoPort> {
        let (first, last) = want.ports.unwrap_or((leaving.destination_port, leaving.destination_port));
        let size = u32::from(last.saturating_sub(first)) + 1;
        let start = if want.random { self.draws.draw() as u32 % size } else { 0 };
        for step in 0..size.min(ATTEMPTS as u32) {
            leaving.destination_port = first + ((start + step) % size) as u16;
            if self.is_free(leaving) {
                return Ok(());
            }
        }
        Err(NoPort)
    }
}

impl Want {
    /// Whether a source becomes one of other hosts, by its port if need be.
    fn hides(&self, leaving: &Tuple) -> bool {
        let (first, last) = self.addresses;
        !self.prefix && !(first.0..=last.0).contains(&leaving.source.0) && has_ports(leaving.protocol)
    }

    /// The ports that a source's may become.
    pub(super) fn range(&self, leaving: &Tuple) -> PortRange {
        match self.ports {
            Some((first, last)) => PortRange { first, last },
            None if is_query(leaving.protocol) => PortRange { first: 0, last: u16::MAX },
            None => default_range(leaving.source_port),
        }
    }

    fn admits(&self, leaving: &Tuple, side: Side) -> bool {
        let address = match side {
            Side::Source => leaving.source,
            Side::Destination => leaving.destination,
        };
        let (first, last) = self.addresses;
        !self.prefix && (first.0..=last.0).contains(&address.0) && self.admits_port(leaving, side)
    }

    pub(super) fn admits_port(&self, leaving: &Tuple, side: Side) -> bool {
        let port = match side {
            Side::Source => leaving.source_port,
            Side::Destination => leaving.destination_port,
        };
        self.ports.is_none_or(|(first, last)| (first..=last).contains(&port))
    }
}

const fn is_query(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::ICMP | Protocol::ICMPV6)
}

/// Whether conns of a protocol have a port, or an identifier in its place, that may be changed.
pub(crate) const fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP | Protocol::DCCP)
        || is_query(protocol)
}

impl Port {
    /// The port of a source that leaves as this one does, from the pool of its remote end.
    pub(super) const fn of(leaving: &Tuple) -> Self {
        Self { key: PoolKey::of(leaving), port: leaving.source_port }
    }
}

impl PoolKey {
    /// The pool of a source that leaves as this one does.
    pub(super) const fn of(leaving: &Tuple) -> Self {
        let Tuple { source: outer, destination: remote, destination_port: remote_port, .. } = *leaving;
        let Tuple { protocol, version, zone, .. } = *leaving;
        Self { outer, remote, remote_port, protocol, version, zone }
    }
}
