//! Messages in the manner of RFC 822, as SIP (RFC 3261 §7) and RTSP (RFC 2326 §4, RFC 7826 §5) send them: a start line, header fields,
//! an empty line, a body. Lines end with CRLF; a lone LF is taken, too. All positions are relative to the bytes that were given.

mod framing;

pub(crate) use framing::{Framing, Unit};

use crate::number::decimal;
use std::ops::Range;

/// Longest start line.
pub(crate) const START_LINE_LIMIT: usize = 4 * 1024;
/// Longest head, from the start line to the empty line.
pub(crate) const HEAD_LIMIT: usize = 16 * 1024;
/// Longest message whose body is read.
pub(crate) const MESSAGE_LIMIT: usize = 64 * 1024 - 1;

/// The first line without its line end, if it is complete.
pub(crate) fn first_line(bytes: &[u8]) -> Option<Range<usize>> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    let text = bytes.get(..end)?;
    Some(0..text.strip_suffix(b"\r").unwrap_or(text).len())
}

/// A start line, before its words mean anything.
pub(crate) enum Start<'a> {
    /// `METHOD target VERSION`.
    Request { method: &'a [u8], target: Range<usize> },
    /// `VERSION code reason`; the code has three digits and is 100 or above.
    Response { code: u16 },
}

impl<'a> Start<'a> {
    /// Reads a start line of the protocol that has such versions (RFC 3261 §7.1, §7.2; RFC 2326 §6.1, §7.1).
    pub(crate) fn read(line: &'a [u8], is_version: impl Fn(&[u8]) -> bool) -> Option<Self> {
        let blank = |b: &u8| matches!(b, b' ' | b'\t');
        let first = line.iter().position(blank)?;
        let (word, rest) = line.split_at_checked(first)?;
        if is_version(word) {
            let (digits, after) = rest.trim_ascii_start().split_at_checked(3)?;
            let code = u16::try_from(decimal(digits)?).ok()?;
            return (after.first().is_none_or(blank) && code >= 100).then_some(Self::Response { code });
        }
        let last = line.trim_ascii_end().iter().rposition(blank)?;
        let target = trim(line, first..last);
        let well_formed = is_version(line.get(last + 1..)?.trim_ascii_end())
            && !word.is_empty()
            && word.iter().copied().all(is_token)
            && !target.is_empty();
        well_formed.then_some(Self::Request { method: word, target })
    }
}

/// Characters of a token (RFC 3261 §25.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Where the head ends, after its empty line. The first `searched` bytes are known not to hold the end.
pub(crate) fn head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let start = searched.saturating_sub(3);
    let rest = bytes.get(start..)?;
    rest.iter().enumerate().filter(|&(_, &b)| b == b'\n').find_map(|(at, _)| {
        let after = rest.get(at + 1..)?;
        let empty = if after.first() == Some(&b'\n') { 1 } else { 2 };
        (empty == 1 || after.starts_with(b"\r\n")).then_some(start + at + 1 + empty)
    })
}

/// One header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderField<'a> {
    pub(crate) name: &'a [u8],
    /// Without white space around it; folded lines are part of it.
    pub(crate) value: Range<usize>,
}

impl HeaderField<'_> {
    /// Names are compared without regard to case (RFC 3261 §7.3.1).
    pub(crate) fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The header fields of a head; lines without a colon are passed over.
pub(crate) fn fields(head: &[u8]) -> impl Iterator<Item = HeaderField<'_>> {
    let first = head.iter().position(|&b| b == b'\n').map_or(head.len(), |at| at + 1);
    fields_from(head, first)
}

/// The header fields from a position on, as in a part of a multipart body, which has no start line.
pub(crate) fn fields_from(head: &[u8], mut at: usize) -> impl Iterator<Item = HeaderField<'_>> {
    std::iter::from_fn(move || {
        loop {
            let end = logical_line_end(head, at)?;
            let line = at..end;
            at = end;
            let text = head.get(line.clone())?;
            if let Some(colon) = text.iter().position(|&b| b == b':') {
                let name = text.get(..colon)?.trim_ascii_end();
                return Some(HeaderField { name, value: trim(head, line.start + colon + 1..line.end) });
            }
        }
    })
}

/// The end of the line that begins at `at`, with the lines that continue it (those that begin with a blank). `None` at the end.
fn logical_line_end(head: &[u8], mut at: usize) -> Option<usize> {
    head.get(at..).filter(|rest| !rest.is_empty())?;
    while let Some(next) = head.get(at..)?.iter().position(|&b| b == b'\n') {
        at += next + 1;
        if !matches!(head.get(at), Some(b' ' | b'\t')) {
            return Some(at);
        }
    }
    Some(head.len())
}

/// A range without white space at its ends.
pub(crate) fn trim(bytes: &[u8], range: Range<usize>) -> Range<usize> {
    let text = bytes.get(range.clone()).unwrap_or_default();
    let start = range.start + (text.len() - text.trim_ascii_start().len());
    start..start + text.trim_ascii().len()
}

/// Splits a range at a byte that stands outside of quotes and angle brackets; the pieces are trimmed.
pub(crate) fn split(bytes: &[u8], range: Range<usize>, separator: u8) -> impl Iterator<Item = Range<usize>> {
    let mut next = Some(range.start);
    std::iter::from_fn(move || {
        let start = next?;
        let end = find_outside(bytes, start..range.end, separator);
        next = end.map(|end| end + 1);
        Some(trim(bytes, start..end.unwrap_or(range.end)))
    })
}

/// Where a byte first stands outside of quotes and angle brackets.
pub(crate) fn find_outside(bytes: &[u8], range: Range<usize>, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (at, &byte) in bytes.get(range.clone())?.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !bracketed => quoted = !quoted,
            _ if quoted => {}
            _ if byte == wanted && !bracketed => return Some(range.start + at),
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            _ => {}
        }
    }
    None
}

/// The value of the parameter `;name=value` in a range that begins with a semicolon or with the first name; quotes are taken off, and
/// a parameter without value has an empty one.
pub(crate) fn parameter(bytes: &[u8], range: Range<usize>, name: &[u8]) -> Option<Range<usize>> {
    split(bytes, range, b';').find_map(|piece| {
        let text = bytes.get(piece.clone())?;
        let equals = text.iter().position(|&b| b == b'=').unwrap_or(text.len());
        if !text.get(..equals)?.trim_ascii_end().eq_ignore_ascii_case(name) {
            return None;
        }
        let value = trim(bytes, (piece.start + equals + 1).min(piece.end)..piece.end);
        let quoted = bytes.get(value.clone())?.len() > 1
            && bytes.get(value.start) == Some(&b'"')
            && bytes.get(value.end - 1) == Some(&b'"');
        Some(if quoted { value.start + 1..value.end - 1 } else { value })
    })
}

/// A length of a body, as `Content-Length` gives it, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodyLength {
    pub(crate) bytes: usize,
    pub(crate) place: Range<usize>,
}

/// A length is not a number, or two of them differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadLength;

impl BodyLength {
    /// Reads a value, and compares it with one that was read before.
    pub(crate) fn read(bytes: &[u8], place: Range<usize>, before: Option<Self>) -> Result<Self, BadLength> {
        let value = decimal(bytes.get(place.clone()).unwrap_or_default()).ok_or(BadLength)?;
        let length = usize::try_from(value).map_err(|_| BadLength)?;
        match before {
            Some(before) if before.bytes != length => Err(BadLength),
            Some(before) => Ok(before),
            None => Ok(Self { bytes: length, place }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8], ranges: impl Iterator<Item = Range<usize>>) -> Vec<&str> {
        ranges.map(|range| std::str::from_utf8(&bytes[range]).expect("text")).collect()
    }

    #[test]
    fn heads_end_with_an_empty_line() {
        assert_eq!(head_end(b"a\r\nb: c\r\n\r\nbody", 0), Some(11));
        assert_eq!(head_end(b"a\nb: c\n\nbody", 0), Some(8));
        assert_eq!(head_end(b"a\nb: c\n\r\nbody", 0), Some(9));
        assert_eq!(head_end(b"a\r\nb: c\r\n", 0), None);
        assert_eq!(head_end(b"a\r\nb: c\r\n\r", 0), None);
        let whole = b"a\r\nb: c\r\n\r\n";
        for searched in 0..whole.len() {
            assert_eq!(head_end(&whole[..searched], 0), None);
            assert_eq!(head_end(whole, searched), Some(whole.len()), "{searched}");
        }
    }

    #[test]
    fn fields_may_be_folded() {
        let head = b"start\r\nVia : a,\r\n  b\r\nX:\r\n y\r\nbroken\r\nTo:z \r\n\r\n";
        let read: Vec<_> = fields(head)
            .map(|f| {
                (
                    String::from_utf8_lossy(f.name).into_owned(),
                    String::from_utf8_lossy(&head[f.value]).into_owned(),
                )
            })
            .collect();
        let expected = [("Via", "a,\r\n  b"), ("X", "y"), ("To", "z")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn lists_split_outside_of_quotes_and_brackets() {
        let text = br#""Smith, \"J\"" <sip:a,b@c>;q=1, <sip:d@e> , f"#;
        let pieces = texts(text, split(text, 0..text.len(), b','));
        assert_eq!(pieces, [r#""Smith, \"J\"" <sip:a,b@c>;q=1"#, "<sip:d@e>", "f"]);
    }

    #[test]
    fn parameters() {
        let text = br#";lr;Tag = x ; b="a;b" ;e="#;
        let get = |name: &[u8]| {
            parameter(text, 0..text.len(), name).map(|r| String::from_utf8_lossy(&text[r]).into_owned())
        };
        assert_eq!(get(b"tag").as_deref(), Some("x"));
        assert_eq!(get(b"b").as_deref(), Some("a;b"));
        assert_eq!((get(b"lr").as_deref(), get(b"e").as_deref(), get(b"z")), (Some(""), Some(""), None));
    }

    #[test]
    fn lengths() {
        let read = |text: &[u8], before| BodyLength::read(text, 0..text.len(), before).map(|l| l.bytes);
        assert_eq!(read(b"12", None), Ok(12));
        for bad in [&b""[..], b"-1", b"+1", b"0x10", b"4294967296", b"1 2"] {
            assert_eq!(read(bad, None), Err(BadLength), "{bad:?}");
        }
        let twelve = || Some(BodyLength { bytes: 12, place: 0..2 });
        assert_eq!((read(b"12", twelve()), read(b"13", twelve())), (Ok(12), Err(BadLength)));
    }
}
