//! Which packet leads from which state to which, as far as flags alone can tell (window and RST rules come after).

use crate::timeouts::Timeout;
use pinhole_wire::{Direction, TcpFlags};
use serde::{Deserialize, Serialize};
use std::fmt;

/// State of a TCP conn as netfilter names it: that of the pair of ends, seen from between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TcpState {
    /// Nothing yet (a conn before its first packet is judged).
    None,
    /// SYN seen.
    SynSent,
    /// SYN-ACK seen.
    SynRecv,
    /// The handshake is complete, or was before the conn was picked up.
    Established,
    /// One FIN seen.
    FinWait,
    /// That FIN is acknowledged.
    CloseWait,
    /// FINs seen both ways.
    LastAck,
    /// The second FIN is acknowledged.
    TimeWait,
    /// RST seen.
    Close,
    /// SYNs seen both ways: simultaneous open.
    SynSent2,
}

impl TcpState {
    const ALL: [Self; 10] = [
        Self::None,
        Self::SynSent,
        Self::SynRecv,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
    ];

    /// The name that `conntrack` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::SynSent => "SYN_SENT",
            Self::SynRecv => "SYN_RECV",
            Self::Established => "ESTABLISHED",
            Self::FinWait => "FIN_WAIT",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::SynSent2 => "SYN_SENT2",
        }
    }

    /// Whether an end has begun to close: such a conn may be dropped early although assured.
    pub const fn is_closing(self) -> bool {
        matches!(self, Self::FinWait | Self::CloseWait | Self::LastAck | Self::TimeWait | Self::Close)
    }

    /// The timeout of this state.
    pub const fn timeout(self) -> Timeout {
        match self {
            Self::None | Self::SynSent => Timeout::TcpSynSent,
            Self::SynRecv => Timeout::TcpSynRecv,
            Self::Established => Timeout::TcpEstablished,
            Self::FinWait => Timeout::TcpFinWait,
            Self::CloseWait => Timeout::TcpCloseWait,
            Self::LastAck => Timeout::TcpLastAck,
            Self::TimeWait => Timeout::TcpTimeWait,
            Self::Close => Timeout::TcpClose,
            Self::SynSent2 => Timeout::TcpSynSent2,
        }
    }
}

impl fmt::Display for TcpState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a segment is, by the flags that matter most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum TcpKind {
    /// SYN without ACK.
    Syn,
    /// SYN with ACK.
    SynAck,
    /// FIN.
    Fin,
    /// ACK, none of the others.
    Ack,
    /// RST.
    Rst,
}

impl TcpKind {
    const ALL: [Self; 5] = [Self::Syn, Self::SynAck, Self::Fin, Self::Ack, Self::Rst];

    /// Whether a segment is an [`Ack`](Self::Ack).
    #[inline]
    pub(super) const fn is_ack(flags: TcpFlags) -> bool {
        let decisive = TcpFlags::SYN.union(TcpFlags::ACK).union(TcpFlags::FIN).union(TcpFlags::RST);
        flags.bits() & decisive.bits() == TcpFlags::ACK.bits()
    }

    /// The kind of a segment; `None` for a combination of flags that no stack sends.
    #[inline]
    pub const fn of(flags: TcpFlags) -> Option<Self> {
        const SYN: u8 = TcpFlags::SYN.bits();
        const ACK: u8 = TcpFlags::ACK.bits();
        const FIN: u8 = TcpFlags::FIN.bits();
        const RST: u8 = TcpFlags::RST.bits();
        const URG: u8 = TcpFlags::URG.bits();
        // PSH, ECE and CWR may go with anything (RFC 3168 §6.1.1 sets the latter two on SYNs).
        let rest = TcpFlags::PSH.bits() | TcpFlags::ECE.bits() | TcpFlags::CWR.bits();
        const SYN_URG: u8 = SYN | URG;
        const SYN_ACK: u8 = SYN | ACK;
        const FIN_ACK: u8 = FIN | ACK;
        const FIN_ACK_URG: u8 = FIN | ACK | URG;
        const ACK_URG: u8 = ACK | URG;
        const RST_ACK: u8 = RST | ACK;
        match flags.bits() & !rest {
            SYN | SYN_URG => Some(Self::Syn),
            SYN_ACK => Some(Self::SynAck),
            FIN_ACK | FIN_ACK_URG => Some(Self::Fin),
            ACK | ACK_URG => Some(Self::Ack),
            RST | RST_ACK => Some(Self::Rst),
            _ => None,
        }
    }
}

impl fmt::Display for TcpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syn => "SYN",
            Self::SynAck => "SYN-ACK",
            Self::Fin => "FIN",
            Self::Ack => "ACK",
            Self::Rst => "RST",
        })
    }
}

/// What the flags of a segment mean in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// The conn goes to (or stays in) this state, if the segment fits the windows.
    To(TcpState),
    /// We may be out of step with the two ends: let the segment pass and wait for the answer.
    Ignore,
    /// Cannot happen.
    Invalid,
}

/// The move of a segment of this kind, in this direction and state.
#[inline]
pub(super) fn next(direction: Direction, kind: TcpKind, state: TcpState) -> Move {
    TABLE[direction.index()][kind as usize][state as usize]
}

static TABLE: [[[Move; 10]; 5]; 2] = {
    let mut table = [[[Move::Invalid; 10]; 5]; 2];
    let mut kind = 0;
    while kind < TcpKind::ALL.len() {
        let mut state = 0;
        while state < TcpState::ALL.len() {
            table[0][kind][state] = from_original(TcpKind::ALL[kind], TcpState::ALL[state]);
            table[1][kind][state] = from_reply(TcpKind::ALL[kind], TcpState::ALL[state]);
            state += 1;
        }
        kind += 1;
    }
    table
};

const fn from_original(kind: TcpKind, state: TcpState) -> Move {
    use TcpState as S;
    match (kind, state) {
        // A SYN opens, or opens again what is over; in between it may be a new conn of an end that lost its memory.
        (TcpKind::Syn, S::None | S::SynSent | S::TimeWait | S::Close) => Move::To(S::SynSent),
        (TcpKind::Syn, S::SynSent2) => Move::To(S::SynSent2),
        (TcpKind::Syn, _) => Move::Ignore,
        // The opener sends a SYN-ACK only in a simultaneous open (RFC 9293 §3.5, figure 7).
        (TcpKind::SynAck, S::SynSent2 | S::SynRecv) => Move::To(S::SynRecv),
        (TcpKind::SynAck, _) => Move::Invalid,
        // No handshake, nothing to finish, acknowledge or pick up.
        (TcpKind::Fin | TcpKind::Ack, S::SynSent | S::SynSent2) => Move::Invalid,
        (TcpKind::Fin | TcpKind::Rst, S::None) => Move::Invalid,
        (TcpKind::Ack, S::None | S::SynRecv | S::Established) => Move::To(S::Established),
        (TcpKind::Fin | TcpKind::Ack, _) => closing(kind, state),
        (TcpKind::Rst, _) => Move::To(S::Close),
    }
}

const fn from_reply(kind: TcpKind, state: TcpState) -> Move {
    use TcpState as S;
    match (kind, state) {
        (_, S::None) => Move::Invalid,
        (TcpKind::Syn, S::SynSent | S::SynSent2) => Move::To(S::SynSent2),
        // Opened again, the other way round.
        (TcpKind::Syn, S::TimeWait) => Move::To(S::SynSent),
        (TcpKind::Syn, _) => Move::Invalid,
        (TcpKind::SynAck, S::SynSent | S::SynSent2) => Move::To(S::SynRecv),
        // Late, or the answer to a SYN that we ignored.
        (TcpKind::SynAck, _) => Move::Ignore,
        (TcpKind::Fin, S::SynSent | S::SynSent2) => Move::Invalid,
        // Perhaps a challenge ACK of an older conn (RFC 5961 §4); its RST will tell.
        (TcpKind::Ack, S::SynSent | S::SynSent2) => Move::Ignore,
        // The handshake waits for the opener's ACK.
        (TcpKind::Ack, S::SynRecv) => Move::To(S::SynRecv),
        (TcpKind::Ack, S::Established) => Move::To(S::Established),
        (TcpKind::Fin | TcpKind::Ack, _) => closing(kind, state),
        (TcpKind::Rst, _) => Move::To(S::Close),
    }
}

/// FIN and ACK once the handshake is under way; the same both ways.
const fn closing(kind: TcpKind, state: TcpState) -> Move {
    use TcpState as S;
    Move::To(match (kind, state) {
        (TcpKind::Fin, S::SynRecv | S::Established) => S::FinWait,
        (TcpKind::Fin, S::FinWait | S::CloseWait) => S::LastAck,
        (TcpKind::Ack, S::FinWait) => S::CloseWait,
        (TcpKind::Ack, S::LastAck) => S::TimeWait,
        (_, other) => other,
    })
}
