//! Layer-4 state machines.
//!
//! Each protocol is a small `Copy` state and two functions: `open` judges the first packet of a conn, `update` a later one. They see
//! no table and no clock, except that a timeout in seconds comes out.

pub mod dccp;
mod generic;
mod gre;
mod icmp;
mod invalid;
pub mod sctp;
pub mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use dccp::Dccp;
pub(crate) use gre::CALL_UNREPLIED;
pub use invalid::Invalid;
pub use sctp::Sctp;
pub use tcp::Tcp;
pub use udp::Udp;

use crate::timeouts::Timeout;
use crate::{Status, Timeouts};
use pinhole_wire::{Direction, Packet, Protocol, Time, Transport};
use serde::{Deserialize, Serialize};

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

/// Layer-4 state of a conn. At most 56 bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum L4 {
    /// Protocols without a state machine.
    Generic,
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp(Udp),
    /// UDP-Lite.
    Udplite,
    /// Queries of ICMP or ICMPv6.
    Icmp,
    /// SCTP.
    Sctp(Sctp),
    /// DCCP.
    Dccp(Dccp),
    /// GRE.
    Gre,
}

const _: () = assert!(size_of::<L4>() <= 56);

impl L4 {
    /// The name that `conntrack` prints for the conn's state, if its protocol has states.
    pub const fn state_name(&self) -> Option<&'static str> {
        match self {
            Self::Tcp(tcp) => Some(tcp.state().name()),
            Self::Sctp(sctp) => Some(sctp.state().name()),
            Self::Dccp(dccp) => Some(dccp.state().name()),
            Self::Generic | Self::Udp(_) | Self::Udplite | Self::Icmp | Self::Gre => None,
        }
    }

    /// Whether a conn of this protocol can be in this state, of one that was read from a file.
    pub(crate) fn is_sound(&self, protocol: Protocol) -> bool {
        match self {
            Self::Tcp(tcp) => protocol == Protocol::TCP && tcp.is_sound(),
            Self::Udp(_) => protocol == Protocol::UDP,
            Self::Udplite => protocol == Protocol::UDPLITE,
            Self::Icmp => matches!(protocol, Protocol::ICMP | Protocol::ICMPV6),
            Self::Sctp(_) => protocol == Protocol::SCTP,
            Self::Dccp(_) => protocol == Protocol::DCCP,
            Self::Gre => protocol == Protocol::GRE,
            Self::Generic => true,
        }
    }

    /// Whether the conn is at its end or has little to lose: it may be dropped early although it is assured.
    pub const fn may_drop_early(&self) -> bool {
        match self {
            Self::Tcp(tcp) => tcp.state().is_closing(),
            Self::Sctp(sctp) => sctp.state().is_closing(),
            Self::Dccp(dccp) => dccp.state().is_closing(),
            Self::Generic | Self::Udp(_) | Self::Udplite | Self::Icmp | Self::Gre => false,
        }
    }
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
    /// It does not fit the conn's state: no status, timeout or counter changes.
    Invalid(Invalid),
    /// As `Invalid`, but the conn seems to be over at both ends: if it has 120 s or more to live, it now has at most `timeout` seconds.
    InvalidClose {
        /// Why it is invalid.
        reason: Invalid,
        /// Seconds.
        timeout: u32,
    },
    /// It belongs to the conn (and counts as an answer), but neither timeout nor counters change (netfilter's "ignored" packets).
    Ignore,
    /// The conn is over and this packet opens a new one on the same tuple: remove the old, then track again.
    Reopen,
    /// The conn ends with this packet, which still belongs to it (TCP RST of an unanswered conn).
    Kill,
}

/// Judges the first packet of a conn. [`update`] is to judge it, too.
///
/// # Errors
/// The packet cannot open a conn.
pub fn open(view: View<'_>, settings: &L4Settings) -> Result<L4, Invalid> {
    let protocol = view.packet.protocol;
    match &view.packet.transport {
        Transport::Tcp(header) => Tcp::open(header, view, settings).map(L4::Tcp),
        Transport::Udp(_) if protocol == Protocol::UDPLITE => Ok(L4::Udplite),
        Transport::Udp(_) => Ok(L4::Udp(Udp::open(view.now))),
        Transport::Icmp(header) => icmp::open(header, protocol).map(|()| L4::Icmp),
        Transport::Sctp(header) => Sctp::open(header, view).map(L4::Sctp),
        Transport::Dccp(header) => Dccp::open(header, settings).map(L4::Dccp),
        Transport::Gre(_) => Ok(L4::Gre),
        _ => Ok(L4::Generic),
    }
}

/// A conn that its first packet would open.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    pub(crate) state: L4,
    /// Seconds that it may live.
    pub(crate) timeout: u32,
    /// It is assured at once.
    pub(crate) assure: bool,
}

/// Judges the first packet of a conn altogether.
///
/// # Errors
/// The packet cannot open a conn.
#[inline]
pub(crate) fn judge_first(
    view: View<'_>,
    settings: &L4Settings,
    timeouts: &Timeouts,
) -> Result<Opening, Invalid> {
    let status = Status::empty();
    let (state, step) =
        if let (Protocol::UDP, Transport::Udp(_)) = (view.packet.protocol, &view.packet.transport) {
            let udp = Udp::open(view.now);
            (L4::Udp(udp), udp.update(view.now, status, timeouts))
        } else {
            let mut state = open(view, settings)?;
            let step = update(&mut state, view, Direction::Original, status, settings, timeouts);
            (state, step)
        };
    match step {
        Step::Accept { timeout, assure, .. } => Ok(Opening { state, timeout, assure }),
        Step::Invalid(why) | Step::InvalidClose { reason: why, .. } => Err(why),
        // A packet that opened a conn just now cannot be out of step with it.
        Step::Ignore | Step::Reopen | Step::Kill => Err(Invalid::Malformed),
    }
}

/// Judges a packet of an existing conn, and the very first one right after [`open`], as netfilter does.
///
/// `status` is the conn's from *before* this packet: [`Status::SEEN_REPLY`] is not yet set when the first answer is judged.
#[inline]
pub fn update(
    state: &mut L4,
    view: View<'_>,
    direction: Direction,
    status: Status,
    settings: &L4Settings,
    timeouts: &Timeouts,
) -> Step {
    match (state, &view.packet.transport) {
        (L4::Tcp(tcp), Transport::Tcp(header)) => {
            let options = header.options(view.bytes, view.packet);
            tcp.update(header, options, direction, status, settings, timeouts)
        }
        (L4::Udp(udp), _) => udp.update(view.now, status, timeouts),
        (L4::Udplite, _) => udp::update_lite(status, timeouts),
        (L4::Icmp, _) => icmp::update(view.packet.protocol, timeouts),
        (L4::Sctp(sctp), Transport::Sctp(header)) => sctp.update(header, view, direction, status, timeouts),
        (L4::Dccp(dccp), Transport::Dccp(header)) => dccp.update(header, direction, status, timeouts),
        (L4::Gre, _) => gre::update(status, timeouts),
        (L4::Generic, _) => generic::update(timeouts),
        // The tuple holds the protocol, so a conn never meets another one's packets; only a header that was not parsed gets here.
        (L4::Tcp(_) | L4::Sctp(_) | L4::Dccp(_), _) => Step::Invalid(Invalid::Truncated),
    }
}

/// Protocols that know unanswered and answered conns, and nothing else.
fn update_replied(unreplied: Timeout, replied: Timeout, status: Status, timeouts: &Timeouts) -> Step {
    step_replied(timeouts[unreplied], timeouts[replied], status)
}

/// Accepted, for so many seconds.
fn step_replied(unreplied: u32, replied: u32, status: Status) -> Step {
    let answered = status.contains(Status::SEEN_REPLY);
    Step::Accept {
        timeout: if answered { replied } else { unreplied },
        assure: answered && !status.contains(Status::ASSURED),
        changed: false,
    }
}
