//! What is known of a replay at any moment: the model that every format shows.
//!
//! The engine's events name conns by table slots; here they get numbers, in the order in which they appear. Plain conns that have ended
//! are folded into totals unless [`Keep`] says otherwise, so that a flood of them costs no memory.

use super::ahead::Ahead;
use super::announced::announced;
use super::record::{Attached, Conn, DropKey, Dropped, Ends, Expectation, Quote, Refused, Sight, Unread};
use super::{Headers, Place, RuleBook, Totals};
use pinhole_engine::{Event, Outcome, Reason, RuleRef, TranslatedBy, Verdict};
use pinhole_helper::Name;
use pinhole_ruleset::RuleId;
use pinhole_track::{ConnId, ConnSnapshot, ExpectationId, Tuple};
use pinhole_wire::{Protocol, Time};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Which ended conns stay in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of them.
    All,
    /// Those with a helper or a master, and masters.
    Notable,
    /// None: the format shows each as it ends.
    None,
}

/// Most kinds of drops told apart; more are counted without their addresses.
const DROP_KINDS: usize = 20_000;

/// Most pairs of hosts remembered for having a conn that a helper could have read.
const HELPABLE: usize = 20_000;

/// A change, as its format sees it: what it concerns is in the report under this number or index.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// A conn entered the table.
    ConnNew(u32, Place),
    /// A conn changed.
    ConnUpdate(u32, Place),
    /// A conn ended. It leaves the report after this, if it is not kept.
    ConnEnd(u32, Place),
    /// A helper reads a conn.
    Attached(u32),
    /// An entry of [`unread`](field@Report::unread).
    Unread(usize),
    /// An entry of [`Report::expectations`] was announced.
    Announced(usize),
    /// It matches, or it admits another source, from now on.
    Updated(usize, Place),
    /// It brought in a conn.
    Fulfilled(usize, Place),
    /// It ended.
    Ended(usize, Place),
    /// An entry of [`Report::refusals`].
    Refused(usize),
    /// A `log` statement.
    Log(Place, RuleId),
}

/// One capture, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct CaptureSummary {
    /// The path as it was given.
    pub name: String,
    /// Packets read.
    pub packets: u64,
}

/// A conn without a helper, to the conventional port of one.
#[derive(Clone, Copy, Debug)]
pub struct Helpable {
    /// The conn's number.
    pub conn: u32,
    /// The helper that reads such conns.
    pub helper: Name,
    /// The port.
    pub port: u16,
}

/// Conns that left the report when they ended.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// How many, by protocol.
    pub conns: BTreeMap<Protocol, u64>,
    /// Their packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Everything that is known.
#[derive(Debug)]
pub struct Report {
    /// The captures.
    pub captures: Vec<CaptureSummary>,
    /// Conns by number.
    pub conns: BTreeMap<u32, Box<Conn>>,
    /// Expectations, in the order they were announced.
    pub expectations: Vec<Expectation>,
    /// Refused announcements.
    pub refusals: Vec<Refused>,
    /// Helpers that could not read their conns.
    pub unread: Vec<Unread>,
    /// Packets that did not survive.
    pub drops: Vec<Dropped>,
    /// Packets by state and verdict.
    pub totals: Totals,
    /// Conns that are not kept.
    pub folded: Folded,
    /// Rules that were met.
    pub rules: RuleBook,
    /// Names of the NAT helpers that are loaded.
    pub nat_helpers: Vec<String>,
    /// What went wrong with captures, and what the ruleset asks for and does not get.
    pub warnings: Vec<String>,
    /// Whether any capture could not be read to its end.
    pub incomplete: bool,
    keep: Keep,
    numbers: Vec<(u32, u32)>,
    next_number: u32,
    /// By how much numbers rise.
    step: u32,
    seen: u32,
    next_expectation: u64,
    attached: Ahead<Attached>,
    translated_by: Ahead<[Option<TranslatedBy>; 2]>,
    by_id: HashMap<ExpectationId, usize>,
    drop_index: HashMap<DropKey, usize>,
    refused_ports: HashMap<u16, Vec<usize>>,
    expected_ends: HashMap<IpAddr, Vec<usize>>,
    conventional: Vec<(Protocol, u16, Name)>,
    helpable: HashMap<(IpAddr, IpAddr), Helpable>,
}

impl Report {
    /// An empty report about captures with these names.
    pub fn new(captures: impl IntoIterator<Item = String>, keep: Keep) -> Self {
        let mut conventional = Vec::new();
        for helper in pinhole_helpers::registry().iter() {
            let spec = helper.spec();
            for &protocol in &*spec.protocols {
                conventional.extend(spec.ports.iter().map(|&port| (protocol, port, spec.name)));
            }
        }
        Self {
            captures: captures.into_iter().map(|name| CaptureSummary { name, packets: 0 }).collect(),
            conns: BTreeMap::new(),
            expectations: Vec::new(),
            refusals: Vec::new(),
            unread: Vec::new(),
            drops: Vec::new(),
            totals: Totals::default(),
            folded: Folded::default(),
            rules: RuleBook::default(),
            nat_helpers: Vec::new(),
            warnings: Vec::new(),
            incomplete: false,
            keep,
            numbers: Vec::new(),
            next_number: 1,
            step: 1,
            seen: 0,
            next_expectation: 0,
            attached: Ahead::default(),
            translated_by: Ahead::default(),
            by_id: HashMap::new(),
            drop_index: HashMap::new(),
            refused_ports: HashMap::new(),
            expected_ends: HashMap::new(),
            conventional,
            helpable: HashMap::new(),
        }
    }

    /// One of several reports, of which no two give one number: which, and of how many.
    pub(crate) fn count_as(&mut self, (index, count): (usize, usize)) {
        let number = |number: usize| u32::try_from(number).unwrap_or(1);
        (self.next_number, self.step) = (number(index + 1), number(count.max(1)));
        self.next_expectation = index as u64;
    }

    /// The number of a conn; a new one for a conn that was never seen.
    fn number(&mut self, id: ConnId) -> u32 {
        let slot = id.index as usize;
        if self.numbers.len() <= slot {
            self.numbers.resize(slot + 1, (0, 0));
        }
        let next = self.next_number;
        match self.numbers.get_mut(slot) {
            Some((generation, number)) if *number != 0 && *generation == id.generation => *number,
            Some(place) => {
                *place = (id.generation, next);
                self.next_number = self.next_number.wrapping_add(self.step);
                self.seen += 1;
                next
            }
            None => 0,
        }
    }

    /// The number of a conn that is known.
    pub fn number_of(&self, id: ConnId) -> Option<u32> {
        let &(generation, number) = self.numbers.get(id.index as usize)?;
        (number != 0 && generation == id.generation).then_some(number)
    }

    /// The index of an expectation in [`Self::expectations`].
    pub fn expectation(&self, id: ExpectationId) -> Option<&Expectation> {
        self.expectations.get(*self.by_id.get(&id)?)
    }

    /// How many conns entered the table.
    pub fn conns_seen(&self) -> u32 {
        self.seen
    }

    /// `frame 12`, with its capture's name if there are several.
    pub fn frame(&self, place: Place) -> String {
        // Frames of an earlier run of a gateway have no number in this one.
        if place.frame() == 0 {
            return "a frame before the restart".to_owned();
        }
        match self.captures.get(place.capture()) {
            Some(capture) if self.captures.len() > 1 => {
                format!("frame {} of {}", place.frame(), capture.name)
            }
            _ => format!("frame {}", place.frame()),
        }
    }

    /// Takes a packet's outcome in. `headers` is asked only about packets that do not survive.
    #[inline]
    pub(crate) fn packet(
        &mut self,
        place: Place,
        time: Time,
        outcome: &Outcome,
        headers: impl FnOnce() -> Option<Headers>,
    ) {
        self.totals.count(time, outcome);
        if let Some(capture) = self.captures.get_mut(place.capture()) {
            capture.packets += 1;
        }
        if matches!(outcome.verdict, Verdict::Drop | Verdict::Reject(_)) {
            self.dropped(place, time, outcome, headers());
        }
    }

    #[cold]
    fn dropped(&mut self, place: Place, time: Time, outcome: &Outcome, headers: Option<Headers>) {
        let ends = headers.map(|h| Ends {
            protocol: h.protocol,
            source: h.source,
            destination: h.destination,
            destination_port: h.destination_port,
        });
        let mut key = DropKey {
            verdict: outcome.verdict,
            rule: outcome.rule,
            state: outcome.state,
            reason: outcome.reason.as_ref().map(Reason::name),
            ends,
        };
        if self.drop_index.len() >= DROP_KINDS && !self.drop_index.contains_key(&key) {
            key.ends = None;
        }
        let drops = &mut self.drops;
        let index = *self.drop_index.entry(key).or_insert_with(|| {
            drops.push(Dropped {
                key,
                packets: 0,
                first: place,
                time,
                source_port: headers.and_then(|h| h.source_port),
                last: place,
                message: outcome.reason.map(|r| r.to_string().into()),
            });
            drops.len() - 1
        });
        if let Some(entry) = self.drops.get_mut(index) {
            entry.packets += 1;
            entry.last = place;
        }
    }

    /// Takes an event in; returns how the formats see it.
    pub(crate) fn event(&mut self, event: Event) -> Option<Change> {
        let at = Place::from_number;
        Some(match event {
            Event::ConnNew { packet, conn, .. } => {
                Change::ConnNew(self.conn_new(at(packet), &conn), at(packet))
            }
            Event::ConnUpdate { packet, conn, .. } => {
                let number = self.number_of(conn.id)?;
                self.conns.get_mut(&number)?.update(&conn);
                Change::ConnUpdate(number, at(packet))
            }
            Event::ConnDestroy { packet, conn, cause, .. } => {
                let number = self.number_of(conn.id)?;
                let entry = self.conns.get_mut(&number)?;
                entry.update(&conn);
                entry.end = Some((at(packet), cause));
                Change::ConnEnd(number, at(packet))
            }
            Event::HelperAttached { conn, helper, rule, .. } => {
                let number = self.number(conn);
                self.attached.put(number, Attached { name: helper, rule });
                Change::Attached(number)
            }
            Event::ConnTranslated { conn, source, destination, .. } => {
                let number = self.number(conn);
                self.translated_by.put(number, [source, destination]);
                return None;
            }
            Event::HelperBlind { packet, time, conn, helper, reason } => self.unread(
                conn,
                Unread { place: at(packet), time, conn: 0, helper, what: Sight::Blind(reason) },
            ),
            Event::HelperCondition { packet, time, conn, helper, condition } => self.unread(
                conn,
                Unread { place: at(packet), time, conn: 0, helper, what: Sight::Changed(condition) },
            ),
            Event::ExpectationNew(record) => {
                let (entered, quote) = (record.expectation, Quote::from(record.provenance));
                let master = self.number(entered.master);
                let index = self.expectations.len();
                let id = self.next_expectation + 1;
                self.next_expectation += u64::from(self.step);
                self.by_id.insert(entered.id, index);
                self.expected_ends.entry(entered.expect.destination).or_default().push(index);
                self.expectations.push(Expectation {
                    id,
                    master,
                    active: entered.active.then_some(quote.place),
                    deadline: entered.deadline,
                    expect: entered.expect,
                    quote,
                    fulfilled: Vec::new(),
                    end: None,
                });
                Change::Announced(index)
            }
            Event::ExpectationActive { packet, id, .. } => {
                let index = *self.by_id.get(&id)?;
                self.expectations.get_mut(index)?.active = Some(at(packet));
                Change::Updated(index, at(packet))
            }
            Event::ExpectationAimed { packet, id, source, .. } => {
                let index = *self.by_id.get(&id)?;
                self.expectations.get_mut(index)?.expect.source = source;
                Change::Updated(index, at(packet))
            }
            Event::ExpectationHit { packet, id, conn, .. } => {
                let index = *self.by_id.get(&id)?;
                let number = self.number(conn);
                self.expectations.get_mut(index)?.fulfilled.push((at(packet), number));
                Change::Fulfilled(index, at(packet))
            }
            Event::ExpectationEnd { packet, id, cause, .. } => {
                let index = *self.by_id.get(&id)?;
                self.expectations.get_mut(index)?.end = Some((at(packet), cause));
                Change::Ended(index, at(packet))
            }
            Event::Refusal(record) => {
                let master = self.number(record.master);
                let index = self.refusals.len();
                if let Some(end) = announced(&record.provenance.bytes) {
                    self.refused_ports.entry(end.port).or_default().push(index);
                }
                self.refusals.push(Refused {
                    master,
                    reason: record.reason,
                    quote: record.provenance.into(),
                });
                Change::Refused(index)
            }
            Event::Log { packet, rule, .. } => Change::Log(at(packet), rule),
            _ => return None,
        })
    }

    fn conn_new(&mut self, place: Place, snapshot: &ConnSnapshot) -> u32 {
        let number = self.number(snapshot.id);
        let mut conn = Conn::new(number, snapshot, place);
        conn.helper = self.attached.take(number);
        conn.translated_by = self.translated_by.take(number).unwrap_or_default();
        conn.master = snapshot.master.and_then(|id| self.number_of(id));
        if let Some(master) = conn.master.and_then(|number| self.conns.get_mut(&number)) {
            master.notable = true;
        }
        if conn.helper.is_none() {
            self.note_helpable(&conn);
        }
        self.conns.insert(number, Box::new(conn));
        number
    }

    /// Remembers a conn without a helper that goes to a helper's conventional port.
    fn note_helpable(&mut self, conn: &Conn) {
        let tuple = &conn.original;
        let conventional = self
            .conventional
            .iter()
            .find(|(protocol, port, _)| *protocol == tuple.protocol && *port == tuple.destination_port);
        if let Some(&(_, _, helper)) = conventional
            && self.helpable.len() < HELPABLE
        {
            let port = tuple.destination_port;
            // Translated, each end knows the other by another address; and what they announce names their own.
            let Tuple { source, destination, version, .. } = conn.original;
            let (server, client) = (conn.reply.source, conn.reply.destination);
            for (one, other) in [(source, destination), (server, client), (source, server)] {
                let ends = pair(one.ip(version), other.ip(version));
                self.helpable.entry(ends).or_insert(Helpable { conn: conn.number, helper, port });
            }
        }
    }

    fn unread(&mut self, conn: ConnId, mut entry: Unread) -> Change {
        entry.conn = self.number(conn);
        self.unread.push(entry);
        Change::Unread(self.unread.len() - 1)
    }

    /// After the formats have seen a change: an ended conn that is not kept leaves.
    pub(crate) fn settle(&mut self, change: Change) {
        let Change::ConnEnd(number, _) = change else { return };
        let keep = match self.keep {
            Keep::All => true,
            Keep::Notable => self.conns.get(&number).is_some_and(|c| c.notable),
            Keep::None => false,
        };
        if !keep && let Some(conn) = self.conns.remove(&number) {
            *self.folded.conns.entry(conn.original.protocol).or_default() += 1;
            self.folded.packets += conn.packets();
            self.folded.bytes += conn.bytes();
        }
    }

    /// Brings a living conn up to date.
    pub(crate) fn refresh(&mut self, snapshot: &ConnSnapshot) {
        if let Some(number) = self.number_of(snapshot.id)
            && let Some(conn) = self.conns.get_mut(&number)
            && conn.end.is_none()
        {
            conn.update(snapshot);
        }
    }

    /// Forgets what is over, for traffic that has no end: expectations that ended and whose conns left, and all but the latest `most` refusals
    /// and helpers that could not read.
    pub(crate) fn compact(&mut self, most: usize) {
        let conns = &self.conns;
        let mut moved = vec![None; self.expectations.len()];
        let mut kept = 0;
        let mut places = moved.iter_mut();
        self.expectations.retain_mut(|expectation| {
            expectation.fulfilled.retain(|(_, conn)| conns.contains_key(conn));
            let stays = expectation.end.is_none() || !expectation.fulfilled.is_empty();
            if let Some(place) = places.next().filter(|_| stays) {
                *place = Some(kept);
                kept += 1;
            }
            stays
        });
        self.by_id.retain(|_, index| match moved.get(*index).copied().flatten() {
            Some(new) => {
                *index = new;
                true
            }
            None => false,
        });
        self.expected_ends.clear();
        for (index, expectation) in self.expectations.iter().enumerate() {
            self.expected_ends.entry(expectation.expect.destination).or_default().push(index);
        }
        self.refusals.drain(..self.refusals.len().saturating_sub(most));
        self.unread.drain(..self.unread.len().saturating_sub(most));
        self.refused_ports.clear();
        for (index, refused) in self.refusals.iter().enumerate() {
            if let Some(end) = announced(&refused.quote.bytes) {
                self.refused_ports.entry(end.port).or_default().push(index);
            }
        }
        self.helpable.retain(|_, helpable| conns.contains_key(&helpable.conn));
    }

    /// Refused announcements that may have been about this end.
    pub fn refusals_about(&self, address: IpAddr, port: u16) -> impl Iterator<Item = &Refused> {
        self.refused_ports
            .get(&port)
            .into_iter()
            .flatten()
            .filter_map(|&index| self.refusals.get(index))
            .filter(move |r| announced(&r.quote.bytes).is_some_and(|a| a.covers(address, port)))
    }

    /// Expectations of conns to this address.
    pub fn expectations_about(&self, address: IpAddr) -> impl Iterator<Item = &Expectation> {
        self.expected_ends
            .get(&address)
            .into_iter()
            .flatten()
            .filter_map(|&index| self.expectations.get(index))
    }

    /// A conn between two hosts that has no helper but goes to the conventional port of one.
    pub fn helpable(&self, one: IpAddr, other: IpAddr) -> Option<Helpable> {
        self.helpable.get(&pair(one, other)).copied()
    }

    /// Whether announcements in a conn are rewritten; `None` if there is nothing to rewrite, because it has no helper or is not
    /// translated.
    pub fn is_rewritten(&self, conn: &Conn) -> Option<bool> {
        let helper = conn.helper.filter(|_| conn.is_translated())?;
        Some(self.nat_helpers.iter().any(|name| helper.name == name.as_str()))
    }

    /// The location and text of a rule that was met.
    pub fn rule(&self, rule: RuleRef) -> Option<&super::RuleLine> {
        self.rules.line(rule)
    }
}

fn pair(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    if one <= other { (one, other) } else { (other, one) }
}
