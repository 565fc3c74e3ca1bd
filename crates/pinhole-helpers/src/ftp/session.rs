//! The dialogue: which side is the client, which commands await an answer, which directions are encrypted.

use super::outstanding::{Command, Outstanding};
use super::parse::{self, Announced, LINE_LIMIT, Line};
use crate::endpoint::{admit_address, admit_port};
use crate::opening::{TLS_RECORD_TYPES, foreign_byte, foreign_line};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;
use pinhole_helper::{
    AddressMatch, BlindReason, Condition, Context, Expect, Handle, Progress, Refusal, Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};

/// Client lines that are no commands, after which the session gives up.
const ERROR_LIMIT: u8 = 32;
/// Lines of a side that may pass unrecognised after a pick-up in mid-stream or a gap (the rest of a multi-line reply).
const DOUBT_LIMIT: u8 = 32;
/// Longest TLS record: 2^14 bytes and what protection may add (RFC 5246 §6.2.3).
const TLS_RECORD_LIMIT: u16 = (1 << 14) + 2048;

/// One FTP control conn.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FtpSession {
    /// Direction of the commands; `None` until a picked-up conn has shown it.
    client: Option<Direction>,
    sides: [Side; 2],
    outstanding: Outstanding,
    /// Code of the multi-line reply that is under way.
    multi_line: Option<u16>,
    /// `EPSV ALL` was sent (RFC 2428 §4).
    extended_only: bool,
    errors: u8,
}

/// Reading state of one direction.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Side {
    mode: Mode,
    /// A line of this side was recognised.
    opened: bool,
    /// Lines that may pass unrecognised before one is, because the beginning was not seen.
    doubt: u8,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
enum Mode {
    #[default]
    Text,
    /// The rest of a line that is not understood.
    Skip,
    /// TLS records: bytes left of the current one, and whether there was one at all.
    Tls { left: u16, begun: bool },
}

/// What became of the next bytes.
enum Step {
    Took(usize),
    Wait,
    Blind(BlindReason),
}

impl Default for FtpSession {
    fn default() -> Self {
        Self {
            client: Some(Direction::Original),
            sides: Default::default(),
            outstanding: Outstanding::default(),
            multi_line: None,
            extended_only: false,
            errors: 0,
        }
    }
}

impl Session for FtpSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let step = match self.sides[from.index()].mode {
                Mode::Text => self.text(cx, from, at, rest),
                Mode::Skip => self.skip(from, rest),
                Mode::Tls { left, begun } => self.tls(cx, from, rest, left, begun),
            };
            match step {
                Step::Took(count) => at += count,
                Step::Wait => break,
                Step::Blind(reason) => return Progress::Blind(reason),
            }
        }
        Progress::Consumed(at)
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        LINE_LIMIT
    }

    fn pick_up(&mut self, from: Direction) -> bool {
        if !self.sides.iter().any(|side| side.opened) {
            self.client = None;
        }
        self.sides[from.index()].doubt = DOUBT_LIMIT;
        true
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        if matches!(self.sides[from.index()].mode, Mode::Tls { .. }) {
            return false;
        }
        self.sides[from.index()] = Side { doubt: DOUBT_LIMIT, ..Side::default() };
        // Most clients wait for each answer. One that speaks has had all of them; one that is answered waits for the last.
        if self.client == Some(from) {
            self.outstanding.clear();
        } else {
            self.multi_line = None;
            self.outstanding.keep_last();
        }
        true
    }

    fn may_announce(&self, from: Direction, unread: &[u8]) -> bool {
        let is_text = matches!(self.sides[from.index()].mode, Mode::Text);
        let (may_command, may_reply) = (self.client != Some(from.opposite()), self.client != Some(from));
        is_text
            && ((may_command && parse::may_announce_active(unread))
                || (may_reply && parse::may_announce_passive(unread)))
    }

    fn memory(&self) -> usize {
        self.outstanding.memory()
    }
}

impl FtpSession {
    /// Reads one line.
    fn text(&mut self, cx: &mut Context<'_>, from: Direction, at: usize, rest: &[u8]) -> Step {
        let opened = self.sides[from.index()].opened;
        if let Some(reason) = rest.first().and_then(|&first| foreign_byte(first))
            && (!opened || reason == BlindReason::Encrypted)
        {
            return Step::Blind(reason);
        }
        let Some(line) = Line::first(rest) else { return Step::Wait };
        if line.truncated {
            self.sides[from.index()].mode = Mode::Skip;
        }
        let length = line.length;
        if !opened {
            match self.open(from, &line) {
                Opening::Recognised => {}
                Opening::Ignored => return Step::Took(length),
                Opening::Foreign => return Step::Blind(BlindReason::NotThisProtocol),
            }
        }
        let place = Place { from, at, line: &line };
        let end = if self.client == Some(from) { self.command(cx, place) } else { self.reply(cx, place) };
        end.map_or(Step::Took(length), Step::Blind)
    }

    /// Judges the first line of a side.
    fn open(&mut self, from: Direction, line: &Line<'_>) -> Opening {
        let text = &*line.text;
        let is_reply = parse::reply(text).is_some();
        let is_command = parse::is_verb(parse::command(text).0);
        let client = match self.client {
            None if is_reply => Some(from.opposite()),
            None if is_command => Some(from),
            known => known,
        };
        let recognised = if client == Some(from) { is_command } else { client.is_some() && is_reply };
        let side = &mut self.sides[from.index()];
        if recognised {
            side.opened = true;
            self.client = client;
            return Opening::Recognised;
        }
        // Blank lines before the first command are Telnet's, not another protocol's.
        if text.is_empty() && !line.truncated {
            return Opening::Ignored;
        }
        if side.doubt > 0 && !foreign_line(text) {
            side.doubt -= 1;
            return Opening::Ignored;
        }
        Opening::Foreign
    }

    /// Reads on to the end of a line that is not understood.
    fn skip(&mut self, from: Direction, rest: &[u8]) -> Step {
        match rest.iter().position(|&b| b == b'\n') {
            Some(end) => {
                self.sides[from.index()].mode = Mode::Text;
                Step::Took(end + 1)
            }
            None => Step::Took(rest.len()),
        }
    }

    /// Follows TLS record headers (RFC 8446 §5.1: type, version, length) until plain text resumes after CCC (RFC 4217 §5).
    fn tls(&mut self, cx: &mut Context<'_>, from: Direction, rest: &[u8], left: u16, begun: bool) -> Step {
        if left > 0 {
            let count = rest.len().min(usize::from(left));
            // `count` is at most `left`.
            self.sides[from.index()].mode = Mode::Tls { left: left - count as u16, begun };
            return Step::Took(count);
        }
        let first = rest.first().copied().unwrap_or_default();
        if TLS_RECORD_TYPES.contains(&first) {
            let Some(&[_, major, minor, high, low]) = rest.first_chunk() else { return Step::Wait };
            let left = u16::from_be_bytes([high, low]);
            if major != 3 || minor > 4 || left > TLS_RECORD_LIMIT {
                return Step::Blind(BlindReason::Encrypted);
            }
            self.sides[from.index()].mode = Mode::Tls { left, begun: true };
            return Step::Took(5);
        }
        let is_text =
            if self.client == Some(from) { first.is_ascii_alphabetic() } else { first.is_ascii_digit() };
        if !begun || !is_text {
            return Step::Blind(BlindReason::Encrypted);
        }
        self.sides[from.index()] = Side::default();
        if !self.sides.iter().any(|side| matches!(side.mode, Mode::Tls { .. })) {
            cx.condition(Condition::Reading);
        }
        Step::Took(0)
    }

    /// One command line.
    fn command(&mut self, cx: &mut Context<'_>, place: Place<'_>) -> Option<BlindReason> {
        let text = &*place.line.text;
        let (verb, argument) = parse::command(text);
        if text.is_empty() {
            return None;
        }
        if !verb.iter().all(u8::is_ascii_alphabetic) {
            self.errors = self.errors.saturating_add(1);
            if self.errors > ERROR_LIMIT {
                return Some(BlindReason::TooManyErrors);
            }
        }
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        let argument_is = |name: &[u8]| {
            text.get(argument..).unwrap_or_default().trim_ascii_end().eq_ignore_ascii_case(name)
        };
        let command = if is(b"PORT") {
            self.active(cx, place, parse::port_argument(text, argument))
        } else if is(b"EPRT") {
            self.active(cx, place, parse::extended_port_argument(text, argument))
        } else if is(b"LPRT") {
            self.active(cx, place, parse::long_port_argument(text, argument))
        } else if is(b"PASV") {
            self.passive(cx, place, 227)
        } else if is(b"LPSV") {
            self.passive(cx, place, 228)
        } else if is(b"EPSV") && argument_is(b"ALL") {
            self.extended_only = true;
            Command::ExtendedOnly
        } else if is(b"EPSV") {
            Command::Passive(229)
        } else if is(b"AUTH") {
            let tls = [&b"TLS"[..], b"TLS-C", b"TLS-P", b"SSL"].iter().any(|name| argument_is(name));
            Command::Auth { tls }
        } else if is(b"ABOR") {
            Command::Abort
        } else {
            Command::Others(1)
        };
        self.outstanding.push(command);
        None
    }

    /// PORT, EPRT or LPRT: an expectation that its reply confirms or cancels, and that waits for it if the policy says so.
    fn active(
        &mut self,
        cx: &mut Context<'_>,
        place: Place<'_>,
        announced: Result<Announced, Refusal>,
    ) -> Command {
        let announced = match announced {
            _ if self.extended_only => Err(Refusal::OutOfSequence),
            _ if place.line.truncated => Err(Refusal::Malformed),
            Ok(_) if self.outstanding.is_full() => Err(Refusal::Limit),
            other => other,
        };
        let active = !cx.policy.wait_for_answer;
        match announced.and_then(|announced| place.expect(cx, &announced, active)) {
            Ok(handle) => Command::Active(handle),
            Err(refusal) => {
                cx.refuse(refusal, place.span(cx));
                Command::Others(1)
            }
        }
    }

    /// PASV or LPSV, which EPSV ALL forbids.
    fn passive(&mut self, cx: &mut Context<'_>, place: Place<'_>, code: u16) -> Command {
        if self.extended_only {
            cx.refuse(Refusal::OutOfSequence, place.span(cx));
            return Command::Others(1);
        }
        Command::Passive(code)
    }

    /// One reply line (RFC 959 §4.2): inside a multi-line reply only its last line counts.
    fn reply(&mut self, cx: &mut Context<'_>, place: Place<'_>) -> Option<BlindReason> {
        let (code, more) = parse::reply(&place.line.text)?;
        match self.multi_line {
            Some(under_way) if code != under_way || more => return None,
            None if more => {
                self.multi_line = Some(code);
                return None;
            }
            _ => self.multi_line = None,
        }
        if code < 200 {
            return None;
        }
        let positive = code < 300;
        match self.outstanding.answer(code) {
            Some(Command::Passive(granted)) if granted == code => self.granted(cx, place, code),
            Some(Command::Active(handle)) if positive => cx.activate(handle),
            Some(Command::Active(handle)) => cx.cancel(handle),
            Some(Command::Auth { tls: true }) if code == 234 => self.encrypt(cx),
            Some(Command::Auth { .. }) if code == 234 => return Some(BlindReason::Encrypted),
            Some(Command::ExtendedOnly) => self.extended_only = positive,
            _ if code == 235 => return Some(BlindReason::Encrypted),
            _ if (227..=229).contains(&code) => cx.refuse(Refusal::Unsolicited, place.span(cx)),
            _ => {}
        }
        None
    }

    /// A reply that grants a passive command.
    fn granted(&mut self, cx: &mut Context<'_>, place: Place<'_>, code: u16) {
        let text = &*place.line.text;
        let announced = match code {
            _ if place.line.truncated || text.get(3) != Some(&b' ') => Err(Refusal::Malformed),
            227 => parse::passive_reply(text),
            228 => parse::long_passive_reply(text),
            _ => parse::extended_passive_reply(text),
        };
        if let Err(refusal) = announced.and_then(|announced| place.expect(cx, &announced, true)) {
            cx.refuse(refusal, place.span(cx));
        }
    }

    /// AUTH was granted: TLS records follow in both directions.
    fn encrypt(&mut self, cx: &mut Context<'_>) {
        self.outstanding.clear();
        for side in &mut self.sides {
            side.mode = Mode::Tls { left: 0, begun: false };
        }
        cx.condition(Condition::Encrypted);
    }
}

/// What the first line of a side says.
enum Opening {
    Recognised,
    Ignored,
    Foreign,
}

/// A line where it stands in the bytes being read.
#[derive(Clone, Copy)]
struct Place<'a> {
    from: Direction,
    at: usize,
    line: &'a Line<'a>,
}

impl Place<'_> {
    /// The whole line without its line end.
    fn span(self, cx: &Context<'_>) -> Span {
        self.raw(cx, &self.line.raw())
    }

    fn raw(self, cx: &Context<'_>, range: &Range<usize>) -> Span {
        cx.span(self.at + range.start, self.at + range.end)
    }

    /// Asks for the expectation of an announced endpoint, if the sender may announce it.
    fn expect(self, cx: &mut Context<'_>, announced: &Announced, active: bool) -> Result<Handle, Refusal> {
        let (master, from) = (cx.master, self.from);
        let own = master.sender(from).ip();
        let destination = admit_address(announced.address.unwrap_or(own), from, master, cx.policy)?;
        admit_port(announced.port, cx.policy)?;
        let handle = cx.expect(Expect {
            active,
            ..Expect::to(
                Protocol::TCP,
                AddressMatch::Exact(master.sender(from.opposite()).ip()),
                SocketAddr::new(destination, announced.port),
                self.span(cx),
            )
        });
        cx.locate(handle, self.raw(cx, &self.line.raw_range(&announced.place)), announced.notation);
        Ok(handle)
    }
}
