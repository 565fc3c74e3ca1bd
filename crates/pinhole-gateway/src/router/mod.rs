//! A router: what comes in by a port goes out by the one to which the host's routes lead, if the rules accept it, or to the host itself.
//!
//! ```text
//!            ┌─ not for the router: left to the host, or dropped          ┌─ own address ─► the host, by the pair of the port it came by
//! port ─► screen ─► source check, hop limit ─► Engine ─► verdict ─► forward ─► route ─► MTU ─► next hop's address ─► port
//! host ─► screen ─────────────────────────────► Engine ─► verdict ─► the port that the host chose
//! ```
//!
//! * `screen`: which frames the engine sees.
//! * `forward`: what becomes of those that it accepted; `emit`: what it made in their stead; `cut`: fragments; `tell`: answers.
//! * `flows`: conns that the kernel carries.
//! * `routes`, `neighbours`: what is known of the network; `header`: what is read and changed of a datagram.
//!
//! The host keeps its addresses, routes and neighbours: a [`Snapshot`] tells of them ([`Router::configure`]), a [`Neighbour`] of a change
//! ([`Router::update`]), and what the host is to find out waits in [`Router::take_questions`]. A router has two sides for each port: the port itself, and
//! behind all ports, in the same order, the ways to the host.
//!
//! Invariants: what comes in by a port from an address of the router's own is dropped; nothing leaves for the host's own account that does not bear
//! such an address; the host is given only what the rules accepted.

mod cut;
mod emit;
mod flows;
mod forward;
mod header;
mod neighbours;
mod routes;
mod screen;
mod tell;
#[cfg(test)]
mod tests;

pub use neighbours::Resolve;
pub use routes::SourceCheck;

use crate::allowance::Allowance;
use crate::fragments::Fragments;
use crate::frames::{BATCH, Counting, NO_FRAME, frame};
use crate::observe::{EXPIRY, Observer, Statistics};
use crate::shards::Share;
use flows::Flows;
use neighbours::{Found, Neighbours};
use pinhole_engine::{Cidr, Engine, Event, InterfaceId, Outcome, Steering};
use pinhole_io::live::rtnetlink::Snapshot;
use pinhole_io::live::rtnetlink::read::{Neighbour, RouteKind};
use pinhole_io::live::{Batch, Port};
use pinhole_wire::{Address, IpVersion, Time};
use routes::Routes;
use screen::Screened;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How a router is set up, besides what the host knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouterSettings {
    /// Which sources are plausible.
    pub source_check: SourceCheck,
    /// The host gets what is sent on a link only, past the rules (it is only counted here).
    pub link_scope: bool,
}

/// A port with its way to the host.
pub struct RouterPort {
    /// The port.
    pub wire: Box<dyn Port>,
    /// The way to the host.
    pub host: Box<dyn Port>,
    /// Name of the host's end of that way.
    pub host_link: String,
}

/// What is known of a port's link.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// The kernel's number.
    index: u32,
    address: [u8; 6],
    mtu: usize,
    /// Hardware address of the host's end of the port's pair.
    host: [u8; 6],
    /// Own addresses, for answers.
    own: [Option<Address>; 2],
}

/// Ports, the engine, and what is known of the network.
pub struct Router {
    engine: Engine,
    settings: RouterSettings,
    /// Ports, then the ways to the host.
    sides: Vec<Box<dyn Port>>,
    host_links: Vec<String>,
    interfaces: Vec<InterfaceId>,
    links: Vec<Link>,
    routes: Routes,
    neighbours: Neighbours,
    batch: Batch,
    /// Frames that are not of the batch: one on its way, one to be sent.
    extra: Batch,
    spare: Batch,
    /// By side: frames of the batch that are to be sent.
    outboxes: Vec<Vec<u16>>,
    outcomes: Vec<Outcome>,
    /// How many of the engine's packets of this batch are sent.
    emitted: usize,
    fragments: Fragments,
    answer: Vec<u8>,
    answers: Allowance,
    statistics: Statistics,
    frames: Vec<u64>,
    counting: Counting,
    /// If it is one of several.
    share: Option<Box<Share>>,
    flows: Option<Box<Flows>>,
    /// The last time that was told.
    now: Time,
}

impl Router {
    /// A router that knows nothing of the network yet: [`configure`](Self::configure) comes next.
    pub fn new(mut engine: Engine, ports: Vec<RouterPort>, settings: RouterSettings) -> Self {
        let count = ports.len();
        let interfaces = ports.iter().map(|port| engine.topology_mut().interface(port.wire.name())).collect();
        let (mut sides, mut ways, mut host_links) = (Vec::new(), Vec::new(), Vec::new());
        for port in ports {
            sides.push(port.wire);
            ways.push(port.host);
            host_links.push(port.host_link);
        }
        sides.append(&mut ways);
        Self {
            engine,
            settings,
            sides,
            host_links,
            interfaces,
            links: vec![Link::default(); count],
            routes: Routes::default(),
            neighbours: Neighbours::default(),
            batch: Batch::new(BATCH),
            extra: Batch::new(1),
            spare: Batch::new(1),
            outboxes: vec![Vec::with_capacity(BATCH); 2 * count],
            outcomes: Vec::with_capacity(BATCH),
            emitted: 0,
            fragments: Fragments::default(),
            answer: Vec::new(),
            answers: Allowance::default(),
            statistics: Statistics::new(2 * count),
            frames: vec![0; 2 * count],
            counting: Counting::ALONE,
            share: None,
            flows: None,
            now: Time(0),
        }
    }

    /// Takes over what the host knows of the network. Conns go on.
    pub fn configure(&mut self, now: Time, snapshot: &Snapshot) {
        self.recall_all(now);
        for (side, link) in self.links.iter_mut().enumerate() {
            *link = Link::default();
            let Some(found) = self.sides.get(side).and_then(|port| snapshot.link(port.name())) else {
                continue;
            };
            link.index = found.index;
            link.address = found.address.unwrap_or_default();
            link.mtu = found.mtu as usize;
            let host = self.host_links.get(side).and_then(|name| snapshot.link(name));
            link.host = host.and_then(|host| host.address).unwrap_or_default();
        }
        self.configure_addresses(snapshot);
        let ports: Vec<u32> = self.links.iter().map(|link| link.index).collect();
        let Self { engine, sides, .. } = self;
        let topology = engine.topology_mut();
        topology.clear_ranges();
        topology.set_routed(true);
        self.routes =
            Routes::new(snapshot, &ports, |range, port| match port.and_then(|port| sides.get(port)) {
                Some(side) => {
                    topology.add_interface(side.name(), range);
                }
                None => topology.add_unreachable(range),
            });
        self.neighbours.clear_known();
        for neighbour in &snapshot.neighbours {
            self.update(now, neighbour);
        }
    }

    fn configure_addresses(&mut self, snapshot: &Snapshot) {
        let topology = self.engine.topology_mut();
        topology.clear_local();
        // Who has no address yet (DHCP, duplicate address detection) sends from none.
        for nobody in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
            topology.add_local(Cidr::new(nobody, u8::MAX));
        }
        for route in snapshot.routes.iter().filter(|route| route.kind == RouteKind::Local) {
            topology.add_local(Cidr::new(route.destination, route.length));
        }
        let mut addresses = Vec::new();
        for known in snapshot.addresses.iter().filter(|known| known.global) {
            let Some(port) = self.links.iter().position(|link| link.index == known.interface) else {
                continue;
            };
            if let (Some(link), Some(interface)) = (self.links.get_mut(port), self.interfaces.get(port)) {
                addresses.push((*interface, known.address));
                let [four, six] = &mut link.own;
                let own = if known.address.is_ipv4() { four } else { six };
                own.get_or_insert(known.address.into());
            }
        }
        self.engine.replace_addresses(addresses);
    }

    /// Takes over what the host says of a neighbour, and sends what waited for it.
    pub fn update(&mut self, now: Time, neighbour: &Neighbour) {
        let find =
            |neighbours: &Neighbours| match neighbours.find(now, neighbour.interface, neighbour.address) {
                Found::Known { address, .. } => Some(address),
                Found::Unknown => None,
            };
        let before = find(&self.neighbours);
        let (waiting, address) = self.neighbours.update(now, neighbour);
        if before.is_some() && before != find(&self.neighbours) {
            self.recall_all(now);
        }
        let egress = self.links.iter().position(|link| link.index == neighbour.interface);
        for packet in waiting {
            match (address, egress) {
                (Some(address), Some(egress)) => self.send_waiting(now, egress, address, &packet),
                _ => self.give_up(now, &packet),
            }
        }
    }

    /// What the host is to find out.
    pub fn take_questions(&mut self) -> Vec<Resolve> {
        self.neighbours.take_questions()
    }

    /// Makes it one of several, each with its own ports to the same interfaces.
    pub fn join(&mut self, share: Share) {
        self.counting = Counting::of(share.position());
        self.share = Some(Box::new(share));
    }

    /// Its part among several, if it is one of them.
    pub fn share(&self) -> Option<&Share> {
        self.share.as_deref()
    }

    /// Spreads frames another way from now on, if it is one of several.
    pub fn steer_by(&mut self, steering: Steering) {
        if let Some(share) = &mut self.share {
            share.steer_by(steering, &mut self.engine);
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, to be changed between two batches. What the kernel carries is recalled.
    pub fn engine_mut(&mut self) -> &mut Engine {
        self.recall_all(self.now);
        &mut self.engine
    }

    /// The ports, and behind them the ways to the host.
    pub fn ports(&self) -> &[Box<dyn Port>] {
        &self.sides
    }

    /// The same, to be asked for what they lost.
    pub fn ports_mut(&mut self) -> &mut [Box<dyn Port>] {
        &mut self.sides
    }

    /// Counters.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Takes what has come in by a side, at most one batch. Returns how many frames that were: a full batch means that there may be more.
    ///
    /// # Errors
    /// The port's; frames that came before the error are handled.
    pub fn serve(&mut self, now: Time, side: usize, observer: &mut dyn Observer) -> io::Result<usize> {
        self.now = now;
        let Some(port) = self.sides.get_mut(side) else { return Ok(0) };
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let result = port.receive(now, &mut batch);
        let bytes = batch.frames().iter().map(|frame| frame.bytes().len() as u64).sum();
        self.statistics.count_received(side, batch.len(), bytes);
        let count = batch.len();
        if let Some(share) = self.share.as_mut().filter(|_| count > 0) {
            share.steer(side, &mut batch, self.engine.tracker());
        }
        if !batch.is_empty() {
            self.handle(now, side, &mut batch, observer);
        }
        self.batch = batch;
        result.map(|()| count)
    }

    /// Takes what other shards handed over, at most one batch. Returns whether there was anything.
    pub fn serve_handed(&mut self, now: Time, observer: &mut dyn Observer) -> bool {
        self.now = now;
        let Some(share) = &mut self.share else { return false };
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let side = share.receive(&mut batch, self.engine.tracker());
        if let Some(side) = side
            && !batch.is_empty()
        {
            self.handle(now, side, &mut batch, observer);
        }
        self.batch = batch;
        side.is_some()
    }

    /// Lets time pass. Returns whether there is more to do at once.
    pub fn advance(&mut self, now: Time, observer: &mut dyn Observer) -> bool {
        self.now = now;
        self.sweep(now);
        self.statistics.fragments_lost += self.fragments.expire(now);
        for packet in self.neighbours.expire(now) {
            self.give_up(now, &packet);
        }
        let more = self.engine.advance(now, EXPIRY);
        self.publish();
        self.send_released(now);
        self.tell_events(observer);
        more
    }

    /// When [`advance`](Self::advance) or [`serve`](Self::serve) should be called next if no frame comes.
    pub fn next_deadline(&self) -> Option<Time> {
        let ports = self.sides.iter().filter_map(Port::next_deadline);
        let flows = self.flows.as_ref().and_then(|flows| flows.next_deadline());
        ports.chain(self.engine.next_deadline()).chain(self.neighbours.next_deadline()).chain(flows).min()
    }

    /// Hands on the events of what was asked of [`engine_mut`](Self::engine_mut).
    pub fn tell_events(&mut self, observer: &mut dyn Observer) {
        self.publish();
        while let Some(event) = self.next_event() {
            if let (Some(flows), Event::ConnDestroy { conn, .. }) = (&mut self.flows, &event) {
                flows.forget(conn.id);
            }
            observer.event(&self.engine, event);
        }
    }

    /// Tells other shards what happened, before anything is sent.
    fn publish(&mut self) {
        if let Some(share) = &mut self.share {
            share.publish(&mut self.engine);
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        match &mut self.share {
            Some(share) => share.next_event(),
            None => self.engine.next_event(),
        }
    }

    fn handle(&mut self, now: Time, side: usize, batch: &mut Batch, observer: &mut dyn Observer) {
        let mut screened = [Screened::Judge; BATCH];
        let mut room = [NO_FRAME; BATCH];
        let (ingress, egress) = self.interfaces_of(side);
        let first = self.frames.get(side).copied().unwrap_or_default() + 1;
        for buffer in batch.frames_mut() {
            buffer.truncate(header::length_without_trailer(buffer.bytes()));
        }
        let mut judged = 0;
        for ((buffer, screened), count) in batch.frames().iter().zip(&mut screened).zip(first..) {
            *screened = self.screen(side, buffer.bytes());
            if *screened == Screened::Judge
                && let Some(place) = room.get_mut(judged)
            {
                self.bring_up_to_date(now, side, buffer.bytes());
                *place = frame(self.counting.number(side, count), now, buffer, ingress, egress);
                judged += 1;
            }
        }
        if let Some(frames) = self.frames.get_mut(side) {
            *frames += batch.len() as u64;
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.clear();
        self.engine.handle_batch(room.get(..judged).unwrap_or_default(), &mut outcomes);
        self.publish();
        self.emitted = 0;

        let mut verdicts = outcomes.iter();
        for ((index, screened), count) in (0u16..).zip(screened).zip(first..).take(batch.len()) {
            let number = self.counting.number(side, count);
            let outcome = match screened {
                Screened::Left => continue,
                Screened::Refused(reason) => {
                    self.refuse(now, side, batch, index, reason);
                    Outcome::dropped(reason)
                }
                Screened::Judge => {
                    let Some(outcome) = verdicts.next() else { break };
                    self.carry_out(now, side, batch, index, number, outcome)
                }
            };
            if let Some(buffer) = batch.frames().get(usize::from(index)) {
                observer.packet(&self.engine, &frame(number, now, buffer, ingress, egress), &outcome);
            }
        }
        self.flush_all(now, batch);
        if self.flows.is_some() {
            for outcome in &outcomes {
                self.consider(now, side, outcome, batch.is_full());
            }
        }
        self.outcomes = outcomes;
        self.tell_events(observer);
    }

    /// The interfaces that rules see for what comes in by a side: what the host sends comes in by none, and leaves by the port that the host chose.
    fn interfaces_of(&self, side: usize) -> (Option<InterfaceId>, Option<InterfaceId>) {
        let ports = self.interfaces.len();
        match side.checked_sub(ports) {
            None => (self.interfaces.get(side).copied(), None),
            Some(port) => (None, self.interfaces.get(port).copied()),
        }
    }

    /// The port that a side belongs to.
    fn port_of(&self, side: usize) -> usize {
        side.checked_sub(self.links.len()).unwrap_or(side)
    }

    fn is_host(&self, side: usize) -> bool {
        side >= self.links.len()
    }

    fn own_address(&self, port: usize, version: IpVersion) -> Option<Address> {
        let [four, six] = self.links.get(port)?.own;
        if version == IpVersion::V4 { four } else { six }
    }
}
