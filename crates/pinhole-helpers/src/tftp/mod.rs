//! TFTP (RFC 1350; options RFC 2347, 2348, 2349, 2090, 7440).
//!
//! The conn's originator is the client. It sends a read or write request to the server's well-known port; the server answers from a port of
//! its own choice, and the rest of the transfer is between that port and the client's. So the request, if it is one in every part, is
//! all there is to read: what is expected is one conn from the server, any port, to the very port that asked.
//!
//! A server that answers from the well-known port itself, if only with an error, needs no expectation: it is cancelled.

mod parse;
#[cfg(test)]
mod tests;

pub use parse::REQUEST_LIMIT;

use crate::datagram::head;
use crate::endpoint::admit_port;
use pinhole_helper::{
    AddressMatch, BlindReason, Class, Context, Expect, Field, Handle, Helper, Master, Name, NatHelper,
    Policy, Progress, Refusal, Session, Spec, Texts, Unencodable, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::SocketAddr;

/// The TFTP helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tftp;

static SPEC: Spec = Spec {
    name: Name::new("tftp"),
    aliases: Texts::Built(&["ip_conntrack_tftp", "nf_conntrack_tftp"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[69]),
    classes: Cow::Borrowed(&[Class { name: Name::new("transfer"), max: 1, timeout: 300 }]),
    summary: Cow::Borrowed("Trivial File Transfer Protocol: opens the transfer's own connection"),
    reads: Texts::Built(&["read and write requests: file name, mode (netascii, octet, mail), options"]),
    creates: Texts::Built(&["UDP from the server, any port, to the client's port that asked"]),
    refuses: Texts::Built(&[
        "anything that is not a whole request: two bytes open nothing",
        "unknown modes; options without a value, or with one out of range",
        "requests from a port below 1024, which would open a service to the server",
        "requests of the server",
        "connections that do not open with a request, for ever",
    ]),
    limits: Texts::Built(&[
        "requests of 512 bytes, options included (RFC 2347)",
        "the latest request of a connection counts; an answer from the port that was asked cancels it",
    ]),
    nat: Cow::Borrowed("translates nothing in the payload: the answer is led to the port that asked"),
    ipv6: Cow::Borrowed("the same as IPv4"),
    references: Texts::Built(&["RFC 1350", "RFC 2090", "RFC 2347", "RFC 2348", "RFC 2349", "RFC 7440"]),
};

impl Helper for Tftp {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(TftpSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<TftpSession>(saved)
    }
}

/// The NAT half of [`Tftp`]: a request holds no endpoint, so there is nothing to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct TftpNat;

impl NatHelper for TftpNat {
    fn name(&self) -> &'static str {
        "tftp"
    }

    fn encode(&self, _: Field, _: SocketAddr, _: &[u8], _: &mut Vec<u8>) -> Result<(), Unencodable> {
        Err(Unencodable::Notation)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct TftpSession {
    has_opened: bool,
    awaited: Option<Handle>,
}

impl Session for TftpSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        match (from, parse::request(bytes)) {
            (Direction::Original, Ok(())) => {
                self.has_opened = true;
                self.expect(cx, bytes);
            }
            (Direction::Original, Err(why)) => {
                cx.refuse(why, head(cx, bytes));
                if !self.has_opened {
                    return Progress::Blind(BlindReason::NotThisProtocol);
                }
            }
            (Direction::Reply, Ok(())) => cx.refuse(Refusal::OutOfSequence, head(cx, bytes)),
            (Direction::Reply, Err(_)) => {
                if let Some(handle) = self.awaited.take() {
                    cx.cancel(handle);
                }
            }
        }
        Progress::Consumed(bytes.len())
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }
}

impl TftpSession {
    fn expect(&mut self, cx: &mut Context<'_>, request: &[u8]) {
        let client = cx.master.sender_seen_by_peer(Direction::Original);
        if let Err(why) = admit_port(cx.master.sender(Direction::Original).port(), cx.policy) {
            return cx.refuse(why, head(cx, request));
        }
        let handle = cx.expect(Expect::to(
            Protocol::UDP,
            AddressMatch::Exact(cx.master.receiver(Direction::Original).ip()),
            client,
            cx.span(0, request.len()),
        ));
        self.awaited = Some(handle);
    }
}
