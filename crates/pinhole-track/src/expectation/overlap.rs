//! Who matches an expectation, and which expectations overlap.

use pinhole_helper::{AddressMatch, Expect, PortMatch};
use pinhole_wire::{Address, IpVersion};
use std::net::IpAddr;
use std::ops::RangeInclusive;

pub(crate) fn version_of(ip: IpAddr) -> IpVersion {
    match ip {
        IpAddr::V4(_) => IpVersion::V4,
        IpAddr::V6(_) => IpVersion::V6,
    }
}

/// The ports that a match admits; empty if its range is turned round.
pub(super) const fn ports(of: PortMatch) -> RangeInclusive<u16> {
    match of {
        PortMatch::Exact(port) => port..=port,
        PortMatch::Range(first, last) => first..=last,
        PortMatch::Any => 0..=u16::MAX,
    }
}

fn ports_overlap(a: PortMatch, b: PortMatch) -> bool {
    let (a, b) = (ports(a), ports(b));
    a.start() <= b.end() && b.start() <= a.end()
}

/// The addresses that a match admits, as a prefix: address and number of leading bits that count.
fn prefix(of: AddressMatch) -> (u128, u32) {
    let bits = |ip| u128::from_be_bytes(Address::from(ip).0);
    match of {
        AddressMatch::Any => (0, 0),
        AddressMatch::Exact(ip) => (bits(ip), 128),
        AddressMatch::Prefix(ip @ IpAddr::V4(_), length) => (bits(ip), 96 + u32::from(length).min(32)),
        AddressMatch::Prefix(ip @ IpAddr::V6(_), length) => (bits(ip), u32::from(length).min(128)),
    }
}

/// Whether two addresses have the same leading bits.
fn share(a: u128, b: u128, length: u32) -> bool {
    (a ^ b).leading_zeros() >= length
}

fn addresses_overlap(a: AddressMatch, b: AddressMatch) -> bool {
    let ((a, a_length), (b, b_length)) = (prefix(a), prefix(b));
    share(a, b, a_length.min(b_length))
}

/// Whether a conn from this source to this port is meant. Destination address, protocol, IP version and zone are not looked at.
pub(super) fn admits(expect: &Expect, source: Address, source_port: u16, destination_port: u16) -> bool {
    let (address, length) = prefix(expect.source);
    share(u128::from_be_bytes(source.0), address, length)
        && ports(expect.source_port).contains(&source_port)
        && ports(expect.destination_port).contains(&destination_port)
}

/// Whether some conn could match both. They have the same destination address, protocol and zone.
pub(super) fn overlap(a: &Expect, b: &Expect) -> bool {
    ports_overlap(a.destination_port, b.destination_port)
        && ports_overlap(a.source_port, b.source_port)
        && addresses_overlap(a.source, b.source)
}

/// Whether both mean exactly the same conns.
pub(super) fn same_conns(a: &Expect, b: &Expect) -> bool {
    let masked = |of| {
        let (address, length) = prefix(of);
        (address.checked_shr(128 - length).unwrap_or(0), length)
    };
    (a.destination, a.protocol) == (b.destination, b.protocol)
        && ports(a.destination_port) == ports(b.destination_port)
        && ports(a.source_port) == ports(b.source_port)
        && masked(a.source) == masked(b.source)
}
