//! The tracker: the conn table and everything that happens to it.

use crate::{ConnId, Event, Expectation, ExpectationId, Invalid, Request, Settings, State, Tuple};
use pinhole_helper::Refusal;
use pinhole_wire::{Direction, Packet, Time};

/// A packet's key and hash, computed once.
#[derive(Clone, Copy, Debug)]
pub struct Prepared {}

/// What tracking made of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Tracked {
    /// The packet's state.
    pub state: State,
    /// Its conn (for an ICMP error: the conn it quotes).
    pub conn: Option<ConnId>,
    /// Its direction in that conn.
    pub direction: Direction,
    /// Why it is invalid.
    pub invalid: Option<Invalid>,
    /// The conn is new and unconfirmed: the caller must [`Tracker::confirm`] or [`Tracker::abandon`] it.
    pub created: bool,
    /// The expectation that the new conn will fulfil when confirmed.
    pub expectation: Option<ExpectationId>,
}

/// The table is full and no conn could be dropped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("conntrack table is full")]
pub struct TableFull;

/// The conn table, the expectation table and their clockwork. One per shard, owned by one thread.
pub struct Tracker {}

#[allow(unused_variables, missing_docs)]
impl Tracker {
    /// An empty tracker; `secret` keys the hash.
    pub fn new(settings: Settings, secret: [u64; 2]) -> Self {
        Self {}
    }
    /// Computes key and hash of a packet (for ICMP errors: of the quoted packet).
    pub fn prepare(&self, packet: &Packet, bytes: &[u8], zone: u16) -> Prepared {
        Prepared {}
    }
    /// Loads early what [`Self::track`] will need; call for a whole batch first.
    pub fn touch(&self, prepared: &Prepared) {}
    /// Finds or creates the packet's conn and judges the packet.
    ///
    /// # Errors
    /// The table is full.
    pub fn track(
        &mut self,
        now: Time,
        packet: &Packet,
        bytes: &[u8],
        prepared: &Prepared,
    ) -> Result<Tracked, TableFull> {
        Err(TableFull)
    }
    /// The first packet survived: the conn enters the table, its expectation is consumed. `false`: a clash, the packet is to be dropped.
    pub fn confirm(&mut self, now: Time, id: ConnId) -> bool {
        false
    }
    /// The first packet did not survive: the conn never was.
    pub fn abandon(&mut self, id: ConnId) {}
    /// Ends up to `budget` things that are due. Returns whether more are due.
    pub fn advance(&mut self, now: Time, budget: usize) -> bool {
        false
    }
    /// The next time at which [`Self::advance`] has something to do (may be early, never late by more than a wheel tick).
    pub fn next_deadline(&self) -> Option<Time> {
        None
    }
    /// Enters expectations of one master, together or not at all.
    ///
    /// # Errors
    /// Why none was entered.
    pub fn expect(
        &mut self,
        now: Time,
        master: ConnId,
        requests: &[Request],
    ) -> Result<Vec<ExpectationId>, Refusal> {
        Err(Refusal::Limit)
    }
    /// Lets an inactive expectation match; `false` if it is gone.
    pub fn activate(&mut self, id: ExpectationId) -> bool {
        false
    }
    /// Removes an expectation; `false` if it is gone.
    pub fn cancel(&mut self, id: ExpectationId) -> bool {
        false
    }
    pub fn expectation(&self, id: ExpectationId) -> Option<&Expectation> {
        None
    }
    pub fn next_event(&mut self) -> Option<Event> {
        None
    }
    pub fn original(&self, id: ConnId) -> Option<Tuple> {
        None
    }
}
