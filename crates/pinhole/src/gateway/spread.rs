//! How frames are spread over several shards: what it follows from, and who must know when that changes.
//!
//! It follows from addresses. Those inside are configured; if they are not, a router takes what its routes lead to by other ports than the outside ones: those
//! that rules name which translate (`oifname`, else `iifname` of `dnat`), else those of default routes. Without any, and of a bridge, private addresses are inside. The
//! outer ones are the host's own and those of `snat` rules. The kernel has it as a program of each port's fanout group; each shard has it whole.

use pinhole_engine::{AddressRange, Cidr, Steering};
use pinhole_gateway::shards::program;
use pinhole_io::live::fanout::Fanout;
use pinhole_io::live::rtnetlink::Snapshot;
use pinhole_io::live::rtnetlink::read::{Route, RouteKind};
use pinhole_ruleset::{Family, Ruleset, SourceRange};
use pinhole_wire::{Address, IpVersion};
use std::io;

/// Addresses that are inside if nothing says which are: private ones (RFC 1918, RFC 6598, RFC 4193).
const PRIVATE: [&str; 5] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];

/// The table of routes that a router follows.
const MAIN: u32 = 254;

/// What it follows from.
pub(super) struct Spreading {
    bare: Steering,
    /// As configured.
    inside: Option<Vec<AddressRange>>,
    ports: Vec<String>,
    network: Option<Snapshot>,
    rules: Vec<SourceRange>,
    /// Of the ports, those that rules name which translate: sources, and destinations.
    named: [Vec<bool>; 2],
    fanouts: Vec<Fanout>,
    steering: Steering,
}

impl Spreading {
    /// Over so many shards, which have these ports.
    pub(super) fn new(
        bare: Steering,
        inside: Option<Vec<AddressRange>>,
        ports: &[String],
        ruleset: &Ruleset,
    ) -> Self {
        let mut new = Self {
            steering: bare.clone(),
            bare,
            inside,
            ports: ports.to_owned(),
            network: None,
            rules: Vec::new(),
            named: [Vec::new(), Vec::new()],
            fanouts: Vec::new(),
        };
        new.note_ruleset(ruleset);
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

    /// The host has these addresses and routes. Returns whether anything changed.
    pub(super) fn note_network(&mut self, snapshot: &Snapshot) -> bool {
        self.network = Some(snapshot.clone());
        self.renew()
    }

    /// Another ruleset is to be in force. Returns whether anything changed.
    pub(super) fn note_ruleset(&mut self, ruleset: &Ruleset) -> bool {
        self.rules = ruleset.source_ranges();
        self.named = [false, true].map(|destinations| {
            self.ports.iter().map(|port| ruleset.translates_by(port, destinations)).collect()
        });
        self.renew()
    }

    fn renew(&mut self) -> bool {
        let (whole, given): (Vec<_>, Vec<_>) = self.rules.iter().partition(|range| range.is_prefix);
        let inside = self.inside.clone().unwrap_or_else(|| self.found_inside());
        let inside = inside.into_iter().chain(whole.into_iter().map(range)).collect();
        let outer = self.own().chain(given.into_iter().map(range)).collect();
        let steering = self.bare.clone().with(inside, outer);
        let changes = steering != self.steering;
        self.steering = steering;
        changes
    }

    /// The kernel's numbers of the ports.
    fn indices<'a>(&'a self, network: &'a Snapshot) -> impl Iterator<Item = Option<u32>> + 'a {
        self.ports.iter().map(|port| network.link(port).map(|link| link.index))
    }

    fn own(&self) -> impl Iterator<Item = AddressRange> + '_ {
        self.network.iter().flat_map(|network| {
            let ports: Vec<u32> = self.indices(network).flatten().collect();
            let own = network.addresses.iter().filter(move |a| a.global && ports.contains(&a.interface));
            own.map(|own| Cidr::new(own.address, u8::MAX).into())
        })
    }

    fn found_inside(&self) -> Vec<AddressRange> {
        let private = || PRIVATE.iter().filter_map(|text| text.parse::<Cidr>().ok()).map(AddressRange::from);
        let Some(network) = &self.network else { return private().collect() };
        let of_ports = |is: &[bool]| -> Vec<u32> {
            self.indices(network).zip(is).filter(|(_, is)| **is).filter_map(|(index, _)| index).collect()
        };
        let routes: Vec<&Route> =
            network.routes.iter().filter(|r| r.kind == RouteKind::Unicast && r.table == MAIN).collect();
        let ways = |route: &Route| route.hops.iter().map(|hop| hop.interface).collect::<Vec<_>>();
        let [sources, destinations] = &self.named;
        let outside = [of_ports(sources), of_ports(destinations)].into_iter().find(|ports| !ports.is_empty());
        let outside: Vec<u32> = outside.unwrap_or_else(|| {
            routes.iter().filter(|route| route.length == 0).flat_map(|route| ways(route)).collect()
        });
        if outside.is_empty() {
            return private().collect();
        }
        let is_outside = |route: &Route| ways(route).iter().any(|way| outside.contains(way));
        let (out, within): (Vec<&Route>, Vec<&Route>) =
            routes.into_iter().filter(|route| route.length > 0).partition(|route| is_outside(route));
        let mut inside = Vec::new();
        for route in within {
            let mut parts = vec![AddressRange::from(Cidr::new(route.destination, route.length))];
            // Longer prefixes lead elsewhere.
            for other in out.iter().filter(|other| other.length > route.length) {
                let other = AddressRange::from(Cidr::new(other.destination, other.length));
                parts = parts.into_iter().flat_map(|part| part.without(&other)).collect();
            }
            inside.append(&mut parts);
        }
        inside
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
