//! One conn, read by a declaration.
//!
//! A message is judged in this order: which one it is (the first of the file that fits); whether what it answers or activates was said;
//! then what it ends, activates and announces takes effect; then it is remembered, if something may belong to it. The first message
//! of a side must be one of those that open a conn, if there are any for that side; otherwise the conn is never read.

use crate::declaration::{
    AddressOf, Declaration, Expected, List, Message, PortOf, Source, Then, UNPRIVILEGED,
};
use crate::framing::{Cut, Framing, Skip};
use crate::outstanding::{Key, Outstanding, Sought};
use crate::template::{Fit, Found};
use pinhole_helper::endpoint::{admit_address, admit_port};
use pinhole_helper::{
    AddressMatch, BlindReason, Context, Expect, Handle, Policy, PortMatch, Progress, Refusal, Session, Span,
};
use pinhole_wire::Direction;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

/// Record types of TLS (RFC 8446 §5.1) and the heartbeat (RFC 6520).
const TLS_RECORD_TYPES: std::ops::RangeInclusive<u8> = 20..=24;

/// One conn.
pub(crate) struct DeclaredSession {
    /// Never changed, and shared by all sessions of the helper: ten thousand copies would take more memory than the sessions.
    declaration: Arc<Declaration>,
    sides: [Side; 2],
    outstanding: Outstanding,
}

/// Reading state of one direction.
#[derive(Debug)]
struct Side {
    /// Its first message has shown that it speaks the protocol, or need not.
    has_opened: bool,
    /// The rest of a message that is not read.
    skip: Option<Skip>,
}

/// A message, and where it stands.
#[derive(Clone, Copy)]
struct Said<'a> {
    from: Direction,
    /// Where it begins in the bytes being read.
    at: usize,
    bytes: &'a [u8],
}

impl Said<'_> {
    fn span(self, cx: &Context<'_>, range: &Range<usize>) -> Span {
        cx.span(self.at + range.start, self.at + range.end)
    }

    fn whole(self, cx: &Context<'_>) -> Span {
        self.span(cx, &(0..self.bytes.len()))
    }

    fn text(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

impl DeclaredSession {
    pub(crate) fn new(declaration: Arc<Declaration>) -> Self {
        let side = |from| Side { has_opened: !declaration.has_opening(from), skip: None };
        let sides = [side(Direction::Original), side(Direction::Reply)];
        Self { declaration, sides, outstanding: Outstanding::default() }
    }
}

impl Session for DeclaredSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let declaration = Arc::clone(&self.declaration);
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty() || at == 0) {
            let side = &mut self.sides[from.index()];
            if let Some(skip) = side.skip {
                let (passed, left) = skip.pass(rest);
                side.skip = left;
                at += passed;
                if left.is_some() || passed == 0 {
                    break;
                }
                continue;
            }
            if !side.has_opened && !may_open(&declaration, from, rest) {
                return Progress::Blind(foreign(rest));
            }
            match declaration.framing.cut(rest, declaration.limit) {
                Cut::Incomplete => break,
                Cut::Impossible => return Progress::Blind(BlindReason::NotThisProtocol),
                Cut::TooLong(skip) if side.has_opened && declaration.skips_longer => {
                    side.skip = Some(skip);
                }
                Cut::TooLong(_) if !side.has_opened => return Progress::Blind(foreign(rest)),
                Cut::TooLong(_) => return Progress::Blind(BlindReason::MessageTooLong),
                Cut::Message(message, length) => {
                    match self.message(cx, &declaration, Said { from, at, bytes: message }) {
                        Ok(Then::GoOn) => {}
                        Ok(Then::Done) => return Progress::Done,
                        Ok(Then::Encrypted) => return Progress::Blind(BlindReason::Encrypted),
                        Err(reason) => return Progress::Blind(reason),
                    }
                    at += length;
                    if length == 0 {
                        break;
                    }
                }
            }
        }
        Progress::Consumed(at)
    }

    fn longest_message(&self) -> usize {
        self.declaration.limit + self.declaration.framing.overhead()
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        let end = match self.declaration.framing {
            Framing::Line => b'\n',
            Framing::Byte(end) => end,
            // Where the next message begins cannot be seen.
            Framing::Length(_) | Framing::Datagram => return false,
        };
        let side = &mut self.sides[from.index()];
        if !side.has_opened {
            return false;
        }
        side.skip = Some(Skip::Until(end));
        self.outstanding.clear();
        true
    }

    fn may_announce(&self, from: Direction, unread: &[u8]) -> bool {
        let side = &self.sides[from.index()];
        let may = |message: &Message| {
            self.declaration.is_located(message)
                && message.counts(from, !side.has_opened)
                && message.forms.iter().any(|form| form.may_begin(unread))
        };
        side.skip.is_none() && self.declaration.messages.iter().any(may)
    }

    fn memory(&self) -> usize {
        self.outstanding.memory()
    }
}

/// Whether these may be the first bytes of a side that has to open.
fn may_open(declaration: &Declaration, from: Direction, bytes: &[u8]) -> bool {
    let opens = |message: &Message| {
        message.counts(from, true) && message.forms.iter().any(|form| form.may_begin(bytes))
    };
    declaration.messages.iter().any(opens)
}

/// What a conn is that is not this protocol.
fn foreign(bytes: &[u8]) -> BlindReason {
    match bytes.first() {
        Some(first) if TLS_RECORD_TYPES.contains(first) => BlindReason::Encrypted,
        _ => BlindReason::NotThisProtocol,
    }
}

impl DeclaredSession {
    /// Judges one message.
    fn message(
        &mut self,
        cx: &mut Context<'_>,
        declaration: &Declaration,
        said: Said<'_>,
    ) -> Result<Then, BlindReason> {
        let has_opened = self.sides[said.from.index()].has_opened;
        let (mut begun, mut unsolicited) = (false, false);
        for (index, message) in (0u8..).zip(&declaration.messages) {
            if !message.counts(said.from, !has_opened) {
                continue;
            }
            for form in &message.forms {
                match form.fit(said.bytes) {
                    Fit::Whole(found) => {
                        self.sides[said.from.index()].has_opened = true;
                        let asked = Asked::new(said, message, &found);
                        if asked.is_known(&self.outstanding) {
                            if unsolicited && asked.is_nothing() {
                                cx.refuse(Refusal::Unsolicited, said.whole(cx));
                            }
                            self.effects(cx, declaration, said, (index, message), &found, asked);
                            return Ok(message.then);
                        }
                        // It may be the answer to another question.
                        unsolicited = true;
                        break;
                    }
                    Fit::Begun => begun |= message.expects.is_some(),
                    Fit::No => {}
                }
            }
        }
        if unsolicited {
            cx.refuse(Refusal::Unsolicited, said.whole(cx));
        } else if begun {
            cx.refuse(Refusal::Malformed, said.whole(cx));
        }
        if self.sides[said.from.index()].has_opened { Ok(Then::GoOn) } else { Err(foreign(said.bytes)) }
    }

    /// What a message brings about.
    fn effects(
        &mut self,
        cx: &mut Context<'_>,
        declaration: &Declaration,
        said: Said<'_>,
        (index, message): (u8, &Message),
        found: &Found,
        asked: Asked,
    ) {
        let Asked { key, answers, activates } = asked;
        let sought = |message: Option<u8>, from| message.map(|message| Sought { message, from, key });
        let (own, other) = (said.from, said.from.opposite());
        for ended in [sought(message.cancels, other), sought(message.recalls, own)].into_iter().flatten() {
            self.outstanding.end(cx, ended);
        }
        if let Some(activated) = activates {
            self.outstanding.activate(cx, activated);
        }
        if let Some(answered) = answers {
            self.outstanding.answer(answered);
        }
        if let Some(seconds) = message.prolongs {
            cx.prolong(seconds);
        }
        let mut announced = Vec::new();
        if let Some(class) = message.expects
            && let Some(expected) = declaration.expected.get(usize::from(class))
        {
            let announcement = Announcement { class, expected, is_pending: message.is_pending };
            match (&message.list, found.items) {
                (Some(list), Some(start)) => announcement.list(cx, said, list, start, &mut announced),
                _ => announcement.one(cx, said, &(0..said.bytes.len()), found, &mut announced),
            }
        }
        if message.is_remembered {
            let said = Sought { message: index, from: own, key };
            self.outstanding.push(cx, said, message.answered, &announced, !message.is_pending);
        }
    }
}

/// What a message says that the other side has said.
#[derive(Clone, Copy)]
struct Asked {
    key: Option<Key>,
    answers: Option<Sought>,
    activates: Option<Sought>,
}

impl Asked {
    fn new(said: Said<'_>, message: &Message, found: &Found) -> Self {
        // A key that fits is not too long.
        let key = found.key.as_ref().and_then(|range| Key::new(said.text(range)));
        let from = said.from.opposite();
        let sought = |message: Option<u8>| message.map(|message| Sought { message, from, key });
        Self { key, answers: sought(message.answers), activates: sought(message.activates) }
    }

    fn is_nothing(self) -> bool {
        self.answers.is_none() && self.activates.is_none()
    }

    fn is_known(self, outstanding: &Outstanding) -> bool {
        [self.answers, self.activates].into_iter().flatten().all(|sought| outstanding.has(sought))
    }
}

/// What a message announces.
#[derive(Clone, Copy)]
struct Announcement<'a> {
    class: u8,
    expected: &'a Expected,
    is_pending: bool,
}

impl Announcement<'_> {
    /// Every item of a list.
    fn list(
        self,
        cx: &mut Context<'_>,
        said: Said<'_>,
        list: &List,
        start: usize,
        announced: &mut Vec<Handle>,
    ) {
        let mut at = start;
        for _ in 0..self.expected.max {
            let is_over = at >= said.bytes.len()
                || list.until.as_ref().is_some_and(|until| until.take(said.bytes, at).is_some());
            if is_over {
                return;
            }
            let item = list.items.iter().find_map(|item| item.take(said.bytes, at));
            let Some((found, end)) = item.filter(|(_, end)| *end > at) else {
                return cx.refuse(Refusal::Malformed, said.span(cx, &(at..said.bytes.len())));
            };
            self.one(cx, said, &(at..end), &found, announced);
            at = end;
        }
        let is_over = list.until.as_ref().is_some_and(|until| until.take(said.bytes, at).is_some());
        if at < said.bytes.len() && !is_over {
            cx.refuse(Refusal::Limit, said.span(cx, &(at..said.bytes.len())));
        }
    }

    /// One conn, announced by a part of a message.
    fn one(
        self,
        cx: &mut Context<'_>,
        said: Said<'_>,
        part: &Range<usize>,
        found: &Found,
        announced: &mut Vec<Handle>,
    ) {
        let span = said.span(cx, part);
        match self.expect(cx, said, found, span) {
            Ok(handle) => announced.push(handle),
            Err(refusal) => cx.refuse(refusal, span),
        }
    }

    fn expect(
        self,
        cx: &mut Context<'_>,
        said: Said<'_>,
        found: &Found,
        span: Span,
    ) -> Result<Handle, Refusal> {
        let (expected, master, from) = (self.expected, cx.master, said.from);
        let first = self.port(cx, said, found)?;
        let last = first.checked_add(expected.count - 1).ok_or(Refusal::BadNumber)?;
        let destination = match &found.address {
            None => master.sender_seen_by_peer(from).ip(),
            Some((range, notation)) => {
                let address = notation.read(said.text(range))?;
                let third_party = cx.policy.third_party || expected.address == AddressOf::ThirdParty;
                admit_address(address, from, master, &Policy { third_party, ..*cx.policy })?
            }
        };
        let source = match expected.source {
            Source::Peer => AddressMatch::Exact(master.receiver(from).ip()),
            Source::Anyone => AddressMatch::Any,
        };
        let destination = SocketAddr::new(destination, first);
        let handle = cx.expect(Expect {
            class: self.class,
            source_port: expected.source_port,
            destination_port: if first == last {
                PortMatch::Exact(first)
            } else {
                PortMatch::Range(first, last)
            },
            lifetime: expected.lifetime,
            active: !self.is_pending,
            timeout: Some(expected.timeout),
            ..Expect::to(expected.protocol, source, destination, span)
        });
        if expected.address == AddressOf::ThirdParty {
            // Third hosts are not translated.
            return Ok(handle);
        }
        if let Some((range, notation)) = &found.address {
            cx.locate(handle, said.span(cx, range), notation.field());
        }
        if let Some((range, notation)) = &found.port {
            cx.locate(handle, said.span(cx, range), notation.field());
        }
        Ok(handle)
    }

    /// The first port that is expected, if it may be.
    fn port(self, cx: &Context<'_>, said: Said<'_>, found: &Found) -> Result<u16, Refusal> {
        let expected = self.expected;
        let port = match (&found.port, expected.port) {
            (Some((range, notation)), _) => notation.read(said.text(range))?,
            (None, Some(PortOf::Number(number))) => return Ok(number),
            (None, Some(PortOf::Sender)) => {
                admit_port(cx.master.sender(said.from).port(), cx.policy)?;
                return Ok(cx.master.sender_seen_by_peer(said.from).port());
            }
            (None, None) => return Err(Refusal::Malformed),
        };
        admit_port(port, cx.policy)?;
        match expected.allowed.contains(&port) {
            true => Ok(port),
            false if !UNPRIVILEGED.contains(&port) => Err(Refusal::PrivilegedPort),
            false => Err(Refusal::Policy),
        }
    }
}
