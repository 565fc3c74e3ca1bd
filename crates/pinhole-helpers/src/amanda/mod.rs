//! Amanda, the network backup (protocol 2.4 and later, with `auth = bsd` and `bsdudp`).
//!
//! The conn's originator is the backup server: it sends requests to the client's daemon, UDP port 10080. Each datagram begins with a line
//! `Amanda 2.6 REQ HANDLE 000-40F45D09 SEQ 1389783132`; an answer repeats handle and number. The answer to "send a backup" tells
//! on which ports the daemon waits for the originator's TCP conns: `CONNECT DATA 50003 MESG 50004 INDEX 50005`.
//!
//! An answer counts only for a request that is outstanding. Estimates take minutes without a packet: each datagram lets the conn live
//! another [`MASTER_TIMEOUT`] seconds.

mod parse;
#[cfg(test)]
mod tests;

pub use parse::HANDLE_LIMIT;

use crate::datagram::head;
use crate::endpoint::admit_port;
use parse::{Head, Kind, Stream};
use pinhole_helper::{
    AddressMatch, BlindReason, Class, Context, Expect, Field, Helper, Master, Name, NatHelper, Policy,
    Progress, Refusal, Session, Spec, Texts, Unencodable, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;

/// Requests that may be outstanding; the oldest is forgotten for a newer one.
pub const REQUEST_LIMIT: usize = 8;
/// Seconds that the conn lives after each of its datagrams.
pub const MASTER_TIMEOUT: u32 = 300;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// A port in decimal digits.
    pub const PORT: Field = Field::Port(0);
}

/// The Amanda helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Amanda;

static SPEC: Spec = Spec {
    name: Name::new("amanda"),
    aliases: Texts::Built(&["ip_conntrack_amanda", "nf_conntrack_amanda"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[10080]),
    classes: Cow::Borrowed(&[Class { name: Name::new("streams"), max: 4, timeout: 180 }]),
    summary: Cow::Borrowed("Amanda backups: opens the streams that carry a dump"),
    reads: Texts::Built(&[
        "the first line of every datagram: kind, handle, sequence number",
        "CONNECT lines of answers: DATA, MESG, INDEX, STATE and their ports",
    ]),
    creates: Texts::Built(&["TCP from the originator, any port, to each announced port of the daemon"]),
    refuses: Texts::Built(&[
        "answers to no outstanding request, requests of the daemon",
        "ports below 1024, numbers out of range, junk",
        "streams of other names",
        "connections that do not open with a request of Amanda, for ever",
    ]),
    limits: Texts::Built(&[
        "8 outstanding requests, handles of 64 bytes, one CONNECT line a datagram",
        "4 expectations a connection, 180 s each, one connection each",
        "the control connection lives 300 s after its latest datagram",
    ]),
    nat: Cow::Borrowed("writes translated ports; the datagram's length may change"),
    ipv6: Cow::Borrowed("the same as IPv4"),
    references: Texts::Built(&["amanda-protocol(7)", "Amanda source: docs/PROTOCOL, common-src/protocol"]),
};

impl Helper for Amanda {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(AmandaSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<AmandaSession>(saved)
    }
}

/// The NAT half of [`Amanda`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AmandaNat;

impl NatHelper for AmandaNat {
    fn name(&self) -> &'static str {
        "amanda"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        if field != notation::PORT {
            return Err(Unencodable::Notation);
        }
        // Writing into memory does not fail.
        drop(write!(out, "{}", endpoint.port()));
        Ok(())
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct AmandaSession {
    has_opened: bool,
    /// Oldest first.
    requests: VecDeque<Request>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    handle: Box<[u8]>,
    sequence: u32,
    is_answered: bool,
}

impl Request {
    fn is(&self, head: &Head<'_>) -> bool {
        *self.handle == *head.handle && self.sequence == head.sequence
    }
}

impl Session for AmandaSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let line = parse::head(bytes);
        if !self.has_opened {
            if from == Direction::Reply || !line.as_ref().is_some_and(|line| line.kind == Kind::Request) {
                return Progress::Blind(BlindReason::NotThisProtocol);
            }
            self.has_opened = true;
        }
        let Some(line) = line else {
            cx.refuse(Refusal::Malformed, head(cx, bytes));
            return Progress::Consumed(bytes.len());
        };
        cx.prolong(MASTER_TIMEOUT);
        match (from, line.kind) {
            (Direction::Original, Kind::Request) => self.ask(&line),
            (Direction::Reply, Kind::Answer { is_last }) => self.answer(cx, &line, is_last, bytes),
            (_, Kind::Other) => {}
            (_, Kind::Request | Kind::Answer { .. }) => cx.refuse(Refusal::OutOfSequence, head(cx, bytes)),
        }
        Progress::Consumed(bytes.len())
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn memory(&self) -> usize {
        let handles: usize = self.requests.iter().map(|request| request.handle.len()).sum();
        self.requests.capacity() * size_of::<Request>() + handles
    }
}

impl AmandaSession {
    fn ask(&mut self, line: &Head<'_>) {
        if self.requests.iter().any(|request| request.is(line)) {
            return;
        }
        if self.requests.len() == REQUEST_LIMIT {
            self.requests.pop_front();
        }
        let Head { handle, sequence, .. } = *line;
        self.requests.push_back(Request { handle: handle.into(), sequence, is_answered: false });
    }

    fn answer(&mut self, cx: &mut Context<'_>, line: &Head<'_>, is_last: bool, bytes: &[u8]) {
        let Some(connect) = parse::connect(bytes, line.length) else { return };
        let Some(request) = self.requests.iter_mut().find(|request| request.is(line)) else {
            return cx.refuse(Refusal::Unsolicited, cx.span(connect.start, connect.end));
        };
        // The daemon repeats an answer that was not acknowledged.
        if request.is_answered {
            return;
        }
        request.is_answered = is_last;
        for stream in parse::streams(bytes, connect) {
            match stream {
                // Not used this time.
                Ok(Stream { port: 0, .. }) => {}
                Ok(stream) => expect(cx, &stream),
                Err((why, place)) => cx.refuse(why, cx.span(place.start, place.end)),
            }
        }
    }
}

fn expect(cx: &mut Context<'_>, stream: &Stream) {
    let span = cx.span(stream.place.start, stream.place.end);
    if let Err(why) = admit_port(stream.port, cx.policy) {
        return cx.refuse(why, span);
    }
    let handle = cx.expect(Expect::to(
        Protocol::TCP,
        AddressMatch::Exact(cx.master.receiver(Direction::Reply).ip()),
        SocketAddr::new(cx.master.sender_seen_by_peer(Direction::Reply).ip(), stream.port),
        span,
    ));
    cx.locate(handle, cx.span(stream.digits.start, stream.digits.end), notation::PORT);
}
