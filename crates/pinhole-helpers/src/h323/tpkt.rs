//! TPKT (RFC 1006 §6): packets in a TCP stream. Version 3, a reserved octet that is zero, and the length with these four octets.

use super::errors::Errors;
use crate::opening::TLS_RECORD_TYPES;
use pinhole_helper::{BlindReason, Context, Progress, Session, saved};
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};

/// Longest packet that is waited for. No message of these protocols comes near it.
const LONGEST_PACKET: usize = 16 * 1024;
/// Octets of the header.
const HEADER: usize = 4;

/// What the next octets of a stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The beginning of a packet at best.
    Unfinished,
    /// A packet of this many octets, header included.
    Packet(usize),
    /// Not a packet.
    Foreign(BlindReason),
}

/// Judges what comes next; `bytes` are the unread octets of a stream.
fn next(bytes: &[u8]) -> Next {
    match bytes {
        [first, ..] if TLS_RECORD_TYPES.contains(first) => Next::Foreign(BlindReason::Encrypted),
        [] | [3] | [3, 0] | [3, 0, _] => Next::Unfinished,
        [3, 0, high, low, ..] => match usize::from(u16::from_be_bytes([*high, *low])) {
            0..HEADER => Next::Foreign(BlindReason::NotThisProtocol),
            length if length > LONGEST_PACKET => Next::Foreign(BlindReason::MessageTooLong),
            length if bytes.len() < length => Next::Unfinished,
            length => Next::Packet(length),
        },
        _ => Next::Foreign(BlindReason::NotThisProtocol),
    }
}

/// Reads the contents of packets.
pub(super) trait PacketReader: Send {
    /// Reads what stands `base` octets into what the session was given.
    fn packet(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        packet: &[u8],
        base: usize,
        errors: &mut Errors,
    ) -> Result<(), BlindReason>;

    /// Packets were lost: no transaction is to be trusted that may have lost a part.
    fn forget(&mut self);
}

/// A conn of packets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct PacketSession<R> {
    reader: R,
    errors: Errors,
}

impl<R: PacketReader + Serialize> Session for PacketSession<R> {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            match next(rest) {
                Next::Unfinished => return Progress::Consumed(at),
                Next::Foreign(reason) => {
                    return match self.errors.foreign(from, reason) {
                        Ok(()) => Progress::Consumed(bytes.len()),
                        Err(reason) => Progress::Blind(reason),
                    };
                }
                Next::Packet(length) => {
                    let packet = rest.get(HEADER..length).unwrap_or_default();
                    if let Err(reason) = self.reader.packet(cx, from, packet, at + HEADER, &mut self.errors) {
                        return Progress::Blind(reason);
                    }
                    at += length;
                }
            }
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        LONGEST_PACKET
    }

    fn pick_up(&mut self, from: Direction) -> bool {
        self.errors.doubt(from);
        true
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        self.reader.forget();
        self.errors.doubt(from);
        true
    }
}
