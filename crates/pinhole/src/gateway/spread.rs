//! How frames are spread over several shards: what it follows from, and who must know when that changes.
//!
//! It follows from addresses: those inside are configured (or private, if they are not), the outer ones are the host's own and those of `snat` rules. The kernel
//! has it as a program of each port's fanout group; each shard has it whole.

use pinhole_engine::{AddressRange, Spread, Steering};
use pinhole_gateway::shards::program;
use pinhole_io::live::fanout::Fanout;
use pinhole_io::live::rtnetlink::Snapshot;
use pinhole_ruleset::{Family, Ruleset, SourceRange};
use pinhole_wire::{Address, IpVersion};
use std::io;

/// What it follows from.
pub(super) struct Spreading {
    bare: Steering,
    inside: Vec<AddressRange>,
    own: Vec<AddressRange>,
    rules: Vec<SourceRange>,
    fanouts: Vec<Fanout>,
    steering: Steering,
}

impl Spreading {
    /// Over so many shards.
    pub(super) fn new(
        count: u8,
        secret: u32,
        spread: Spread,
        inside: Vec<AddressRange>,
        ruleset: Option<&Ruleset>,
    ) -> Self {
        let bare = Steering::new(count, secret, spread);
        let rules = ruleset.map(Ruleset::source_ranges).unwrap_or_default();
        let mut new =
            Self { steering: bare.clone(), bare, inside, own: Vec::new(), rules, fanouts: Vec::new() };
        new.renew();
        new
    }

    /// As it is now.
    pub(super) fn steering(&self) -> &Steering {
        &self.steering
    }

    /// The kernel spreads what comes in by another port, too.
    pub(super) fn add(&mut self, fanout: Fanout) {
        self.fanouts.push(fanout);
    }

    /// The host has these addresses. Returns whether anything changed.
    pub(super) fn note_addresses(&mut self, snapshot: &Snapshot, ports: &[String]) -> bool {
        let indices: Vec<u32> =
            ports.iter().filter_map(|name| snapshot.link(name)).map(|link| link.index).collect();
        let own = snapshot.addresses.iter().filter(|a| a.global && indices.contains(&a.interface));
        self.own = own
            .map(|own| {
                let version = if own.address.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
                AddressRange::new(version, own.address.into(), own.address.into())
            })
            .collect();
        self.renew()
    }

    /// Another ruleset is to be in force. Returns whether anything changed.
    pub(super) fn note_ruleset(&mut self, ruleset: &Ruleset) -> bool {
        self.rules = ruleset.source_ranges();
        self.renew()
    }

    fn renew(&mut self) -> bool {
        let (whole, given): (Vec<_>, Vec<_>) = self.rules.iter().partition(|range| range.is_prefix);
        let inside = self.inside.iter().copied().chain(whole.into_iter().map(range)).collect();
        let outer = self.own.iter().copied().chain(given.into_iter().map(range)).collect();
        let steering = self.bare.clone().with(inside, outer);
        let changes = steering != self.steering;
        self.steering = steering;
        changes
    }

    /// Tells the kernel.
    ///
    /// # Errors
    /// It refuses the program. Shards hand on what comes to the wrong one.
    pub(super) fn tell_kernel(&self) -> io::Result<()> {
        let program = program::of(&self.steering);
        self.fanouts.iter().try_for_each(|fanout| fanout.spread_by(&program))
    }
}

fn range(range: &SourceRange) -> AddressRange {
    let version = if range.family == Family::Ip { IpVersion::V4 } else { IpVersion::V6 };
    let address = |number: u128| match version {
        IpVersion::V4 => Address::v4((number as u32).to_be_bytes()),
        IpVersion::V6 => Address::v6(number.to_be_bytes()),
    };
    AddressRange::new(version, address(range.first), address(range.last))
}
