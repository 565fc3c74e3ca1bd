//! A session with its two streams: what a host drives.

use crate::{Action, BlindReason, Helper, Master, Policy, Span};
use pinhole_wire::{Direction, Tcp, Time};

/// What to do with a conn whose beginning was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pickup {
    /// Blind, with the reason.
    #[default]
    Strict,
    /// Read from the first byte seen, and from the next message after a gap.
    Lenient,
}

/// A session and its streams.
pub struct Reader {}

impl Reader {
    /// Starts reading a conn.
    pub fn new(_helper: &dyn Helper, _master: Master, _policy: Policy, _pickup: Pickup) -> Self {
        Self {}
    }

    /// Shows one TCP segment that was accepted (in window, passed by the rules). `payload` are the bytes present; `missing` counts bytes
    /// that the datagram claims but the capture lacks. Requests are appended to `actions`.
    pub fn segment(
        &mut self,
        _now: Time,
        _from: Direction,
        _tcp: &Tcp,
        _payload: &[u8],
        _missing: u32,
        _actions: &mut Vec<Action>,
    ) {
    }

    /// Shows one datagram.
    pub fn datagram(&mut self, _now: Time, _from: Direction, _payload: &[u8], _actions: &mut Vec<Action>) {}

    /// The bytes of a span named by one of the actions of the latest call, for quoting (at most those still held).
    pub fn quote(&self, _from: Direction, _span: Span) -> &[u8] {
        &[]
    }

    /// Why this session reads no more, if it does not.
    pub fn blind(&self) -> Option<BlindReason> {
        None
    }

    /// Bytes of memory held for this conn.
    pub fn memory(&self) -> usize {
        0
    }
}
