//! The payload rewriter: edits on spans of streams and datagrams, carried out on packets.
//!
//! A NAT helper says that some bytes of a conn's payload become others; this module changes packets accordingly, with everything
//! that depends on their length: IP total or payload length, IPv4 header checksum, UDP length, transport checksum, and for TCP the
//! sequence numbers of both directions ([`crate::adjust`]).
//!
//! # Streams
//! [`Conversation`] belongs to one TCP conn. The caller enters an [`Edit`] when it has read the bytes concerned and *before* it
//! forwards the first of them, then passes every segment of both directions through [`Conversation::translate`].
//!
//! * A segment may touch none, part, all or several of the edits. One that touches any byte of an edit carries the whole
//!   replacement; bytes outside of edits are its own. So retransmissions, however they are cut, carry the same edited bytes. A
//!   later copy of replaced bytes is not looked at.
//! * What has grown beyond the maximum segment size continues in further segments. FIN and PSH go to the last of them, CWR stays
//!   with the first. A segmentation superframe is a long segment: the caller passes the largest payload it may have instead of the
//!   conn's MSS.
//! * Segments beyond a gap must not be forwarded while an edit may still be made in the gap: their place is not known. The caller
//!   drops them (their sender repeats them) or keeps them; forwarding them makes edits before their end impossible
//!   ([`LedgerError::Passed`]), so the stream stays sound either way. [`Conversation::is_ahead`] tells which they are.
//! * A stream has room for a number of edits and bytes of replacement; when it is exceeded by edits that are not acknowledged,
//!   [`LedgerError::Full`] says so, and the caller drops the segment: it comes again when acknowledgements have made room.
//!   Edits of that segment that were entered before stay: they are not entered again, and segments that hold a part of them may be
//!   forwarded ([`Ledger::carried`](crate::adjust::Ledger::carried)).
//!
//! A line that is cut across segments and may have to be edited is held back by the caller; [`Hold`] says for how long.
//!
//! # Datagrams
//! [`edit_datagram`] applies edits to one UDP datagram. It may become longer than the MTU: to fragment it or to answer "packet too
//! big" is for whoever sends it on.

mod cut;
mod datagram;
mod edits;
mod hold;
mod length;
mod segment;
#[cfg(test)]
mod tests;

use crate::adjust::LedgerError;
use pinhole_helper::Span;

pub use cut::cut;
pub use datagram::edit_datagram;
pub use edits::EditedStream;
pub use hold::{Decision, Due, Hold, HoldPolicy};
pub use segment::{Conversation, Emitted};

/// Bytes of a payload that become others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit<'a> {
    /// The bytes to replace, at least one: offsets in the stream (byte 0 follows the SYN) or in the datagram's payload.
    pub span: Span,
    /// What replaces them. In a stream at least one byte: without any, their sender would wait for ever for an acknowledgement.
    pub replacement: &'a [u8],
    /// Streams: the gateway acknowledged some of the span to its sender, see [`Due::Acknowledge`]. The replacement is then also
    /// sent along with whatever the sender repeats right behind the span, until the receiver has acknowledged it.
    pub owed: bool,
}

/// Why a packet could not be changed. It must not be forwarded as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RewriteError {
    /// It is of another protocol, or a fragment.
    #[error("not a whole packet of the transport protocol")]
    NotWhole,
    /// Bytes that must be changed are missing from the frame.
    #[error("the frame lacks bytes of the packet")]
    Missing,
    /// It would become longer than an IP datagram can be.
    #[error("the packet would become too long")]
    TooLong,
    /// An edit lies outside of the payload, or edits overlap or are out of order.
    #[error("an edit is out of place")]
    Misplaced,
    /// A stream's edit cannot be entered.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
