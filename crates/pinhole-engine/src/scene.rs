//! What a rule sees of a packet, and what it may change.
//!
//! A [`Scene`] lives as long as its packet is on its way. The same scene is seen twice: [`BeforeTracking`] by raw chains, for which there is no
//! conn yet, and [`AfterTracking`] by all others. What rules set is kept in cells, so that later rules see it, and is carried
//! out by the engine when the packet's fate is known.

mod header;

use crate::frame::Frame;
use crate::host::Host;
use crate::topology::{InterfaceId, Topology};
use pinhole_ruleset::{Field, Hook, NameField, NatAction, ObjectId, RuleId, Subject};
use pinhole_track::{Counters, State, Tracked, Tracker, Tuple};
use pinhole_wire::{IpVersion, LinkType, Packet, Time};
use std::cell::Cell;

/// A packet on its way through the rules.
pub(crate) struct Scene<'a> {
    packet: &'a Packet,
    bytes: &'a [u8],
    link: LinkType,
    topology: &'a Topology,
    ingress: Option<InterfaceId>,
    egress: Option<InterfaceId>,
    /// Where the chain that looks is hooked in.
    hook: Cell<Hook>,
    wishes: &'a Wishes,
}

/// What rules set so far.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Mark of the packet.
    pub(crate) packet_mark: Cell<u32>,
    /// New mark of the conn.
    pub(crate) conn_mark: Cell<Option<u32>>,
    /// Helper object, and the rule that set it.
    pub(crate) helper: Cell<Option<(ObjectId, RuleId)>>,
    /// Timeout policy object.
    pub(crate) timeout: Cell<Option<ObjectId>>,
    /// Expectation object, and the rule that set it.
    pub(crate) expectation: Cell<Option<(ObjectId, RuleId)>>,
    /// Zone to track the packet in.
    pub(crate) zone: Cell<Option<u16>>,
    /// Labels to add to the conn's.
    pub(crate) labels: Cell<u128>,
    /// The NAT statement that was met, and its rule.
    pub(crate) nat: Cell<Option<(NatAction, RuleId)>>,
    /// The packet is not to be tracked.
    pub(crate) notrack: Cell<bool>,
}

impl Wishes {
    /// Whether nothing is to be done to the conn.
    pub(crate) fn leave_conn_alone(&self) -> bool {
        self.conn_mark.get().is_none()
            && self.helper.get().is_none()
            && self.timeout.get().is_none()
            && self.expectation.get().is_none()
            && self.labels.get() == 0
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        frame: &Frame<'a>,
        packet: &'a Packet,
        bytes: &'a [u8],
        topology: &'a Topology,
        wishes: &'a Wishes,
    ) -> Self {
        let ingress = frame.ingress.or_else(|| topology.towards(packet.version, packet.source));
        let egress = frame.egress.or_else(|| topology.towards(packet.version, packet.destination));
        let hook = Cell::new(Hook::Prerouting);
        Self { packet, bytes, link: frame.link, topology, ingress, egress, hook, wishes }
    }

    /// The same packet further on its way, translated: it leaves where its destination says now, and came in where it came in.
    pub(crate) fn renewed(self, packet: &'a Packet, frame: &Frame<'_>) -> Self {
        let towards = || self.topology.towards(packet.version, packet.destination);
        let egress = if packet.destination == self.packet.destination {
            self.egress.or_else(towards)
        } else {
            // What the caller knows is the way to the old one.
            towards().or(frame.egress)
        };
        Self { packet, egress, ..self }
    }

    /// The interface that the packet came in by.
    pub(crate) fn ingress(&self) -> Option<InterfaceId> {
        self.ingress
    }

    /// Whether a packet to another host cannot be sent anywhere.
    pub(crate) fn has_no_route(&self) -> bool {
        self.egress.is_none() && self.topology.is_routed()
    }

    /// The interface that it will leave by.
    pub(crate) fn egress(&self) -> Option<InterfaceId> {
        self.egress
    }

    /// The chains from here on are those of this hook.
    pub(crate) fn enter(&self, hook: Hook) {
        self.hook.set(hook);
    }

    /// The packet.
    pub(crate) fn packet(&self) -> &Packet {
        self.packet
    }

    /// What the rules set so far.
    pub(crate) fn wishes(&self) -> &Wishes {
        self.wishes
    }

    fn load(&self, field: Field) -> Option<u128> {
        match field {
            Field::Mark => Some(self.wishes.packet_mark.get().into()),
            Field::InterfaceIn => self.index(self.ingress, self.has_ingress()),
            Field::InterfaceOut => self.index(self.egress, self.has_egress()),
            _ => header::load(field, self.packet, self.bytes, self.link),
        }
    }

    fn name(&self, field: NameField) -> Option<&str> {
        let (interface, exists) = match field {
            NameField::InterfaceIn => (self.ingress, self.has_ingress()),
            NameField::InterfaceOut => (self.egress, self.has_egress()),
            NameField::CtHelper => return None,
        };
        if exists { self.topology.name(interface?) } else { Some("") }
    }

    /// `notrack` makes `untracked` of whatever has no conn, even after tracking.
    fn state_without_conn(&self, state: State) -> State {
        if state == State::Invalid && self.wishes.notrack.get() { State::Untracked } else { state }
    }

    /// As Linux numbers interfaces: loopback is 1, and 0 stands for none.
    fn index(&self, interface: Option<InterfaceId>, exists: bool) -> Option<u128> {
        const LOOPBACK: u128 = 1;
        if !exists {
            return Some(0);
        }
        let interface = interface?;
        let is_loopback = self.topology.name(interface) == Some("lo");
        Some(if is_loopback { LOOPBACK } else { u128::from(interface.0) + LOOPBACK + 1 })
    }

    /// The interfaces of its way, as far as they are known in this hook.
    pub(crate) fn interfaces(&self) -> (Option<InterfaceId>, Option<InterfaceId>) {
        (self.ingress.filter(|_| self.has_ingress()), self.egress.filter(|_| self.has_egress()))
    }

    /// A packet of the firewall itself came in by no interface.
    fn has_ingress(&self) -> bool {
        self.hook.get() != Hook::Output
    }

    /// Before routing, nobody knows the way out; a packet to the firewall itself has none.
    fn has_egress(&self) -> bool {
        !matches!(self.hook.get(), Hook::Prerouting | Hook::Input)
    }
}

/// The scene as raw chains see it: there is no conn, and `ct state` reads as `invalid`, or as
/// `untracked` after a `notrack`.
pub(crate) struct BeforeTracking<'a>(pub(crate) &'a Scene<'a>);

impl Subject for BeforeTracking<'_> {
    fn load(&self, field: Field) -> Option<u128> {
        match field {
            Field::CtState => Some(self.0.state_without_conn(State::Invalid).nft_bit().into()),
            _ => self.0.load(field),
        }
    }

    fn name(&self, field: NameField) -> Option<&str> {
        self.0.name(field)
    }
}

/// The scene as all other chains see it.
pub(crate) struct AfterTracking<'a> {
    pub(crate) scene: &'a Scene<'a>,
    pub(crate) tracker: &'a Tracker,
    pub(crate) host: &'a Host,
    pub(crate) tracked: &'a Tracked,
    pub(crate) now: Time,
}

impl Subject for AfterTracking<'_> {
    fn load(&self, field: Field) -> Option<u128> {
        self.load_usual(field).map(u128::from).or_else(|| self.load_other(field))
    }

    #[inline]
    fn load_narrow(&self, field: Field) -> Option<u64> {
        match self.load_usual(field) {
            Some(value) => Some(value.into()),
            None => u64::try_from(self.load_other(field)?).ok(),
        }
    }

    fn name(&self, field: NameField) -> Option<&str> {
        match field {
            NameField::CtHelper => self.helper_name(),
            _ => self.scene.name(field),
        }
    }
}

impl AfterTracking<'_> {
    /// What rules look at most.
    #[inline]
    fn load_usual(&self, field: Field) -> Option<u32> {
        let packet = self.scene.packet;
        match field {
            Field::CtState => Some(self.scene.state_without_conn(self.tracked.state).nft_bit()),
            Field::L4Protocol => Some(packet.protocol.0.into()),
            Field::DestinationPort => packet.destination_port().map(u32::from),
            _ => None,
        }
    }

    #[inline(never)]
    fn load_other(&self, field: Field) -> Option<u128> {
        match field {
            Field::CtDirection => self.tracked.conn.map(|_| self.tracked.direction.index() as u128),
            _ if is_of_conn(field) => self.conn(field),
            _ => self.scene.load(field),
        }
    }

    /// Netfilter matches the helper of the *master*: a conn is asked which helper brought it in.
    fn helper_name(&self) -> Option<&str> {
        let master = self.tracker.master(self.tracked.conn?)?;
        Some(&self.host.helper(self.tracker.helper(master)?)?.spec().name)
    }

    fn conn(&self, field: Field) -> Option<u128> {
        let conn = self.tracked.conn?;
        let tracker = self.tracker;
        match field {
            Field::CtStatus => Some(tracker.status(conn)?.bits().into()),
            Field::CtMark => {
                let mark = self.scene.wishes.conn_mark.get().or_else(|| tracker.mark(conn))?;
                Some(mark.into())
            }
            Field::CtExpiration => Some(u128::from(tracker.timeout_left(conn, self.now)?) * 1000),
            Field::CtId => Some(conn.index.into()),
            Field::CtLabel => {
                Some(u128::from_le_bytes(tracker.labels(conn)?) | self.scene.wishes.labels.get())
            }
            _ => self
                .tuple_field(field, &tracker.original(conn)?, &tracker.reply(conn)?)
                .or_else(|| counted(field, &tracker.counters(conn)?)),
        }
    }

    fn tuple_field(&self, field: Field, original: &Tuple, reply: &Tuple) -> Option<u128> {
        let v4 = |tuple: &Tuple, address: pinhole_wire::Address| {
            (tuple.version == IpVersion::V4).then(|| u32::from_be_bytes(address.v4_octets()).into())
        };
        let v6 = |tuple: &Tuple, address: pinhole_wire::Address| {
            (tuple.version == IpVersion::V6).then(|| u128::from_be_bytes(address.0))
        };
        match field {
            Field::CtZone => Some(original.zone.into()),
            Field::CtL3Protocol => Some(match original.version {
                IpVersion::V4 => 2,
                IpVersion::V6 => 10,
            }),
            Field::CtProtocol => Some(original.protocol.0.into()),
            Field::CtOriginalIp4Source => v4(original, original.source),
            Field::CtOriginalIp4Destination => v4(original, original.destination),
            Field::CtOriginalIp6Source => v6(original, original.source),
            Field::CtOriginalIp6Destination => v6(original, original.destination),
            Field::CtOriginalSourcePort => Some(original.source_port.into()),
            Field::CtOriginalDestinationPort => Some(original.destination_port.into()),
            Field::CtReplyIp4Source => v4(reply, reply.source),
            Field::CtReplyIp4Destination => v4(reply, reply.destination),
            Field::CtReplyIp6Source => v6(reply, reply.source),
            Field::CtReplyIp6Destination => v6(reply, reply.destination),
            Field::CtReplySourcePort => Some(reply.source_port.into()),
            Field::CtReplyDestinationPort => Some(reply.destination_port.into()),
            _ => None,
        }
    }
}

/// Fields made of a conn's counters.
fn counted(field: Field, counters: &[Counters; 2]) -> Option<u128> {
    let [original, reply] = counters;
    let both = Counters { packets: original.packets + reply.packets, bytes: original.bytes + reply.bytes };
    let average = |c: &Counters| c.bytes.checked_div(c.packets).unwrap_or(0);
    Some(u128::from(match field {
        Field::CtPackets => both.packets,
        Field::CtOriginalPackets => original.packets,
        Field::CtReplyPackets => reply.packets,
        Field::CtBytes => both.bytes,
        Field::CtOriginalBytes => original.bytes,
        Field::CtReplyBytes => reply.bytes,
        Field::CtAveragePacket => average(&both),
        Field::CtOriginalAveragePacket => average(original),
        Field::CtReplyAveragePacket => average(reply),
        _ => return None,
    }))
}

/// Whether a field is asked of the conn. They stand first in the enum.
pub(crate) const fn is_of_conn(field: Field) -> bool {
    field as u16 <= Field::CtReplyAveragePacket as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conntrack_fields_are_those_that_nft_spells_with_ct() {
        for &field in Field::ALL {
            assert_eq!(is_of_conn(field), field.text().starts_with("ct "), "{field}");
        }
    }
}
