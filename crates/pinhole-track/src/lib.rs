//! Connection tracking with netfilter's meaning, sans-IO.
//!
//! ```text
//! prepare(packet) ─► touch ─► track(now, packet) ─► Tracked { state, direction, conn, … }
//!                                   │ created?  the rules decide ─► confirm(conn) | abandon(conn)
//!                                   └ expectation hit? ─► RELATED, master set; consumed at confirm
//! expect(master, requests) ─► ExpectationId      advance(now, budget) ─► expiry, a slice at a time
//! ```
//!
//! * [`tracker`]: the conn table: lookup, creation, confirmation, expiry, early drop, events.
//! * [`l4`]: one state machine a layer-4 protocol, pure functions over a small state.
//! * [`expectation`]: the expectation table.
//! * [`hash`]: the keyed hash of tuples, and of what else strangers choose.
//! * [`saved`]: what outlives a restart.
//! * [`timeouts`]: netfilter's default timeouts and overriding policies.
#![forbid(unsafe_code)]

pub mod conn;
pub mod event;
pub mod expectation;
pub mod hash;
mod key;
pub mod l4;
pub mod saved;
pub mod settings;
pub mod state;
pub mod statistics;
mod table;
pub mod timeouts;
pub mod tracker;
pub mod tuple;

pub use conn::{ConnId, Counters};
pub use event::{ConnSnapshot, DeadConn, DestroyCause, Event};
pub use expectation::{EndCause, Expectation, ExpectationId, Request};
pub use key::EndsV4;
pub use l4::{Invalid, Opening};
pub use saved::{SavedCall, SavedConn, Unrestorable};
pub use settings::Settings;
pub use state::{State, Status};
pub use statistics::Statistics;
pub use timeouts::Timeouts;
pub use tracker::{
    BadReply, Carriage, Carried, Known, Passing, Prepared, TableFull, Tracked, Tracker, Unusual,
};
pub use tuple::Tuple;
