//! Messages of the route family as data (`linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`, `linux/neighbour.h`).

use crate::netlink::{Attributes, Messages};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number of it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its hardware address, if it is like Ethernet's.
    pub address: Option<[u8; 6]>,
    /// The longest datagram that it carries.
    pub mtu: u32,
    /// Whether it is up and has a carrier.
    pub up: bool,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface.
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// Whether it may be used beyond the link: of global scope, neither tentative nor deprecated.
    pub global: bool,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The table: 254 is `main`, 255 `local`.
    pub table: u32,
    /// The destination's network.
    pub destination: IpAddr,
    /// And the length of its prefix.
    pub length: u8,
    /// What becomes of packets to it.
    pub kind: RouteKind,
    /// The lowest is taken.
    pub metric: u32,
    /// The ways out, of which one is taken for each pair of hosts. Dead ones are left out.
    pub hops: Vec<NextHop>,
    /// The longest datagram for this way, if there is a limit beside the link's.
    pub mtu: Option<u32>,
}

/// What becomes of packets (`RTN_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKind {
    /// They go on.
    Unicast,
    /// They are for this host.
    Local,
    /// They are for all hosts of a link.
    Broadcast,
    /// They are for a group.
    Multicast,
    /// They are dropped without a word.
    Blackhole,
    /// Their sender is told that the host cannot be reached.
    Unreachable,
    /// Their sender is told that it is not allowed.
    Prohibit,
    /// The next table is asked.
    Throw,
    /// Something that this reader does not know.
    Other(u8),
}

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// By this interface.
    pub interface: u32,
    /// To this router; `None`: the destination is on the link.
    pub gateway: Option<IpAddr>,
}

/// A host on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link.
    pub interface: u32,
    /// The host.
    pub address: IpAddr,
    /// What is known of it.
    pub state: NeighbourState,
}

/// What is known of a neighbour's hardware address (RFC 4861 §7.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeighbourState {
    /// It is this one.
    Reachable([u8; 6]),
    /// It was this one, and should be asked for again when it is used.
    Stale([u8; 6]),
    /// It is being asked for.
    Incomplete,
    /// The host does not answer.
    Failed,
    /// Nothing any more.
    Gone,
}

/// What a message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An interface, new or changed.
    Link(Link),
    /// An address.
    Address(InterfaceAddress),
    /// A route.
    Route(Route),
    /// A neighbour, also one that is gone.
    Neighbour(Neighbour),
    /// An interface, address or route is gone.
    Layout,
}

const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// Takes a datagram apart: the kind of each message, and what follows its header.
pub(super) fn messages(datagram: &[u8], mut each: impl FnMut(u16, &[u8])) {
    Messages(datagram).for_each(|(kind, body)| each(kind, body));
}

/// All that a datagram tells.
pub fn changes(datagram: &[u8]) -> Vec<Change> {
    Messages(datagram).filter_map(|(kind, body)| message(kind, body)).collect()
}

/// What a message tells; `None` if it is of no interest, or cannot be read.
pub(super) fn message(kind: u16, body: &[u8]) -> Option<Change> {
    match kind {
        16 => link(body).map(Change::Link),
        20 => address(body).map(Change::Address),
        24 => route(body).map(Change::Route),
        28 => neighbour(body, false).map(Change::Neighbour),
        29 => neighbour(body, true).map(Change::Neighbour),
        17 | 21 | 25 => Some(Change::Layout),
        _ => None,
    }
}

/// `struct ifinfomsg`: family, padding, type, index, flags, changed flags.
fn link(body: &[u8]) -> Option<Link> {
    /// `IFF_UP` and `IFF_LOWER_UP`.
    const UP: u32 = 1 | 1 << 16;
    const ADDRESS: u16 = 1;
    const NAME: u16 = 3;
    const MTU: u16 = 4;
    let (header, attributes) = body.split_first_chunk::<16>()?;
    // A bridge tells of its ports by messages of its own family.
    if header[0] != 0 {
        return None;
    }
    let attributes = Attributes(attributes);
    Some(Link {
        index: number(header, 4)?,
        name: attributes.text(NAME)?.to_owned(),
        address: attributes.value(ADDRESS).and_then(|address| address.try_into().ok()),
        mtu: native(attributes, MTU).unwrap_or(0),
        up: number(header, 8)? & UP == UP,
    })
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index.
fn address(body: &[u8]) -> Option<InterfaceAddress> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const FLAGS: u16 = 8;
    /// `IFA_F_DADFAILED`, `IFA_F_DEPRECATED`, `IFA_F_TENTATIVE`.
    const UNUSABLE: u32 = 0x08 | 0x20 | 0x40;
    let (header, attributes) = body.split_first_chunk::<8>()?;
    let [family, _, flags, scope, ..] = *header;
    let attributes = Attributes(attributes);
    // On a point-to-point link the first is the other end's.
    let address = ip(family, attributes.value(LOCAL).or_else(|| attributes.value(ADDRESS))?)?;
    let flags = native(attributes, FLAGS).unwrap_or(u32::from(flags));
    Some(InterfaceAddress {
        interface: number(header, 4)?,
        address,
        global: scope == 0 && flags & UNUSABLE == 0,
    })
}

/// `struct rtmsg`: family, lengths of destination and source, type of service, table, origin, scope, type, flags.
fn route(body: &[u8]) -> Option<Route> {
    const DESTINATION: u16 = 1;
    const INTERFACE: u16 = 4;
    const GATEWAY: u16 = 5;
    const PRIORITY: u16 = 6;
    const METRICS: u16 = 8;
    const METRIC_MTU: u16 = 2;
    const MULTIPATH: u16 = 9;
    const TABLE: u16 = 15;
    /// `RTM_F_CLONED`: a cached exception, not a route.
    const CLONED: u32 = 0x200;
    let (header, attributes) = body.split_first_chunk::<12>()?;
    let [family, length, _, _, table, _, _, kind, ..] = *header;
    let flags = number(header, 8)?;
    if !matches!(family, IPV4 | IPV6) || flags & CLONED != 0 {
        return None;
    }
    let attributes = Attributes(attributes);
    let destination = match attributes.value(DESTINATION) {
        Some(value) => ip(family, value)?,
        None if family == IPV4 => Ipv4Addr::UNSPECIFIED.into(),
        None => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut hops = Vec::new();
    if let Some(several) = attributes.value(MULTIPATH) {
        next_hops(family, several, &mut hops);
    } else if let Some(interface) = native(attributes, INTERFACE).filter(|_| is_alive(flags)) {
        hops.push(NextHop { interface, gateway: gateway(family, attributes, GATEWAY) });
    }
    Some(Route {
        table: native(attributes, TABLE).unwrap_or(u32::from(table)),
        destination,
        length,
        kind: route_kind(kind),
        metric: native(attributes, PRIORITY).unwrap_or(0),
        hops,
        mtu: native(attributes.nested(METRICS), METRIC_MTU),
    })
}

const fn route_kind(number: u8) -> RouteKind {
    match number {
        1 => RouteKind::Unicast,
        2 => RouteKind::Local,
        3 => RouteKind::Broadcast,
        5 => RouteKind::Multicast,
        6 => RouteKind::Blackhole,
        7 => RouteKind::Unreachable,
        8 => RouteKind::Prohibit,
        9 => RouteKind::Throw,
        other => RouteKind::Other(other),
    }
}

/// Neither `RTNH_F_DEAD` nor `RTNH_F_LINKDOWN`.
const fn is_alive(flags: u32) -> bool {
    flags & (1 | 16) == 0
}

/// `struct rtnexthop` and attributes, one after the other: length, flags, weight, interface.
fn next_hops(family: u8, mut bytes: &[u8], hops: &mut Vec<NextHop>) {
    const HEADER: usize = 8;
    const GATEWAY: u16 = 5;
    while let Some((header, _)) = bytes.split_first_chunk::<HEADER>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(attributes) = bytes.get(HEADER..length) else { return };
        if let Some(interface) = number(header, 4).filter(|_| is_alive(header[2].into())) {
            hops.push(NextHop { interface, gateway: gateway(family, Attributes(attributes), GATEWAY) });
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// The router of a way, which may be of the other family (RFC 5549).
fn gateway(family: u8, attributes: Attributes<'_>, kind: u16) -> Option<IpAddr> {
    const VIA: u16 = 18;
    let same = attributes.value(kind).and_then(|value| ip(family, value));
    same.or_else(|| {
        let (family, address) = attributes.value(VIA)?.split_first_chunk::<2>()?;
        ip(u8::try_from(u16::from_ne_bytes(*family)).ok()?, address)
    })
}

/// `struct ndmsg`: family, padding, index, state, flags, type.
fn neighbour(body: &[u8], gone: bool) -> Option<Neighbour> {
    const DESTINATION: u16 = 1;
    const LINK_ADDRESS: u16 = 2;
    /// `NUD_*`.
    const INCOMPLETE: u16 = 0x01;
    const STALE: u16 = 0x04;
    const DELAY: u16 = 0x08;
    const PROBE: u16 = 0x10;
    const REACHABLE: u16 = 0x02;
    const PERMANENT: u16 = 0x80;
    const NO_ARP: u16 = 0x40;
    const FAILED: u16 = 0x20;
    let (header, attributes) = body.split_first_chunk::<12>()?;
    let attributes = Attributes(attributes);
    let state = u16::from_ne_bytes([header[8], header[9]]);
    let link = attributes.value(LINK_ADDRESS).and_then(|address| address.try_into().ok());
    let state = match (state, link) {
        _ if gone => NeighbourState::Gone,
        (REACHABLE | PERMANENT | NO_ARP | DELAY | PROBE, Some(link)) => NeighbourState::Reachable(link),
        (STALE, Some(link)) => NeighbourState::Stale(link),
        (INCOMPLETE, _) => NeighbourState::Incomplete,
        (FAILED, _) => NeighbourState::Failed,
        _ => NeighbourState::Gone,
    };
    let address = ip(header[0], attributes.value(DESTINATION)?)?;
    Some(Neighbour { interface: number(header, 4)?, address, state })
}

fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        IPV4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).into()),
        IPV6 => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into()),
        _ => None,
    }
}

/// A number in the host's byte order, as this family has them.
fn native(attributes: Attributes<'_>, kind: u16) -> Option<u32> {
    attributes.value(kind)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn number(header: &[u8], offset: usize) -> Option<u32> {
    header.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}
