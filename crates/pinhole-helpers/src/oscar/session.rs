//! The dialogue: frames in order, and what proposals and statuses ask for.

use super::parse::{
    self, DIRECT_NORMAL, Direct, FLAP_HEADER, MESSAGE_LIMIT, Message, Purpose, Step, Topic, channel,
};
use super::rendezvous::Table;
use super::{class, notation};
use crate::endpoint::{admit_address, admit_port};
use crate::opening::TLS_RECORD_TYPES;
use pinhole_helper::{
    AddressMatch, BlindReason, Context, Expect, Handle, Lifetime, Progress, Refusal, Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

/// Seconds that a port for direct connections is expected after the client last sent a frame of its keep-alive.
pub(super) const SILENCE: u32 = 600;

/// One conn of a client with its server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct OscarSession {
    sides: [Side; 2],
    rendezvous: Table,
    /// The client's port for direct connections.
    direct: Option<Handle>,
}

/// Reading state of one direction.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Side {
    /// It began as it must.
    opened: bool,
    /// Bytes of the current frame that are not read.
    skip: usize,
}

impl Session for OscarSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let side = &mut self.sides[from.index()];
            if side.skip > 0 {
                let skipped = side.skip.min(rest.len());
                side.skip -= skipped;
                at += skipped;
                continue;
            }
            match self.frame(cx, from, at, rest) {
                Ok(0) => break,
                Ok(length) => at += length,
                Err(reason) => return Progress::Blind(reason),
            }
        }
        Progress::Consumed(at)
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }

    fn longest_message(&self) -> usize {
        FLAP_HEADER + MESSAGE_LIMIT
    }

    /// Frames are recognised by their beginning only, so the first byte seen must be one's.
    fn pick_up(&mut self, from: Direction) -> bool {
        self.sides[from.index()].opened = true;
        true
    }

    fn memory(&self) -> usize {
        self.rendezvous.memory()
    }
}

impl OscarSession {
    /// Reads the frame that begins at `at`; `Ok(0)`: more of it is needed.
    fn frame(
        &mut self,
        cx: &mut Context<'_>,
        from: Direction,
        at: usize,
        bytes: &[u8],
    ) -> Result<usize, BlindReason> {
        let Ok(head) = parse::flap(bytes) else { return Err(foreign(bytes)) };
        let Some(flap) = head else { return Ok(0) };
        let side = &mut self.sides[from.index()];
        let data = bytes.get(FLAP_HEADER..).unwrap_or_default();
        if !side.opened {
            // The protocol's version, 1, and in a client's frame perhaps TLVs.
            if flap.channel != channel::SIGN_ON || flap.length < 4 {
                return Err(BlindReason::NotThisProtocol);
            }
            let Some(version) = data.first_chunk::<4>() else { return Ok(0) };
            if version != &[0, 0, 0, 1] {
                return Err(BlindReason::NotThisProtocol);
            }
            side.opened = true;
        }
        let topic = match flap.channel {
            channel::SNAC if flap.length >= 4 => match parse::topic(data) {
                Some(topic) => topic,
                None => return Ok(0),
            },
            channel::KEEP_ALIVE if from == Direction::Original => {
                self.keep_alive(cx);
                Topic::Other
            }
            _ => Topic::Other,
        };
        if topic == Topic::Other {
            self.sides[from.index()].skip = flap.length;
            return Ok(FLAP_HEADER);
        }
        if flap.length > MESSAGE_LIMIT {
            cx.refuse(Refusal::Limit, cx.span(at, at + FLAP_HEADER));
            self.sides[from.index()].skip = flap.length;
            return Ok(FLAP_HEADER);
        }
        let Some(snac) = data.get(..flap.length) else { return Ok(0) };
        let snac = Snac { from, at: at + FLAP_HEADER, bytes: snac };
        self.snac(cx, snac, topic);
        Ok(FLAP_HEADER + flap.length)
    }

    fn snac(&mut self, cx: &mut Context<'_>, snac: Snac<'_>, topic: Topic) {
        let to_client = snac.from == Direction::Reply;
        let result = match topic {
            Topic::MessageToServer | Topic::MessageToClient => {
                let is_to_client = topic == Topic::MessageToClient;
                let Some(block) = parse::rendezvous(snac.bytes, is_to_client) else { return };
                let read = if is_to_client == to_client {
                    parse::message(snac.bytes, block.clone()).ok_or(Refusal::Malformed)
                } else {
                    Err(Refusal::OutOfSequence)
                };
                read.and_then(|message| self.rendezvous(cx, snac, &message)).map_err(|why| (why, block))
            }
            Topic::Status if !to_client => {
                let Some(direct) = parse::status(snac.bytes) else { return };
                self.listening(cx, snac, &direct).map_err(|why| (why, direct.place))
            }
            Topic::Contact if to_client => {
                let Some(direct) = parse::contact(snac.bytes) else { return };
                contact(cx, snac, &direct).map_err(|why| (why, direct.place))
            }
            Topic::Status | Topic::Contact | Topic::Other => return,
        };
        if let Err((refusal, place)) = result {
            cx.refuse(refusal, snac.span(cx, &place));
        }
    }

    /// A message of a rendezvous.
    fn rendezvous(&mut self, cx: &mut Context<'_>, snac: Snac<'_>, message: &Message) -> Result<(), Refusal> {
        let ended = match message.step {
            Step::Accept => None,
            Step::Cancel => self.rendezvous.end(message.cookie),
            // Whatever is proposed now takes the place of what was proposed before, by either side.
            Step::Propose => self.rendezvous.entry(message.cookie).and_then(|before| {
                if snac.from == Direction::Reply {
                    before.peer = message.verified.or(before.peer);
                }
                before.expected.take()
            }),
        };
        if let Some(handle) = ended {
            cx.cancel(handle);
        }
        if message.step == Step::Propose { self.propose(cx, snac, message) } else { Ok(()) }
    }

    fn propose(&mut self, cx: &mut Context<'_>, snac: Snac<'_>, message: &Message) -> Result<(), Refusal> {
        let is_proxied = message.proxy || message.sequence >= 3;
        if message.purpose == Purpose::ThroughServer || is_proxied {
            return Ok(());
        }
        // Proposals without an address or a port ask for the other side's.
        let (Some((port, port_place)), Some((address, address_place))) =
            (&message.port, message.address.as_ref().or(message.internal.as_ref()))
        else {
            return Ok(());
        };
        if message.purpose == Purpose::Unknown {
            return Err(Refusal::Unsupported);
        }
        if !message.is_consistent() {
            return Err(Refusal::Malformed);
        }
        admit_port(*port, cx.policy)?;
        let destination = admit_address(IpAddr::V4(*address), snac.from, cx.master, cx.policy)?;
        let Some(rendezvous) = self.rendezvous.entry(message.cookie) else { return Ok(()) };
        let source = match (snac.from, rendezvous.peer) {
            (Direction::Reply, _) => AddressMatch::Exact(cx.master.receiver(snac.from).ip()),
            (Direction::Original, Some(peer)) if destination.is_ipv4() => {
                AddressMatch::Exact(IpAddr::V4(peer))
            }
            (Direction::Original, _) => AddressMatch::Any,
        };
        let block = address_place.start.min(port_place.start)..address_place.end.max(port_place.end);
        let span = snac.span(cx, &block);
        let handle = cx.expect(Expect {
            class: class::RENDEZVOUS,
            lifetime: Lifetime::OneShot,
            ..connection(source, destination, *port, span)
        });
        rendezvous.expected = Some(handle);
        let copies = [
            (Some(address_place), notation::ADDRESS),
            (same(&message.internal, *address).filter(|place| *place != address_place), notation::ADDRESS),
            (Some(port_place), notation::PORT),
            (message.address_check.as_ref().map(|(_, place)| place), notation::ADDRESS_INVERTED),
            (message.port_check.as_ref().map(|(_, place)| place), notation::PORT_INVERTED),
        ];
        for (place, field) in copies {
            if let Some(place) = place {
                cx.locate(handle, snac.span(cx, place), field);
            }
        }
        Ok(())
    }

    /// An ICQ client tells where it listens, or that it does not.
    fn listening(&mut self, cx: &mut Context<'_>, snac: Snac<'_>, direct: &Direct) -> Result<(), Refusal> {
        if let Some(handle) = self.direct.take() {
            cx.cancel(handle);
        }
        if direct.kind != DIRECT_NORMAL {
            return Ok(());
        }
        self.direct = Some(expect_direct(cx, snac, direct, class::DIRECT, AddressMatch::Any)?);
        Ok(())
    }

    fn keep_alive(&mut self, cx: &mut Context<'_>) {
        if let Some(handle) = self.direct {
            cx.extend(handle, SILENCE);
        }
    }
}

/// A contact of ICQ is online: the client may connect there, if the server may say so.
fn contact(cx: &mut Context<'_>, snac: Snac<'_>, direct: &Direct) -> Result<(), Refusal> {
    if direct.kind != DIRECT_NORMAL {
        return Ok(());
    }
    let client = AddressMatch::Exact(cx.master.receiver(snac.from).ip());
    expect_direct(cx, snac, direct, class::CONTACT, client).map(|_| ())
}

fn expect_direct(
    cx: &mut Context<'_>,
    snac: Snac<'_>,
    direct: &Direct,
    class: u8,
    source: AddressMatch,
) -> Result<Handle, Refusal> {
    let port = u16::try_from(direct.port).map_err(|_| Refusal::BadNumber)?;
    admit_port(port, cx.policy)?;
    let destination = admit_address(IpAddr::V4(direct.address), snac.from, cx.master, cx.policy)?;
    let span = snac.span(cx, &direct.place);
    let expect = connection(source, destination, port, span);
    let handle = cx.expect(Expect { class, lifetime: Lifetime::Permanent, ..expect });
    cx.locate(handle, span, notation::DIRECT);
    Ok(handle)
}

/// Where a second copy of an address stands.
fn same(copy: &Option<parse::Placed<Ipv4Addr>>, address: Ipv4Addr) -> Option<&Range<usize>> {
    copy.as_ref().filter(|(other, _)| *other == address).map(|(_, place)| place)
}

/// Why bytes are no frame.
fn foreign(bytes: &[u8]) -> BlindReason {
    match bytes.first() {
        Some(first) if TLS_RECORD_TYPES.contains(first) => BlindReason::Encrypted,
        _ => BlindReason::NotThisProtocol,
    }
}

fn connection(source: AddressMatch, destination: IpAddr, port: u16, span: Span) -> Expect {
    Expect {
        class: class::RENDEZVOUS,
        ..Expect::to(Protocol::TCP, source, SocketAddr::new(destination, port), span)
    }
}

/// A SNAC, and where it stands in the bytes being read.
#[derive(Clone, Copy)]
struct Snac<'a> {
    from: Direction,
    at: usize,
    bytes: &'a [u8],
}

impl Snac<'_> {
    fn span(self, cx: &Context<'_>, place: &Range<usize>) -> Span {
        cx.span(self.at + place.start, self.at + place.end)
    }
}
