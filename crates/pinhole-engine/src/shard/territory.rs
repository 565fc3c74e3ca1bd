//! Which outer ports are one shard's to give, and to announce: those whose packets have their home there.

use super::{RESERVED, RUNS, Spread, Steering, contains, run};
use crate::nat::has_ports;
use pinhole_helper::{AddressMatch, Expect, PortMatch};
use pinhole_nat::ports::PortRange;
use pinhole_track::Tuple;
use pinhole_wire::{Address, IpVersion};

/// One shard of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from zero.
    pub index: usize,
    /// How packets are spread over all of them.
    pub steering: Steering,
}

/// Which ports a shard may give to a source at an address that talks to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    /// Those that are not reserved, and its class of those that are.
    Home,
    /// Its class of the reserved ones.
    Reserved,
    /// Its class of all: nobody finds a home by them.
    Class,
}

impl Shard {
    /// Whether a conn whose source was `inner` may leave bearing this: no other shard can give the same.
    pub(crate) fn may_give(&self, inner: Address, leaving: &Tuple) -> bool {
        if !has_ports(leaving.protocol) {
            return true;
        }
        let port = leaving.source_port;
        let is_own = self.steering.class(port) == self.index;
        match self.domain(leaving) {
            _ if leaving.source == inner && !self.steering.is_outer(leaving.version, inner) => true,
            Domain::Home => is_own || !self.steering.reserves(port),
            Domain::Reserved => is_own && self.steering.reserves(port),
            Domain::Class => is_own,
        }
    }

    fn domain(&self, leaving: &Tuple) -> Domain {
        let Tuple { version, source, destination, .. } = *leaving;
        let is_outer = |address| self.steering.is_outer(version, address);
        let is_home = self.steering.of_addresses(version, source, destination) == self.index;
        match (is_outer(source), is_outer(destination)) {
            (false, _) => Domain::Class,
            // Between two outer addresses ports say nothing.
            (true, true) if is_home => Domain::Home,
            (true, true) => Domain::Class,
            (true, false) if is_home && self.steering.spread == Spread::ByOutside => Domain::Home,
            (true, false) => Domain::Reserved,
        }
    }

    /// The parts of a range of ports that may be given to the source of what leaves bearing this, best first: where `wish` is, then what has no class, then
    /// runs of its own class from one on that `start` draws.
    pub(crate) fn parts(
        &self,
        leaving: &Tuple,
        range: PortRange,
        wish: Option<u16>,
        start: u16,
    ) -> impl Iterator<Item = PortRange> + use<> {
        let domain = self.domain(leaving);
        let common = match domain {
            Domain::Home => between(&RESERVED),
            Domain::Reserved | Domain::Class => Vec::new(),
        };
        let reserved: &[PortRange] = match (domain, self.steering.spread) {
            (Domain::Home | Domain::Reserved, Spread::ByOutside) => &RESERVED,
            _ => &[PortRange { first: 0, last: u16::MAX }],
        };
        let mut own: Vec<PortRange> = reserved.iter().flat_map(|range| self.runs(range)).collect();
        let middle = usize::from(start) % own.len().max(1);
        own.rotate_left(middle);
        let mut parts: Vec<PortRange> =
            common.into_iter().chain(own).filter_map(|part| shared(&part, &range)).collect();
        if let Some(place) = wish.and_then(|wish| parts.iter().position(|part| contains(part, wish))) {
            parts.get_mut(..=place).unwrap_or_default().rotate_right(1);
        }
        parts.into_iter()
    }

    /// This shard's runs of a range.
    fn runs(&self, range: &PortRange) -> impl Iterator<Item = PortRange> + use<'_> {
        let PortRange { first, last } = *range;
        let mut next = Some(first);
        std::iter::from_fn(move || {
            let first = next.filter(|first| *first <= last)?;
            let end = first - first % run(first) + (run(first) - 1);
            next = end.checked_add(1);
            Some(PortRange { first, last: end.min(last) })
        })
        .filter(|run| self.steering.class(run.first) == self.index)
    }

    /// Whether packets that an expectation at an outer address admits have their home here, so that no other shard can expect the same.
    pub(crate) fn may_expect(&self, expect: &Expect) -> bool {
        let Some((version, outer)) = self.outer_of(expect) else { return true };
        let (first, last) = match expect.destination_port {
            PortMatch::Exact(port) => (port, port),
            PortMatch::Range(first, last) => (first, last),
            PortMatch::Any => return true,
        };
        let is_home = match expect.source {
            AddressMatch::Exact(source) => {
                self.steering.of_addresses(version, source.into(), outer) == self.index
                    && self.steering.spread == Spread::ByOutside
            }
            AddressMatch::Prefix(..) | AddressMatch::Any => false,
        };
        let may = |port: u16| {
            let is_own = self.steering.class(port) == self.index;
            if self.steering.reserves(port) { is_own } else { is_home }
        };
        // A group is never so large that it does not end in the run in which it begins, or in the next.
        may(first) && may(last) && (last / run(last)).abs_diff(first / run(first)) <= 1
    }

    /// First ports that may be expected at the outer address of this expectation, with as many behind as are wanted; one of them as `draw` says. `None`:
    /// any will do.
    pub(crate) fn announced(&self, expect: &Expect, width: u16, draw: u64) -> Option<u16> {
        self.outer_of(expect)?;
        let run = RUNS.1;
        let room = u64::from(run.saturating_sub(width).max(1));
        let runs = u64::from(RESERVED[2].last / run - RESERVED[2].first / run + 1);
        let own = runs / u64::from(self.steering.count);
        // Runs of a class are as far apart as there are shards.
        let nth = draw % own.max(1) * u64::from(self.steering.count);
        let base = u64::from(RESERVED[2].first / run);
        let count = u64::from(self.steering.count);
        let lead = (self.index as u64 + count - base % count) % count;
        let first = (base + lead + nth) * u64::from(run) + (draw >> 32) % room;
        u16::try_from(first).ok()
    }

    fn outer_of(&self, expect: &Expect) -> Option<(IpVersion, Address)> {
        let version = if expect.destination.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let outer = expect.destination.into();
        self.steering.is_outer(version, outer).then_some((version, outer))
    }
}

/// What lies between ranges, which rise.
fn between(ranges: &[PortRange]) -> Vec<PortRange> {
    let mut rest = Vec::new();
    let mut next = Some(0);
    for range in ranges {
        if let Some(first) = next.filter(|first| *first < range.first) {
            rest.push(PortRange { first, last: range.first - 1 });
        }
        next = range.last.checked_add(1);
    }
    rest.extend(next.map(|first| PortRange { first, last: u16::MAX }));
    rest
}

fn shared(one: &PortRange, other: &PortRange) -> Option<PortRange> {
    let range = PortRange { first: one.first.max(other.first), last: one.last.min(other.last) };
    (range.first <= range.last).then_some(range)
}
