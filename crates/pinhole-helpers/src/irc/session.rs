//! The dialogue: which side is the client, lines, and what their offers ask for.

use super::parse::{self, LINE_LIMIT, Message, Offered};
use crate::endpoint::{admit_address, admit_port};
use crate::opening::{foreign_byte, foreign_line};
use pinhole_helper::{
    AddressMatch, BlindReason, Context, Expect, Handle, Progress, Refusal, Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::ops::Range;

/// Client lines that are no messages, after which the session gives up.
const ERROR_LIMIT: u8 = 32;

/// One IRC conn.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IrcSession {
    /// Direction of the client; `None` until a picked-up conn has shown it.
    client: Option<Direction>,
    sides: [Side; 2],
    /// STARTTLS awaits its answer.
    start_tls: bool,
    errors: u8,
}

/// Reading state of one direction.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Side {
    /// The rest of a line is not understood.
    skipping: bool,
    /// A line of this side was recognised.
    opened: bool,
    /// The first line may be the end of one whose beginning was not seen.
    doubt: bool,
}

impl Default for IrcSession {
    fn default() -> Self {
        Self { client: Some(Direction::Original), sides: Default::default(), start_tls: false, errors: 0 }
    }
}

impl Session for IrcSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let end = rest.iter().position(|&b| b == b'\n');
            let side = &mut self.sides[from.index()];
            if side.skipping {
                side.skipping = end.is_none();
                at += end.map_or(rest.len(), |end| end + 1);
                continue;
            }
            if let Some(reason) = rest.first().and_then(|&first| foreign_byte(first))
                && (!side.opened || reason == BlindReason::Encrypted)
            {
                return Progress::Blind(reason);
            }
            // A line that is too long is judged by its beginning, however much of it is here already.
            let length = match end {
                Some(end) if end < LINE_LIMIT => end + 1,
                _ if rest.len() < LINE_LIMIT => break,
                _ => {
                    side.skipping = true;
                    LINE_LIMIT
                }
            };
            let content = rest.get(..length).unwrap_or_default();
            let content = content.strip_suffix(b"\n").unwrap_or(content);
            let content = content.strip_suffix(b"\r").unwrap_or(content);
            if let Err(reason) = self.line(cx, Line { from, at, bytes: content }) {
                return Progress::Blind(reason);
            }
            at += length;
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
        self.sides[from.index()].doubt = true;
        true
    }

    fn may_announce(&self, from: Direction, unread: &[u8]) -> bool {
        !self.sides[from.index()].skipping && parse::may_offer(unread)
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        self.start_tls = false;
        self.sides[from.index()] = Side { doubt: true, ..Side::default() };
        true
    }
}

impl IrcSession {
    fn line(&mut self, cx: &mut Context<'_>, line: Line<'_>) -> Result<(), BlindReason> {
        if line.bytes.is_empty() {
            return Ok(());
        }
        let message = parse::message(line.bytes);
        if !self.sides[line.from.index()].opened && !self.open(line, &message)? {
            return Ok(());
        }
        if self.client.is_none() {
            let client = |is_servers| if is_servers { line.from.opposite() } else { line.from };
            self.client = message.is_servers().map(client);
        }
        if self.client == Some(line.from) {
            self.start_tls |= message.is(b"STARTTLS");
            self.count_error(&message)?;
        } else if self.start_tls && message.is(b"670") {
            return Err(BlindReason::Encrypted);
        } else if self.start_tls && message.is(b"691") {
            self.start_tls = false;
        }
        if message.is(b"PRIVMSG") || message.is(b"NOTICE") {
            self.offers(cx, line, &message);
        }
        Ok(())
    }

    /// Judges the first line of a side; `Ok(false)`: it is the rest of an unseen one.
    fn open(&mut self, line: Line<'_>, message: &Message<'_>) -> Result<bool, BlindReason> {
        let side = &mut self.sides[line.from.index()];
        let known = message.is_known() && !message.too_long && !foreign_line(line.bytes);
        if known {
            side.opened = true;
            return Ok(true);
        }
        if std::mem::take(&mut side.doubt) && !foreign_line(line.bytes) {
            return Ok(false);
        }
        Err(BlindReason::NotThisProtocol)
    }

    fn count_error(&mut self, message: &Message<'_>) -> Result<(), BlindReason> {
        if !message.command.iter().all(u8::is_ascii_alphanumeric) {
            self.errors = self.errors.saturating_add(1);
        }
        if self.errors > ERROR_LIMIT { Err(BlindReason::TooManyErrors) } else { Ok(()) }
    }

    /// The offers of a PRIVMSG or NOTICE.
    fn offers(&self, cx: &mut Context<'_>, line: Line<'_>, message: &Message<'_>) {
        let Some((targets, text)) = parse::target_and_text(line.bytes, message.parameters) else { return };
        let fixed = if message.too_long {
            Some(Refusal::Malformed)
        } else if parse::names_channel(targets) {
            Some(Refusal::Policy)
        } else {
            None
        };
        for chunk in parse::chunks(line.bytes, text.clone()) {
            let Some(offer) = parse::offer(line.bytes, chunk.clone()) else { continue };
            let offered = offer.and_then(|offer| offer.read(line.bytes));
            let offered = fixed.map_or(offered, Err);
            if let Err(refusal) = offered.and_then(|offered| self.expect(cx, line, &chunk, &offered)) {
                cx.refuse(refusal, line.span(cx, &chunk));
            }
        }
        // An offer in plain text: users write such things, and senders that omit the delimiters open nothing.
        if let Some(Ok(offer)) = parse::offer(line.bytes, text.clone())
            && offer.has_address(line.bytes)
        {
            cx.refuse(Refusal::Malformed, line.span(cx, &text));
        }
    }

    /// Asks for the expectation of an offer, if its sender may make it.
    fn expect(
        &self,
        cx: &mut Context<'_>,
        line: Line<'_>,
        chunk: &Range<usize>,
        offered: &Offered,
    ) -> Result<Handle, Refusal> {
        let (master, from) = (cx.master, line.from);
        admit_port(offered.port, cx.policy)?;
        let destination = admit_address(offered.address, from, master, cx.policy)?;
        let source = if self.client == Some(from) {
            AddressMatch::Any
        } else {
            AddressMatch::Exact(master.sender(from.opposite()).ip())
        };
        let handle = cx.expect(Expect::to(
            Protocol::TCP,
            source,
            SocketAddr::new(destination, offered.port),
            line.span(cx, chunk),
        ));
        cx.locate(handle, line.span(cx, &offered.place), offered.notation);
        Ok(handle)
    }
}

/// A line without its line end, where it stands in the bytes being read.
#[derive(Clone, Copy)]
struct Line<'a> {
    from: Direction,
    at: usize,
    bytes: &'a [u8],
}

impl Line<'_> {
    fn span(self, cx: &Context<'_>, range: &Range<usize>) -> Span {
        cx.span(self.at + range.start, self.at + range.end)
    }
}
