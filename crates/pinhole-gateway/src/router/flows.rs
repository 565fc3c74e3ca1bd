//! Conns that the kernel carries for the router (netfilter's flow offload), in a [`Flowtable`](flowtable::Flowtable).
//!
//! Life cycle of an entry: a conn that has had [`PACKETS`] packets in a direction, all of whose further ones would pass unread
//! ([`Engine::carriage`](pinhole_engine::Engine::carriage)), is *entered*: both ways if it was answered. What passes is *credited* to it: in a sweep of
//! all entries each second, and before the engine judges a packet of it. It is *recalled*, that is carried no more, when a packet of it comes in that is no
//! plain data; when the first answer comes; when it has been still for a while; when rules, addresses, routes or the next hop's address change; and when
//! it ends. Plain data that was already waiting when it was entered recalls nothing.
//! Another processor may still be at work with a packet of what is recalled: that is *draining* for a while, and credited as before.
//!
//! Invariants: no packet of TCP is judged by windows that the kernel has moved on. What tells of a carried packet (its acknowledgement, what its window
//! allows) comes after that packet was learned of, as it was sent on only then; and what has waited so long that the windows have gone past it still
//! passes, as a retransmission would. A slot is used again as late as possible.

#[cfg(test)]
mod tests;

use super::Router;
use super::header::Header;
use super::neighbours::Found;
use crate::frames::network_layer;
use crate::observe::Statistics;
use pinhole_engine::{Engine, Outcome, Verdict};
use pinhole_io::live::flowtable::{self, Carrier, Flow, FlowKey, FlowState, Translation};
use pinhole_track::l4::tcp::TcpWindow;
use pinhole_track::{Carriage, Carried, ConnId, Counters, State, Tuple};
use pinhole_wire::{Address, Direction, IpVersion, Protocol, Time};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Packets in a direction after which a conn may be worth it; so many more for each further try.
const PACKETS: u64 = 16;

/// Parts in which all entries are swept, and how long after one the next comes.
const PARTS: usize = 8;
const PAUSE: u64 = 125_000_000;

/// Plain data that comes in so soon after its conn was entered was already waiting then.
const WAITING: u64 = 10_000_000;

/// For so long another processor is taken to be at work with a packet at most; it takes a millionth of that unless it is held up.
const DRAINING: u64 = 100_000_000;

/// Nobody's flow for so long is recalled.
const STILL: u64 = 30_000_000_000;

/// A direction that the kernel carries.
#[derive(Clone, Copy, Debug)]
struct Leg {
    key: FlowKey,
    flow: Flow,
    egress: usize,
    next_hop: IpAddr,
}

/// A conn that the kernel carries.
#[derive(Clone, Copy, Debug)]
struct Entry {
    conn: ConnId,
    /// By direction; both have a key, whether or not they are carried.
    keys: [FlowKey; 2],
    legs: [Option<Leg>; 2],
    is_tcp: bool,
    credited: FlowState,
    entered: Time,
    /// When it was entered, or something passed.
    active: Time,
    /// When it was recalled, if it is draining.
    recalled: Option<Time>,
}

impl Entry {
    /// Whether no other processor can be at work with a packet of it, if it is not carried; a late packet has no windows to move in UDP.
    fn has_drained(&self, now: Time) -> bool {
        self.recalled.is_some_and(|recalled| !self.is_tcp || now.since(recalled) >= DRAINING)
    }
}

/// What is to be done with the entry in a slot before a frame of its conn is judged.
#[derive(Clone, Copy, Debug)]
enum Touched {
    Credit(u32),
    Recall(u32),
}

/// All of them.
pub(super) struct Flows {
    table: Box<dyn Carrier>,
    entries: Vec<Option<Entry>>,
    free: VecDeque<u32>,
    by_key: HashMap<FlowKey, u32>,
    by_conn: HashMap<ConnId, u32>,
    /// Where the sweep goes on, and when.
    next: usize,
    due: Time,
}

impl Flows {
    pub(super) fn new(table: Box<dyn Carrier>) -> Self {
        Self {
            table,
            entries: Vec::new(),
            free: VecDeque::new(),
            by_key: HashMap::new(),
            by_conn: HashMap::new(),
            next: 0,
            due: Time(0),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.by_conn.is_empty()
    }

    /// How many are carried.
    pub(super) fn len(&self) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.recalled.is_none()).count()
    }

    /// What is to be done before this frame is judged.
    #[inline]
    fn touched_by(&self, now: Time, frame: &[u8], interface: u32) -> Option<Touched> {
        let (key, is_data) = FlowKey::of(frame, interface).or_else(|| key_of_unusual(frame, interface))?;
        let slot = *self.by_key.get(&key)?;
        let entry = self.entry(slot)?;
        if entry.recalled.is_some() {
            return Some(Touched::Credit(slot));
        }
        let is_carried = entry.legs.iter().flatten().any(|leg| leg.key == key);
        let is_harmless = !entry.is_tcp || (is_data && now.since(entry.entered) < WAITING);
        Some(if is_carried && is_harmless { Touched::Credit(slot) } else { Touched::Recall(slot) })
    }

    fn entry(&self, slot: u32) -> Option<&Entry> {
        self.entries.get(slot as usize)?.as_ref()
    }

    /// A slot that is free, or a new one.
    fn take_slot(&mut self) -> Option<u32> {
        let count = u32::try_from(self.entries.len()).ok()?;
        if count < self.table.capacity() {
            self.entries.push(None);
            return Some(count);
        }
        self.free.pop_front()
    }

    fn enter(&mut self, entry: Entry, engine: &mut Engine) {
        let Some(slot) = self.take_slot() else { return };
        self.table.set_state(slot, &entry.credited);
        let legs = entry.legs.map(|leg| leg.map(|leg| Leg { flow: Flow { slot, ..leg.flow }, ..leg }));
        let entered = legs.iter().flatten().try_for_each(|leg| self.table.insert(&leg.key, &leg.flow));
        if entered.is_err() {
            legs.iter().flatten().for_each(|leg| self.table.remove(&leg.key));
            self.free.push_back(slot);
            return;
        }
        for key in entry.keys {
            self.by_key.insert(key, slot);
        }
        self.by_conn.insert(entry.conn, slot);
        engine.set_offloaded(entry.conn, true);
        if let Some(place) = self.entries.get_mut(slot as usize) {
            *place = Some(Entry { legs, ..entry });
        }
    }

    /// Credits what passed since the last time; whether anything did. `None`: the conn has ended.
    fn credit(
        &mut self,
        now: Time,
        slot: u32,
        engine: &mut Engine,
        statistics: &mut Statistics,
    ) -> Option<bool> {
        let state = self.table.state(slot);
        let entry = self.entries.get_mut(slot as usize)?.as_mut()?;
        if state == entry.credited {
            return Some(false);
        }
        let mut counters = [Counters::default(); 2];
        for ((more, new), old) in counters.iter_mut().zip(state.carried).zip(entry.credited.carried) {
            more.packets = new.packets.wrapping_sub(old.packets);
            more.bytes = new.bytes.wrapping_sub(old.bytes);
            statistics.carried_packets += more.packets;
            statistics.carried_bytes += more.bytes;
        }
        let seen = state.carried.iter().map(|carried| carried.seen).max().unwrap_or_default();
        let last = Time(now.0.saturating_sub(self.table.clock().saturating_sub(seen)));
        entry.active = entry.active.max(last);
        entry.credited = state;
        let windows = entry.is_tcp.then(|| state.windows.map(window));
        engine.credit(now, entry.conn, &Carried { counters, last, windows }).then_some(true)
    }

    /// Removes a conn, which is the gateway's again.
    fn remove(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::take) else { return };
        for key in entry.keys {
            self.by_key.remove(&key);
        }
        self.by_conn.remove(&entry.conn);
        self.free.push_back(slot);
    }

    fn stop_carrying(&self, slot: u32) {
        let legs = self.entry(slot).map(|entry| entry.legs).unwrap_or_default();
        legs.iter().flatten().for_each(|leg| self.table.remove(&leg.key));
    }

    fn recall(&mut self, now: Time, slot: u32, engine: &mut Engine, statistics: &mut Statistics) {
        if self.entry(slot).is_some_and(|entry| entry.recalled.is_none()) {
            self.stop_carrying(slot);
        }
        self.credit(now, slot, engine, statistics);
        if let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_mut) {
            engine.set_offloaded(entry.conn, false);
            entry.recalled.get_or_insert(now);
        }
    }

    /// A conn has ended.
    pub(super) fn forget(&mut self, conn: ConnId) {
        if let Some(&slot) = self.by_conn.get(&conn) {
            self.stop_carrying(slot);
            self.remove(slot);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        (!self.is_empty()).then_some(self.due)
    }
}

impl Router {
    /// Lets the kernel carry what it can. The table's programs are attached to the ports already.
    pub fn carry_by(&mut self, table: Box<dyn Carrier>) {
        self.flows = Some(Box::new(Flows::new(table)));
    }

    /// Conns that the kernel carries now.
    pub fn carried(&self) -> usize {
        self.flows.as_ref().map_or(0, |flows| flows.len())
    }

    /// Brings what is known of a frame's conn up to date, before the frame is judged.
    #[inline]
    pub(super) fn bring_up_to_date(&mut self, now: Time, side: usize, frame: &[u8]) {
        let Some(flows) = self.flows.as_mut().filter(|flows| !flows.is_empty()) else { return };
        let Some(link) = self.links.get(side) else { return };
        match flows.touched_by(now, frame, link.index) {
            Some(Touched::Recall(slot)) => flows.recall(now, slot, &mut self.engine, &mut self.statistics),
            Some(Touched::Credit(slot)) => {
                flows.credit(now, slot, &mut self.engine, &mut self.statistics);
            }
            None => {}
        }
    }

    /// Recalls all conns: what was known when they were entered is to be known anew.
    pub fn recall_all(&mut self, now: Time) {
        let Some(flows) = &mut self.flows else { return };
        for slot in 0..u32::try_from(flows.entries.len()).unwrap_or(u32::MAX) {
            flows.recall(now, slot, &mut self.engine, &mut self.statistics);
        }
    }

    /// Enters the conn of a packet that was forwarded, if that is worth it. `waits`: more packets may be waiting behind it.
    #[inline]
    pub(super) fn consider(&mut self, now: Time, side: usize, outcome: &Outcome, waits: bool) {
        if self.flows.is_none() || outcome.verdict != Verdict::Accept || self.is_host(side) {
            return;
        }
        let Some(conn) = outcome.conn else { return };
        let counters = self.engine.tracker().counters(conn).unwrap_or_default();
        let packets = counters.get(outcome.direction.index()).map_or(0, |counters| counters.packets);
        if packets != 0 && packets.is_multiple_of(PACKETS) {
            self.consider_closely(now, side, conn, outcome, waits);
        }
    }

    fn consider_closely(&mut self, now: Time, side: usize, conn: ConnId, outcome: &Outcome, waits: bool) {
        let Some(flows) = &mut self.flows else { return };
        if let Some(&slot) = flows.by_conn.get(&conn) {
            if !flows.entry(slot).is_some_and(|entry| entry.has_drained(now)) {
                return;
            }
            flows.credit(now, slot, &mut self.engine, &mut self.statistics);
            flows.remove(slot);
        }
        let Some(carriage) = self.engine.carriage(outcome) else { return };
        // What waits of TCP would be overtaken, and look lost.
        if waits && carriage.windows.is_some() {
            return;
        }
        let direction = outcome.direction;
        let Some(there) = self.leg(now, side, direction, &carriage) else { return };
        let opposite = if direction == Direction::Original { Direction::Reply } else { Direction::Original };
        let answered = outcome.state == Some(State::Established);
        let back = if answered { self.leg(now, there.egress, opposite, &carriage) } else { None };
        if carriage.windows.is_some() && back.is_none() {
            return;
        }
        let interface = |port: usize| self.links.get(port).map_or(0, |link| link.index);
        let keys = match direction {
            Direction::Original => [there.key, key(&carriage.reply, interface(there.egress))],
            Direction::Reply => [key(&carriage.original, interface(there.egress)), there.key],
        };
        let legs = if direction == Direction::Original { [Some(there), back] } else { [back, Some(there)] };
        let windows = carriage.windows.map(|windows| {
            windows.map(|TcpWindow { end, max_end, max_window, scale }| flowtable::Window {
                end,
                max_end,
                max_window,
                scale: u32::from(scale),
            })
        });
        let credited = FlowState { windows: windows.unwrap_or_default(), ..FlowState::default() };
        let is_tcp = carriage.windows.is_some();
        if let Some(flows) = &mut self.flows {
            let entry =
                Entry { conn, keys, legs, is_tcp, credited, entered: now, active: now, recalled: None };
            flows.enter(entry, &mut self.engine);
        }
    }

    /// How packets of a conn that come in by a port in this direction go on.
    fn leg(&self, now: Time, port: usize, direction: Direction, carriage: &Carriage) -> Option<Leg> {
        let (comes, answer) = match direction {
            Direction::Original => (&carriage.original, &carriage.reply),
            Direction::Reply => (&carriage.reply, &carriage.original),
        };
        let (version, source, destination) = (comes.version, answer.destination, answer.source);
        if self.engine.topology().is_local(version, destination) {
            return None;
        }
        let header = Header { source, destination, ..Header::of_version(version) };
        let (hop, mtu) = self.next_hop(&header).ok()?;
        let (ingress, egress) = (self.links.get(port)?, self.links.get(hop.port)?);
        let next_hop = hop.gateway.unwrap_or_else(|| destination.ip(version));
        let Found::Known { address, .. } = self.neighbours.find(now, egress.index, next_hop) else {
            return None;
        };
        let is_translated = !comes.is_answer_to(answer);
        let translation = match is_translated {
            false => None,
            true if version == IpVersion::V4 => Some(Translation {
                from: [comes.source, comes.destination].map(Address::v4_octets),
                from_ports: [comes.source_port, comes.destination_port],
                to: [source, destination].map(Address::v4_octets),
                to_ports: [answer.destination_port, answer.source_port],
            }),
            // The sum of an IPv6 packet that the hardware has computed would be wrong.
            true => return None,
        };
        let flow = Flow {
            slot: 0,
            direction,
            egress: egress.index,
            mtu: u32::try_from(egress.mtu.min(mtu.unwrap_or(usize::MAX))).unwrap_or(u32::MAX),
            link: [address, egress.address],
            translation,
        };
        Some(Leg { key: key(comes, ingress.index), flow, egress: hop.port, next_hop })
    }

    /// Credits a part of the carried conns, and recalls those that are still, have ended, or whose next hop is to be found anew.
    pub(super) fn sweep(&mut self, now: Time) {
        let Self { flows: Some(flows), engine, statistics, neighbours, links, .. } = self else { return };
        if flows.is_empty() || now < flows.due {
            return;
        }
        flows.due = now.plus_nanos(PAUSE);
        let part = flows.entries.len().div_ceil(PARTS);
        if flows.next >= flows.entries.len() {
            flows.next = 0;
        }
        let from = flows.next;
        flows.next += part;
        for slot in (from..flows.entries.len().min(from + part)).filter_map(|slot| u32::try_from(slot).ok()) {
            if flows.entry(slot).is_none() {
                continue;
            }
            let passed = flows.credit(now, slot, engine, statistics);
            let Some(entry) = flows.entry(slot) else { continue };
            if entry.recalled.is_some() {
                if passed.is_none() || entry.has_drained(now) {
                    flows.remove(slot);
                }
                continue;
            }
            let mut stays = passed.is_some() && now.since(entry.active) < STILL;
            for leg in entry.legs.iter().flatten().filter(|_| passed == Some(true)) {
                let Some(link) = links.get(leg.egress) else { continue };
                match neighbours.find(now, link.index, leg.next_hop) {
                    Found::Known { stale: true, .. } => {
                        neighbours.ask_again(now, link.index, leg.next_hop);
                    }
                    Found::Known { .. } => {}
                    Found::Unknown => stays = false,
                }
            }
            if !stays {
                flows.recall(now, slot, engine, statistics);
            }
        }
    }
}

/// The key of a frame that the programs leave alone whatever is in it: with IP options or extension headers, or a first fragment. It is no plain data.
#[cold]
fn key_of_unusual(frame: &[u8], interface: u32) -> Option<(FlowKey, bool)> {
    let packet = network_layer(frame)?;
    let ports = frame.get(packet.payload as usize..)?.first_chunk::<4>()?;
    let is_first = packet.fragment.is_none_or(|fragment| fragment.offset == 0);
    if !is_first || !matches!(packet.protocol, Protocol::TCP | Protocol::UDP) {
        return None;
    }
    let [s0, s1, d0, d1] = *ports;
    let tuple = Tuple {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        ..Tuple::of(&packet)
    };
    Some((key(&tuple, interface), false))
}

fn key(tuple: &Tuple, interface: u32) -> FlowKey {
    let bytes = |address: Address| match address.ip(tuple.version) {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(address) => address.octets(),
    };
    let version = if tuple.version == IpVersion::V4 { 4 } else { 6 };
    let Protocol(protocol) = tuple.protocol;
    FlowKey::new(
        version,
        protocol,
        interface,
        [tuple.source, tuple.destination].map(bytes),
        [tuple.source_port, tuple.destination_port],
    )
}

fn window(window: flowtable::Window) -> TcpWindow {
    TcpWindow {
        end: window.end,
        max_end: window.max_end,
        max_window: window.max_window,
        scale: window.scale as u8,
    }
}
