//! The first line and the CONNECT line (Amanda's docs/PROTOCOL).

use crate::number::{decimal, port};
use pinhole_helper::Refusal;
use std::ops::Range;

/// Longest handle that is understood, in bytes.
pub const HANDLE_LIMIT: usize = 64;

/// What kind of datagram it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// REQ.
    Request,
    /// REP, or PREP, which another one follows.
    Answer {
        /// REP.
        is_last: bool,
    },
    /// ACK, NAK.
    Other,
}

/// The first line.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) kind: Kind,
    pub(super) handle: &'a [u8],
    pub(super) sequence: u32,
    /// Of the line, its end included.
    pub(super) length: usize,
}

/// `Amanda 2.6 REQ HANDLE 000-40F45D09 SEQ 1389783132`
pub(super) fn head(bytes: &[u8]) -> Option<Head<'_>> {
    let end = bytes.iter().take(256).position(|&byte| byte == b'\n')?;
    let mut words = bytes.get(..end)?.split(|&byte| byte == b' ');
    let mut word = || words.next();
    let (b"Amanda", version) = (word()?, word()?) else { return None };
    let (major, minor) = version.split_at_checked(version.iter().position(|&byte| byte == b'.')?)?;
    decimal(major)?;
    decimal(minor.get(1..)?)?;
    let kind = match word()? {
        b"REQ" => Kind::Request,
        b"REP" => Kind::Answer { is_last: true },
        b"PREP" => Kind::Answer { is_last: false },
        b"ACK" | b"NAK" => Kind::Other,
        _ => return None,
    };
    let (b"HANDLE", handle, b"SEQ", sequence) = (word()?, word()?, word()?, word()?) else { return None };
    let is_handle = (1..=HANDLE_LIMIT).contains(&handle.len()) && handle.iter().all(u8::is_ascii_graphic);
    let sequence = decimal(sequence)?;
    (is_handle && word().is_none()).then_some(Head { kind, handle, sequence, length: end + 1 })
}

/// The CONNECT line of a datagram after its first line, without its end.
pub(super) fn connect(bytes: &[u8], first: usize) -> Option<Range<usize>> {
    let mut start = first;
    for line in bytes.get(first..)?.split(|&byte| byte == b'\n') {
        if line.starts_with(b"CONNECT ") {
            return Some(start..start + line.len());
        }
        start += line.len() + 1;
    }
    None
}

/// One announced stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) port: u16,
    /// Name and port.
    pub(super) place: Range<usize>,
    pub(super) digits: Range<usize>,
}

/// The streams that a CONNECT line announces, or why one of them is not understood.
pub(super) fn streams(
    bytes: &[u8],
    line: Range<usize>,
) -> impl Iterator<Item = Result<Stream, (Refusal, Range<usize>)>> {
    const STREAMS: usize = 8;
    let text = bytes.get(line.clone()).unwrap_or_default();
    let mut at = line.start + "CONNECT ".len();
    let mut words: Vec<(&[u8], Range<usize>)> = Vec::new();
    for word in text.get("CONNECT ".len()..).unwrap_or_default().split(|&byte| byte == b' ') {
        if !word.is_empty() && words.len() < 2 * STREAMS {
            words.push((word, at..at + word.len()));
        }
        at += word.len() + 1;
    }
    let pairs: Vec<_> = words.chunks(2).filter(|pair| !is_shared(pair)).map(stream).collect();
    pairs.into_iter()
}

/// Whether a stream is one of those that share the conn of the first (auth `bsdudp`): its number counts down from 500000, and is no port.
fn is_shared(pair: &[(&[u8], Range<usize>)]) -> bool {
    const HANDLES: Range<u32> = 400_000..500_000;
    matches!(pair, [_, (number, _)] if decimal(number).is_some_and(|number| HANDLES.contains(&number)))
}

fn stream(pair: &[(&[u8], Range<usize>)]) -> Result<Stream, (Refusal, Range<usize>)> {
    match pair {
        [(name, first), (number, digits)] => {
            let place = first.start..digits.end;
            if ![&b"DATA"[..], b"MESG", b"INDEX", b"STATE"].contains(name) {
                return Err((Refusal::Unsupported, place));
            }
            let port = port(number).ok_or((Refusal::BadNumber, place.clone()))?;
            Ok(Stream { port, place, digits: digits.clone() })
        }
        [(_, place), ..] => Err((Refusal::Malformed, place.clone())),
        [] => Err((Refusal::Malformed, 0..0)),
    }
}
