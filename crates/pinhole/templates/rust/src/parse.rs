//! The lines of NAME. What a line says, without any memory of the ones before.

use core::ops::Range;
use pinhole_helper_sdk::helper::Refusal;

/// Longest line, its end included.
pub(crate) const LINE_LIMIT: usize = 512;

/// A line that matters.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Hello,
    /// A port, and where in the line its digits stand.
    Port(u16, Range<usize>),
    Other,
}

/// Reads a line, given without its end.
pub(crate) fn line(line: &[u8]) -> Result<Line, Refusal> {
    if line.starts_with(b"HELLO ") {
        return Ok(Line::Hello);
    }
    match line.strip_prefix(b"PORT ") {
        Some(digits) => Ok(Line::Port(port(digits)?, line.len() - digits.len()..line.len())),
        None => Ok(Line::Other),
    }
}

/// A port in decimal digits: never a sign, never wrapped.
fn port(digits: &[u8]) -> Result<u16, Refusal> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Malformed);
    }
    let text = core::str::from_utf8(digits).map_err(|_| Refusal::Malformed)?;
    if text.len() <= 5 { text.parse().map_err(|_| Refusal::BadNumber) } else { Err(Refusal::BadNumber) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(line(b"HELLO me"), Ok(Line::Hello));
        assert_eq!(line(b"PORT 50000"), Ok(Line::Port(50000, 5..10)));
        assert_eq!(line(b"NOOP"), Ok(Line::Other));
    }

    #[test]
    fn ports_that_are_none() {
        for (text, why) in [
            (&b"PORT "[..], Refusal::Malformed),
            (b"PORT +1", Refusal::Malformed),
            (b"PORT 65536", Refusal::BadNumber),
            (b"PORT 000050000", Refusal::BadNumber),
        ] {
            assert_eq!(line(text), Err(why), "{text:?}");
        }
    }
}
