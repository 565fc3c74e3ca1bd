//! The lines of Parcel: words with one blank between them, ended by LF or CR LF.

use core::net::IpAddr;
use core::ops::Range;
use pinhole_helper_sdk::helper::Refusal;

/// Longest line, its end included. A longer one ends the reading.
pub(crate) const LINE_LIMIT: usize = 512;
/// Longest name of a parcel.
const NAME_LIMIT: usize = 16;

/// The name of a parcel.
pub(crate) type Name = [u8; NAME_LIMIT];

/// A line that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Hello,
    Offer(Name, Offer),
    Fetch(Name),
    Leave(Name),
    Recall(Name),
    Other,
}

/// Where a parcel is, and where in the line both stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) place: Range<usize>,
}

/// Reads a line, given without its end.
pub(crate) fn line(line: &[u8]) -> Result<Line, Refusal> {
    if line == b"PARCEL 1" {
        return Ok(Line::Hello);
    }
    let mut words = line.split(|&byte| byte == b' ');
    let verb = words.next().unwrap_or_default();
    if ![&b"OFFER"[..], b"FETCH", b"LEAVE", b"RECALL"].contains(&verb) {
        return Ok(Line::Other);
    }
    let written = words.next().unwrap_or_default();
    let name = name(written).ok_or(Refusal::Malformed)?;
    let rest = (words.next(), words.next(), words.next());
    match (verb, rest) {
        (b"OFFER", (Some(address), Some(digits), None)) => {
            let start = verb.len() + 1 + written.len() + 1;
            offer(address, digits, start..line.len()).map(|offer| Line::Offer(name, offer))
        }
        (b"FETCH", (None, ..)) => Ok(Line::Fetch(name)),
        (b"LEAVE", (None, ..)) => Ok(Line::Leave(name)),
        (b"RECALL", (None, ..)) => Ok(Line::Recall(name)),
        _ => Err(Refusal::Malformed),
    }
}

fn name(word: &[u8]) -> Option<Name> {
    let letters = word.iter().all(u8::is_ascii_lowercase) && !word.is_empty();
    let mut name = Name::default();
    name.get_mut(..word.len()).filter(|_| letters)?.copy_from_slice(word);
    Some(name)
}

fn offer(address: &[u8], digits: &[u8], place: Range<usize>) -> Result<Offer, Refusal> {
    let address = core::str::from_utf8(address).ok().and_then(|text| text.parse().ok());
    let address = address.ok_or(Refusal::BadNumber)?;
    Ok(Offer { address, port: port(digits).ok_or(Refusal::BadNumber)?, place })
}

/// A port in one to five decimal digits: never a sign, never wrapped.
fn port(digits: &[u8]) -> Option<u16> {
    let all = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    core::str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
}
