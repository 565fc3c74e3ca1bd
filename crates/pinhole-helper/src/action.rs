//! What a session asks of its host.

use crate::{AddressMatch, Expect};
use core::fmt;
use serde::{Deserialize, Serialize};

/// A run of bytes in one direction of the master: offsets in that direction's stream (byte 0 follows the SYN), or in the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u64,
    /// Offset after the last byte.
    pub end: u64,
}

/// A session's own name for an expectation that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Handle(pub u32);

/// Which part of an announcement a located span holds; the NAT half encodes a new endpoint in the same notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Field {
    /// Address and port together, in the notation numbered by the helper (documented in its NAT half).
    Endpoint(u8),
    /// An address alone.
    Address(u8),
    /// A port alone.
    Port(u8),
}

/// An end of the control conn, as seen from the packet that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The sender of the packet: NAT writes the endpoint that the receiver knows it by.
    Sender,
    /// The receiver of the packet: NAT writes the endpoint that the receiver itself has.
    Peer,
}

/// One request to the host. The host checks each one; a session cannot open anything by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Enter an expectation.
    Expect(Handle, Expect),
    /// Let an inactive expectation match from now on.
    Activate(Handle),
    /// Let an expectation live this many seconds from now on (SIP's granted registration time).
    Extend(Handle, u32),
    /// Let the control conn itself live at least this many seconds from now on, whatever passes on it or not (a registration or a call
    /// outlives the timeout of an idle UDP conn, and expectations die with their master).
    Prolong(u32),
    /// Let what was expected come from this source instead, whether it has come from the old one or not (an answer that tells where the
    /// caller's peer has its media). One that has come stays, and the expectation is entered once more.
    Aim(Handle, AddressMatch),
    /// Remove an expectation (a command that was answered with an error, a call that ended).
    Cancel(Handle),
    /// For the NAT half: this span holds that field of that expectation. It may stand in a message of the other direction, which
    /// repeats to its announcer what was announced.
    Locate(Handle, Span, Field),
    /// For the NAT half: this span names an end of the control conn itself, in that notation (SIP's `Via`). It opens nothing.
    Mention(End, Span, Field),
    /// For the NAT half: the first span holds, in decimal digits, how many bytes the second one has (Content-Length). Other located spans
    /// may lie inside the second.
    Length(Span, Span),
    /// For the NAT half: where the conn is translated, this span is to hold another number in that notation, which the session chose itself
    /// (a call id of PPTP). It opens nothing.
    Renumber(Span, Field, u16),
    /// For NAT: the conn that this expectation of a call between the two ends brings in goes on with this source and this destination
    /// key, which its receiver knows.
    Lead(Handle, u16, u16),
    /// An announcement that is not honoured, with the bytes that carried it.
    Refuse(Refusal, Span),
    /// The session's condition changed (shown by `explain`; not an error).
    Condition(Condition),
}

/// Whether a session can read what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Condition {
    /// Reading plain text (again).
    Reading,
    /// The conn is encrypted for now; announcements cannot be seen.
    Encrypted,
}

/// Why an announcement opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The address is not the sender's own.
    ForeignAddress,
    /// The port is below 1024.
    PrivilegedPort,
    /// Port zero.
    PortZero,
    /// A number is out of range or not a number.
    BadNumber,
    /// The announcement does not follow the grammar.
    Malformed,
    /// The address family is not the control conn's.
    AddressFamily,
    /// An answer to a command that was never sent.
    Unsolicited,
    /// The command is not allowed any more (FTP after `EPSV ALL`).
    OutOfSequence,
    /// A port-0 offer whose peer will listen instead; nothing to open for the sender.
    ReverseOffer,
    /// The class, master or source already has as many expectations as it may.
    Limit,
    /// Another master's expectation already covers it.
    Clash,
    /// The host's policy forbids it.
    Policy,
    /// The protocol cannot be understood that far (unknown notation).
    Unsupported,
    /// The control conn has seen no answer: its only sender may be forged.
    Unanswered,
}

impl Refusal {
    /// A short stable name, for machine-readable output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForeignAddress => "foreign-address",
            Self::PrivilegedPort => "privileged-port",
            Self::PortZero => "port-zero",
            Self::BadNumber => "bad-number",
            Self::Malformed => "malformed",
            Self::AddressFamily => "address-family",
            Self::Unsolicited => "unsolicited",
            Self::OutOfSequence => "out-of-sequence",
            Self::ReverseOffer => "reverse-offer",
            Self::Limit => "limit",
            Self::Clash => "clash",
            Self::Policy => "policy",
            Self::Unsupported => "unsupported",
            Self::Unanswered => "unanswered",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForeignAddress => "the announced address is not the sender's own",
            Self::PrivilegedPort => "the announced port is below 1024",
            Self::PortZero => "the announced port is 0",
            Self::BadNumber => "a number is out of range",
            Self::Malformed => "the announcement does not follow the protocol's grammar",
            Self::AddressFamily => "the announced address family is not the control connection's",
            Self::Unsolicited => "an answer to a command that was not sent",
            Self::OutOfSequence => "the command is not allowed at this point of the session",
            Self::ReverseOffer => "a reverse offer (port 0): its answer will announce the port",
            Self::Limit => "a limit on expectations is reached",
            Self::Clash => "another connection's expectation already covers it",
            Self::Policy => "the policy forbids it",
            Self::Unsupported => "the notation is not supported",
            Self::Unanswered => "the connection has seen no answer yet; its sender may be forged",
        })
    }
}
