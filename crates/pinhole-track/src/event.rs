//! What happened to conns and expectations, for logs and `monitor`.

use crate::l4::L4;
use crate::{ConnId, Counters, EndCause, ExpectationId, Status, Tuple};
use pinhole_wire::Time;

/// A conn as it was at one moment.
#[derive(Clone, Debug)]
pub struct ConnSnapshot {
    /// Its id.
    pub id: ConnId,
    /// Original tuple.
    pub original: Tuple,
    /// Reply tuple.
    pub reply: Tuple,
    /// Status bits.
    pub status: Status,
    /// Layer-4 state.
    pub l4: L4,
    /// Accounting, original then reply.
    pub counters: [Counters; 2],
    /// Mark.
    pub mark: u32,
    /// Number of the attached helper, as given to [`crate::Tracker::attach_helper`].
    pub helper: Option<u16>,
    /// Master, if it was expected.
    pub master: Option<ConnId>,
    /// The expectation that it fulfilled.
    pub expectation: Option<ExpectationId>,
    /// First packet.
    pub start: Time,
    /// Seconds to live at that moment.
    pub timeout: u32,
}

/// Why a conn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestroyCause {
    /// Its timeout ran out.
    Timeout,
    /// Its protocol ended it (RST, or a new conn on the same tuple).
    Closed,
    /// Dropped early to make room.
    EarlyDrop,
    /// Removed on request.
    Request,
}

/// One event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A conn was confirmed.
    New(Box<ConnSnapshot>),
    /// Its status or protocol state changed.
    Update(Box<ConnSnapshot>),
    /// It ended.
    Destroy(Box<ConnSnapshot>, DestroyCause),
    /// An expectation was entered.
    ExpectationNew(ExpectationId),
    /// An expectation ended.
    ExpectationEnd(ExpectationId, EndCause),
}

/// A conn that is gone for good, for whoever kept something beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadConn {
    /// Its id, which names nothing any more.
    pub id: ConnId,
    /// The session that was set for it.
    pub session: Option<u32>,
    /// The expectation that it had fulfilled.
    pub expectation: Option<ExpectationId>,
    /// What was kept of its translation, as set by [`crate::Tracker::set_translation`], and its tuples, original and reply.
    pub translation: Option<(u32, (Tuple, Tuple))>,
}
