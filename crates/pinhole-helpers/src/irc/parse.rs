//! The grammar of IRC messages, CTCP chunks and DCC offers.

use super::notation;
use crate::number::{decimal, port};
use pinhole_helper::{Field, Refusal};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

/// Longest run of message tags, `@` and the blank after them included (IRCv3 message-tags).
const TAGS_LIMIT: usize = 8191;
/// Longest message without its tags, line end included (RFC 2812 §2.3).
pub const MESSAGE_LIMIT: usize = 512;
/// Longest line that is understood.
pub const LINE_LIMIT: usize = TAGS_LIMIT + MESSAGE_LIMIT;

/// What CTCP chunks begin and end with.
const CTCP: u8 = 1;

/// A message without tags and prefix.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) has_prefix: bool,
    pub(super) command: &'a [u8],
    /// Where the parameters begin in the line.
    pub(super) parameters: usize,
    /// Tags or message are longer than they may be.
    pub(super) too_long: bool,
}

/// Splits a line (without its line end): `[@tags ] [:prefix ] command [parameters]`.
pub(super) fn message(line: &[u8]) -> Message<'_> {
    let tags = if line.first() == Some(&b'@') { word_end(line, 0) } else { 0 };
    let start = skip_blanks(line, tags);
    let has_prefix = line.get(start) == Some(&b':');
    let command = if has_prefix { skip_blanks(line, word_end(line, start)) } else { start };
    let end = word_end(line, command);
    Message {
        has_prefix,
        command: line.get(command..end).unwrap_or_default(),
        parameters: skip_blanks(line, end),
        // Two bytes are left for CR and LF.
        too_long: start > TAGS_LIMIT || line.len() - start > MESSAGE_LIMIT - 2,
    }
}

/// Whether the beginning of a line may hold a part of an offer: the text of a message in which a CTCP chunk begins.
pub(super) fn may_offer(beginning: &[u8]) -> bool {
    let message = message(beginning);
    let text = beginning.get(message.parameters..).unwrap_or_default();
    (message.is(b"PRIVMSG") || message.is(b"NOTICE")) && text.contains(&CTCP)
}

impl Message<'_> {
    /// Whether the command is this one.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        self.command.eq_ignore_ascii_case(name)
    }

    /// Whether the command is one of IRC's, or a numeric (RFC 1459, 2812, IRCv3 and the usual servers).
    pub(super) fn is_known(&self) -> bool {
        const COMMANDS: [&[u8]; 66] = [
            b"ACCOUNT",
            b"ADMIN",
            b"AUTHENTICATE",
            b"AWAY",
            b"BATCH",
            b"CAP",
            b"CHGHOST",
            b"CONNECT",
            b"DIE",
            b"ERROR",
            b"FAIL",
            b"INFO",
            b"INVITE",
            b"ISON",
            b"JOIN",
            b"KICK",
            b"KILL",
            b"KNOCK",
            b"LINKS",
            b"LIST",
            b"LUSERS",
            b"METADATA",
            b"MODE",
            b"MONITOR",
            b"MOTD",
            b"NAMES",
            b"NICK",
            b"NOTE",
            b"NOTICE",
            b"OPER",
            b"PART",
            b"PASS",
            b"PING",
            b"PONG",
            b"PRIVMSG",
            b"PROTOCTL",
            b"QUIT",
            b"REHASH",
            b"RENAME",
            b"RESTART",
            b"SERVER",
            b"SERVICE",
            b"SERVLIST",
            b"SETNAME",
            b"SQUERY",
            b"SQUIT",
            b"STARTTLS",
            b"STATS",
            b"SUMMON",
            b"TAGMSG",
            b"TIME",
            b"TOPIC",
            b"TRACE",
            b"USER",
            b"USERHOST",
            b"USERIP",
            b"USERS",
            b"VERSION",
            b"WALLOPS",
            b"WARN",
            b"WATCH",
            b"WEBIRC",
            b"WHO",
            b"WHOIS",
            b"WHOWAS",
            b"XINFO",
        ];
        self.is_numeric() || COMMANDS.iter().any(|name| self.is(name))
    }

    /// Whether the command is a three-digit reply.
    pub(super) fn is_numeric(&self) -> bool {
        self.command.len() == 3 && self.command.iter().all(u8::is_ascii_digit)
    }

    /// Whether a server sends this message rather than a client; `None`: both do.
    pub(super) fn is_servers(&self) -> Option<bool> {
        if self.is(b"PING") && !self.has_prefix {
            return None;
        }
        Some(self.has_prefix || self.is_numeric() || self.is(b"NOTICE") || self.is(b"ERROR"))
    }
}

/// Target and text of a PRIVMSG or NOTICE: `target :text`, with the text's place in the line.
pub(super) fn target_and_text(line: &[u8], parameters: usize) -> Option<(&[u8], Range<usize>)> {
    let end = word_end(line, parameters);
    let colon = skip_blanks(line, end);
    let text = (line.get(colon) == Some(&b':')).then_some(colon + 1..line.len())?;
    Some((line.get(parameters..end)?, text))
}

/// Whether a target list names a channel (RFC 2811 §2.1; `$` is a mask of servers).
pub(super) fn names_channel(targets: &[u8]) -> bool {
    targets
        .split(|&b| b == b',')
        .any(|target| matches!(target.first(), Some(b'#' | b'&' | b'+' | b'!' | b'$')))
}

/// The places of the CTCP chunks in a text, without their delimiters.
pub(super) fn chunks(line: &[u8], text: Range<usize>) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = text.start;
    std::iter::from_fn(move || {
        let delimiter = |from: usize| {
            let rest = line.get(from..text.end)?;
            rest.iter().position(|&b| b == CTCP).map(|length| from + length)
        };
        let start = delimiter(at)? + 1;
        let end = delimiter(start).unwrap_or(text.end);
        at = (end + 1).min(text.end);
        Some(start..end)
    })
}

/// Where the parts of a DCC offer stand: `DCC verb argument address port [size [token]]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    address: Range<usize>,
    port: Range<usize>,
    has_token: bool,
}

/// An offered address and port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    /// Where both stand in the line.
    pub(super) place: Range<usize>,
    pub(super) notation: Field,
}

/// Reads an offer. `None`: this is not DCC, or a verb that offers nothing.
pub(super) fn offer(line: &[u8], chunk: Range<usize>) -> Option<Result<Offer, Refusal>> {
    let bytes = line.get(..chunk.end)?;
    let dcc = chunk.start..word_end(bytes, chunk.start);
    let verb = skip_blanks(bytes, dcc.end);
    let verb = verb..word_end(bytes, verb);
    let is = |place: &Range<usize>, name: &[u8]| {
        bytes.get(place.clone()).is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    // The token follows the size in offers of files, the port in others.
    let before_token =
        [(&b"SEND"[..], 1), (b"TSEND", 1), (b"MOVE", 1), (b"XMIT", 1), (b"CHAT", 0), (b"SCHAT", 0)]
            .iter()
            .find(|(name, _)| is(&verb, name))?
            .1;
    if !is(&dcc, b"DCC") {
        return None;
    }
    let argument = skip_blanks(bytes, verb.end);
    let Some(argument_end) = argument_end(bytes, argument) else { return Some(Err(Refusal::Malformed)) };
    let mut words = words(bytes, argument_end);
    let (Some(address), Some(port)) = (words.next(), words.next()) else {
        return Some(Err(Refusal::Malformed));
    };
    Some(Ok(Offer { address, port, has_token: words.nth(before_token).is_some() }))
}

impl Offer {
    /// Understands address and port.
    pub(super) fn read(&self, line: &[u8]) -> Result<Offered, Refusal> {
        let digits = line.get(self.port.clone()).unwrap_or_default();
        let port = port(digits).ok_or(Refusal::BadNumber)?;
        if port == 0 && self.has_token {
            return Err(Refusal::ReverseOffer);
        }
        let (address, notation) = self.address(line)?;
        Ok(Offered { address, port, place: self.address.start..self.port.end, notation })
    }

    /// Whether the address is one, whatever the rest.
    pub(super) fn has_address(&self, line: &[u8]) -> bool {
        self.address(line).is_ok()
    }

    fn address(&self, line: &[u8]) -> Result<(IpAddr, Field), Refusal> {
        let text = line.get(self.address.clone()).unwrap_or_default();
        if text.iter().all(u8::is_ascii_digit) {
            let number = decimal(text).ok_or(Refusal::BadNumber)?;
            return Ok((Ipv4Addr::from_bits(number).into(), notation::DECIMAL));
        }
        let address = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        Ok((address.ok_or(Refusal::Malformed)?, notation::TEXT))
    }
}

/// End of a file name or other argument, which may stand in double quotes.
fn argument_end(bytes: &[u8], start: usize) -> Option<usize> {
    if bytes.get(start) != Some(&b'"') {
        return (start < bytes.len()).then(|| word_end(bytes, start));
    }
    let quoted = bytes.get(start + 1..)?;
    quoted.iter().position(|&b| b == b'"').map(|length| start + length + 2)
}

fn words(bytes: &[u8], mut at: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    std::iter::from_fn(move || {
        let start = skip_blanks(bytes, at);
        at = word_end(bytes, start);
        (start < at).then_some(start..at)
    })
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    rest.iter().position(|&b| b == b' ').map_or(bytes.len(), |length| start + length)
}

fn skip_blanks(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|&&b| b == b' ').count()
}
