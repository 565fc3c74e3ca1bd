//! All expectations of a tracker.
//!
//! They are found by where they lead: address, protocol, zone and port; those for a range of ports are listed apart. Only packets of
//! unknown conns come here, and only while there is an expectation at all, so ordered maps are fast enough; what counts is that
//! nobody can slow them down by his choice of tuples.
//!
//! Life of an expectation: entered by [`Expectations::enter`], it ends once, for one [`EndCause`], which waits in `ended` until the
//! tracker takes it. Invariant: an id is in `all` exactly if it is in each of the four other maps.
//!
//! No two expectations overlap, except that an expectation that must give way may be found before it is removed; so at most one
//! matches, and were there two, the oldest would win.

use super::overlap::{admits, overlap, ports, same_conns, version_of};
use super::{EndCause, Expectation, ExpectationId, Request};
use crate::{ConnId, Tuple, Unrestorable};
use pinhole_helper::{AddressMatch, Expect, GroupRule, Lifetime, PortMatch, Refusal};
use pinhole_wire::{Address, IpVersion, Protocol, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Most expectations that netfilter allows a class, and what its zero means (`NF_CT_EXPECT_MAX_CNT`).
const CLASS_MAX: usize = 255;

/// A number that no expectation gets.
const FAR: u64 = 1 << 62;

/// Where an expectation leads. Those to one exact port carry it; those to several share one place without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    destination: Address,
    version: IpVersion,
    protocol: Protocol,
    zone: u16,
    port: Option<u16>,
}

impl Place {
    fn of(expect: &Expect, zone: u16) -> Self {
        let ports = ports(expect.destination_port);
        Self {
            destination: expect.destination.into(),
            version: version_of(expect.destination),
            protocol: expect.protocol,
            zone,
            port: (ports.start() == ports.end()).then_some(*ports.start()),
        }
    }
}

pub(crate) struct Expectations {
    all: BTreeMap<ExpectationId, Expectation>,
    places: BTreeMap<Place, Vec<ExpectationId>>,
    /// Oldest first.
    masters: BTreeMap<ConnId, Vec<ExpectationId>>,
    /// How many each announcer has.
    announcers: BTreeMap<IpAddr, u32>,
    deadlines: BTreeSet<(Time, ExpectationId)>,
    ended: Vec<(ExpectationId, EndCause)>,
    next: u64,
    max: usize,
    max_per_announcer: u32,
}

/// What must go so that a request can be entered.
#[derive(Default)]
struct Plan {
    replaced: Vec<ExpectationId>,
    evicted: Vec<ExpectationId>,
}

impl Plan {
    fn removes(&self, id: ExpectationId) -> bool {
        self.replaced.contains(&id) || self.evicted.contains(&id)
    }
}

impl Expectations {
    pub(crate) fn new(max: u32, max_per_announcer: u32) -> Self {
        Self {
            all: BTreeMap::new(),
            places: BTreeMap::new(),
            masters: BTreeMap::new(),
            announcers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ended: Vec::new(),
            next: 1,
            max: max as usize,
            max_per_announcer,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn at(&self, id: ExpectationId) -> Option<&Expectation> {
        self.all.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Expectation> {
        self.all.values()
    }

    /// The expectation that a new conn with this tuple fulfils, if its master lives.
    pub(crate) fn find(
        &self,
        now: Time,
        tuple: &Tuple,
        lives: impl Fn(ConnId) -> bool,
    ) -> Option<&Expectation> {
        let place = Place {
            destination: tuple.destination,
            version: tuple.version,
            protocol: tuple.protocol,
            zone: tuple.zone,
            port: Some(tuple.destination_port),
        };
        let wide = Place { port: None, ..place };
        [place, wide]
            .iter()
            .filter_map(|place| self.places.get(place))
            .flatten()
            .filter_map(|id| self.all.get(id))
            .find(|expectation| {
                expectation.active
                    && expectation.deadline > now
                    && admits(&expectation.expect, tuple.source, tuple.source_port, tuple.destination_port)
                    && lives(expectation.master)
            })
    }

    /// A conn fulfils an expectation: one-shot ones end, and siblings that the hit cancels. `false`: it is gone.
    pub(crate) fn fulfil(&mut self, now: Time, id: ExpectationId) -> bool {
        let Some(hit) = self.all.get(&id).filter(|hit| hit.active && hit.deadline > now) else {
            return false;
        };
        let (master, group) = (hit.master, hit.expect.group);
        if hit.expect.lifetime == Lifetime::OneShot {
            self.remove(id, EndCause::Fulfilled);
        }
        if let Some((number, GroupRule::FirstHitCancels)) = group {
            let is_sibling = |other: &ExpectationId| {
                let sibling = self.all.get(other).and_then(|sibling| sibling.expect.group);
                *other != id && sibling.is_some_and(|(other_number, _)| other_number == number)
            };
            let siblings: Vec<_> =
                self.masters.get(&master).into_iter().flatten().copied().filter(is_sibling).collect();
            for sibling in siblings {
                self.remove(sibling, EndCause::SiblingHit);
            }
        }
        true
    }

    pub(crate) fn activate(&mut self, id: ExpectationId) -> bool {
        self.all.get_mut(&id).map(|expectation| expectation.active = true).is_some()
    }

    /// Gives an expectation a new source.
    pub(crate) fn aim(&mut self, id: ExpectationId, source: AddressMatch) -> Result<(), Refusal> {
        let aimed = self.all.get(&id).ok_or(Refusal::Policy)?;
        let expect = Expect { source, ..aimed.expect.clone() };
        validate(&expect)?;
        if self.overlapping(&expect, aimed.zone).any(|other| other.id != id) {
            return Err(Refusal::Clash);
        }
        if let Some(aimed) = self.all.get_mut(&id) {
            aimed.expect = expect;
        }
        Ok(())
    }

    /// Gives an expectation a new deadline.
    pub(crate) fn extend(&mut self, now: Time, id: ExpectationId, seconds: u32) -> bool {
        let Some(expectation) = self.all.get_mut(&id) else { return false };
        self.deadlines.remove(&(expectation.deadline, id));
        expectation.deadline = now.plus_seconds(u64::from(seconds));
        self.deadlines.insert((expectation.deadline, id));
        true
    }

    /// Enters a master's expectations, all or none. `parent`: the conn that announced the master, if one did.
    pub(crate) fn enter(
        &mut self,
        now: Time,
        (master, parent): (ConnId, Option<ConnId>),
        zone: u16,
        requests: &[Request],
    ) -> Result<Vec<ExpectationId>, Refusal> {
        for (position, request) in requests.iter().enumerate() {
            validate(&request.expect)?;
            let place = Place { port: None, ..Place::of(&request.expect, zone) };
            let clashes = |other: &Request| {
                Place { port: None, ..Place::of(&other.expect, zone) } == place
                    && overlap(&request.expect, &other.expect)
            };
            if requests[..position].iter().any(clashes) {
                return Err(Refusal::Clash);
            }
        }
        let mut plan = Plan { replaced: self.replaced(master, parent, zone, requests)?, ..Plan::default() };
        self.plan_evictions(master, requests, &mut plan)?;
        self.check_limits(requests, &plan)?;

        for id in plan.replaced {
            self.remove(id, EndCause::Replaced);
        }
        for id in plan.evicted {
            self.remove(id, EndCause::Evicted);
        }
        Ok(requests.iter().map(|request| self.insert(now, master, zone, request)).collect())
    }

    /// Those that the same master entered before in the same words, or the conn that announced it: a child that goes on with what
    /// its parent began takes over (talk's look-up names the conversation that its announcement named).
    fn replaced(
        &self,
        master: ConnId,
        parent: Option<ConnId>,
        zone: u16,
        requests: &[Request],
    ) -> Result<Vec<ExpectationId>, Refusal> {
        let mut replaced = Vec::new();
        for Request { expect, helper, .. } in requests {
            for other in self.overlapping(expect, zone) {
                let inherited = Some(other.master) == parent && other.helper == *helper;
                let same = (other.master == master || inherited)
                    && other.expect.class == expect.class
                    && same_conns(&other.expect, expect);
                if !same {
                    return Err(Refusal::Clash);
                }
                replaced.push(other.id);
            }
        }
        Ok(replaced)
    }

    fn overlapping<'a>(&'a self, expect: &'a Expect, zone: u16) -> impl Iterator<Item = &'a Expectation> {
        let wide = Place { port: None, ..Place::of(expect, zone) };
        let ports = ports(expect.destination_port);
        let first = Place { port: Some(*ports.start()), ..wide };
        let last = Place { port: Some(*ports.end()), ..wide };
        self.places
            .range(wide..=wide)
            .chain(self.places.range(first..=last))
            .flat_map(|(_, ids)| ids)
            .filter_map(|id| self.all.get(id))
            .filter(|other| overlap(&other.expect, expect))
    }

    /// Where a class of this master is full, its oldest give way.
    fn plan_evictions(&self, master: ConnId, requests: &[Request], plan: &mut Plan) -> Result<(), Refusal> {
        let mut classes: Vec<u8> = requests.iter().map(|request| request.expect.class).collect();
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            let mut wanted = requests.iter().filter(|request| request.expect.class == class).peekable();
            let max = match wanted.peek().map(|request| usize::from(request.class.max)) {
                Some(0) | None => CLASS_MAX,
                Some(max) => max,
            };
            let wanted = wanted.count();
            if wanted > max {
                return Err(Refusal::Limit);
            }
            let own: Vec<_> = self
                .masters
                .get(&master)
                .into_iter()
                .flatten()
                .copied()
                .filter(|id| self.all.get(id).is_some_and(|other| other.expect.class == class))
                .filter(|id| !plan.replaced.contains(id))
                .collect();
            let excess = (own.len() + wanted).saturating_sub(max);
            plan.evicted.extend(own.into_iter().take(excess));
        }
        Ok(())
    }

    /// The table's and the announcers' limits, which make nobody else give way.
    fn check_limits(&self, requests: &[Request], plan: &Plan) -> Result<(), Refusal> {
        let gone = plan.replaced.len() + plan.evicted.len();
        if self.all.len() - gone + requests.len() > self.max {
            return Err(Refusal::Limit);
        }
        for Request { announcer, .. } in requests {
            let gone = self.all.values().filter(|other| plan.removes(other.id));
            let gone = gone.filter(|other| other.announcer == *announcer).count();
            let wanted = requests.iter().filter(|request| request.announcer == *announcer).count();
            let has = self.announcers.get(announcer).copied().unwrap_or_default() as usize;
            if has - gone + wanted > self.max_per_announcer as usize {
                return Err(Refusal::Limit);
            }
        }
        Ok(())
    }

    fn insert(&mut self, now: Time, master: ConnId, zone: u16, request: &Request) -> ExpectationId {
        let id = ExpectationId(self.next);
        self.next += 1;
        let expect = request.expect.clone();
        let seconds = expect.timeout.unwrap_or(request.class.timeout);
        let deadline = now.plus_seconds(u64::from(seconds));
        let (active, created) = (expect.active, now);
        let Request { announcer, helper, .. } = *request;
        self.list(Expectation { id, expect, master, helper, announcer, zone, created, deadline, active });
        id
    }

    /// Puts an expectation into every map.
    fn list(&mut self, expectation: Expectation) {
        let Expectation { id, expect, master, announcer, zone, deadline, .. } = &expectation;
        self.places.entry(Place::of(expect, *zone)).or_default().push(*id);
        self.masters.entry(*master).or_default().push(*id);
        *self.announcers.entry(*announcer).or_default() += 1;
        self.deadlines.insert((*deadline, *id));
        self.all.insert(*id, expectation);
    }

    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// Numbers begin at least here. `false`: nobody counts that far.
    pub(crate) fn skip_to(&mut self, next: u64) -> bool {
        self.next = self.next.max(next.min(FAR));
        next <= FAR
    }

    /// Enters one that another tracker had.
    pub(crate) fn restore(&mut self, now: Time, expectation: Expectation) -> Result<(), Unrestorable> {
        let expect = &expectation.expect;
        let is_old = (1..self.next).contains(&expectation.id.0) && !self.all.contains_key(&expectation.id);
        if !is_old || validate(expect).is_err() {
            return Err(Unrestorable::Unsound);
        }
        if expectation.deadline <= now {
            return Err(Unrestorable::Expired);
        }
        let announced = self.announcers.get(&expectation.announcer).copied().unwrap_or_default();
        if self.all.len() >= self.max || announced >= self.max_per_announcer {
            return Err(Unrestorable::Full);
        }
        if self.overlapping(expect, expectation.zone).next().is_some() {
            return Err(Unrestorable::Taken);
        }
        self.list(expectation);
        Ok(())
    }

    /// Ends an expectation; `false` if it is gone.
    pub(crate) fn remove(&mut self, id: ExpectationId, cause: EndCause) -> bool {
        let Some(gone) = self.all.remove(&id) else { return false };
        remove_from(&mut self.places, &Place::of(&gone.expect, gone.zone), id);
        remove_from(&mut self.masters, &gone.master, id);
        if let Some(count) = self.announcers.get_mut(&gone.announcer) {
            *count -= 1;
            if *count == 0 {
                self.announcers.remove(&gone.announcer);
            }
        }
        self.deadlines.remove(&(gone.deadline, id));
        self.ended.push((id, cause));
        true
    }

    /// Ends what a master announced.
    pub(crate) fn master_gone(&mut self, master: ConnId) {
        for id in self.masters.get(&master).cloned().unwrap_or_default() {
            self.remove(id, EndCause::MasterGone);
        }
    }

    /// Ends up to `budget` expectations whose time is up. Returns what is left of the budget.
    pub(crate) fn expire(&mut self, now: Time, mut budget: usize) -> usize {
        while budget > 0
            && let Some(&(deadline, id)) = self.deadlines.first()
            && deadline <= now
        {
            self.remove(id, EndCause::Timeout);
            budget -= 1;
        }
        budget
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Whether some have ended since the last [`take_ended`](Self::take_ended).
    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// What has ended since the last call, in order.
    pub(crate) fn take_ended(&mut self) -> impl Iterator<Item = (ExpectationId, EndCause)> + use<> {
        std::mem::take(&mut self.ended).into_iter()
    }

    /// Bytes held, nearly.
    pub(crate) fn memory(&self) -> usize {
        const OTHERS: usize = 256;
        self.all.len() * (size_of::<Expectation>() + OTHERS)
    }
}

fn remove_from<K: Ord>(lists: &mut BTreeMap<K, Vec<ExpectationId>>, key: &K, id: ExpectationId) {
    if let Some(list) = lists.get_mut(key) {
        list.retain(|&other| other != id);
        if list.is_empty() {
            lists.remove(key);
        }
    }
}

/// Refuses what could never match.
fn validate(expect: &Expect) -> Result<(), Refusal> {
    let source = match expect.source {
        AddressMatch::Exact(ip) | AddressMatch::Prefix(ip, _) => Some(ip),
        AddressMatch::Any => None,
    };
    if source.is_some_and(|ip| ip.is_ipv4() != expect.destination.is_ipv4()) {
        return Err(Refusal::AddressFamily);
    }
    let turned = |port| matches!(port, PortMatch::Range(first, last) if first > last);
    if turned(expect.source_port) || turned(expect.destination_port) {
        return Err(Refusal::BadNumber);
    }
    Ok(())
}
