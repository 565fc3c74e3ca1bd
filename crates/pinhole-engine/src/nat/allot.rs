//! Which port a hidden source gets where the settings ask for more than netfilter does ([`NatBehaviour`](super::NatBehaviour)).
//!
//! The outer address depends on the inner one alone, so that all of a host's conns come from one (RFC 4787 REQ-2). The port is the source's own
//! if it is free and in the range, which is its host's block if hosts have blocks.

use super::allocation::Lease;
use super::behaviour::PortMapping;
use super::blocks::{BlockId, Estate};
use super::choose::{Chooser, NoPort, Side, Want};
use super::mappings::{End, Subject};
use super::pools::{PoolKey, Port};
use pinhole_nat::ports::{Order, Parity, PortRange, Request};
use pinhole_track::Tuple;
use pinhole_wire::{Address, Protocol};

/// The ports that are divided into blocks unless a rule names others.
const DIVIDED: (u16, u16) = (1024, u16::MAX);

/// Where a port may be, and where it should be.
struct Place {
    range: PortRange,
    block: Option<BlockId>,
    wish: u16,
}

impl Chooser<'_> {
    /// Decides the source of a conn whose packets would leave bearing `leaving`.
    pub(super) fn allot(&mut self, leaving: &mut Tuple, want: &Want) -> Result<Lease, NoPort> {
        let inner = End::source(leaving);
        self.place(leaving, Side::Source, &Want { persistent: true, ..*want });
        if matches!(self.behaviour.mapping, PortMapping::AddressAndPortDependent) {
            let (port, block) = self.allot_port(leaving, &inner, want, PoolKey::of(leaving))?;
            return Ok(Lease::Port { port, block });
        }
        let subject = Subject { inner, outer: leaving.source };
        if let Some((mapping, port)) = self.allocation.mappings.of(&subject) {
            leaving.source_port = port;
            if want.admits_port(leaving, Side::Source)
                && self.may_give(leaving, want)
                && self.is_free(leaving)
            {
                return Ok(self.share(mapping));
            }
            // A rule asks for other ports, or two of the inner end's conns would leave alike: this one gets a port of its own.
            leaving.source_port = inner.port;
            let (port, block) = self.allot_port(leaving, &inner, want, PoolKey::of(leaving).of_all())?;
            return Ok(Lease::Port { port, block });
        }
        let (port, block) = self.allot_port(leaving, &inner, want, PoolKey::of(leaving).of_all())?;
        let mapping = self.allocation.mappings.add(subject, port, block);
        Ok(self.share(mapping))
    }

    fn share(&mut self, mapping: super::mappings::MappingId) -> Lease {
        self.allocation.mappings.enter(mapping, Some(self.asked));
        Lease::Mapping { mapping, sent_to: self.asked }
    }

    fn allot_port(
        &mut self,
        leaving: &mut Tuple,
        inner: &End,
        want: &Want,
        key: PoolKey,
    ) -> Result<(Port, Option<BlockId>), NoPort> {
        let place = self.place_of_port(leaving, inner, want)?;
        let start = self.draws.draw() as u16;
        let order = if want.random { Order::Any } else { Order::Preserve };
        let parity = if self.keeps_parity(leaving.protocol) { Parity::Same } else { Parity::Any };
        let request = Request { wish: place.wish, range: place.range, parity, order, start };
        let mut found = self.take(leaving, key, &request);
        if found.is_err() && parity == Parity::Same {
            found = self.take(leaving, key, &Request { parity: Parity::Any, ..request });
        }
        if let (Err(NoPort), Some(block)) = (found, place.block) {
            self.allocation.blocks.leave(block);
        }
        found.map(|port| (port, place.block))
    }

    fn place_of_port(&mut self, leaving: &Tuple, inner: &End, want: &Want) -> Result<Place, NoPort> {
        let wish = self.wish(inner, leaving.source, leaving.protocol);
        let Some(size) = self.behaviour.ports_per_host else {
            return Ok(Place { range: want.range(leaving), block: None, wish });
        };
        let ports = want.ports.unwrap_or(DIVIDED);
        let estate = Estate { outer: leaving.source, version: leaving.version, zone: leaving.zone, ports };
        let entered = self.allocation.blocks.enter(inner.address, estate, size);
        let (block, range) = entered.map_err(|_| NoPort)?;
        Ok(Place { range, block: Some(block), wish })
    }

    /// The port that is best: the inner one, or that behind the mapping of the even port before it.
    fn wish(&self, inner: &End, outer: Address, protocol: Protocol) -> u16 {
        let follows = self.keeps_parity(protocol) && inner.port & 1 == 1;
        let before = Subject { inner: inner.at(inner.port & !1), outer };
        let even = follows.then(|| self.allocation.mappings.of(&before)).flatten();
        even.filter(|(_, port)| port & 1 == 0).map_or(inner.port, |(_, port)| port | 1)
    }

    /// Protocols that carry RTP and RTCP on a pair of ports.
    const fn keeps_parity(&self, protocol: Protocol) -> bool {
        self.behaviour.parity && matches!(protocol, Protocol::UDP | Protocol::UDPLITE)
    }
}
