//! Holding back a line that is not complete yet.
//!
//! A NAT helper must see a whole line before it can say what replaces a part of it. When a segment ends within such a line, the
//! caller keeps the segment and asks [`Hold`] what to do:
//!
//! ```text
//!              the line is completed ──────────────────────────────► release, edited
//! hold ──┬───► acknowledge_after: acknowledge ──► line completed ──► release, edited (owed)
//!        │      (again for what comes then and does not complete it, and for what is repeated)
//!        ├───► release_after ──────────────────────────────────────► release as it is
//!        └───► more than `bytes` ──────────────────────────────────► release as it is
//! ```
//!
//! **The deadlock.** A sender with Nagle's algorithm (RFC 9293 §3.7.4) keeps the rest of the line until the first part is
//! acknowledged; that part is held, so the receiver will not do so, and retransmissions bring only the same part again. So after a
//! while the gateway acknowledges the held bytes in the receiver's name ([`Due::Acknowledge`]; a pure ACK with the receiver's last
//! window less the held bytes). From then on it owes them: their sender will not repeat them. The caller enters an edit that covers
//! everything that it acknowledged and that was not forwarded, with [`owed`](super::Edit::owed) set, whether the bytes change or
//! not; the rewriter sends them along with whatever the sender does repeat until the receiver has them.
//!
//! **The end of patience.** When time or bytes run out, the segments are released as they are. The announcement inside is then not
//! rewritten, and since its first bytes are gone it cannot be: the caller refuses it, so nothing is opened for it.

use pinhole_wire::Time;
use serde::{Deserialize, Serialize};

/// Bounds of holding, for each direction of a conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldPolicy {
    /// Most bytes of payload that are held.
    pub bytes: u32,
    /// Nanoseconds from the first held byte that was not acknowledged until the gateway acknowledges what is held. It should be shorter than the sender's
    /// retransmission timeout, of which 200 ms is a usual least value, and longer than a sender needs for two writes.
    pub acknowledge_after: u64,
    /// Nanoseconds from the first held byte until everything is released as it is.
    pub release_after: u64,
}

impl Default for HoldPolicy {
    /// 16 KiB (what a sender has in flight at first, RFC 6928, and more than the message of any helper that has to be whole, but for SIP's
    /// longest), 40 ms, 2 s.
    fn default() -> Self {
        Self { bytes: 16 * 1024, acknowledge_after: 40_000_000, release_after: 2_000_000_000 }
    }
}

/// What to do with a segment that has come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Nothing is held: forward it.
    Forward,
    /// Keep it behind what is held, and look at [`Hold::deadline`].
    Hold,
    /// The line is complete: enter its edits, then forward what is held and this segment. With `owed`, the gateway has acknowledged
    /// some.
    Complete {
        /// Whether an acknowledgement was given in the receiver's name.
        owed: bool,
    },
    /// Too many bytes: forward what is held and this segment as they are.
    Overflow {
        /// Whether an acknowledgement was given in the receiver's name.
        owed: bool,
    },
}

/// What a passed deadline asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Due {
    /// Acknowledge the held bytes to their sender.
    Acknowledge,
    /// Forward what is held as it is; it is owed if it was acknowledged.
    Release {
        /// Whether an acknowledgement was given in the receiver's name.
        owed: bool,
    },
}

/// Whether one direction of a conn is held, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    since: Time,
    bytes: u32,
    /// The gateway acknowledged some.
    owed: bool,
    /// Since when the sender waits for an acknowledgement.
    waits: Option<Time>,
}

impl Hold {
    /// A segment with `length` new bytes of payload has come, in order. `incomplete`: after it, the stream ends within a line that
    /// may have to be edited.
    pub fn arrive(&mut self, now: Time, policy: &HoldPolicy, length: u32, incomplete: bool) -> Decision {
        let owed = self.held.is_some_and(|held| held.owed);
        if !incomplete {
            return match self.held.take() {
                None => Decision::Forward,
                Some(_) => Decision::Complete { owed },
            };
        }
        let held = self.held.get_or_insert(Held { since: now, bytes: 0, owed: false, waits: None });
        held.bytes = held.bytes.saturating_add(length);
        held.waits.get_or_insert(now);
        if held.bytes > policy.bytes {
            self.held = None;
            return Decision::Overflow { owed };
        }
        Decision::Hold
    }

    /// The sender repeats what is held: it has no acknowledgement, or lost it.
    pub fn repeat(&mut self, now: Time) {
        if let Some(held) = &mut self.held {
            held.waits.get_or_insert(now);
        }
    }

    /// When to ask [`expire`](Self::expire).
    pub fn deadline(&self, policy: &HoldPolicy) -> Option<Time> {
        let held = self.held?;
        let release = held.since.plus_nanos(policy.release_after);
        let acknowledge = held.waits.map(|since| since.plus_nanos(policy.acknowledge_after));
        Some(acknowledge.map_or(release, |acknowledge| acknowledge.min(release)))
    }

    /// What is due now, once for each deadline.
    pub fn expire(&mut self, now: Time, policy: &HoldPolicy) -> Option<Due> {
        let held = self.held.as_mut()?;
        let waited = now.since(held.since);
        if waited >= policy.release_after {
            let owed = held.owed;
            self.held = None;
            return Some(Due::Release { owed });
        }
        held.waits.take_if(|since| now.since(*since) >= policy.acknowledge_after)?;
        held.owed = true;
        Some(Due::Acknowledge)
    }

    /// Payload bytes that are held.
    pub fn bytes(&self) -> u32 {
        self.held.map_or(0, |held| held.bytes)
    }
}
