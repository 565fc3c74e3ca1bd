//! RAS: an endpoint and its gatekeeper, a message a datagram.
//!
//! | message | effect |
//! |---|---|
//! | gatekeeperConfirm that answers a request | the gatekeeper's RAS conn is expected, if it has another port |
//! | registrationRequest | the gatekeeper (by policy anyone) is expected to call the registered addresses |
//! | registrationConfirm | … for as long as it says; the control conn lives on as long |
//! | registrationReject | … not at all |
//! | unregistrationConfirm that answers a request | nor any longer |
//! | admissionConfirm, locationConfirm that answer a request | the asker's call to the address that they name is expected |
//!
//! A confirm answers a request if the other end sent one with its number. The address that an admission or a location names may be a
//! third host: to say where a called party is, is a gatekeeper's office ([`Helper::introduces`](pinhole_helper::Helper::introduces)).
//! Only the end that asked may connect to it.

use super::address::{AddressReader, Announced};
use super::few::Few;
use super::per::{Fault, Found, Visitor, walk};
use super::schema::{Mark, RAS_MESSAGE};
use super::{CALLED, DISCOVERED, REGISTERED};
use crate::endpoint::admit_port;
use pinhole_helper::{AddressMatch, BlindReason, Context, Expect, Handle, Progress, Refusal, Session, saved};
use pinhole_wire::Direction;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Requests that may await their answers at a time.
const REQUESTS: usize = 16;
/// Addresses of one message that are read.
const ADDRESSES: usize = 8;
/// Addresses that may be registered at a time.
const REGISTRATIONS: usize = 16;
/// Seconds that a registration lives for which nobody said how long.
const DEFAULT_LIFETIME: u32 = 300;
/// Most seconds that one lives without being renewed.
const LONGEST_LIFETIME: u32 = 24 * 60 * 60;
/// Malformed messages in a row that a session puts up with.
const ERROR_LIMIT: u8 = 8;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Subject {
    Gatekeeper,
    Registration,
    Unregistration,
    Admission,
    Location,
}

/// What a message does about its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Request,
    Confirm,
    Reject,
}

/// Subject and act of a message, by the number of its alternative. Of the others no address is expected.
fn meaning(alternative: u32) -> Option<(Subject, Act)> {
    let subject = match alternative {
        0..=2 => Subject::Gatekeeper,
        3..=5 => Subject::Registration,
        6..=8 => Subject::Unregistration,
        9..=11 => Subject::Admission,
        18..=20 => Subject::Location,
        // 25 alternatives stand ahead of the extension marker; admissionConfirmSequence is the eighth behind it.
        32 => return Some((Subject::Admission, Act::Confirm)),
        _ => return None,
    };
    let act = match alternative % 3 {
        0 => Act::Request,
        1 => Act::Confirm,
        _ => Act::Reject,
    };
    Some((subject, act))
}

/// A RAS conn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct RasSession {
    requests: Few<Request, REQUESTS>,
    registrations: Few<Registration, REGISTRATIONS>,
    errors: u8,
    /// A message was understood.
    opened: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    subject: Subject,
    number: u32,
    from: Direction,
    /// Seconds that a registration asks for.
    lifetime: Option<u32>,
    /// It only keeps a registration alive.
    keeps_alive: bool,
}

/// A registered address.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Registration {
    handle: Handle,
    /// The request that brought it.
    number: u32,
    from: Direction,
    endpoint: (IpAddr, u16),
    confirmed: bool,
}

impl Session for RasSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut message = Message::default();
        let length = message.read(bytes);
        // What opens a conn is a message and nothing else: many a text begins like one.
        if !self.opened && length != Ok(bytes.len()) {
            return Progress::Blind(BlindReason::NotThisProtocol);
        }
        if length.is_err() {
            cx.refuse(Refusal::Malformed, cx.span(0, bytes.len()));
            self.errors = self.errors.saturating_add(1);
            return if self.errors < ERROR_LIMIT {
                Progress::Consumed(bytes.len())
            } else {
                Progress::Blind(BlindReason::TooManyErrors)
            };
        }
        self.opened = true;
        self.errors = 0;
        self.message(cx, from, &message);
        if message.overflown() {
            cx.refuse(Refusal::Limit, cx.span(0, bytes.len()));
        }
        Progress::Consumed(bytes.len())
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }
}

impl RasSession {
    fn message(&mut self, cx: &mut Context<'_>, from: Direction, message: &Message) {
        message.named.iter().for_each(|announced| announced.mention(cx, from));
        match meaning(message.alternative) {
            Some((subject, Act::Request)) => {
                let (number, lifetime, keeps_alive) = (message.number, message.lifetime, message.keeps_alive);
                self.requests.retain(|r| (r.subject, r.number, r.from) != (subject, number, from));
                self.requests.push_over(Request { subject, number, from, lifetime, keeps_alive });
                if subject == Subject::Registration {
                    self.register(cx, from, message);
                } else {
                    message.mention_all(cx, from);
                }
            }
            Some((subject, act)) => {
                let answers =
                    |r: &Request| (r.subject, r.number, r.from) == (subject, message.number, from.opposite());
                let asked = self.requests.iter().find(answers);
                match asked {
                    Some(request) => self.answer(cx, from, request, act, message),
                    None => message.refuse(cx),
                }
            }
            None => message.mention_all(cx, from),
        }
    }

    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        request: Request,
        act: Act,
        message: &Message,
    ) {
        match (request.subject, act) {
            (Subject::Gatekeeper, Act::Confirm) => {
                message.ras.iter().for_each(|announced| discovered(cx, from, &announced));
            }
            (Subject::Registration, Act::Confirm) => {
                message.mention_all(cx, from);
                self.registered(cx, request, message.lifetime);
            }
            (Subject::Registration, Act::Reject) => {
                self.unregister(cx, |r| (r.number, r.from) == (request.number, request.from));
            }
            (Subject::Unregistration, Act::Confirm) => self.unregister(cx, |_| true),
            (Subject::Admission | Subject::Location, Act::Confirm) => {
                message.destinations.iter().for_each(|announced| called(cx, from, &announced));
                message.ras.iter().for_each(|announced| announced.mention(cx, from));
            }
            _ => {}
        }
    }

    /// The gatekeeper will call the registered addresses.
    fn register(&mut self, cx: &mut Context<'_>, from: Direction, message: &Message) {
        message.ras.iter().for_each(|announced| announced.mention(cx, from));
        for announced in message.signal.iter() {
            let endpoint = match announced.admit(cx, from) {
                Ok(endpoint) => endpoint,
                Err(why) => {
                    cx.refuse(why, announced.span(cx));
                    continue;
                }
            };
            let confirmed = self.registrations.iter().any(|r| r.endpoint == endpoint && r.confirmed);
            let source = match cx.policy.any_caller {
                true => AddressMatch::Any,
                false => AddressMatch::Exact(cx.master.receiver(from).ip()),
            };
            let expect = Expect {
                // Renewing a registration must not interrupt it.
                active: confirmed || !cx.policy.wait_for_answer,
                ..REGISTERED.describe(cx, &announced, source, endpoint)
            };
            let handle = cx.expect(expect);
            cx.locate(handle, announced.span(cx), announced.field());
            self.registrations.retain(|r| r.endpoint != endpoint);
            let number = message.number;
            self.registrations.push_over(Registration { handle, number, from, endpoint, confirmed });
        }
    }

    /// The gatekeeper agrees, for this many seconds.
    fn registered(&mut self, cx: &mut Context<'_>, request: Request, lifetime: Option<u32>) {
        let lifetime = lifetime.or(request.lifetime).unwrap_or(DEFAULT_LIFETIME).min(LONGEST_LIFETIME);
        cx.prolong(lifetime);
        for registration in self.registrations.iter_mut().filter(|r| r.from == request.from) {
            // A request that only keeps a registration alive need not repeat its addresses (H.225.0 §7.9.1).
            if registration.number == request.number || (request.keeps_alive && registration.confirmed) {
                cx.activate(registration.handle);
                cx.extend(registration.handle, lifetime);
                registration.confirmed = true;
            }
        }
    }

    fn unregister(&mut self, cx: &mut Context<'_>, ends: impl Fn(&Registration) -> bool) {
        self.registrations.iter().filter(&ends).for_each(|registration| cx.cancel(registration.handle));
        self.registrations.retain(|registration| !ends(registration));
    }
}

/// A gatekeeper may want its RAS messages at another port than that at which it was found.
fn discovered(cx: &mut Context<'_>, from: Direction, announced: &Announced) {
    let found = cx.master.sender(from);
    if announced.endpoint == Some((found.ip(), found.port())) {
        announced.mention(cx, from);
        return;
    }
    match announced.admit(cx, from) {
        Ok(endpoint) => {
            let source = AddressMatch::Exact(cx.master.receiver(from).ip());
            let handle = cx.expect(DISCOVERED.describe(cx, announced, source, endpoint));
            cx.locate(handle, announced.span(cx), announced.field());
        }
        Err(why) => cx.refuse(why, announced.span(cx)),
    }
}

/// The end that asked will call the address: the gatekeeper's own (it routes the call) or that of the called party.
fn called(cx: &mut Context<'_>, from: Direction, announced: &Announced) {
    // A called party that asks whether it may answer is told its own address.
    if announced.is_receivers(cx, from) {
        announced.mention(cx, from);
        return;
    }
    let source = AddressMatch::Exact(cx.master.receiver(from).ip());
    match announced.admit(cx, from) {
        Ok(endpoint) => {
            let handle = cx.expect(CALLED.describe(cx, announced, source, endpoint));
            cx.locate(handle, announced.span(cx), announced.field());
        }
        Err(Refusal::ForeignAddress) => match introduced(cx, announced) {
            Ok(endpoint) => drop(cx.expect(CALLED.describe(cx, announced, source, endpoint))),
            Err(why) => cx.refuse(why, announced.span(cx)),
        },
        Err(why) => cx.refuse(why, announced.span(cx)),
    }
}

/// Whether a third host may be named: it must be one.
fn introduced(cx: &Context<'_>, announced: &Announced) -> Result<(IpAddr, u16), Refusal> {
    let (address, port) = announced.endpoint.ok_or(Refusal::Unsupported)?;
    admit_port(port, cx.policy)?;
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast {
        return Err(Refusal::ForeignAddress);
    }
    Ok((address, port))
}

/// What matters of a message.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// Number of its alternative.
    alternative: u32,
    /// `requestSeqNum`.
    number: u32,
    lifetime: Option<u32>,
    keeps_alive: bool,
    /// `callSignalAddress` of an endpoint.
    signal: Few<Announced, ADDRESSES>,
    /// Where a call shall go.
    destinations: Few<Announced, ADDRESSES>,
    ras: Few<Announced, ADDRESSES>,
    /// Addresses that open nothing whatever the message is.
    named: Few<Announced, ADDRESSES>,
}

impl Message {
    /// Reads a datagram; how many octets of it the message takes.
    fn read(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let mut reader = Reader { bytes, address: AddressReader::default(), message: self };
        walk(bytes, &RAS_MESSAGE, &mut reader)
    }

    fn overflown(&self) -> bool {
        [&self.signal, &self.destinations, &self.ras, &self.named].into_iter().any(Few::is_overflown)
    }

    /// Tells the NAT half of all addresses: none of them opens anything.
    fn mention_all(&self, cx: &mut Context<'_>, from: Direction) {
        for addresses in [&self.signal, &self.destinations, &self.ras] {
            addresses.iter().for_each(|announced| announced.mention(cx, from));
        }
    }

    /// A confirm that nobody asked for opens nothing.
    fn refuse(&self, cx: &mut Context<'_>) {
        for announced in self.destinations.iter().chain(self.ras.iter()) {
            cx.refuse(Refusal::Unsolicited, announced.span(cx));
        }
    }
}

struct Reader<'m> {
    bytes: &'m [u8],
    address: AddressReader,
    message: &'m mut Message,
}

impl Visitor for Reader<'_> {
    fn found(&mut self, found: Found) {
        let message = &mut *self.message;
        match found.mark {
            Mark::Ip4 | Mark::Ip6 | Mark::Port => self.address.see(&found, self.bytes, 0),
            Mark::Ras => message.alternative = found.number,
            Mark::SequenceNumber => message.number = found.number,
            Mark::TimeToLive => message.lifetime = Some(found.number),
            Mark::KeepAlive => message.keeps_alive = found.number != 0,
            Mark::SignalAddress => message.signal.push(self.address.take(&found, 0)),
            Mark::DestinationAddress => message.destinations.push(self.address.take(&found, 0)),
            Mark::RasAddress => message.ras.push(self.address.take(&found, 0)),
            Mark::SourceAddress | Mark::ReplyAddress => message.named.push(self.address.take(&found, 0)),
            _ => {}
        }
    }
}
