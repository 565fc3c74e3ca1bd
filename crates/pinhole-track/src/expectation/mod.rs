//! Expectations: what they hold, how they are admitted, matched and ended.
//!
//! * `overlap`: when a packet matches an expectation, when two expectations stand in each other's way.
//! * `table`: all expectations of a tracker.

pub(crate) mod overlap;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use crate::ConnId;
use pinhole_helper::{Class, Expect};
use pinhole_wire::Time;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Names one expectation; never reused within a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ExpectationId(pub u64);

/// An expectation in the table. Immutable once inserted, except that an inactive one may be activated once, and
/// that its deadline and its source may become others.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expectation {
    /// Its id.
    pub id: ExpectationId,
    /// What is expected.
    pub expect: Expect,
    /// The conn that announced it.
    pub master: ConnId,
    /// Helper that asked for it, as numbered by the host.
    pub helper: u16,
    /// Who announced it.
    pub announcer: IpAddr,
    /// Zone.
    pub zone: u16,
    /// When it was entered.
    pub created: Time,
    /// When it ends.
    pub deadline: Time,
    /// Whether it matches.
    pub active: bool,
}

/// A request to enter an expectation.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is expected.
    pub expect: Expect,
    /// Its class's limits.
    pub class: Class,
    /// Helper that asks, as numbered by the host.
    pub helper: u16,
    /// Who announces it, whose limit it counts against. Behind NAT that is not where it leads: many hosts share one outer address.
    pub announcer: IpAddr,
}

impl Request {
    /// A request of whoever the expectation leads to.
    pub fn new(expect: Expect, class: Class, helper: u16) -> Self {
        Self { announcer: expect.destination, expect, class, helper }
    }
}

/// Why an expectation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndCause {
    /// A conn fulfilled it (one-shot).
    Fulfilled,
    /// Another member of its group was hit first.
    SiblingHit,
    /// Its timeout ran out.
    Timeout,
    /// The helper cancelled it.
    Cancelled,
    /// Evicted as the oldest of its own master's class.
    Evicted,
    /// The same one was entered anew.
    Replaced,
    /// Its master ended.
    MasterGone,
    /// Removed on request.
    Request,
}
