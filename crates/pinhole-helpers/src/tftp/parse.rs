//! The grammar of requests (RFC 1350 §5, RFC 2347 §2).

use crate::number::decimal;
use pinhole_helper::Refusal;

/// Longest request in bytes (RFC 2347 §2).
pub const REQUEST_LIMIT: usize = 512;

const READ: [u8; 2] = [0, 1];
const WRITE: [u8; 2] = [0, 2];

/// Whether a datagram is a request: opcode, name, mode, then pairs of option and value, each ended by a NUL.
///
/// An empty name passes, because a server must be able to say that there is no such file; and so do NULs that fill up the name or
/// the datagram, as old boot loaders send them.
pub(super) fn request(bytes: &[u8]) -> Result<(), Refusal> {
    let (opcode, rest) = bytes.split_first_chunk().ok_or(Refusal::Malformed)?;
    if ![READ, WRITE].contains(opcode) || bytes.len() > REQUEST_LIMIT {
        return Err(Refusal::Malformed);
    }
    let mut strings = rest.strip_suffix(&[0]).ok_or(Refusal::Malformed)?.split(|&byte| byte == 0);
    let name = strings.next().unwrap_or_default();
    if name.iter().any(u8::is_ascii_control) {
        return Err(Refusal::Malformed);
    }
    let mut strings = strings.skip_while(|string| string.is_empty());
    let mode = strings.next().ok_or(Refusal::Malformed)?;
    if !["netascii", "octet", "mail"].iter().any(|known| mode.eq_ignore_ascii_case(known.as_bytes())) {
        return Err(Refusal::Unsupported);
    }
    options(strings)
}

fn options<'a>(mut strings: impl Iterator<Item = &'a [u8]>) -> Result<(), Refusal> {
    while let Some(name) = strings.next() {
        if name.is_empty() {
            // Nothing may follow but what fills up the datagram.
            return if strings.all(<[u8]>::is_empty) { Ok(()) } else { Err(Refusal::Malformed) };
        }
        let value = strings.next().ok_or(Refusal::Malformed)?;
        if [name, value].iter().any(|string| !string.iter().all(|byte| (b' '..=b'~').contains(byte))) {
            return Err(Refusal::Malformed);
        }
        let range = match name.to_ascii_lowercase().as_slice() {
            b"blksize" => 8..=65_464,
            b"timeout" => 1..=255,
            b"tsize" => 0..=u32::MAX,
            b"windowsize" => 1..=65_535,
            // Servers leave out the options that they do not know (RFC 2347 §3).
            _ => continue,
        };
        // Files may be larger than 4 GB.
        let large = name.eq_ignore_ascii_case(b"tsize") && value.len() <= 20;
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        if !(large && is_number || decimal(value).is_some_and(|number| range.contains(&number))) {
            return Err(Refusal::BadNumber);
        }
    }
    Ok(())
}
