//! The dialogue: messages out of datagrams and streams, and what each of them means.

use super::calls::{Calls, Transaction};
use super::media::{self, Place, Speaker};
use super::parse::{Head, Method, StartLine};
use super::registrations::Registrations;
use super::sdp::Description;
use super::{mentions, multipart};
use crate::opening::foreign_byte;
use crate::text_message::{BadLength, Framing, MESSAGE_LIMIT, Unit, head_end};
use pinhole_helper::{BlindReason, Context, Progress, Refusal, Session, saved};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Datagrams that are no messages, after which the session gives up.
const ERROR_LIMIT: u8 = 32;
/// Seconds that a UDP conn lives at least while there are calls: what Linux gives every SIP conn (`sip_timeout`).
const CALL_SECONDS: u32 = 3600;

/// One SIP conn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct SipSession {
    sides: [Framing; 2],
    calls: Calls,
    registrations: Registrations,
    /// Numbers the pairs of RTP and RTCP.
    groups: u32,
    /// The first message was an answer, or the beginning was not seen: requests may have passed unseen.
    joined: bool,
    errors: u8,
}

impl Session for SipSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        if cx.master.protocol == Protocol::TCP {
            return self.stream(cx, from, bytes);
        }
        let progress = self.datagram(cx, from, bytes);
        let of_calls = (!self.calls.is_empty()).then_some(CALL_SECONDS);
        if let Some(seconds) = self.registrations.seconds_left(cx.now).max(of_calls) {
            cx.prolong(seconds);
        }
        progress
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        MESSAGE_LIMIT
    }

    fn pick_up(&mut self, from: Direction) -> bool {
        self.resynchronise(from)
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        self.joined = true;
        self.sides[from.index()] = Framing::in_the_middle();
        true
    }

    fn memory(&self) -> usize {
        self.calls.memory() + self.registrations.memory()
    }
}

impl SipSession {
    /// One datagram: a message, a keep-alive (RFC 5626 §3.5), or nothing that is understood.
    fn datagram(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let at = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n' | 0)).count();
        let all = Progress::Consumed(bytes.len());
        let Some(message) = bytes.get(at..).filter(|message| !message.is_empty()) else { return all };
        let end = head_end(message, 0).unwrap_or(message.len());
        let Some(head) = message.get(..end).and_then(Head::read) else {
            return match message.first().and_then(|&first| foreign_byte(first)) {
                _ if self.sides[from.index()].is_open() || StartLine::is_damaged(message) => {
                    self.count_error(all)
                }
                Some(reason) => Progress::Blind(reason),
                None => Progress::Blind(BlindReason::NotThisProtocol),
            };
        };
        let available = message.len() - end;
        let body = match &head.length {
            // What follows the body is ignored; a body that is cut short is not read (RFC 3261 §18.3).
            Ok(Some(length)) if length.bytes <= available => Ok(end..end + length.bytes),
            Ok(Some(_)) | Err(BadLength) => Err(end..message.len()),
            Ok(None) => Ok(end..message.len()),
        };
        self.open(from, &head);
        self.message(cx, &head, Place { from, at, bytes: message }, body);
        all
    }

    fn count_error(&mut self, progress: Progress) -> Progress {
        self.errors = self.errors.saturating_add(1);
        if self.errors > ERROR_LIMIT { Progress::Blind(BlindReason::TooManyErrors) } else { progress }
    }

    fn stream(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let is_start = |line: &[u8]| StartLine::read(line).is_some();
            match self.sides[from.index()].next(rest, is_start) {
                Unit::Nothing(count) => at += count,
                Unit::Wait => break,
                Unit::Blind(reason) => return Progress::Blind(reason),
                Unit::Head(end) => match self.framed(cx, Place { from, at, bytes: rest }, end) {
                    Ok(0) => break,
                    Ok(count) => at += count,
                    Err(reason) => return Progress::Blind(reason),
                },
            }
        }
        Progress::Consumed(at)
    }

    /// A message of a stream whose head has `end` bytes. Returns how many bytes it took, none if it is not complete.
    fn framed(&mut self, cx: &mut Context<'_>, place: Place<'_>, end: usize) -> Result<usize, BlindReason> {
        let head = place.bytes.get(..end).and_then(Head::read).ok_or(BlindReason::NotThisProtocol)?;
        // Without a length that can be trusted, nobody knows where the next message begins.
        let length = match &head.length {
            Ok(length) => length.as_ref().map_or(0, |length| length.bytes),
            Err(BadLength) => return Err(BlindReason::TooManyErrors),
        };
        let wanted = wants_body(&head) && length > 0;
        let readable = wanted && end.saturating_add(length) <= MESSAGE_LIMIT;
        let (taken, skip) = if readable { (end + length, 0) } else { (end, length) };
        let Some(whole) = place.bytes.get(..taken) else {
            self.sides[place.from.index()].need(taken);
            return Ok(0);
        };
        self.open(place.from, &head);
        self.sides[place.from.index()].finish(skip);
        let body = if wanted && !readable { Err(0..end) } else { Ok(end..taken) };
        self.message(cx, &head, Place { bytes: whole, ..place }, body);
        Ok(taken)
    }

    /// A message was recognised; the first of the conn tells whether requests may have passed unseen.
    fn open(&mut self, from: Direction, head: &Head<'_>) {
        if !self.sides.iter().any(Framing::is_open) && head.code().is_some() {
            self.joined = true;
        }
        self.sides[from.index()].finish(0);
    }

    /// One message. `body` is where its body stands, or what of it there is if it cannot be read.
    fn message(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        body: Result<Range<usize>, Range<usize>>,
    ) {
        mentions::mention(cx, head, place);
        let Some((number, _)) = head.sequence else { return };
        let request = Transaction { from: place.from, number };
        match (&head.start, head.method()) {
            (StartLine::Request { method, .. }, _) => self.request(cx, head, place, *method, request),
            (StartLine::Response { code }, method) => {
                let transaction = Transaction { from: place.from.opposite(), number };
                self.response(cx, head, place, *code, method, transaction);
            }
        }
        if wants_body(head) {
            self.describe(cx, head, place, body, number);
        }
    }

    fn request(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        method: Method,
        transaction: Transaction,
    ) {
        match method {
            Method::Invite | Method::Prack | Method::Update => self.calls.asked(head.call_id, transaction),
            Method::Cancel => self.calls.failed(cx, head.call_id, transaction),
            Method::Bye => {
                self.calls.ended(cx, head.call_id, place.from, [head.from_tag, head.to_tag]);
            }
            Method::Register => self.registrations.requested(cx, head, place, transaction),
            Method::Ack | Method::Other => {}
        }
    }

    fn response(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        code: u16,
        method: Method,
        transaction: Transaction,
    ) {
        match method {
            Method::Invite | Method::Prack | Method::Update if code >= 300 => {
                self.calls.failed(cx, head.call_id, transaction);
            }
            Method::Register if code >= 200 => {
                self.registrations.answered(cx, head, place, code, transaction);
            }
            _ => {}
        }
    }

    /// The session description of a message, if it has one.
    fn describe(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        body: Result<Range<usize>, Range<usize>>,
        number: u32,
    ) {
        let body = match body {
            Ok(body) if body.is_empty() => return,
            Ok(body) => body,
            Err(part) => {
                cx.refuse(Refusal::Malformed, place.span(cx, &part));
                return;
            }
        };
        let Some(range) =
            multipart::session_description(place.bytes, head.content_type.clone(), body.clone())
        else {
            return;
        };
        let answers = head.code().is_some();
        let from = if answers { place.from.opposite() } else { place.from };
        let transaction = Transaction { from, number };
        let refusal = if head.encoded {
            Some(Refusal::Unsupported)
        } else if answers && !self.joined && !self.calls.was_asked(head.call_id, transaction) {
            Some(Refusal::Unsolicited)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            cx.refuse(refusal, place.span(cx, &range));
            return;
        }
        if let Ok(Some(length)) = &head.length {
            let (digits, body) = (place.span(cx, &length.place), place.span(cx, &body));
            cx.length(digits, body);
        }
        let description = Description::read(place.bytes, range);
        let tag = if answers { head.to_tag } else { head.from_tag };
        let speaker = Speaker { call: head.call_id, tag, transaction, answers };
        media::announce(cx, &mut self.calls, &mut self.groups, place, speaker, &description);
        // What a datagram holds beyond its Content-Length is not part of the message.
        for medium in Description::read(place.bytes, body.end..place.bytes.len()).media {
            media::refuse(cx, place, &medium, Refusal::Malformed);
        }
    }
}

/// Whether a message may hold a description that counts.
fn wants_body(head: &Head<'_>) -> bool {
    let content_type = head.bytes.get(head.content_type.clone()).unwrap_or_default();
    head.method().negotiates()
        && head.code().is_none_or(|code| code < 300)
        && (content_type.is_empty() || multipart::may_describe(content_type))
}
