//! NAT through the whole engine: headers, ports, ICMP errors, payloads.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed unwrap is the test's message")]

mod ftp;
mod headers;
mod messages;
mod prefixes;
#[path = "../support/mod.rs"]
mod support;
mod transports;

use pinhole_engine::{NatRule, Settings};
use pinhole_wire::checksum::{self, Checksum};
use pinhole_wire::{Packet, Transport};
use std::net::SocketAddr;

pub(crate) const OUTER: &str = "203.0.113.7";

/// Inner hosts leave as one address.
pub(crate) fn hidden() -> Settings {
    with(&[NatRule::Snat { from: "10.0.0.0/8".parse().unwrap(), to: OUTER.parse().unwrap() }])
}

pub(crate) fn with(rules: &[NatRule]) -> Settings {
    let mut settings = Settings::default();
    settings.nat.rules = rules.to_vec();
    settings
}

/// Source and destination of a datagram whose checksums must be right. Of an ICMP query the ports are the identifier.
pub(crate) fn ends(datagram: &[u8]) -> (SocketAddr, SocketAddr) {
    let packet = Packet::parse(datagram, 0).unwrap();
    assert_eq!(checksum::verify_transport(&packet, datagram), Checksum::Good);
    ends_of(&packet)
}

pub(crate) fn ends_of(packet: &Packet) -> (SocketAddr, SocketAddr) {
    let (source, destination) = match &packet.transport {
        Transport::Icmp(icmp) => (icmp.identifier, icmp.identifier),
        _ => (packet.source_port().unwrap(), packet.destination_port().unwrap()),
    };
    (
        SocketAddr::new(packet.source.ip(packet.version), source),
        SocketAddr::new(packet.destination.ip(packet.version), destination),
    )
}
