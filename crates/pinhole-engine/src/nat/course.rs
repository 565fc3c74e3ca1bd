//! The two ends of one conn while its packet is on its way: open until decided.

use super::allocation::{Holding, Known};
use super::choose::{Chooser, Side, Want, has_ports};
use super::mappings::End;
use super::{Nat, NatRule, Refused, TranslatedBy, binding};
use crate::host::Follow;
use crate::scene::Scene;
use pinhole_nat::Ends;
use pinhole_ruleset::{Hook, NatAction, NatKind, RuleId};
use pinhole_track::{ConnId, Tracked, Tracker, Tuple};
use pinhole_wire::{Address, IpVersion, Packet, Time, Transport};
use std::net::{Ipv4Addr, Ipv6Addr};

const NOTHING: Holding = Holding { lease: None, through: None, reuse: None };

/// Where a packet's conn leads.
pub(crate) struct Course {
    ends: Ends,
    /// `None`: the conn is made when its packet has survived.
    conn: Option<ConnId>,
    /// Of a new conn: the original tuple, and what its packets leave bearing as far as that is decided.
    new: Option<(Tuple, Tuple)>,
    open: [bool; 2],
    pub(crate) holding: Holding,
}

impl Course {
    /// Of a conn whose ends were decided with its first packet.
    pub(crate) const fn decided(conn: ConnId, ends: Ends) -> Self {
        Self { ends, conn: Some(conn), new: None, open: [false; 2], holding: NOTHING }
    }

    /// Of a new conn.
    pub(crate) const fn open(conn: Option<ConnId>, original: Tuple) -> Self {
        let ends = Ends {
            source: original.source,
            destination: original.destination,
            source_port: original.source_port,
            destination_port: original.destination_port,
        };
        Self { ends, conn, new: Some((original, original)), open: [true; 2], holding: NOTHING }
    }

    /// The conn was made meanwhile. `false`: it cannot be translated as was decided.
    pub(crate) fn enter(&mut self, tracker: &mut Tracker, conn: ConnId) -> bool {
        self.conn = Some(conn);
        let Some((_, leaving)) = self.new.filter(|(original, leaving)| original != leaving) else {
            return true;
        };
        leaving.inverse().is_some_and(|reply| tracker.set_reply(conn, &reply).is_ok())
    }

    pub(crate) const fn is_open(&self, side: Side) -> bool {
        self.open[side as usize]
    }

    /// Whether a new conn will be translated, as far as it is decided.
    pub(crate) fn is_translated(&self) -> bool {
        self.new.as_ref().is_some_and(|(original, leaving)| original != leaving)
    }

    /// What the packets of a new conn leave bearing.
    pub(crate) fn leaving(&self) -> Option<Tuple> {
        self.new.map(|(_, leaving)| leaving)
    }

    /// Whether a packet that leaves bears another end than one that comes.
    pub(crate) fn changes(&self, packet: &Packet, side: Side) -> bool {
        let (address, port, ends) = match side {
            Side::Destination => {
                let own = (packet.destination, packet.destination_port());
                (own.0, own.1, (self.ends.destination, self.ends.destination_port))
            }
            Side::Source => {
                let own = (packet.source, packet.source_port());
                (own.0, own.1, (self.ends.source, self.ends.source_port))
            }
        };
        address != ends.0 || port.is_some_and(|port| port != ends.1)
    }

    /// The packet with this end as it will be.
    pub(crate) fn shown(&self, packet: &Packet, side: Side) -> Packet {
        let mut shown = *packet;
        match side {
            Side::Destination => shown.destination = self.ends.destination,
            Side::Source => shown.source = self.ends.source,
        }
        let (source, destination) = match &mut shown.transport {
            Transport::Tcp(tcp) => (&mut tcp.source_port, &mut tcp.destination_port),
            Transport::Udp(udp) => (&mut udp.source_port, &mut udp.destination_port),
            Transport::Sctp(sctp) => (&mut sctp.source_port, &mut sctp.destination_port),
            Transport::Dccp(dccp) => (&mut dccp.source_port, &mut dccp.destination_port),
            _ => return shown,
        };
        match side {
            Side::Destination => *destination = self.ends.destination_port,
            Side::Source => *source = self.ends.source_port,
        }
        shown
    }
}

impl Nat {
    /// What a packet of a translated conn leaves bearing.
    pub(crate) fn ends(
        &self,
        tracker: &Tracker,
        conn: ConnId,
        tracked: &Tracked,
        packet: &Packet,
    ) -> Option<Ends> {
        tracker.translation(conn)?;
        let binding = binding(tracker, conn)?;
        let leaves = *binding.leaves(tracked.direction);
        let hides = leaves.source != binding.arrives(tracked.direction).source;
        // Any router on the way may send an error.
        let source = if hides || !tracked.icmp_error { leaves.source } else { packet.source };
        Some(Ends { source, ..leaves })
    }

    /// Decides one end of a new conn: by a rule's action, else by a setting or an option, else so that no two conns' replies are alike. Tells what
    /// asked for it.
    #[expect(clippy::too_many_arguments, reason = "what a decision depends on")]
    pub(crate) fn decide(
        &mut self,
        tracker: &mut Tracker,
        now: Time,
        course: &mut Course,
        side: Side,
        hook: Hook,
        asked: Option<(NatAction, RuleId)>,
        scene: &Scene<'_>,
    ) -> Result<Option<TranslatedBy>, Refused> {
        let Some((original, leaving)) = course.new else { return Ok(None) };
        let asked = match asked {
            Some((action, rule)) => {
                Some((self.want(&action, side, hook, &leaving, scene)?, TranslatedBy::Rule(rule)))
            }
            None => self.setting(side, &leaving)?.map(|want| (want, TranslatedBy::Setting)),
        };
        let asked = asked.or_else(|| match side {
            Side::Destination => {
                let (mapping, inner) = self.allocation.admits(&leaving, &self.settings.behaviour)?;
                self.allocation.go_through(mapping);
                course.holding.through = Some(mapping);
                Some((Want::endpoint(inner.address, inner.port), TranslatedBy::Mapping))
            }
            Side::Source => self
                .turns_round(&original, &leaving, scene)
                .then(|| (Want::only(original.destination), TranslatedBy::Hairpin)),
        });
        let (want, by) = match asked {
            Some((want, by)) => (want, Some(by)),
            // It stays as it is, whoever else is there.
            None if side == Side::Destination => {
                course.open[side as usize] = false;
                return Ok(None);
            }
            None => (Want::only(own(&leaving, side)), None),
        };
        self.settle(tracker, now, course, side, &want)?;
        Ok(by)
    }

    /// Whether a conn goes back to where it came from, to another host than it asked for, and is to come from the address that it asked for.
    fn turns_round(&self, original: &Tuple, leaving: &Tuple, scene: &Scene<'_>) -> bool {
        self.settings.behaviour.hairpin
            && original.destination != leaving.destination
            && scene.ingress().is_some()
            && scene.ingress() == scene.egress()
    }

    /// Carries a decision out.
    fn settle(
        &mut self,
        tracker: &mut Tracker,
        now: Time,
        course: &mut Course,
        side: Side,
        want: &Want,
    ) -> Result<(), Refused> {
        let Some((original, leaving)) = &mut course.new else { return Ok(()) };
        let before = *leaving;
        let mut chooser = self.chooser(tracker, now, original);
        let lease = chooser.choose(leaving, side, want).map_err(|_| Refused::Exhausted)?;
        course.holding.lease = course.holding.lease.or(lease);
        if side == Side::Source {
            let has_choice = !want.prefix && want.addresses.0 != want.addresses.1;
            let is_other = has_choice || before.source_port != leaving.source_port;
            // The latest of a source's ends counts, its own one included.
            let is_known = self.allocation.reuse.of(&End::source(original)).is_some();
            course.holding.reuse = (is_other || is_known).then(|| Known::of(original, leaving));
        }
        if before != *leaving {
            match course.conn {
                Some(conn) => {
                    let reply = leaving.inverse().ok_or(Refused::Clash)?;
                    tracker.set_reply(conn, &reply).map_err(|_| Refused::Clash)?;
                }
                None if leaving.is_answer_to(original) => return Err(Refused::Clash),
                None => {}
            }
        }
        course.open[side as usize] = false;
        course.ends = Ends {
            source: leaving.source,
            destination: leaving.destination,
            source_port: leaving.source_port,
            destination_port: leaving.destination_port,
        };
        Ok(())
    }

    /// Leads an expected conn where its master is led: no rule is asked.
    pub(crate) fn lead(
        &mut self,
        tracker: &mut Tracker,
        now: Time,
        course: &mut Course,
        follow: &Follow,
    ) -> Result<(), Refused> {
        let Some((original, leaving)) = &course.new else { return Ok(()) };
        let port = follow.port(leaving.destination_port);
        let initiator = original.source;
        self.settle(tracker, now, course, Side::Destination, &Want::endpoint(follow.destination, port))?;
        let source = match follow.source_key {
            Some(key) => Want::endpoint(follow.source, key),
            None if initiator == follow.peer => Want::only(follow.source),
            None => Want::only(initiator),
        };
        self.settle(tracker, now, course, Side::Source, &source)
    }

    /// What a NAT statement asks for.
    fn want(
        &self,
        action: &NatAction,
        side: Side,
        hook: Hook,
        leaving: &Tuple,
        scene: &Scene<'_>,
    ) -> Result<Want, Refused> {
        let version = leaving.version;
        let statement = &action.statement;
        let only = |address: Option<Address>| address.map(|a| (a, a)).ok_or(Refused::NoAddress);
        let addresses = match statement.kind {
            NatKind::Masquerade => only(self.settings.address(scene.egress(), version))?,
            NatKind::Redirect if hook == Hook::Output => only(Some(loopback(version)))?,
            NatKind::Redirect => only(self.settings.address(scene.ingress(), version))?,
            NatKind::Snat | NatKind::Dnat => match action.address {
                Some((first, last)) => (address(version, first), address(version, last)),
                None => (own(leaving, side), own(leaving, side)),
            },
        };
        Ok(Want {
            addresses,
            prefix: statement.prefix,
            ports: action.port,
            random: statement.random || statement.fully_random,
            persistent: statement.persistent,
        })
    }

    /// What the settings ask for.
    fn setting(&self, side: Side, leaving: &Tuple) -> Result<Option<Want>, Refused> {
        let (version, own) = (leaving.version, own(leaving, side));
        for rule in &self.settings.rules {
            let target = match (rule, side) {
                (NatRule::Snat { from, to }, Side::Source) if from.contains(version, own) => (*to).into(),
                (NatRule::Dnat { to, target }, Side::Destination) if to.contains(version, own) => {
                    (*target).into()
                }
                (NatRule::Nptv6 { inside, mapping, .. }, Side::Source) if inside.contains(version, own) => {
                    return Ok(Some(Want::whole(mapping.outward(own).map_err(|_| Refused::NoAddress)?)));
                }
                (NatRule::Nptv6 { outside, mapping, .. }, Side::Destination)
                    if outside.contains(version, own) =>
                {
                    return Ok(Some(Want::whole(mapping.inward(own).map_err(|_| Refused::NoAddress)?)));
                }
                _ => continue,
            };
            return Ok(Some(Want::only(target)));
        }
        Ok(None)
    }

    /// The port of a translated source becomes the conn's, unless it has one. `false`: its last holder was not taken note of yet.
    pub(crate) fn lease(&mut self, tracker: &mut Tracker, now: Time, course: &mut Course) -> bool {
        let Some((original, leaving)) = course.new else { return true };
        let is_hidden = (original.source, original.source_port) != (leaving.source, leaving.source_port);
        if course.holding.lease.is_none() && is_hidden {
            course.holding.lease = self.chooser(tracker, now, &original).lease(&leaving);
        }
        course.holding.lease.is_some() || !is_hidden || !has_ports(leaving.protocol)
    }

    /// A translated conn was confirmed. `false`: nothing can be kept of it.
    pub(crate) fn begin(&mut self, tracker: &mut Tracker, conn: ConnId, course: &Course) -> bool {
        let (Some((original, leaving)), holding) = (&course.new, course.holding) else { return false };
        if !self.keep(tracker, conn, (original, leaving), holding, None) {
            return false;
        }
        if let Some(Known { source, address, port }) = holding.reuse {
            self.allocation.reuse.enter(source, address, port);
        }
        self.statistics.conns += 1;
        true
    }

    fn chooser<'a>(&'a mut self, tracker: &'a mut Tracker, now: Time, original: &Tuple) -> Chooser<'a> {
        let (allocation, draws) = (&mut self.allocation, &mut self.draws);
        let (behaviour, shard) = (self.settings.behaviour, self.shard.as_deref());
        let (asked, inner) = (original.destination, original.source);
        Chooser { tracker, allocation, draws, behaviour, now, asked, inner, shard }
    }
}

fn own(leaving: &Tuple, side: Side) -> Address {
    match side {
        Side::Source => leaving.source,
        Side::Destination => leaving.destination,
    }
}

/// An address as rules hold it: a number of its family.
fn address(version: IpVersion, number: u128) -> Address {
    match version {
        IpVersion::V4 => Address::v4((number as u32).to_be_bytes()),
        IpVersion::V6 => Address(number.to_be_bytes()),
    }
}

fn loopback(version: IpVersion) -> Address {
    match version {
        IpVersion::V4 => Address::v4(Ipv4Addr::LOCALHOST.octets()),
        IpVersion::V6 => Address::v6(Ipv6Addr::LOCALHOST.octets()),
    }
}
