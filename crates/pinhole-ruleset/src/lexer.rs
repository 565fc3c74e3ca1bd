//! Text to tokens. Longest match wins, as in nft's own scanner, so that `fe80::1-fe80::2`, `1h30m` and `eth0.5` each
//! come out whole or in the pieces nft sees.

use crate::diagnostic::{Problem, problem};
use crate::source::{FileId, Span};
use std::net::Ipv6Addr;

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A name or keyword.
    Name,
    /// A name that ends in `*`.
    Wildcard,
    /// A decimal or hexadecimal number.
    Number,
    /// An IPv4, IPv6 or MAC address.
    Address,
    /// A duration with units (`1h30m`).
    Time,
    /// A quoted string; the span is that of its contents.
    Quoted,
    /// End of a line.
    Newline,
    Semicolon,
    LeftBrace,
    RightBrace,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    Comma,
    Dot,
    Colon,
    Slash,
    Dash,
    Plus,
    Star,
    Assign,
    Equal,
    NotEqual,
    Not,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    ShiftLeft,
    ShiftRight,
    And,
    Or,
    Xor,
    At,
    Dollar,
    /// End of the text.
    End,
}

/// A token: what it is and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// Cuts a file into tokens, ending with [`Kind::End`].
pub(crate) fn tokens(file: FileId, text: &str) -> Result<Vec<Token>, Box<Problem>> {
    let mut lexer = Lexer { file, text, at: 0, tokens: Vec::new() };
    while lexer.at < text.len() {
        lexer.step()?;
    }
    lexer.emit(Kind::End, 0);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        let offset = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Span { file: self.file, start: offset(start), end: offset(end) }
    }

    fn emit(&mut self, kind: Kind, length: usize) {
        let span = self.span(self.at, self.at + length);
        self.tokens.push(Token { kind, span });
        self.at += length;
    }

    fn step(&mut self) -> Result<(), Box<Problem>> {
        let rest = self.text.get(self.at..).unwrap_or("");
        let bytes = rest.as_bytes();
        let (Some(&first), second) = (bytes.first(), bytes.get(1).copied()) else { return Ok(()) };
        match first {
            b' ' | b'\t' | b'\r' => self.at += 1,
            b'\\' if rest.starts_with("\\\n") => self.at += 2,
            b'\\' if rest.starts_with("\\\r\n") => self.at += 3,
            b'#' => self.at += rest.find('\n').unwrap_or(rest.len()),
            b'"' => return self.quoted(rest),
            _ => match word(rest) {
                Some((kind, length)) => self.emit(kind, length),
                None => match punctuation(first, second) {
                    Some((kind, length)) => self.emit(kind, length),
                    None => return Err(self.stray(rest)),
                },
            },
        }
        Ok(())
    }

    fn quoted(&mut self, rest: &str) -> Result<(), Box<Problem>> {
        let contents = rest.get(1..).unwrap_or("");
        let Some(length) = contents.find('"') else {
            return Err(problem(self.span(self.at, self.at + 1), "this string has no closing quote"));
        };
        self.at += 1;
        self.emit(Kind::Quoted, length);
        self.at += 1;
        Ok(())
    }

    fn stray(&self, rest: &str) -> Box<Problem> {
        let length = rest.chars().next().map_or(1, char::len_utf8);
        problem(self.span(self.at, self.at + length), "this character means nothing in nft's language")
    }
}

fn punctuation(first: u8, second: Option<u8>) -> Option<(Kind, usize)> {
    let pair = match (first, second) {
        (b'=', Some(b'=')) => Some(Kind::Equal),
        (b'!', Some(b'=')) => Some(Kind::NotEqual),
        (b'<', Some(b'=')) => Some(Kind::LessEqual),
        (b'>', Some(b'=')) => Some(Kind::GreaterEqual),
        (b'<', Some(b'<')) => Some(Kind::ShiftLeft),
        (b'>', Some(b'>')) => Some(Kind::ShiftRight),
        _ => None,
    };
    if let Some(kind) = pair {
        return Some((kind, 2));
    }
    let kind = match first {
        b'\n' => Kind::Newline,
        b';' => Kind::Semicolon,
        b'{' => Kind::LeftBrace,
        b'}' => Kind::RightBrace,
        b'(' => Kind::LeftParen,
        b')' => Kind::RightParen,
        b'[' => Kind::LeftBracket,
        b']' => Kind::RightBracket,
        b',' => Kind::Comma,
        b'.' => Kind::Dot,
        b':' => Kind::Colon,
        b'/' => Kind::Slash,
        b'-' => Kind::Dash,
        b'+' => Kind::Plus,
        b'*' => Kind::Star,
        b'=' => Kind::Assign,
        b'!' => Kind::Not,
        b'<' => Kind::Less,
        b'>' => Kind::Greater,
        b'&' => Kind::And,
        b'|' => Kind::Or,
        b'^' => Kind::Xor,
        b'@' => Kind::At,
        b'$' => Kind::Dollar,
        _ => return None,
    };
    Some((kind, 1))
}

/// The longest word at the start of `rest`.
fn word(rest: &str) -> Option<(Kind, usize)> {
    let candidates = [
        (Kind::Address, address6_or_mac(rest)),
        (Kind::Address, address4(rest)),
        (Kind::Time, time(rest)),
        (Kind::Number, number(rest)),
        (Kind::Name, name(rest)),
    ];
    // `max_by_key` returns the last of equals; the order above is by rising priority.
    let (kind, length) = candidates.into_iter().max_by_key(|(_, length)| *length)?;
    if length == 0 {
        return None;
    }
    if kind == Kind::Name && rest.as_bytes().get(length) == Some(&b'*') {
        return Some((Kind::Wildcard, length + 1));
    }
    Some((kind, length))
}

fn run(text: &str, belongs: impl Fn(u8) -> bool) -> usize {
    text.bytes().take_while(|b| belongs(*b)).count()
}

fn name(text: &str) -> usize {
    match text.bytes().next() {
        Some(b) if b.is_ascii_alphabetic() || b == b'_' => {
            run(text, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/'))
        }
        _ => 0,
    }
}

fn number(text: &str) -> usize {
    if let Some(digits) = text.strip_prefix("0x") {
        let length = run(digits, |b| b.is_ascii_hexdigit());
        if length > 0 {
            return length + 2;
        }
    }
    run(text, |b| b.is_ascii_digit())
}

/// Units in falling order, each at most once: `1d2h3m4s5ms`.
fn time(text: &str) -> usize {
    let mut at = 0;
    for unit in ["d", "h", "m", "s", "ms"] {
        let rest = text.get(at..).unwrap_or("");
        let digits = run(rest, |b| b.is_ascii_digit());
        let suffix = rest.get(digits..).unwrap_or("");
        let taken = run(suffix, |b| b.is_ascii_alphabetic());
        let is_unit = suffix.starts_with(unit) && (unit != "m" || !suffix.starts_with("ms") || taken != 2);
        // `10mbytes` is a number and a word, not ten minutes and `bytes`.
        let whole = taken == unit.len() || suffix.as_bytes().get(unit.len()).is_some_and(u8::is_ascii_digit);
        if digits > 0 && is_unit && whole {
            at += digits + unit.len();
        }
    }
    at
}

fn address4(text: &str) -> usize {
    let mut at = 0;
    for part in 0..4 {
        if part > 0 {
            if text.as_bytes().get(at) != Some(&b'.') {
                return 0;
            }
            at += 1;
        }
        let digits = run(text.get(at..).unwrap_or(""), |b| b.is_ascii_digit());
        if !(1..=3).contains(&digits) {
            return 0;
        }
        at += digits;
    }
    at
}

fn address6_or_mac(text: &str) -> usize {
    const LONGEST: usize = 45;
    let length = run(text, |b| b.is_ascii_hexdigit() || b == b':' || b == b'.').min(LONGEST);
    let candidate = text.get(..length).unwrap_or("");
    if candidate.bytes().filter(|b| *b == b':').count() < 2 {
        return 0;
    }
    (2..=length)
        .rev()
        .find(|end| candidate.get(..*end).is_some_and(|t| t.parse::<Ipv6Addr>().is_ok() || mac(t).is_some()))
        .unwrap_or(0)
}

/// The number of a MAC address: six groups of one or two hexadecimal digits.
pub(crate) fn mac(text: &str) -> Option<u128> {
    let mut value = 0;
    let mut groups = 0;
    for group in text.split(':') {
        if !(1..=2).contains(&group.len()) {
            return None;
        }
        value = value << 8 | u128::from(u8::from_str_radix(group, 16).ok()?);
        groups += 1;
    }
    (groups == 6).then_some(value)
}

#[cfg(test)]
mod tests;
