//! The grammar of FTP: lines with their Telnet commands, commands, replies, announced endpoints.

use super::notation;
use crate::number::{decimal, port};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Range;
use pinhole_helper::{Field, Refusal};

/// Longest line that is understood, in bytes with its line end (RFC 959 sets no limit; the usual servers take 512 or less).
pub const LINE_LIMIT: usize = 512;

/// Telnet command codes (RFC 854).
mod telnet {
    pub(super) const SE: u8 = 240;
    pub(super) const SB: u8 = 250;
    pub(super) const WILL: u8 = 251;
    pub(super) const DONT: u8 = 254;
    pub(super) const IAC: u8 = 255;
}

/// One line without its line end and without Telnet commands.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// What is left.
    pub(super) text: Cow<'a, [u8]>,
    /// Raw bytes of the whole line, line end included.
    pub(super) length: usize,
    /// The line is longer than [`LINE_LIMIT`]; this is its beginning.
    pub(super) truncated: bool,
    /// Raw position of each byte of `text`, if any byte was removed.
    positions: Option<Vec<u16>>,
    /// Raw length without the line end.
    content: usize,
}

impl<'a> Line<'a> {
    /// The first line of `bytes`; `None` if it is not complete yet.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..LINE_LIMIT).unwrap_or(bytes);
        let stop = head.iter().position(|&b| b == b'\n' || b == telnet::IAC);
        match stop.and_then(|at| head.get(at)) {
            Some(&telnet::IAC) => return Self::with_telnet(head),
            Some(_) => {}
            None if head.len() < LINE_LIMIT => return None,
            None => {}
        }
        let end = stop.unwrap_or(head.len());
        let content = head.get(..end).unwrap_or_default();
        let text = content.strip_suffix(b"\r").unwrap_or(content);
        Some(Self {
            text: Cow::Borrowed(text),
            length: stop.map_or(end, |at| at + 1),
            truncated: stop.is_none(),
            positions: None,
            content: text.len(),
        })
    }

    /// As [`Self::first`], for a line that holds Telnet commands. An LF inside a command does not end the line.
    fn with_telnet(head: &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        let mut positions = Vec::new();
        let mut at = 0;
        let mut ended = false;
        while let Some(&byte) = head.get(at) {
            let second = head.get(at + 1).copied();
            let step = match (byte, second) {
                (b'\n', _) => {
                    ended = true;
                    break;
                }
                (telnet::IAC, None) => break,
                (telnet::IAC, Some(telnet::SB)) => {
                    let rest = head.get(at..).unwrap_or_default();
                    match rest.windows(2).position(|pair| pair == [telnet::IAC, telnet::SE]) {
                        Some(end) => end + 2,
                        None => break,
                    }
                }
                (telnet::IAC, Some(telnet::WILL..=telnet::DONT)) => 3,
                (telnet::IAC, Some(second)) if second != telnet::IAC => 2,
                (_, second) => {
                    text.push(byte);
                    // Below LINE_LIMIT.
                    positions.push(at as u16);
                    if byte == telnet::IAC && second == Some(telnet::IAC) { 2 } else { 1 }
                }
            };
            at += step;
        }
        if !ended && head.len() < LINE_LIMIT {
            return None;
        }
        let at = at.min(head.len());
        if text.last() == Some(&b'\r') {
            text.pop();
            positions.pop();
        }
        let content = if ended && head.get(at.wrapping_sub(1)) == Some(&b'\r') { at - 1 } else { at };
        let length = if ended { at + 1 } else { head.len() };
        Some(Self { text: Cow::Owned(text), length, truncated: !ended, positions: Some(positions), content })
    }

    /// The raw bytes of the whole line, without its line end.
    pub(super) fn raw(&self) -> Range<usize> {
        0..self.content
    }

    /// The raw bytes that hold a range of `text`.
    pub(super) fn raw_range(&self, range: &Range<usize>) -> Range<usize> {
        let Some(positions) = &self.positions else { return range.clone() };
        let at = |index: usize| positions.get(index).map_or(self.content, |&at| usize::from(at));
        at(range.start)..if range.end > range.start { at(range.end - 1) + 1 } else { at(range.start) }
    }
}

/// Splits a command line into its verb and the position of its argument. The verb starts the line and ends at a blank.
pub(super) fn command(text: &[u8]) -> (&[u8], usize) {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let end = text.iter().position(blank).unwrap_or(text.len());
    let (verb, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let blanks = rest.iter().take_while(|b| blank(b)).count();
    (verb, end + blanks)
}

/// Whether the beginning of a command line may hold a part of an endpoint.
pub(super) fn may_announce_active(beginning: &[u8]) -> bool {
    let (plain, has_telnet) = before_telnet(beginning);
    let (verb, argument) = command(plain);
    // A Telnet command may stand anywhere, also in a verb.
    has_telnet
        || (argument < plain.len()
            && [&b"PORT"[..], b"EPRT", b"LPRT"].iter().any(|name| name.eq_ignore_ascii_case(verb)))
}

/// As [`may_announce_active`], for reply lines: 227, 228 and 229.
pub(super) fn may_announce_passive(beginning: &[u8]) -> bool {
    let (plain, has_telnet) = before_telnet(beginning);
    has_telnet || (plain.len() > 4 && matches!(plain.first_chunk(), Some(b"227" | b"228" | b"229")))
}

/// The text before the first Telnet command, and whether there is one.
fn before_telnet(beginning: &[u8]) -> (&[u8], bool) {
    let end = beginning.iter().position(|&byte| byte == telnet::IAC).unwrap_or(beginning.len());
    (beginning.get(..end).unwrap_or_default(), end < beginning.len())
}

/// Whether a verb is one of FTP's (IANA "FTP Commands and Extensions", RFC 5797, and a few that clients open with).
pub(super) fn is_verb(verb: &[u8]) -> bool {
    const VERBS: [&[u8]; 62] = [
        b"ABOR", b"ACCT", b"ADAT", b"ALGS", b"ALLO", b"APPE", b"AUTH", b"AVBL", b"CCC", b"CDUP", b"CLNT",
        b"CONF", b"CSID", b"CWD", b"DELE", b"DSIZ", b"ENC", b"EPRT", b"EPSV", b"FEAT", b"HELP", b"HOST",
        b"LANG", b"LIST", b"LPRT", b"LPSV", b"MDTM", b"MFCT", b"MFMT", b"MIC", b"MKD", b"MLSD", b"MLST",
        b"MODE", b"NLST", b"NOOP", b"OPTS", b"PASS", b"PASV", b"PBSZ", b"PORT", b"PROT", b"PWD", b"QUIT",
        b"REIN", b"REST", b"RETR", b"RMD", b"RNFR", b"RNTO", b"SITE", b"SIZE", b"SMNT", b"STAT", b"STOR",
        b"STOU", b"STRU", b"SYST", b"TYPE", b"USER", b"XCWD", b"XPWD",
    ];
    VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb))
}

/// The code of a reply line and whether more lines follow (`nnn-`), RFC 959 §4.2.
pub(super) fn reply(text: &[u8]) -> Option<(u16, bool)> {
    let (code, rest) = text.split_first_chunk::<3>()?;
    let value = u16::try_from(decimal(code)?).ok()?;
    // RFC 2228 adds 6yz, protected replies.
    let follows = rest.first();
    ((100..700).contains(&value) && !follows.is_some_and(u8::is_ascii_digit))
        .then_some((value, follows == Some(&b'-')))
}

/// An address and port as they were announced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Announced {
    /// `None`: the sender's own (229).
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    /// Where they stand in the line's text.
    pub(super) place: Range<usize>,
    pub(super) notation: Field,
}

/// Argument of PORT: `h1,h2,h3,h4,p1,p2` (RFC 959 §4.1.2), nothing after it but blanks.
pub(super) fn port_argument(text: &[u8], start: usize) -> Result<Announced, Refusal> {
    let announced = octets(text, start)?;
    only_blanks(text, announced.place.end)?;
    Ok(announced)
}

/// Text of a 227 reply: six octets wherever the first digit is (RFC 1123 §4.1.2.6).
pub(super) fn passive_reply(text: &[u8]) -> Result<Announced, Refusal> {
    octets(text, first_digit(text)?)
}

/// Argument of LPRT (RFC 1639).
pub(super) fn long_port_argument(text: &[u8], start: usize) -> Result<Announced, Refusal> {
    let announced = long_octets(text, start)?;
    only_blanks(text, announced.place.end)?;
    Ok(announced)
}

/// Text of a 228 reply (RFC 1639).
pub(super) fn long_passive_reply(text: &[u8]) -> Result<Announced, Refusal> {
    long_octets(text, first_digit(text)?)
}

/// Argument of EPRT: `<d>1<d>address<d>port<d>`, `<d>2<d>…` (RFC 2428 §2).
pub(super) fn extended_port_argument(text: &[u8], start: usize) -> Result<Announced, Refusal> {
    let argument = text.get(start..).unwrap_or_default();
    let &delimiter = argument.first().ok_or(Refusal::Malformed)?;
    if !delimiter.is_ascii_graphic() || delimiter.is_ascii_digit() {
        return Err(Refusal::Malformed);
    }
    let mut fields = argument.splitn(5, |&b| b == delimiter).skip(1);
    let (Some(family), Some(address), Some(digits), Some(rest)) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(Refusal::Malformed);
    };
    let end = text.len() - rest.len();
    only_blanks(text, end)?;
    let address = str::from_utf8(address).map_err(|_| Refusal::Malformed)?;
    let address = match decimal(family) {
        Some(1) => address.parse().map(IpAddr::V4),
        Some(2) => address.parse().map(IpAddr::V6),
        Some(_) => return Err(Refusal::AddressFamily),
        None => return Err(Refusal::Malformed),
    };
    Ok(Announced {
        address: Some(address.map_err(|_| Refusal::Malformed)?),
        port: port(digits).ok_or(Refusal::BadNumber)?,
        place: start..end,
        notation: notation::EXTENDED,
    })
}

/// Text of a 229 reply: `(<d><d><d>port<d>)` (RFC 2428 §3).
pub(super) fn extended_passive_reply(text: &[u8]) -> Result<Announced, Refusal> {
    let open = text.iter().position(|&b| b == b'(').ok_or(Refusal::Malformed)?;
    let argument = text.get(open + 1..).unwrap_or_default();
    let (&[first, second, third], rest) = argument.split_first_chunk().ok_or(Refusal::Malformed)?;
    let same = first == second && second == third && first.is_ascii_graphic() && !first.is_ascii_digit();
    let length = rest.iter().position(|&b| b == first).ok_or(Refusal::Malformed)?;
    if !same || rest.get(length + 1) != Some(&b')') {
        return Err(Refusal::Malformed);
    }
    let start = open + 4;
    let digits = rest.get(..length).unwrap_or_default();
    Ok(Announced {
        address: None,
        port: port(digits).ok_or(Refusal::BadNumber)?,
        place: start..start + length,
        notation: notation::PORT,
    })
}

fn octets(text: &[u8], start: usize) -> Result<Announced, Refusal> {
    let ([a, b, c, d, high, low], end) = octet_list(text, start)?;
    Ok(Announced {
        address: Some(Ipv4Addr::new(a, b, c, d).into()),
        port: u16::from_be_bytes([high, low]),
        place: start..end,
        notation: notation::OCTETS,
    })
}

/// `af,hal,h1,…,pal,p1,p2` with af 4 or 6, hal 4 or 16, pal 2.
fn long_octets(text: &[u8], start: usize) -> Result<Announced, Refusal> {
    let family = text.get(start..).and_then(|rest| rest.split(|&b| b == b',').next()).and_then(decimal);
    let (address, port, end) = match family {
        Some(4) => {
            let ([_, hal, a, b, c, d, pal, high, low], end) = octet_list(text, start)?;
            check_lengths((hal, 4), pal)?;
            (IpAddr::from([a, b, c, d]), [high, low], end)
        }
        Some(6) => {
            let (list, end): ([u8; 21], usize) = octet_list(text, start)?;
            let [_, hal, address @ .., pal, high, low] = list;
            check_lengths((hal, 16), pal)?;
            (IpAddr::V6(Ipv6Addr::from(address)), [high, low], end)
        }
        Some(_) => return Err(Refusal::Unsupported),
        None => return Err(Refusal::Malformed),
    };
    Ok(Announced {
        address: Some(address),
        port: u16::from_be_bytes(port),
        place: start..end,
        notation: notation::LONG,
    })
}

fn check_lengths((hal, expected): (u8, u8), pal: u8) -> Result<(), Refusal> {
    if hal == expected && pal == 2 { Ok(()) } else { Err(Refusal::Malformed) }
}

/// Exactly `N` decimal octets separated by commas, and the position after them.
fn octet_list<const N: usize>(text: &[u8], start: usize) -> Result<([u8; N], usize), Refusal> {
    let mut list = [0; N];
    let mut at = start;
    for (index, value) in list.iter_mut().enumerate() {
        if index > 0 {
            if text.get(at) != Some(&b',') {
                return Err(Refusal::Malformed);
            }
            at += 1;
        }
        let rest = text.get(at..).unwrap_or_default();
        let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        if length == 0 {
            return Err(Refusal::Malformed);
        }
        *value = octet(rest.get(..length).unwrap_or_default()).ok_or(Refusal::BadNumber)?;
        at += length;
    }
    if text.get(at) == Some(&b',') { Err(Refusal::Malformed) } else { Ok((list, at)) }
}

/// A decimal octet of one to three digits.
fn octet(digits: &[u8]) -> Option<u8> {
    if digits.len() > 3 {
        return None;
    }
    u8::try_from(decimal(digits)?).ok()
}

/// Position of the first digit after a reply's code.
fn first_digit(text: &[u8]) -> Result<usize, Refusal> {
    let after_code = text.get(4..).unwrap_or_default();
    after_code.iter().position(u8::is_ascii_digit).map(|at| at + 4).ok_or(Refusal::Malformed)
}

fn only_blanks(text: &[u8], start: usize) -> Result<(), Refusal> {
    let rest = text.get(start..).unwrap_or_default();
    if rest.iter().all(|b| matches!(b, b' ' | b'\t')) { Ok(()) } else { Err(Refusal::Malformed) }
}
