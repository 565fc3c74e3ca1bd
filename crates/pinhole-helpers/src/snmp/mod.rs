//! SNMP (RFC 1157, RFC 3416, RFC 3417; NAT: RFC 2962).
//!
//! Two things are read. A request that a manager sends to everyone on its subnet is answered by agents one by one, each from its own
//! address: `crate::broadcast` says who may answer. And in messages of both directions, traps included, addresses of the conn's own ends
//! are located, so that the NAT half can write what the other side knows them by: the "basic" application-level gateway of
//! RFC 2962. The address field of a value is exactly four bytes, so no length ever changes.
//!
//! Messages of version 3 are authenticated and may be encrypted: nothing in them is touched.

mod ber;
mod parse;
#[cfg(test)]
mod tests;

pub use parse::{ADDRESS_LIMIT, DEPTH_LIMIT};

use crate::broadcast::Answers;
use crate::datagram::head;
use parse::Message;
use pinhole_helper::{
    BlindReason, Class, Context, End, Field, Helper, Master, Name, NatHelper, Policy, Progress, Refusal,
    Session, Spec, Texts, Unencodable, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// Seconds that an answer may take.
const ANSWER_TIME: u32 = 30;

/// Notations of located fields, for the NAT half.
pub mod notation {
    use pinhole_helper::Field;

    /// The four bytes of an `IpAddress` (RFC 2578 §7.1.5).
    pub const ADDRESS: Field = Field::Address(0);
}

/// The SNMP helper.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snmp;

static SPEC: Spec = Spec {
    name: Name::new("snmp"),
    aliases: Texts::Built(&["snmp_trap", "ip_conntrack_snmp", "nf_conntrack_snmp", "nf_nat_snmp_basic"]),
    protocols: Cow::Borrowed(&[Protocol::UDP]),
    ports: Cow::Borrowed(&[161, 162]),
    classes: Cow::Borrowed(&[Class { name: Name::new("answers"), max: 1, timeout: ANSWER_TIME }]),
    summary: Cow::Borrowed("Simple Network Management Protocol: lets the answers to broadcast requests in"),
    reads: Texts::Built(&[
        "messages of versions 1, 2c and 3, wholly: BER of definite lengths",
        "requests to the broadcast address of the asker's subnet",
        "for NAT: every IpAddress value, and the agent's address in traps of version 1",
    ]),
    creates: Texts::Built(&[
        "UDP from that subnet, from the port that was asked, to the very port that asked; any number of answers",
    ]),
    refuses: Texts::Built(&[
        "lengths beyond the datagram, indefinite lengths, elements that do not fill their container",
        "255.255.255.255, which does not tell the subnet, and broadcasts to another one",
        "connections that do not open with a message, for ever",
    ]),
    limits: Texts::Built(&[
        "30 s after the latest request",
        "nesting of 16; the first 64 addresses of a message are translated",
    ]),
    nat: Cow::Borrowed(
        "writes the translated address of either end of the connection in place of its own (RFC 2962, basic); never in version 3",
    ),
    ipv6: Cow::Borrowed("none: broadcast and IpAddress are IPv4's"),
    references: Texts::Built(&["RFC 1157", "RFC 2578", "RFC 2962", "RFC 3412", "RFC 3416", "RFC 3417 §8"]),
};

impl Helper for Snmp {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn attach(&self, _master: &Master, _policy: &Policy) -> Box<dyn Session> {
        Box::new(SnmpSession::default())
    }

    fn restore(&self, saved: &[u8]) -> Option<Box<dyn Session>> {
        saved::session::<SnmpSession>(saved)
    }
}

/// The NAT half of [`Snmp`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SnmpNat;

impl NatHelper for SnmpNat {
    fn name(&self) -> &'static str {
        "snmp"
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        _old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        match (field, endpoint.ip()) {
            (notation::ADDRESS, IpAddr::V4(address)) => out.extend(address.octets()),
            (notation::ADDRESS, IpAddr::V6(_)) => return Err(Unencodable::AddressFamily),
            _ => return Err(Unencodable::Notation),
        }
        Ok(())
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct SnmpSession {
    has_opened: bool,
    answers: Answers,
}

impl Session for SnmpSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let Some(message) = parse::message(bytes) else {
            if !self.has_opened {
                return Progress::Blind(BlindReason::NotThisProtocol);
            }
            cx.refuse(Refusal::Malformed, head(cx, bytes));
            return Progress::Consumed(bytes.len());
        };
        self.has_opened = true;
        mention(cx, from, bytes, &message);
        if from == Direction::Original && message.is_request {
            let span = head(cx, bytes);
            self.answers.expect(cx, ANSWER_TIME, span);
        }
        Progress::Consumed(bytes.len())
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }
}

/// Tells where a message names an end of its own conn.
fn mention(cx: &mut Context<'_>, from: Direction, bytes: &[u8], message: &Message) {
    let (sender, peer) = (cx.master.sender(from).ip(), cx.master.peer(from).ip());
    for place in message.addresses() {
        let Some(octets) = bytes.get(place..).and_then(|rest| rest.first_chunk::<4>()) else { continue };
        let address = IpAddr::from(*octets);
        let span = cx.span(place, place + octets.len());
        if address == sender {
            cx.mention(End::Sender, span, notation::ADDRESS);
        } else if address == peer {
            cx.mention(End::Peer, span, notation::ADDRESS);
        }
    }
}
