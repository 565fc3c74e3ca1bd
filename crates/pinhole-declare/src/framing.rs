//! How a stream is cut into messages.
//!
//! What a cut comes to depends on the bytes of the stream alone, never on how many of them are here yet: a message that is too long is too
//! long before its end has come.

use crate::notation::run;

/// Where messages of a stream end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// With LF; a CR before it is dropped.
    Line,
    /// With this byte.
    Byte(u8),
    /// After as many bytes as a number in its header says.
    Length(Length),
    /// With the datagram.
    Datagram,
}

/// A length in the header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Bytes of the header.
    pub header: usize,
    /// Where in it the number stands.
    pub at: usize,
    /// How many bytes it has: 1 to 4.
    pub size: usize,
    /// Most significant byte first.
    pub is_big: bool,
    /// It counts the header, too.
    pub counts_header: bool,
}

/// The first message of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut<'a> {
    /// Its end has not come.
    Incomplete,
    /// A message without what marks its end, and how many bytes both take.
    Message(&'a [u8], usize),
    /// It is longer than the limit.
    TooLong(Skip),
    /// Its length is less than its header's.
    Impossible,
}

/// The rest of a message that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// So many bytes.
    Bytes(u64),
    /// Up to and with this byte.
    Until(u8),
}

impl Framing {
    /// Bytes that a message within the limit may have besides its content.
    pub(crate) const fn overhead(self) -> usize {
        match self {
            Self::Line => 2,
            Self::Byte(_) => 1,
            Self::Length(_) | Self::Datagram => 0,
        }
    }

    /// Cuts the first message off.
    pub(crate) fn cut(self, bytes: &[u8], limit: usize) -> Cut<'_> {
        match self {
            Self::Datagram if bytes.len() > limit => Cut::TooLong(Skip::Bytes(bytes.len() as u64)),
            Self::Datagram => Cut::Message(bytes, bytes.len()),
            Self::Line => self.ended(bytes, limit, b'\n'),
            Self::Byte(end) => self.ended(bytes, limit, end),
            Self::Length(length) => length.cut(bytes, limit),
        }
    }

    fn ended(self, bytes: &[u8], limit: usize, end: u8) -> Cut<'_> {
        let most = limit + self.overhead();
        let looked_at = bytes.get(..most).unwrap_or(bytes);
        let length = run(looked_at, |byte| byte != end);
        if length == looked_at.len() {
            return if length < most { Cut::Incomplete } else { Cut::TooLong(Skip::Until(end)) };
        }
        let content = looked_at.get(..length).unwrap_or_default();
        let content = match self {
            Self::Line => content.strip_suffix(b"\r").unwrap_or(content),
            _ => content,
        };
        if content.len() > limit { Cut::TooLong(Skip::Until(end)) } else { Cut::Message(content, length + 1) }
    }
}

impl Length {
    fn cut(self, bytes: &[u8], limit: usize) -> Cut<'_> {
        let Some(header) = bytes.get(..self.header) else { return Cut::Incomplete };
        let number = header.get(self.at..self.at + self.size).unwrap_or_default();
        let digit = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let number =
            if self.is_big { number.iter().fold(0, digit) } else { number.iter().rev().fold(0, digit) };
        let header = self.header as u64;
        let whole = if self.counts_header { number } else { number + header };
        if whole < header {
            return Cut::Impossible;
        }
        if whole > limit as u64 {
            return Cut::TooLong(Skip::Bytes(whole));
        }
        // At most the limit.
        let whole = whole as usize;
        bytes.get(..whole).map_or(Cut::Incomplete, |message| Cut::Message(message, whole))
    }
}

impl Skip {
    /// Skips what is here: how many bytes, and what is left to be skipped.
    pub(crate) fn pass(self, bytes: &[u8]) -> (usize, Option<Self>) {
        match self {
            Self::Bytes(count) => {
                let here = count.min(bytes.len() as u64);
                // At most the length of `bytes`.
                (here as usize, (here < count).then(|| Self::Bytes(count - here)))
            }
            Self::Until(end) => {
                let length = run(bytes, |byte| byte != end);
                if length == bytes.len() { (length, Some(self)) } else { (length + 1, None) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Length = Length { header: 4, at: 2, size: 2, is_big: true, counts_header: false };

    #[test]
    fn lines_and_their_limit() {
        let cut = |bytes| Framing::Line.cut(bytes, 4);
        assert_eq!(cut(b"ab\r\ncd"), Cut::Message(b"ab", 4));
        assert_eq!(cut(b"abcd\r\n"), Cut::Message(b"abcd", 6));
        assert_eq!(cut(b"abcd\n"), Cut::Message(b"abcd", 5));
        assert_eq!(cut(b"\n"), Cut::Message(b"", 1));
        for incomplete in [&b""[..], b"abcd", b"abcd\r"] {
            assert_eq!(cut(incomplete), Cut::Incomplete);
        }
        for too_long in [&b"abcde\n"[..], b"abcde\r\n", b"abcdef", b"abcd\r\r\n"] {
            assert_eq!(cut(too_long), Cut::TooLong(Skip::Until(b'\n')), "{too_long:?}");
        }
        assert_eq!(Framing::Byte(0).cut(b"22\0x", 4), Cut::Message(b"22", 3));
        assert_eq!(Framing::Byte(0).cut(b"22222\0", 4), Cut::TooLong(Skip::Until(0)));
    }

    #[test]
    fn lengths() {
        let cut = |length, bytes| Framing::Length(length).cut(bytes, 10);
        assert_eq!(cut(HEADER, b"ab\0\x02xyz"), Cut::Message(b"ab\0\x02xy", 6));
        assert_eq!(cut(HEADER, b"ab\0\x02x"), Cut::Incomplete);
        assert_eq!(cut(HEADER, b"ab\0"), Cut::Incomplete);
        assert_eq!(cut(HEADER, b"ab\x01\0"), Cut::TooLong(Skip::Bytes(260)));
        let little = Length { is_big: false, counts_header: true, ..HEADER };
        assert_eq!(cut(little, b"ab\x05\0xy"), Cut::Message(b"ab\x05\0x", 5));
        assert_eq!(cut(little, b"ab\x03\0xy"), Cut::Impossible);
        let widest = Length { header: 4, at: 0, size: 4, ..HEADER };
        assert_eq!(cut(widest, b"\xff\xff\xff\xff"), Cut::TooLong(Skip::Bytes(u64::from(u32::MAX) + 4)));
    }

    #[test]
    fn what_is_skipped() {
        assert_eq!(Skip::Bytes(3).pass(b"ab"), (2, Some(Skip::Bytes(1))));
        assert_eq!(Skip::Bytes(2).pass(b"abc"), (2, None));
        assert_eq!(Skip::Until(b'\n').pass(b"ab"), (2, Some(Skip::Until(b'\n'))));
        assert_eq!(Skip::Until(b'\n').pass(b"a\nb"), (2, None));
    }
}
