//! Sequence adjustment: edits of a stream change its length, so the two ends of a TCP conn count differently.
//!
//! The sender of a direction counts *original* numbers, its receiver *edited* ones. A [`Ledger`] holds, for one direction, every
//! replaced run that may still be spoken of, and maps numbers both ways. Several edits may be in flight: a retransmission of old
//! data gets the difference that held at its place.
//!
//! ```text
//! original   ──────[ 10,0,0,5 ]───────────[ 10,0,0,5 ]─────►   difference 0, then +2, then +4
//! edited     ──────[ 203,0,113 ]──────────[ 203,0,113 ]────►
//! ```
//!
//! # Rules
//! Let a run of original bytes `start..end` be replaced by edited bytes `start'..end'`; neither is empty.
//!
//! * **SEQ** (original → edited). Outside of replaced runs the difference of its place is added. A number inside a run, which only
//!   a segment cut otherwise than the first time or a keep-alive has, maps to `start'`: its segment carries the whole replacement.
//! * **ACK** (edited → original). Outside: the difference is taken off. `end'` maps to `end`: the whole run is acknowledged, though
//!   the lengths differ. Inside: to `start`, so that nothing is acknowledged of which the receiver lacks a part. A run enters the
//!   ledger only after its sender has sent all of it, so no acknowledgement ever covers what was not sent.
//! * **SACK** (RFC 2018). A block's left edge inside a run moves up to `end`, its right edge down to `start`. A block of which
//!   nothing is left is taken out and no-operations fill its place.
//! * **RST** has a SEQ, and an ACK if it says so; both are translated as above. A **keep-alive** (next - 1) whose number lies in a
//!   run maps below the receiver's next number, as it must to be answered.
//! * **Window**: left as it is. It counts from the acknowledgement, in edited bytes. While runs that grew are in flight, their
//!   sender may exceed it by the growth, of which the receiver discards what it has no room for, and it comes again; a clamp would
//!   need the window scale and gain nothing.
//! * **Urgent pointer** (RFC 9293 §3.1): moves with the byte that it points to, at most 65535 behind SEQ.
//!
//! # Differences are modulo 2^32
//! A difference is added to 32-bit numbers and so is kept modulo 2^32: it is exact however much a conn grows or shrinks in its
//! life, and there is no overflow to provoke. Numbers are ordered by their distance (RFC 9293 §3.4), which is sound because runs
//! more than 2^30 bytes back, beyond any window (RFC 7323 §2.3), are forgotten.
//!
//! # Life of a run
//! Entered when its bytes are about to be forwarded for the first time; never below the *frontier*, the number up to which the
//! stream was forwarded. Kept at least until the receiver has acknowledged all of it, and then while there is room, so that late
//! copies are still changed alike. After it is forgotten, numbers before it get the difference after it: that puts them, as before,
//! below what the receiver has acknowledged.

mod header;
mod ledger;
#[cfg(test)]
mod tests;

pub(crate) use header::{translate_sack, translate_sack_to_edited};
pub use ledger::{Ledger, LedgerError, Run};
pub(crate) use ledger::{after, at_or_after};
