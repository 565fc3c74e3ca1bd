//! When a session gives up.

use pinhole_helper::{BlindReason, Context, Refusal, Span};
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

/// Malformed messages that a session puts up with.
const ERROR_LIMIT: u8 = 8;

/// What has been understood of each direction, and how often not.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Errors {
    count: u8,
    sides: [Side; 2],
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Side {
    /// A message was understood.
    opened: bool,
    /// The next octets may be the middle of a packet whose beginning was not seen.
    doubt: bool,
}

impl Errors {
    /// A message was understood.
    pub(super) fn understood(&mut self, from: Direction) {
        self.sides[from.index()] = Side { opened: true, doubt: false };
    }

    /// The beginning of this direction, or of what follows a gap, was not seen.
    pub(super) fn doubt(&mut self, from: Direction) {
        self.sides[from.index()].doubt = true;
    }

    /// What comes next is no packet. `Ok`: it may be the rest of one.
    pub(super) fn foreign(&mut self, from: Direction, reason: BlindReason) -> Result<(), BlindReason> {
        if self.sides[from.index()].doubt && reason != BlindReason::Encrypted { Ok(()) } else { Err(reason) }
    }

    /// A message is malformed. A conn whose first one is, is not of this protocol.
    pub(super) fn malformed(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        span: Span,
    ) -> Result<(), BlindReason> {
        let side = self.sides[from.index()];
        if !side.opened && !side.doubt {
            return Err(BlindReason::NotThisProtocol);
        }
        cx.refuse(Refusal::Malformed, span);
        self.count = self.count.saturating_add(1);
        if self.count >= ERROR_LIMIT { Err(BlindReason::TooManyErrors) } else { Ok(()) }
    }
}
