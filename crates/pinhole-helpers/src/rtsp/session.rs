//! The dialogue: which SETUP an answer belongs to, and what the two agree on.

use super::notation;
use super::parse::{Head, Method, StartLine};
use super::transport::{End, Port, Transport};
use crate::endpoint::{admit_address, admit_port};
use crate::text_message::{Framing, Unit};
use pinhole_helper::{
    AddressMatch, BlindReason, Context, End as Named, Expect, GroupRule, Handle, Lifetime, PortMatch,
    Progress, Refusal, Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Most streams of a conn that are remembered; the oldest gives way.
const STREAMS: usize = 32;
/// Most transport specifications of a SETUP.
const OFFERS: usize = 8;
/// Longest URL and longest session identifier that are remembered whole.
const IDENTIFIER_LIMIT: usize = 512;
/// Seconds that PLAY and RECORD give.
const TERM: u32 = 300;

/// One RTSP conn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct RtspSession {
    sides: [Framing; 2],
    /// Oldest first.
    streams: Vec<Stream>,
    /// Numbers the pairs of RTP and RTCP.
    groups: u32,
}

/// What one SETUP set up.
#[derive(Debug, Serialize, Deserialize)]
struct Stream {
    /// Direction of the SETUP.
    from: Direction,
    sequence: u32,
    url: Box<[u8]>,
    /// Given by the answer, or named by the SETUP.
    session: Box<[u8]>,
    /// Until the answer: what was offered.
    offers: Vec<Offer>,
    /// After it: what was agreed on.
    agreed: Vec<Handle>,
    answered: bool,
}

/// One transport that the client offered.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    /// It needs conns of its own; the others open nothing.
    is_separate: bool,
    ports: Vec<(u16, Handle)>,
}

impl Stream {
    fn cancel(&self, cx: &mut Context<'_>) {
        let offered = self.offers.iter().flat_map(|offer| offer.ports.iter().map(|(_, handle)| handle));
        offered.chain(&self.agreed).for_each(|handle| cx.cancel(*handle));
    }
}

/// A message where it stands in the bytes being read.
#[derive(Clone, Copy)]
struct Place {
    from: Direction,
    at: usize,
}

impl Place {
    fn span(self, cx: &Context<'_>, range: &Range<usize>) -> Span {
        cx.span(self.at + range.start, self.at + range.end)
    }
}

impl Session for RtspSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let side = &mut self.sides[from.index()];
            // `$`, channel, length of two bytes (RFC 2326 §10.12).
            if side.is_open() && side.is_between() && rest.first() == Some(&b'$') {
                let Some(&[_, _, high, low]) = rest.first_chunk() else { break };
                side.pass(usize::from(u16::from_be_bytes([high, low])));
                at += 4;
                continue;
            }
            match side.next(rest, |line| StartLine::read(line).is_some()) {
                Unit::Nothing(count) => at += count,
                Unit::Wait => break,
                Unit::Blind(reason) => return Progress::Blind(reason),
                Unit::Head(end) => {
                    let Some(head) = rest.get(..end).and_then(Head::read) else {
                        return Progress::Blind(BlindReason::NotThisProtocol);
                    };
                    let Ok(length) = &head.length else {
                        return Progress::Blind(BlindReason::TooManyErrors);
                    };
                    side.finish(length.as_ref().map_or(0, |length| length.bytes));
                    self.message(cx, &head, Place { from, at });
                    at += end;
                }
            }
        }
        Progress::Consumed(at)
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        crate::text_message::HEAD_LIMIT
    }

    fn pick_up(&mut self, from: Direction) -> bool {
        self.resynchronise(from)
    }

    fn resynchronise(&mut self, from: Direction) -> bool {
        self.sides[from.index()] = Framing::in_the_middle();
        true
    }

    fn memory(&self) -> usize {
        let of_offer =
            |offer: &Offer| size_of::<Offer>() + offer.ports.capacity() * size_of::<(u16, Handle)>();
        let of_stream = |stream: &Stream| {
            let offers: usize = stream.offers.iter().map(of_offer).sum();
            let agreed = stream.agreed.capacity() * size_of::<Handle>();
            stream.url.len() + stream.session.len() + offers + agreed
        };
        self.streams.iter().map(of_stream).sum::<usize>() + self.streams.capacity() * size_of::<Stream>()
    }
}

impl RtspSession {
    fn message(&mut self, cx: &mut Context<'_>, head: &Head<'_>, place: Place) {
        match &head.start {
            StartLine::Request { method, url } => {
                let url = cut(head.bytes.get(url.clone()).unwrap_or_default());
                match method {
                    Method::Setup => self.setup(cx, head, place, url),
                    Method::Play => {
                        let of_session = |stream: &&Stream| stream.is_of(place.from, head.session);
                        for handle in self.streams.iter().filter(of_session).flat_map(|s| &s.agreed) {
                            cx.extend(*handle, TERM);
                        }
                    }
                    Method::Teardown => self.teardown(cx, head, place.from, url),
                    Method::Other => {}
                }
            }
            StartLine::Response { code } if *code >= 200 => self.answer(cx, head, place, *code),
            StartLine::Response { .. } => {}
        }
    }

    /// SETUP: enters what each offered transport needs, to match nothing yet.
    fn setup(&mut self, cx: &mut Context<'_>, head: &Head<'_>, place: Place, url: &[u8]) {
        let Some(sequence) = head.sequence else { return };
        // The stream is set up anew (RFC 2326 §10.4), or the request was sent again.
        self.forget(cx, |stream| stream.from == place.from && *stream.url == *url);
        let mut offers = Vec::new();
        for range in head.transports().take(OFFERS) {
            let transport = Transport::read(head.bytes, range.clone());
            let mut ports = Vec::new();
            if transport.is_separate {
                match self.expect(cx, place, &range, &transport.client, false) {
                    Ok(expected) => ports = expected,
                    Err(refusal) => cx.refuse(refusal, place.span(cx, &range)),
                }
            }
            offers.push(Offer { is_separate: transport.is_separate, ports });
        }
        if self.streams.len() >= STREAMS {
            self.streams.remove(0).cancel(cx);
        }
        self.streams.push(Stream {
            from: place.from,
            sequence,
            url: url.into(),
            session: cut(head.session).into(),
            offers,
            agreed: Vec::new(),
            answered: false,
        });
    }

    /// The final answer to a request; only those of SETUP matter.
    fn answer(&mut self, cx: &mut Context<'_>, head: &Head<'_>, place: Place, code: u16) {
        let asked = |stream: &Stream| {
            stream.from != place.from && Some(stream.sequence) == head.sequence && !stream.answered
        };
        let Some(index) = self.streams.iter().position(asked) else {
            self.refuse_unsolicited(cx, head, place, code);
            return;
        };
        if code >= 300 {
            self.streams.remove(index).cancel(cx);
            return;
        }
        let chosen = head.transports().next();
        let transport = chosen.clone().map(|range| Transport::read(head.bytes, range)).unwrap_or_default();
        let Some(stream) = self.streams.get_mut(index) else { return };
        stream.answered = true;
        if !head.session.is_empty() {
            stream.session = cut(head.session).into();
        }
        let mut offers = std::mem::take(&mut stream.offers);
        let taken = chosen.and_then(|range| Some((range, choose(&offers, &transport)?)));
        let mut agreed = Vec::new();
        if let Some((range, position)) = taken {
            let offer = offers.remove(position);
            for (position, (_, handle)) in offer.ports.iter().enumerate() {
                cx.activate(*handle);
                agreed.push(*handle);
                // The answer repeats the client's ports: its NAT half turns them back.
                if let Some(port) = transport.client.ports.get(position) {
                    locate(cx, place, *handle, port);
                }
            }
            mention(cx, place, &transport.client, Named::Peer);
            match self.expect(cx, place, &range, &transport.server, true) {
                Ok(expected) => agreed.extend(expected.into_iter().map(|(_, handle)| handle)),
                Err(refusal) => cx.refuse(refusal, place.span(cx, &range)),
            }
        } else if transport.is_separate
            && let Some(range) = head.transports().next()
        {
            cx.refuse(Refusal::Unsolicited, place.span(cx, &range));
        }
        offers.iter().flat_map(|offer| &offer.ports).for_each(|(_, handle)| cx.cancel(*handle));
        if let Some(stream) = self.streams.get_mut(index) {
            stream.agreed = agreed;
        }
    }

    /// An answer with server ports that answers nothing.
    fn refuse_unsolicited(&self, cx: &mut Context<'_>, head: &Head<'_>, place: Place, code: u16) {
        if code >= 300 {
            return;
        }
        for range in head.transports().take(1) {
            if Transport::read(head.bytes, range.clone()).is_separate {
                cx.refuse(Refusal::Unsolicited, place.span(cx, &range));
            }
        }
    }

    /// The end of a stream or, for the URL of none, of a session.
    fn teardown(&mut self, cx: &mut Context<'_>, head: &Head<'_>, from: Direction, url: &[u8]) {
        let is_stream = |stream: &Stream| stream.is_of(from, head.session) && *stream.url == *url;
        if self.streams.iter().any(is_stream) {
            self.forget(cx, is_stream);
        } else {
            self.forget(cx, |stream| stream.is_of(from, head.session));
        }
    }

    fn forget(&mut self, cx: &mut Context<'_>, is_meant: impl Fn(&Stream) -> bool) {
        for stream in self.streams.extract_if(.., |stream| is_meant(stream)) {
            stream.cancel(cx);
        }
    }

    /// Asks for the ports of one end, which is the sender of the message; none if it names none.
    fn expect(
        &mut self,
        cx: &mut Context<'_>,
        place: Place,
        range: &Range<usize>,
        end: &End,
        active: bool,
    ) -> Result<Vec<(u16, Handle)>, Refusal> {
        end.fault.map_or(Ok(()), Err)?;
        let own = cx.master.sender(place.from).ip();
        let common = end.address.as_ref().map_or(own, |named| named.address);
        let mut admitted = Vec::with_capacity(end.ports.len());
        for port in &end.ports {
            let address = port.address.unwrap_or(common);
            admitted.push(admit_address(address, place.from, cx.master, cx.policy)?);
            admit_port(port.number, cx.policy)?;
        }
        let group = (end.ports.len() > 1).then(|| {
            self.groups = self.groups.wrapping_add(1);
            (self.groups, GroupRule::Independent)
        });
        let source = AddressMatch::Exact(cx.master.sender(place.from.opposite()).ip());
        let mut expected = Vec::with_capacity(end.ports.len());
        for (port, destination) in end.ports.iter().zip(admitted) {
            let handle = cx.expect(Expect {
                class: 0,
                protocol: Protocol::UDP,
                source,
                source_port: PortMatch::Any,
                destination,
                destination_port: PortMatch::Exact(port.number),
                lifetime: Lifetime::Permanent,
                active,
                group,
                timeout: None,
                helper: None,
                span: place.span(cx, range),
            });
            expected.push((port.number, handle));
        }
        for (port, (_, handle)) in end.ports.iter().zip(&expected) {
            locate(cx, place, *handle, port);
        }
        mention(cx, place, end, Named::Sender);
        Ok(expected)
    }
}

impl Stream {
    /// Whether it belongs to the session that a request names; one that names none means all.
    fn is_of(&self, from: Direction, session: &[u8]) -> bool {
        self.from == from && (session.is_empty() || *self.session == *cut(session))
    }
}

/// Which of the offered transports an answer chooses: the one with these client ports or, if it does not repeat them or a NAT changed them, the
/// only one of its kind.
fn choose(offers: &[Offer], answer: &Transport) -> Option<usize> {
    let of_kind = |offer: &Offer| offer.is_separate && answer.is_separate;
    let same = |offer: &Offer| {
        let offered = offer.ports.iter().map(|&(number, _)| number);
        of_kind(offer) && offered.eq(answer.client.ports.iter().map(|port| port.number))
    };
    let mut candidates = offers.iter().enumerate().filter(|(_, offer)| of_kind(offer));
    let only = candidates.next().filter(|_| candidates.next().is_none()).map(|(position, _)| position);
    offers.iter().position(same).or(only)
}

fn locate(cx: &mut Context<'_>, place: Place, handle: Handle, port: &Port) {
    if let Some(range) = &port.place {
        let field = if port.is_endpoint { notation::ENDPOINT } else { notation::PORT };
        cx.locate(handle, place.span(cx, range), field);
    }
}

/// Tells where the address of an end stands, if it is that of the conn.
fn mention(cx: &mut Context<'_>, place: Place, end: &End, who: Named) {
    let address = match who {
        Named::Sender => cx.master.sender(place.from).ip(),
        Named::Peer => cx.master.peer(place.from).ip(),
    };
    if let Some(named) = end.address.as_ref().filter(|named| named.address == address) {
        let span = place.span(cx, &named.place);
        cx.mention(who, span, notation::ADDRESS);
    }
}

fn cut(identifier: &[u8]) -> &[u8] {
    identifier.get(..IDENTIFIER_LIMIT).unwrap_or(identifier)
}
