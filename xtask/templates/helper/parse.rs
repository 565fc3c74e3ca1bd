//! The lines of Newcomer: words with one blank between them, ended by LF or CR LF.

use crate::number::port;
use pinhole_helper::Refusal;
use std::net::IpAddr;
use std::ops::Range;

/// Longest line, its end included. A longer one ends the reading.
pub const LINE_LIMIT: usize = 512;

/// A line that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Hello,
    Listen(Listen),
    Yes,
    No,
    Other,
}

/// Where a side listens, and where in the line both stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listen {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) place: Range<usize>,
}

/// Reads a line, given without its end.
pub(super) fn line(line: &[u8]) -> Result<Line, Refusal> {
    const LISTEN: &[u8] = b"LISTEN ";
    match line {
        b"NEWCOMER 1" => Ok(Line::Hello),
        b"YES" => Ok(Line::Yes),
        b"NO" => Ok(Line::No),
        _ => match line.strip_prefix(LISTEN) {
            Some(endpoint) => listen(endpoint, LISTEN.len()..line.len()).map(Line::Listen),
            None => Ok(Line::Other),
        },
    }
}

fn listen(endpoint: &[u8], place: Range<usize>) -> Result<Listen, Refusal> {
    let mut words = endpoint.split(|&byte| byte == b' ');
    let (Some(address), Some(digits), None) = (words.next(), words.next(), words.next()) else {
        return Err(Refusal::Malformed);
    };
    let address = std::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
    let address = address.ok_or(Refusal::BadNumber)?;
    Ok(Listen { address, port: port(digits).ok_or(Refusal::BadNumber)?, place })
}
