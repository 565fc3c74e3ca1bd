//! Which way packets go: the kernel's main table, as far as it leads to the router's ports.
//!
//! Rules of policy routing are not looked at. Of several routes to a network the one with the lowest metric counts; of its ways out those by
//! ports of the router, one for each pair of hosts.

use pinhole_engine::Cidr;
use pinhole_engine::prefixes::PrefixMap;
use pinhole_io::live::rtnetlink::Snapshot;
use pinhole_io::live::rtnetlink::read::{Route, RouteKind};
use pinhole_wire::{Address, IpVersion};
use std::net::IpAddr;

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

/// Whether the source of a packet must be reachable, and how (RFC 3704).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceCheck {
    /// By the port that the packet came in by (RFC 3704 §2.2).
    #[default]
    Strict,
    /// By any port (RFC 3704 §2.4).
    Loose,
    /// It need not be.
    Off,
}

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) port: usize,
    /// `None`: the destination itself is on the link.
    pub(super) gateway: Option<IpAddr>,
}

/// What becomes of packets to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// They go on; there is at least one hop.
    Go {
        hops: Vec<Hop>,
        mtu: Option<usize>,
    },
    /// There is no way by the router's ports.
    None,
    Blackhole,
    Unreachable,
    Prohibit,
}

/// Routes.
#[derive(Debug, Default)]
pub(super) struct Routes {
    ways: PrefixMap<Way>,
    broadcasts: PrefixMap<()>,
}

impl Routes {
    /// Those of a snapshot, with the ports by their interfaces' numbers. `lies_behind` is told of each network, and the port that leads to it, if
    /// any does.
    pub(super) fn new(
        snapshot: &Snapshot,
        ports: &[u32],
        mut lies_behind: impl FnMut(Cidr, Option<usize>),
    ) -> Self {
        let mut routes = Self::default();
        let mut main: Vec<&Route> = snapshot.routes.iter().filter(|route| is_main(route)).collect();
        // The best comes last, and stays. The sort is stable: of equals the kernel tells the better one first.
        main.reverse();
        main.sort_by_key(|route| std::cmp::Reverse(route.metric));
        for route in main {
            let range = Cidr::new(route.destination, route.length);
            let way = way(route, ports);
            routes.ways.insert(range, way);
        }
        for route in snapshot.routes.iter().filter(|route| is_main(route)) {
            let range = Cidr::new(route.destination, route.length);
            match routes.ways.get(range) {
                Some(Way::Go { hops, .. }) => lies_behind(range, hops.first().map(|hop| hop.port)),
                _ => lies_behind(range, None),
            }
        }
        for route in snapshot.routes.iter().filter(|route| route.kind == RouteKind::Broadcast) {
            routes.broadcasts.insert(Cidr::new(route.destination, route.length), ());
        }
        routes
    }

    /// What becomes of packets to an address.
    pub(super) fn way(&self, version: IpVersion, destination: Address) -> &Way {
        self.ways.lookup(version, destination).unwrap_or(&Way::None)
    }

    /// Whether an address stands for all hosts of a link.
    pub(super) fn is_broadcast(&self, version: IpVersion, address: Address) -> bool {
        version == IpVersion::V4
            && (address.v4_octets() == [u8::MAX; 4] || self.broadcasts.lookup(version, address).is_some())
    }

    /// Whether a packet from this source may have come in by a port.
    pub(super) fn is_plausible(
        &self,
        check: SourceCheck,
        port: usize,
        version: IpVersion,
        source: Address,
    ) -> bool {
        match (check, self.way(version, source)) {
            (SourceCheck::Off, _) => true,
            (SourceCheck::Loose, Way::Go { .. }) => true,
            (SourceCheck::Strict, Way::Go { hops, .. }) => hops.iter().any(|hop| hop.port == port),
            _ => false,
        }
    }
}

fn is_main(route: &Route) -> bool {
    let known = !matches!(
        route.kind,
        RouteKind::Local
            | RouteKind::Broadcast
            | RouteKind::Multicast
            | RouteKind::Throw
            | RouteKind::Other(_)
    );
    route.table == MAIN && known
}

fn way(route: &Route, ports: &[u32]) -> Way {
    match route.kind {
        RouteKind::Blackhole => Way::Blackhole,
        RouteKind::Unreachable => Way::Unreachable,
        RouteKind::Prohibit => Way::Prohibit,
        _ => {
            let hops: Vec<Hop> = route
                .hops
                .iter()
                .filter_map(|hop| {
                    let port = ports.iter().position(|port| *port == hop.interface)?;
                    Some(Hop { port, gateway: hop.gateway })
                })
                .collect();
            let mtu = route.mtu.map(|mtu| mtu as usize);
            if hops.is_empty() { Way::None } else { Way::Go { hops, mtu } }
        }
    }
}

/// One of several ways out, the same for the same two hosts (RFC 2992).
pub(super) fn choose(hops: &[Hop], source: Address, destination: Address) -> Option<&Hop> {
    if let [only] = hops {
        return Some(only);
    }
    let mix = |address: Address| {
        let [first, last] = address.words();
        (first ^ last.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let hash = (mix(source) ^ mix(destination).rotate_left(17)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    hops.get((hash as usize).checked_rem(hops.len())?)
}
