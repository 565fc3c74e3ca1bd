//! ICMP: which messages are queries, which are errors about another conn, which are not tracked at all.

use super::prepare::{Kind, Prepared, is_call, oriented};
use super::{Tracked, Tracker};
use crate::key::{Ends, Oriented};
use crate::{Invalid, State};
use pinhole_wire::{Direction, Icmp, IpVersion, Packet, Time, Transport};

/// ICMPv6 redirect (RFC 4861 §4.5).
const REDIRECT: u8 = 137;

impl Tracker {
    pub(super) fn prepare_icmp(&self, packet: &Packet, icmp: &Icmp, bytes: &[u8], zone: u16) -> Prepared {
        if packet.version == IpVersion::V6 && is_untracked(icmp.kind) {
            return Prepared::without_key(Kind::Untracked);
        }
        let quoted = match packet.quoted(bytes) {
            None if packet.version == IpVersion::V6 && icmp.kind == REDIRECT => {
                redirected(packet, icmp, bytes)
            }
            None => {
                return match query(packet, icmp, zone) {
                    Some(oriented) => self.keyed(oriented, Kind::Packet),
                    None => Prepared::without_key(Kind::Invalid(Invalid::IcmpNotRequest)),
                };
            }
            Some(quoted) => quoted.ok(),
        };
        let key = quoted.and_then(|quoted| Some((quoted, quoted_key(&quoted, packet.version, zone)?)));
        match key {
            Some((quoted, oriented)) => {
                let to_source = quoted.source == packet.destination;
                self.keyed(oriented, Kind::IcmpError { to_source, of_call: is_call(&quoted) })
            }
            None => Prepared::without_key(Kind::Invalid(Invalid::IcmpErrorQuote)),
        }
    }

    /// An error is related to the conn it quotes, and travels against the quoted packet. It neither refreshes the conn nor counts.
    pub(super) fn track_icmp_error(&mut self, now: Time, prepared: &Prepared, to_source: bool) -> Tracked {
        // What answers the quoted packet is of the conn: the quoted packet itself may have been translated on its way.
        let answer = prepared.oriented.inverse();
        let Some(index) = self.find(now, &answer, prepared.tag) else {
            return Tracked::invalid(Invalid::IcmpErrorUnknown, None);
        };
        let id = self.id(index);
        if !to_source {
            return Tracked::invalid(Invalid::IcmpErrorAddress, Some(id));
        }
        Tracked {
            state: State::Related,
            conn: Some(id),
            direction: self.error_direction(index, &prepared.oriented),
            icmp_error: true,
            ..Tracked::UNTRACKED
        }
    }
}

impl Tracker {
    /// Against the direction of the packet that an error quotes.
    fn error_direction(&self, index: u32, quoted: &Oriented) -> Direction {
        if self.conns[index].is_translated() {
            return self.direction_of(index, &quoted.inverse());
        }
        self.direction_of(index, quoted).opposite()
    }
}

/// Multicast listener discovery and neighbour discovery (RFC 2710, RFC 3810, RFC 4861) concern one link and no conn.
const fn is_untracked(kind: u8) -> bool {
    matches!(kind, 130..=136 | 143)
}

fn query(packet: &Packet, icmp: &Icmp, zone: u16) -> Option<Oriented> {
    let ends = Ends {
        source: packet.source,
        destination: packet.destination,
        source_port: 0,
        destination_port: 0,
        protocol: packet.protocol,
        version: packet.version,
        zone,
    };
    ends.oriented_query(icmp.kind, icmp.code, icmp.identifier)
}

/// `None`: it cannot be told which conn a quoted packet belongs to.
fn quoted_key(quoted: &Packet, version: IpVersion, zone: u16) -> Option<Oriented> {
    if quoted.version != version || quoted.fragment.is_some_and(|fragment| fragment.offset != 0) {
        return None;
    }
    match &quoted.transport {
        Transport::Icmp(icmp) => query(quoted, icmp, zone),
        _ => oriented(quoted, zone).ok(),
    }
}

/// The packet in the "redirected header" option of an ICMPv6 redirect (RFC 4861 §4.5, §4.6.3), which must be the first option.
fn redirected(packet: &Packet, icmp: &Icmp, bytes: &[u8]) -> Option<Packet> {
    const OPTIONS: u32 = 8 + 16 + 16;
    const REDIRECTED_HEADER: u8 = 4;
    let link_local = packet.source.0[0] == 0xfe && packet.source.0[1] & 0xc0 == 0x80;
    // RFC 4861 §8.1: anything else was forwarded, so it does not come from a router of this link.
    if icmp.code != 0 || packet.hop_limit != 255 || !link_local {
        return None;
    }
    match packet.transport_bytes(bytes).get(OPTIONS as usize..)? {
        [REDIRECTED_HEADER, length, ..] if *length > 0 => {}
        _ => return None,
    }
    let message = bytes.get(..packet.end as usize)?;
    Packet::parse_quoted(message, packet.transport_offset + OPTIONS + 8).ok()
}
