//! Layer-4 state machines.
//!
//! Each protocol is a small `Copy` state and two functions: `open` judges the first packet of a conn, `update` a later one. They see
//! no table and no clock, except that a timeout in seconds comes out.

use crate::{Status, Timeouts};
use pinhole_wire::{Direction, Packet, Time};
use std::fmt;

/// Switches that change how packets are judged (netfilter's sysctls).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct L4Settings {
    /// `nf_conntrack_tcp_loose`: pick up TCP conns in mid-stream.
    pub tcp_loose: bool,
    /// `nf_conntrack_tcp_be_liberal`: only out-of-window RSTs are invalid.
    pub tcp_be_liberal: bool,
    /// `nf_conntrack_tcp_max_retrans`: retransmissions without an ACK before the timeout is shortened.
    pub tcp_max_retrans: u8,
    /// `nf_conntrack_tcp_ignore_invalid_rst`: an invalid RST is not marked invalid.
    pub tcp_ignore_invalid_rst: bool,
    /// `nf_conntrack_dccp_loose`.
    pub dccp_loose: bool,
}

impl Default for L4Settings {
    fn default() -> Self {
        Self {
            tcp_loose: true,
            tcp_be_liberal: false,
            tcp_max_retrans: 3,
            tcp_ignore_invalid_rst: false,
            dccp_loose: true,
        }
    }
}

/// Layer-4 state of a conn. At most 64 bytes.
#[derive(Clone, Copy, Debug)]
pub enum L4 {
    /// Protocols without a state machine.
    Generic,
}

/// A packet as the state machines see it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The parsed headers.
    pub packet: &'a Packet,
    /// The frame's bytes (options and chunks are read from here).
    pub bytes: &'a [u8],
    /// When the packet was seen (UDP becomes a stream two seconds after its first packet).
    pub now: Time,
}

/// Judgement of a later packet of a conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It belongs to the conn.
    Accept {
        /// Seconds that the conn may now live.
        timeout: u32,
        /// The conn becomes assured.
        assure: bool,
        /// Its protocol state changed (an UPDATE event).
        changed: bool,
    },
    /// It does not fit the conn's state; the conn is left as it was.
    Invalid(Invalid),
    /// It belongs to no state, but passes without changing anything (netfilter's "ignored" packets).
    Ignore,
    /// The conn is over and this packet opens a new one on the same tuple: remove the old, then track again.
    Reopen,
    /// The conn ends with this packet, which still belongs to it (TCP RST of an unanswered conn).
    Kill,
}

/// Why a packet is invalid. Shown by `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalid {
    /// Headers cannot be parsed.
    Malformed,
    /// Checksum is wrong.
    Checksum,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed header",
            Self::Checksum => "wrong checksum",
        })
    }
}

/// Judges the first packet of a conn.
///
/// # Errors
/// The packet cannot open a conn.
pub fn open(_view: View<'_>, _settings: &L4Settings) -> Result<L4, Invalid> {
    Ok(L4::Generic)
}

/// Judges a packet of an existing conn (also the very first one, right after [`open`], as netfilter does).
pub fn update(
    _state: &mut L4,
    _view: View<'_>,
    _direction: Direction,
    _status: Status,
    _settings: &L4Settings,
    timeouts: &Timeouts,
) -> Step {
    Step::Accept { timeout: timeouts.generic, assure: false, changed: false }
}
