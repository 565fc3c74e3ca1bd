//! Which frames a router's engine sees, and which are the host's own affair or nobody's.

use super::Router;
use super::header::Header;
use crate::policy::is_neighbour_discovery;
use pinhole_engine::Reason;
use pinhole_wire::link::ETHERNET_HEADER;
use pinhole_wire::{Address, IpVersion};

const ARP: [u8; 2] = [0x08, 0x06];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// What becomes of a frame before the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Screened {
    /// The engine judges it.
    Judge,
    /// It is not for this router: the host has it, or nobody wants it.
    Left,
    /// It is dropped; its sender may be told.
    Refused(Reason),
}

impl Router {
    pub(super) fn screen(&mut self, side: usize, frame: &[u8]) -> Screened {
        let Some((header, datagram)) = frame.split_first_chunk::<ETHERNET_HEADER>() else {
            return self.leave(false);
        };
        let &[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, k0, k1] = header;
        let Some(link) = self.links.get(self.port_of(side)).copied() else { return self.leave(false) };
        if ![IPV4, IPV6].contains(&[k0, k1]) {
            return self.leave([k0, k1] == ARP);
        }
        if self.is_host(side) {
            // What the host's stack sends by the pair itself is not meant for any link.
            let turned_aside = [s0, s1, s2, s3, s4, s5] == link.address;
            return if turned_aside { self.screen_own(datagram) } else { self.leave(false) };
        }
        // To a group, to all, or to another host whose frames somebody else wants to see (RFC 1812 §5.3.4).
        if [d0, d1, d2, d3, d4, d5] != link.address {
            return self.leave(self.settings.link_scope);
        }
        let Some(header) = Header::read(datagram) else { return Screened::Judge };
        if header.version == IpVersion::V6 && is_neighbour_discovery(frame) {
            return self.leave(true);
        }
        if self.is_of_the_link(&header) {
            return self.leave(self.settings.link_scope);
        }
        self.screen_foreign(side, &header)
    }

    /// A datagram that came in by a port (RFC 1812 §5.3.7).
    fn screen_foreign(&self, side: usize, header: &Header) -> Screened {
        let topology = self.engine.topology();
        let &Header { version, source, destination, .. } = header;
        let impossible = topology.is_local(version, source)
            || is_group(version, source)
            || is_loopback(version, source)
            || is_loopback(version, destination)
            || self.routes.is_broadcast(version, source);
        if impossible || !self.routes.is_plausible(self.settings.source_check, side, version, source) {
            return Screened::Refused(Reason::Martian);
        }
        // An own address may stand for another host: that is known when NAT has looked.
        if header.hop_limit <= 1 && !topology.is_local(version, destination) {
            return Screened::Refused(Reason::HopLimit);
        }
        Screened::Judge
    }

    /// A datagram that the host sends.
    fn screen_own(&self, datagram: &[u8]) -> Screened {
        match Header::read(datagram) {
            Some(header) if !self.engine.topology().is_local(header.version, header.source) => {
                Screened::Refused(Reason::Martian)
            }
            _ => Screened::Judge,
        }
    }

    /// What no router forwards: groups, broadcasts and link-local addresses (RFC 1122 §3.2.1.3; RFC 4291 §2.5.6).
    fn is_of_the_link(&self, header: &Header) -> bool {
        let &Header { version, source, destination, .. } = header;
        let link_local =
            |address: Address| version == IpVersion::V6 && matches!(address.0, [0xfe, 0x80..=0xbf, ..]);
        is_group(version, destination)
            || self.routes.is_broadcast(version, destination)
            || link_local(destination)
            || link_local(source)
    }

    fn leave(&mut self, passes: bool) -> Screened {
        if passes {
            self.statistics.link_passed += 1;
        } else {
            self.statistics.link_dropped += 1;
        }
        Screened::Left
    }
}

fn is_group(version: IpVersion, address: Address) -> bool {
    match version {
        IpVersion::V4 => address.v4_octets()[0] >= 224,
        IpVersion::V6 => address.0[0] == 0xff,
    }
}

fn is_loopback(version: IpVersion, address: Address) -> bool {
    match version {
        IpVersion::V4 => address.v4_octets()[0] == 127,
        IpVersion::V6 => address.0 == std::net::Ipv6Addr::LOCALHOST.octets(),
    }
}
