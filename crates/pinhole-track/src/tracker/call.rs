//! Calls of PPTP: GRE conns that have a key at each end.
//!
//! A GRE packet of version 1 carries its receiver's call id only (RFC 2637 §4.1). Its sender's is known from the control conn: an
//! expectation of GRE whose two ports are exact says both. With them, the packets of both directions have one key and are one conn.
//!
//! Life of a call: it is entered with its expectations, the members of one group. It stays while one of them waits or its conn lives,
//! whichever direction spoke first. It ends early with its control conn, or when its helper cancels one of its expectations; both end the
//! GRE conn, too.
//!
//! Invariant: every sender, expectation and key of a call is in the maps exactly as long as the call is.

use super::prepare::{Kind, Prepared};
use super::{ConnId, Tracker};
use crate::event::DestroyCause;
use crate::expectation::overlap::version_of;
use crate::key::{Ends, Key, Oriented};
use crate::{EndCause, ExpectationId, Request, SavedCall, Tuple};
use pinhole_helper::{AddressMatch, Expect, PortMatch, Refusal};
use pinhole_wire::{Protocol, Time};
use std::collections::BTreeMap;

/// A packet without its sender's key.
type Sender = [u64; 6];

/// The calls of a tracker.
#[derive(Default)]
pub(super) struct Calls {
    all: BTreeMap<u64, Call>,
    /// The packets of a sender with its key, and the call.
    senders: BTreeMap<Sender, (Oriented, u64)>,
    keys: BTreeMap<[u64; 5], u64>,
    expectations: BTreeMap<ExpectationId, u64>,
    masters: BTreeMap<ConnId, Vec<u64>>,
    next: u64,
}

struct Call {
    master: ConnId,
    senders: Vec<Sender>,
    keys: Vec<Key>,
    expectations: Vec<ExpectationId>,
}

/// What a map finds a packet by that lacks its sender's key.
fn sender(packet: Oriented) -> Sender {
    let [a, b, c, d, e] = packet.key.0;
    [a, b, c, d, e, u64::from(packet.flipped)]
}

/// The packets that an expectation admits: as they arrive, and with both keys. `None`: it is not of a call.
fn packets(expect: &Expect, zone: u16) -> Option<[Oriented; 2]> {
    let (AddressMatch::Exact(source), PortMatch::Exact(source_port), PortMatch::Exact(destination_port)) =
        (expect.source, expect.source_port, expect.destination_port)
    else {
        return None;
    };
    let ends = |source_port| Ends {
        source: source.into(),
        destination: expect.destination.into(),
        source_port,
        destination_port,
        protocol: Protocol::GRE,
        version: version_of(source),
        zone,
    };
    (expect.protocol == Protocol::GRE).then(|| [ends(0).oriented(), ends(source_port).oriented()])
}

impl Calls {
    /// Refuses what would give a sender two keys, or to two control conns: whose packets would they be?
    pub(super) fn admit(&self, zone: u16, master: ConnId, requests: &[Request]) -> Result<(), Refusal> {
        let clashes = |[arriving, whole]: [Oriented; 2]| {
            self.senders.get(&sender(arriving)).is_some_and(|(known, call)| {
                *known != whole || self.all.get(call).is_some_and(|call| call.master != master)
            })
        };
        let mut packets = requests.iter().filter_map(|request| packets(&request.expect, zone));
        if packets.any(clashes) { Err(Refusal::Clash) } else { Ok(()) }
    }

    /// Expectations were entered together.
    pub(super) fn enter(&mut self, zone: u16, master: ConnId, ids: &[ExpectationId], requests: &[Request]) {
        for (&id, request) in ids.iter().zip(requests) {
            let Some([arriving, whole]) = packets(&request.expect, zone) else { continue };
            let known = self.senders.get(&sender(arriving)).map(|&(_, call)| call);
            let sibling = ids.iter().zip(requests).find_map(|(other, r)| {
                let same = r.expect.group.is_some() && r.expect.group == request.expect.group;
                self.expectations.get(other).copied().filter(|_| same)
            });
            let number = known.or(sibling).unwrap_or_else(|| self.open(master));
            let Some(call) = self.all.get_mut(&number) else { continue };
            call.expectations.push(id);
            self.expectations.insert(id, number);
            if self.senders.insert(sender(arriving), (whole, number)).is_none() {
                call.senders.push(sender(arriving));
            }
            if self.keys.insert(whole.key.0, number).is_none() {
                call.keys.push(whole.key);
            }
        }
    }

    pub(super) fn save(&self) -> impl Iterator<Item = SavedCall> + '_ {
        self.all.values().map(|call| SavedCall {
            master: call.master,
            packets: call
                .senders
                .iter()
                .filter_map(|sender| self.senders.get(sender))
                .map(|(whole, _)| whole.tuple())
                .collect(),
            expectations: call.expectations.clone(),
        })
    }

    /// Enters a call that was saved. `false`: its packets are not GRE's, or one of them is another call's.
    pub(super) fn restore(&mut self, saved: &SavedCall) -> bool {
        let both = |tuple: &Tuple| {
            let arriving = Oriented::of(&Tuple { source_port: 0, ..*tuple })?;
            (tuple.protocol == Protocol::GRE).then_some([arriving, Oriented::of(tuple)?])
        };
        let Some(packets) = saved.packets.iter().map(both).collect::<Option<Vec<_>>>() else { return false };
        let is_free = |[arriving, whole]: &[Oriented; 2]| {
            !self.senders.contains_key(&sender(*arriving)) && !self.keys.contains_key(&whole.key.0)
        };
        let is_new = |id: &ExpectationId| !self.expectations.contains_key(id);
        if packets.is_empty() || !packets.iter().all(is_free) || !saved.expectations.iter().all(is_new) {
            return false;
        }
        let number = self.open(saved.master);
        let Some(call) = self.all.get_mut(&number) else { return false };
        for [arriving, whole] in packets {
            if self.senders.insert(sender(arriving), (whole, number)).is_none() {
                call.senders.push(sender(arriving));
            }
            if self.keys.insert(whole.key.0, number).is_none() {
                call.keys.push(whole.key);
            }
        }
        for &id in &saved.expectations {
            if self.expectations.insert(id, number).is_none() {
                call.expectations.push(id);
            }
        }
        true
    }

    fn open(&mut self, master: ConnId) -> u64 {
        let number = self.next;
        self.next += 1;
        let call = Call { master, senders: Vec::new(), keys: Vec::new(), expectations: Vec::new() };
        self.all.insert(number, call);
        self.masters.entry(master).or_default().push(number);
        number
    }

    fn remove(&mut self, number: u64) -> Option<Call> {
        let call = self.all.remove(&number)?;
        for sender in &call.senders {
            self.senders.remove(sender);
        }
        for key in &call.keys {
            self.keys.remove(&key.0);
        }
        for id in &call.expectations {
            self.expectations.remove(id);
        }
        if let Some(list) = self.masters.get_mut(&call.master) {
            list.retain(|&other| other != number);
            if list.is_empty() {
                self.masters.remove(&call.master);
            }
        }
        Some(call)
    }

    /// Bytes held, nearly.
    pub(super) fn memory(&self) -> usize {
        const OTHERS: usize = 512;
        self.all.len() * (size_of::<Call>() + OTHERS)
    }
}

impl Tracker {
    /// A packet with its sender's key, if it belongs to a call.
    pub(super) fn with_sender_key(&self, prepared: &Prepared) -> Prepared {
        match self.calls.senders.get(&sender(prepared.oriented)) {
            Some(&(whole, _)) => self.keyed(whole, Kind::Packet),
            None => self.keyed(prepared.oriented, Kind::Packet),
        }
    }

    /// An expectation of a call is gone without a conn; the call goes with it unless something else of it is left.
    pub(super) fn call_expectation_ended(&mut self, id: ExpectationId, cause: EndCause) {
        // A conn has come of these.
        if matches!(cause, EndCause::Fulfilled | EndCause::SiblingHit) {
            return;
        }
        let Some(number) = self.calls.expectations.remove(&id) else { return };
        if let Some(call) = self.calls.all.get_mut(&number) {
            call.expectations.retain(|&other| other != id);
        }
        self.forget_idle_call(number);
    }

    /// Ends the call that an expectation announced, and its conn. `false`: it announced none, or the call is over.
    pub(super) fn end_call_of(&mut self, now: Time, id: ExpectationId) -> bool {
        let number = self.calls.expectations.get(&id).copied();
        number.inspect(|&number| self.end_call(now, number)).is_some()
    }

    /// A conn is gone: the calls that it controlled end, and the call that it carried may.
    pub(super) fn call_conn_ended(&mut self, now: Time, conn: ConnId, key: Key) {
        for number in self.calls.masters.get(&conn).cloned().unwrap_or_default() {
            self.end_call(now, number);
        }
        if let Some(&number) = self.calls.keys.get(&key.0) {
            self.forget_idle_call(number);
        }
    }

    /// Whether there is no call at all: nothing of this need be asked then.
    #[inline]
    pub(super) fn has_calls(&self) -> bool {
        !self.calls.all.is_empty()
    }

    /// How many calls are known.
    #[cfg(test)]
    pub(super) fn calls_known(&self) -> usize {
        self.calls.all.len()
    }

    fn end_call(&mut self, now: Time, number: u64) {
        let Some(call) = self.calls.remove(number) else { return };
        for key in call.keys {
            if let Some(index) = self.call_conn(key) {
                self.end(now, index, DestroyCause::Closed);
            }
        }
        for id in call.expectations {
            self.expectations.remove(id, EndCause::Cancelled);
        }
        self.tell_expectations_ended();
    }

    fn forget_idle_call(&mut self, number: u64) {
        let Some(call) = self.calls.all.get(&number) else { return };
        let is_awaited = call.expectations.iter().any(|&id| self.expectations.at(id).is_some());
        if !is_awaited && !call.keys.iter().any(|&key| self.call_conn(key).is_some()) {
            self.calls.remove(number);
        }
    }

    fn call_conn(&self, key: Key) -> Option<u32> {
        let ways = [false, true].map(|flipped| Oriented { key, flipped });
        let tag = self.tag(&ways[0]);
        self.index.find(tag, |index| ways.iter().any(|way| self.is_of(index, way)))
    }
}
