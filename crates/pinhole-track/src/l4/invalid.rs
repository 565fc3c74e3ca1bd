//! Why packets are invalid.

use super::tcp::{TcpKind, TcpState};
use std::fmt;

/// Why a packet is invalid. Shown by `explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Invalid {
    /// Headers contradict themselves.
    Malformed,
    /// Headers are cut short.
    Truncated,
    /// Checksum is wrong.
    Checksum,
    /// A fragment whose datagram could not be put together.
    Fragment,
    /// TCP: a combination of flags that no stack sends (RFC 9293; NULL, Xmas, SYN-FIN … scans).
    TcpFlags,
    /// TCP: the first packet of a conn is no SYN, and not one from which an established conn could be picked up.
    TcpOpen(TcpKind),
    /// TCP: mid-stream pick-up is off.
    TcpStrictPickup,
    /// TCP: this kind of packet cannot occur in the conn's state.
    TcpState(TcpKind, TcpState),
    /// TCP: the segment starts beyond the receiver's window.
    TcpAboveWindow,
    /// TCP: it acknowledges data that the peer never sent.
    TcpAckNeverSent,
    /// TCP: RST with a sequence number that its receiver has already acknowledged (RFC 5961 §3).
    TcpOldReset,
    /// ICMP: the type is no query that can open a conn.
    IcmpNotRequest,
    /// ICMP: an error whose quoted packet belongs to no conn.
    IcmpErrorUnknown,
    /// ICMP: an error whose quoted packet is cut short or malformed.
    IcmpErrorQuote,
    /// ICMP: an error that was not sent to the source of the packet that it quotes.
    IcmpErrorAddress,
    /// SCTP: chunks are cut short, or a chunk that must stand alone does not.
    SctpChunks,
    /// SCTP: no chunk in this packet can open an association.
    SctpOpen,
    /// SCTP: INIT with a non-zero verification tag, or a zero initiate tag.
    SctpInitTag,
    /// SCTP: the verification tag is not the association's.
    SctpTag,
    /// SCTP: this chunk cannot occur in the association's state.
    SctpState,
    /// DCCP: not a Request, and not one from which an open conn could be picked up.
    DccpOpen,
    /// DCCP: this packet cannot occur in the conn's state.
    DccpState,
}

impl Invalid {
    /// Stable identifier, kebab-case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Truncated => "truncated",
            Self::Checksum => "checksum",
            Self::Fragment => "fragment",
            Self::TcpFlags => "tcp-flags",
            Self::TcpOpen(_) => "tcp-open",
            Self::TcpStrictPickup => "tcp-strict-pickup",
            Self::TcpState(..) => "tcp-state",
            Self::TcpAboveWindow => "tcp-above-window",
            Self::TcpAckNeverSent => "tcp-ack-never-sent",
            Self::TcpOldReset => "tcp-old-reset",
            Self::IcmpNotRequest => "icmp-not-request",
            Self::IcmpErrorUnknown => "icmp-error-unknown",
            Self::IcmpErrorQuote => "icmp-error-quote",
            Self::IcmpErrorAddress => "icmp-error-address",
            Self::SctpChunks => "sctp-chunks",
            Self::SctpOpen => "sctp-open",
            Self::SctpInitTag => "sctp-init-tag",
            Self::SctpTag => "sctp-tag",
            Self::SctpState => "sctp-state",
            Self::DccpOpen => "dccp-open",
            Self::DccpState => "dccp-state",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed header",
            Self::Truncated => "truncated header",
            Self::Checksum => "wrong checksum",
            Self::Fragment => "fragment of a datagram that cannot be put together",
            Self::TcpFlags => "illegal combination of TCP flags",
            Self::TcpOpen(kind) => return write!(f, "{kind} without a connection"),
            Self::TcpStrictPickup => "cannot pick up mid-stream (tcp_loose off)",
            Self::TcpState(kind, state) => return write!(f, "{kind} in state {state}"),
            Self::TcpAboveWindow => "TCP sequence is above the window",
            Self::TcpAckNeverSent => "ACK of data never sent",
            Self::TcpOldReset => "RST below what its receiver has acknowledged",
            Self::IcmpNotRequest => "ICMP packet without a request",
            Self::IcmpErrorUnknown => "ICMP error about an unknown connection",
            Self::IcmpErrorQuote => "ICMP error quotes too little to tell the connection",
            Self::IcmpErrorAddress => "ICMP error sent to another host than its quoted packet's source",
            Self::SctpChunks => "malformed SCTP chunks",
            Self::SctpOpen => "SCTP packet without an association",
            Self::SctpInitTag => "SCTP INIT with a bad tag",
            Self::SctpTag => "SCTP verification tag of another association",
            Self::SctpState => "SCTP chunk out of place",
            Self::DccpOpen => "DCCP packet without a connection",
            Self::DccpState => "DCCP packet out of place",
        })
    }
}
