//! The tracker: the conn table and everything that happens to it.
//!
//! Life of a conn: [`Tracker::track`] finds none for a packet and creates it *unconfirmed*: it exists for its caller, but no other
//! packet finds it. [`Tracker::confirm`] enters it into the index and the wheel, [`Tracker::abandon`] makes it never have been. It ends
//! by its timeout, by its protocol, by early drop or on request: it is *dying*, no packet finds it any more, its expectations are gone
//! and its DESTROY event is queued. Until the next [`Tracker::advance`] it can still be asked about by its id, so that the packet that
//! ended it can be judged; then its slot is free, and its id names nothing ever after.
//!
//! A conn whose deadline has passed is gone for every lookup, whether or not `advance` has removed it yet: what packets see does
//! not depend on how often `advance` is called.
//!
//! Invariants: a live conn is in the index and the wheel exactly if it is confirmed and not dying; it is in the list of the dying
//! exactly if it is dying.

mod access;
mod call;
mod carry;
mod confirm;
mod create;
mod end;
mod expect;
mod icmp;
mod lookup;
mod prepare;
mod restore;
mod steady;
#[cfg(test)]
mod tests;
mod translate;

use crate::event::DeadConn;
use crate::expectation::table::Expectations;
use crate::hash::Secret;
use crate::key::Oriented;
use crate::statistics::Statistics;
use crate::table::cold::ColdSlab;
use crate::table::index::Index;
use crate::table::slab::Slab;
use crate::table::wheel::{NONE, Wheel};
use crate::{ConnId, Event, ExpectationId, Invalid, Settings, State, Timeouts};
use pinhole_wire::{Direction, Time};
use std::collections::VecDeque;

pub use carry::{Carriage, Carried};
pub use lookup::{Known, Unusual};
pub use prepare::Prepared;
pub use steady::Passing;
pub use translate::BadReply;

/// What tracking made of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Tracked {
    /// The packet's state.
    pub state: State,
    /// Its conn (for an ICMP error: the conn it quotes). `None` for invalid packets, which netfilter attaches to no conn.
    pub conn: Option<ConnId>,
    /// Its direction in that conn.
    pub direction: Direction,
    /// Why it is invalid.
    pub invalid: Option<Invalid>,
    /// The conn whose state an invalid packet does not fit, to explain it.
    pub about: Option<ConnId>,
    /// The conn is new and unconfirmed: the caller must [`Tracker::confirm`] or [`Tracker::abandon`] it.
    pub created: bool,
    /// The packet is an ICMP error about the conn, not one of its own.
    pub icmp_error: bool,
    /// The expectation that the new conn will fulfil when confirmed.
    pub expectation: Option<ExpectationId>,
}

impl Tracked {
    /// A packet that is exempt from tracking.
    pub const UNTRACKED: Self = Self {
        state: State::Untracked,
        conn: None,
        direction: Direction::Original,
        invalid: None,
        about: None,
        created: false,
        icmp_error: false,
        expectation: None,
    };

    const fn invalid(why: Invalid, about: Option<ConnId>) -> Self {
        Self { state: State::Invalid, invalid: Some(why), about, ..Self::UNTRACKED }
    }
}

/// The table is full and no conn could be dropped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("conntrack table is full")]
pub struct TableFull;

/// The conn table, the expectation table and their clockwork. One per shard, owned by one thread.
pub struct Tracker {
    settings: Settings,
    secret: Secret,
    index: Index,
    conns: Slab,
    cold: ColdSlab,
    wheel: Wheel,
    /// Conns that count against the limit: unconfirmed and confirmed, not the dying.
    len: u32,
    /// Before this time [`Tracker::advance`] has nothing to do: the least of all that may fall due, zero while conns are dying.
    quiet_until: Time,
    /// First of the dying, chained by `link.next`.
    dying: u32,
    dying_len: u32,
    /// Slab index and tag of the conn created last, until any conn is confirmed: the usual order makes it the next one.
    fresh: Option<(u32, u32)>,
    /// Key and tag that were last found to be nobody's, until any conn enters the index.
    vacant: Option<(Oriented, u32)>,
    /// Translated conns in the index: each has two entries there.
    translated: u32,
    expectations: Expectations,
    calls: call::Calls,
    /// Timeout policies. The first is the tracker's own, as in `settings`.
    policies: Vec<Timeouts>,
    events: VecDeque<Event>,
    dead: VecDeque<DeadConn>,
    statistics: Statistics,
}

impl Tracker {
    /// An empty tracker; `secret` keys the hash.
    pub fn new(settings: Settings, secret: [u64; 2]) -> Self {
        let mut conns = Slab::new();
        let mut capacity = 0;
        if settings.preallocate {
            capacity = settings.max_conns as usize;
            conns.preallocate(capacity);
        }
        Self {
            secret: Secret::new(secret),
            index: Index::with_capacity(capacity),
            conns,
            cold: ColdSlab::default(),
            wheel: Wheel::new(),
            len: 0,
            quiet_until: Time(u64::MAX),
            dying: NONE,
            dying_len: 0,
            fresh: None,
            vacant: None,
            translated: 0,
            expectations: Expectations::new(settings.max_expectations, settings.max_expectations_per_source),
            calls: call::Calls::default(),
            policies: vec![settings.timeouts.clone()],
            events: VecDeque::new(),
            dead: VecDeque::new(),
            statistics: Statistics::default(),
            settings,
        }
    }

    #[inline]
    fn id(&self, index: u32) -> ConnId {
        ConnId { index, generation: self.conns[index].generation }
    }

    /// The slab index of a conn that still exists (perhaps dying).
    #[inline]
    fn resolve(&self, id: ConnId) -> Option<u32> {
        self.conns.get(id.index).filter(|entry| entry.generation == id.generation).map(|_| id.index)
    }
}
