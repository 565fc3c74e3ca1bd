//! What can be asked of a conn, and set.
//!
//! Every accessor takes an id and answers `None` (or does nothing) when the conn is gone. Dying and unconfirmed conns answer.

use super::Tracker;
use crate::event::{DeadConn, Event};
use crate::l4::L4;
use crate::statistics::Statistics;
use crate::table::cold::{Cold, ColdSlab, Rare};
use crate::table::entry::Entry;
use crate::timeouts::Timeout;
use crate::{ConnId, ConnSnapshot, Counters, ExpectationId, Status, Timeouts, Tuple};
use pinhole_wire::{Protocol, Time};

impl Tracker {
    #[inline]
    fn entry(&self, id: ConnId) -> Option<&Entry> {
        self.conns.get(id.index).filter(|entry| entry.generation == id.generation)
    }

    pub(super) fn entry_mut(&mut self, id: ConnId) -> Option<&mut Entry> {
        self.resolve(id).map(|index| &mut self.conns[index])
    }

    #[inline]
    fn rare_of(&self, id: ConnId) -> Option<&Rare> {
        self.cold.rare(self.entry(id)?.cold?)
    }

    fn rare_of_mut(&mut self, id: ConnId) -> Option<&mut Rare> {
        let index = self.resolve(id)?;
        self.rare_mut(index)
    }

    pub(super) fn cold(&self, index: u32) -> Option<&Cold> {
        self.conns[index].cold.map(|number| self.cold.at(number))
    }

    /// The conn's cold part, made if it has none; `None` if there are 2^32 already.
    pub(super) fn cold_mut(&mut self, index: u32) -> Option<&mut Cold> {
        let entry = &mut self.conns[index];
        if entry.cold.is_none() {
            entry.cold = self.cold.add();
        }
        entry.cold.map(|number| self.cold.at_mut(number))
    }

    pub(super) fn rare(&self, index: u32) -> Option<&Rare> {
        self.cold.rare(self.conns[index].cold?)
    }

    /// The conn's rare parts, made if it has none; `None` if there are 2^32 already.
    pub(super) fn rare_mut(&mut self, index: u32) -> Option<&mut Rare> {
        self.cold_mut(index)?;
        self.cold.rare_mut(self.conns[index].cold?)
    }

    /// Tuple of the original direction.
    pub fn original(&self, id: ConnId) -> Option<Tuple> {
        self.entry(id).map(|entry| entry.original().tuple())
    }

    /// Tuple of the reply direction.
    pub fn reply(&self, id: ConnId) -> Option<Tuple> {
        self.resolve(id).map(|index| self.reply_key(index).tuple())
    }

    /// Status bits.
    pub fn status(&self, id: ConnId) -> Option<Status> {
        self.entry(id).map(Entry::status)
    }

    /// Mark; zero unless set or inherited from the master.
    pub fn mark(&self, id: ConnId) -> Option<u32> {
        self.entry(id).map(|entry| entry.mark)
    }

    /// Sets the mark.
    pub fn set_mark(&mut self, id: ConnId, mark: u32) {
        if let Some(entry) = self.entry_mut(id) {
            entry.mark = mark;
        }
    }

    /// Labels, a bit each; all zero unless set.
    pub fn labels(&self, id: ConnId) -> Option<[u8; 16]> {
        self.entry(id)?;
        Some(self.rare_of(id).map(|rare| rare.labels).unwrap_or_default())
    }

    /// Sets all labels.
    pub fn set_labels(&mut self, id: ConnId, labels: [u8; 16]) {
        if let Some(rare) = self.rare_of_mut(id) {
            rare.labels = labels;
        }
    }

    /// Accounting, original then reply.
    pub fn counters(&self, id: ConnId) -> Option<[Counters; 2]> {
        self.entry(id).map(|entry| entry.counters)
    }

    /// Whole seconds that the conn has left to live without another packet.
    pub fn timeout_left(&self, id: ConnId, now: Time) -> Option<u32> {
        self.entry(id).map(|entry| seconds_left(entry, now))
    }

    /// Time of the first packet.
    pub fn start(&self, id: ConnId) -> Option<Time> {
        self.entry(id).map(|entry| entry.start)
    }

    /// Layer-4 state.
    pub fn l4(&self, id: ConnId) -> Option<L4> {
        self.entry(id).map(|entry| entry.l4)
    }

    /// Number of the attached helper.
    pub fn helper(&self, id: ConnId) -> Option<u16> {
        self.rare_of(id)?.helper
    }

    /// Attaches the helper with this number (the host's own numbering).
    pub fn attach_helper(&mut self, id: ConnId, number: u16) {
        if let Some(rare) = self.rare_of_mut(id) {
            rare.helper = Some(number);
        }
        if let Some(entry) = self.entry_mut(id) {
            entry.insert_status(Status::HELPER);
        }
    }

    /// The host's session for this conn.
    #[inline]
    pub fn session(&self, id: ConnId) -> Option<u32> {
        self.rare_of(id)?.session
    }

    /// Sets or clears the host's session. A conn that ends with one is delivered by [`Self::take_dead`].
    pub fn set_session(&mut self, id: ConnId, session: Option<u32>) {
        if let Some(rare) = self.rare_of_mut(id) {
            rare.session = session;
        }
    }

    /// The conn that announced this one.
    pub fn master(&self, id: ConnId) -> Option<ConnId> {
        self.rare_of(id)?.master
    }

    /// The expectation that this conn fulfilled, or will when confirmed.
    pub fn expectation_of(&self, id: ConnId) -> Option<ExpectationId> {
        self.rare_of(id)?.expectation
    }

    /// Adds a timeout policy and returns its number, for [`Self::set_timeout_policy`]. One that is known keeps its number, so that reloading
    /// a ruleset adds nothing. Zero, which stands for the tracker's own timeouts, if there are 65 535 already.
    pub fn add_timeout_policy(&mut self, timeouts: Timeouts) -> u16 {
        let known =
            self.policies.iter().skip(1).position(|policy| *policy == timeouts).map(|index| index + 1);
        let number = known.unwrap_or(self.policies.len());
        let Ok(number) = u16::try_from(number) else { return 0 };
        if known.is_none() {
            self.policies.push(timeouts);
        }
        number
    }

    /// Makes a conn follow a timeout policy; zero is the tracker's own. An unconfirmed conn gets the policy's first timeout at once, a
    /// confirmed one with its next packet.
    pub fn set_timeout_policy(&mut self, id: ConnId, policy: u16) {
        let Some(index) = self.resolve(id) else { return };
        if let Some(rare) = self.rare_mut(index) {
            rare.policy = policy;
        }
        if !self.conns[index].status().intersects(Status::CONFIRMED | Status::DYING) {
            let entry = &mut self.conns[index];
            let timeouts = timeouts_of(entry, &self.cold, &self.settings.timeouts, &self.policies);
            let seconds = first_timeout(timeouts, entry.key().protocol());
            entry.deadline = entry.start.plus_seconds(u64::from(seconds));
        }
    }

    /// Lets a conn live at least `seconds` from `now` on, unless its timeout is fixed; its next packet gives it the usual timeout again.
    pub fn prolong(&mut self, now: Time, id: ConnId, seconds: u32) {
        if let Some(entry) = self.entry_mut(id)
            && !entry.status().intersects(Status::FIXED_TIMEOUT | Status::DYING)
        {
            entry.deadline = entry.deadline.max(now.plus_seconds(u64::from(seconds)));
        }
    }

    /// The conn as it is.
    pub fn snapshot(&self, id: ConnId, now: Time) -> Option<ConnSnapshot> {
        self.resolve(id).map(|index| self.photograph(now, index))
    }

    pub(super) fn photograph(&self, now: Time, index: u32) -> ConnSnapshot {
        let entry = &self.conns[index];
        let rare = self.rare(index);
        ConnSnapshot {
            id: self.id(index),
            original: entry.original().tuple(),
            reply: self.reply_key(index).tuple(),
            status: entry.status(),
            l4: entry.l4,
            counters: entry.counters,
            mark: entry.mark,
            helper: rare.and_then(|rare| rare.helper),
            master: rare.and_then(|rare| rare.master),
            expectation: rare.and_then(|rare| rare.expectation),
            start: entry.start,
            timeout: seconds_left(entry, now),
        }
    }

    /// All conns, unconfirmed and dying ones included, in the order of their slots.
    pub fn conns(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.conns.indices().map(|index| self.id(index))
    }

    /// Conns that count against the limit.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Most conns that count.
    pub fn capacity(&self) -> usize {
        self.settings.max_conns as usize
    }

    /// Whether there is no conn.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes held by the table, the expectations and the queues.
    pub fn memory(&self) -> usize {
        self.index.memory()
            + self.conns.memory()
            + self.cold.memory()
            + self.expectations.memory()
            + self.calls.memory()
            + self.events.capacity() * size_of::<Event>()
            + self.dead.capacity() * size_of::<DeadConn>()
            + self.policies.capacity() * size_of::<Timeouts>()
    }

    /// Counters of what happened so far.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Whether an event or a dead conn waits to be taken: to be asked for every packet.
    #[inline]
    pub fn has_news(&self) -> bool {
        !self.events.is_empty() || !self.dead.is_empty()
    }

    /// The oldest event that was not taken yet.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next conn that is gone for good and had a session or had fulfilled an expectation. Each is delivered once; to be
    /// taken until `None` after every [`advance`](Self::advance).
    pub fn take_dead(&mut self) -> Option<DeadConn> {
        self.dead.pop_front()
    }

    pub(super) fn tell_update(&mut self, now: Time, index: u32) {
        if self.settings.events {
            let conn = self.photograph(now, index);
            self.tell(Event::Update(Box::new(conn)));
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() < self.settings.max_events as usize {
            self.events.push_back(event);
        } else {
            self.statistics.events_lost += 1;
        }
    }
}

/// The timeouts that a conn follows; `own` are the tracker's.
#[inline]
pub(super) fn timeouts_of<'a>(
    entry: &Entry,
    cold: &ColdSlab,
    own: &'a Timeouts,
    policies: &'a [Timeouts],
) -> &'a Timeouts {
    match entry.cold.and_then(|number| cold.rare(number)) {
        None => own,
        Some(rare) => policies.get(usize::from(rare.policy)).unwrap_or(own),
    }
}

fn seconds_left(entry: &Entry, now: Time) -> u32 {
    u32::try_from(entry.deadline.since(now) / 1_000_000_000).unwrap_or(u32::MAX)
}

/// The timeout of a conn that has just been opened.
fn first_timeout(timeouts: &Timeouts, protocol: Protocol) -> u32 {
    timeouts[match protocol {
        Protocol::TCP => Timeout::TcpSynSent,
        Protocol::UDP => Timeout::UdpUnreplied,
        Protocol::UDPLITE => Timeout::UdpliteUnreplied,
        Protocol::ICMP => Timeout::Icmp,
        Protocol::ICMPV6 => Timeout::Icmpv6,
        Protocol::SCTP => Timeout::SctpClosed,
        Protocol::DCCP => Timeout::DccpRequest,
        Protocol::GRE => Timeout::GreUnreplied,
        _ => Timeout::Generic,
    }]
}
